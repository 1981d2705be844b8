/* Work for three processes, and their results: a joinable queue out, a queue back. A worker that
 * dies costs nothing but time: what it had in hand goes to another. */
#include <mp/mp.h>
#include <stdio.h>

enum { WORKERS = 3, JOBS = 10 };

static mp_queue_t *jobs, *results;

static int work(void *arg)
{
    (void)arg;
    for (;;) {
        long long number;
        size_t size;
        if (mp_queue_get(jobs, &number, sizeof number, &size, -1))
            return 0; /* the owner has destroyed it: no more work */
        number *= number;
        if (mp_queue_put(results, &number, sizeof number, -1) || mp_queue_flush(results, -1) ||
            mp_queue_task_done(jobs))
            return 1;
    }
}

int main(void)
{
    mp_process_t *workers[WORKERS] = {NULL};
    long long sum = 0;
    if (mp_joinable_queue_new(NULL, &jobs) || mp_queue_new(NULL, &results))
        return fprintf(stderr, "%s\n", mp_errmsg()), 1;
    for (int i = 0; i < WORKERS; i++)
        if (mp_process_new(&(mp_process_options_t){.target = work}, &workers[i]) ||
            mp_process_start(workers[i]))
            return fprintf(stderr, "%s\n", mp_errmsg()), 1;
    for (long long i = 1; i <= JOBS; i++)
        if (mp_queue_put(jobs, &i, sizeof i, -1))
            return fprintf(stderr, "%s\n", mp_errmsg()), 1;
    if (mp_queue_join(jobs, 10000))
        return fprintf(stderr, "%s\n", mp_errmsg()), 1;
    for (int i = 0; i < JOBS; i++) {
        long long square;
        size_t size;
        if (mp_queue_get(results, &square, sizeof square, &size, 0))
            return fprintf(stderr, "%s\n", mp_errmsg()), 1;
        sum += square;
    }
    printf("the squares up to %d add up to %lld\n", JOBS, sum);
    mp_queue_destroy(&jobs);
    for (int i = 0; i < WORKERS; i++) {
        mp_process_join(workers[i], 10000);
        mp_process_destroy(&workers[i]);
    }
    mp_queue_destroy(&results);
    return 0;
}
/* prints:
the squares up to 10 add up to 385
*/
