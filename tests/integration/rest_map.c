/* rest_map.c: one chunk of calls that rest for so many ms each, on $MP_BROKER's workers:
 * rest_map -- MS...; prints for each which process ran it, or how it ended else. */
#include <mp/mp.h>

#include <stdio.h>
#include <stdlib.h>

static const mp_task_t rest = {
    .name = "wt_rest", .in = MP_RECORD_OF(int), .out = MP_RECORD_OF(int)};

int main(int argc, char **argv)
{
    enum { CALLS_MAX = 64 };
    int in[CALLS_MAX], out[CALLS_MAX];
    mp_rc_t rcs[CALLS_MAX] = {0};
    mp_pool_t *pool = NULL;
    int n = argc - 2 < CALLS_MAX ? argc - 2 : CALLS_MAX; /* argv[1] is -- */
    for (int i = 0; i < n; i++)
        in[i] = atoi(argv[i + 2]);
    mp_rc_t rc = mp_pool_new(NULL, &pool);
    if (rc == MP_OK)
        rc = mp_pool_map_with(pool, &rest, in, (size_t)n, out, rcs,
                              &(mp_call_options_t){.chunksize = n}, 60000);
    if (rc != MP_OK)
        fprintf(stderr, "rest_map: %s\n", mp_errmsg());
    for (int i = 0; i < n; i++)
        printf("%d\n", rcs[i] ? rcs[i] : out[i]);
    mp_pool_destroy(&pool);
    return rc == MP_OK ? EXIT_SUCCESS : EXIT_FAILURE;
}
