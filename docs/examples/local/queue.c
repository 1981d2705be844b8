/* A producer and a consumer with a queue between them. */
#include <mp/mp.h>
#include <stdio.h>
#include <string.h>

static int produce(void *arg)
{
    mp_queue_t *queue = arg; /* the child uses the handle as it is */
    for (int i = 0; i < 5; i++)
        if (mp_queue_put(queue, &i, sizeof i, -1))
            return 1;
    return mp_queue_put(queue, "end", 3, -1) != MP_OK;
}

int main(void)
{
    MP_SCOPED(mp_queue) queue = NULL;
    MP_SCOPED(mp_process) producer = NULL;
    if (mp_queue_new(NULL, &queue) ||
        mp_process_new(&(mp_process_options_t){.target = produce, .arg = queue}, &producer) ||
        mp_process_start(producer))
        return fprintf(stderr, "%s\n", mp_errmsg()), 1;
    for (;;) {
        int number;
        size_t size;
        if (mp_queue_get(queue, &number, sizeof number, &size, 10000))
            return fprintf(stderr, "%s\n", mp_errmsg()), 1;
        if (size == strlen("end"))
            break;
        printf("got %d\n", number);
    }
    return mp_process_join(producer, -1) != MP_OK;
}
/* prints:
got 0
got 1
got 2
got 3
got 4
*/
