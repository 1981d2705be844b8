#include <mp/mp.h>
#include <stdio.h>

MP_TASK(square, int, int) { *out = *in * *in; return MP_OK; }

int main(int argc, char **argv)
{
    MP_MAIN(argc, argv);
    int xs[10], ys[10];
    for (int i = 0; i < 10; i++) xs[i] = i;
    mp_pool_t *pool = NULL;
    if (mp_pool_new(&(mp_pool_options_t){.processes = 4}, &pool) != MP_OK ||
        mp_pool_map(pool, &square, xs, 10, ys, -1) != MP_OK)
        return fprintf(stderr, "square: %s\n", mp_errmsg()), 1;
    for (int i = 0; i < 10; i++) printf("%d%c", ys[i], i < 9 ? ' ' : '\n');
    mp_pool_destroy(&pool);
    return 0;
}
