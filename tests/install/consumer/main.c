/* A program of somebody else's: all it has of libmp is what was installed. */
#include <mp/mp.h>
#include <stdio.h>
#include <string.h>

typedef struct point {
    double x, y;
} point_t;

MP_TASK(swap, point_t, point_t)
{
    *out = (point_t){.x = in->y, .y = in->x};
    return MP_OK;
}

int main(int argc, char **argv)
{
    MP_MAIN(argc, argv);
    point_t in[100], out[100];
    for (int i = 0; i < 100; i++)
        in[i] = (point_t){i, -i};
    mp_pool_t *pool = NULL;
    if (mp_pool_new(&(mp_pool_options_t){.processes = 2, .broker = "local"}, &pool) != MP_OK ||
        mp_pool_map(pool, &swap, in, 100, out, -1) != MP_OK) {
        fprintf(stderr, "consumer: %s\n", mp_errmsg());
        return 1;
    }
    mp_pool_destroy(&pool);
    for (int i = 0; i < 100; i++)
        if (out[i].x != -i || out[i].y != i)
            return 2;
    if (strcmp(mp_version(), MP_VERSION_STRING) != 0)
        return 3;
    printf("libmp %s works\n", mp_version());
    return 0;
}
