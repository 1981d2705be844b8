/* Pi by throwing darts. Each call has random numbers of its own, which follow from its index: so
 * the result is the same for any number of workers, and after any retry. */
#include <mp/mp.h>
#include <stdint.h>
#include <stdio.h>

enum { CALLS = 64, DARTS = 100000 };

/* SplitMix64 (Steele, Lea and Flood, OOPSLA 2014). */
static uint64_t next_random(uint64_t *state)
{
    uint64_t z = *state += UINT64_C(0x9e3779b97f4a7c15);
    z = (z ^ z >> 30) * UINT64_C(0xbf58476d1ce4e5b9);
    z = (z ^ z >> 27) * UINT64_C(0x94d049bb133111eb);
    return z ^ z >> 31;
}

MP_TASK(throw_darts, int, int)
{
    uint64_t state = mp_call_index(call) << 32;
    for (int i = 0; i < *in; i++) {
        uint64_t x = next_random(&state) >> 33, y = next_random(&state) >> 33;
        *out += x * x + y * y < UINT64_C(1) << 62;
    }
    return MP_OK;
}

int main(int argc, char **argv)
{
    MP_MAIN(argc, argv);
    MP_SCOPED(mp_pool) pool = NULL;
    int darts[CALLS], hits[CALLS];
    long sum = 0;
    for (int i = 0; i < CALLS; i++)
        darts[i] = DARTS;
    if (mp_pool_new(NULL, &pool) || mp_pool_map(pool, &throw_darts, darts, CALLS, hits, -1))
        return fprintf(stderr, "%s\n", mp_errmsg()), 1;
    for (int i = 0; i < CALLS; i++)
        sum += hits[i];
    printf("%.4f\n", 4.0 * (double)sum / CALLS / DARTS);
    return 0;
}
/* prints:
3.1411
*/
