/* The Mandelbrot set, row by row, as a PPM picture in the file that is named (or none), with a
 * progress bar if a terminal is there. On the workers of a broker:
 *     ./mandelbrot --mp-worker tcp://host:port            there
 *     MP_BROKER=tcp://host:port ./mandelbrot out.ppm      here */
#include <mp/mp.h>
#include <stdio.h>

enum { WIDTH = 640, HEIGHT = 480, DEPTH = 255 };

typedef struct row {
    unsigned char depth[WIDTH]; /* steps until the point escapes */
} row_t;

MP_TASK(draw_row, int, row_t)
{
    for (int x = 0; x < WIDTH; x++) {
        double a = -2.2 + 3.2 * x / WIDTH, b = -1.2 + 2.4 * *in / HEIGHT, u = 0, v = 0;
        int steps = 0;
        while (steps < DEPTH && u * u + v * v < 4) {
            double next = u * u - v * v + a;
            v = 2 * u * v + b;
            u = next;
            steps++;
        }
        out->depth[x] = (unsigned char)steps;
    }
    return MP_OK;
}

static mp_rc_t next_row(void *arg, mp_bytes_t *input)
{
    static int row;
    int *next = arg;
    if (*next == HEIGHT)
        return MP_EOF;
    row = (*next)++;
    *input = (mp_bytes_t){&row, sizeof row};
    return MP_OK;
}

static long put_row(FILE *picture, const row_t *row)
{
    long inside = 0;
    for (int x = 0; x < WIDTH; x++) {
        int depth = row->depth[x];
        inside += depth == DEPTH;
        if (picture)
            fprintf(picture, "%c%c%c", depth == DEPTH ? 0 : depth, depth * 7 % 256,
                    depth == DEPTH ? 0 : 255 - depth);
    }
    return inside;
}

int main(int argc, char **argv)
{
    MP_MAIN(argc, argv);
    MP_SCOPED(mp_pool) pool = NULL;
    MP_SCOPED(mp_imap) imap = NULL;
    MP_SCOPED(mp_bar) bar = NULL;
    mp_progress_t progress = {.total = HEIGHT};
    mp_outcome_t outcome;
    int next = 0;
    long inside = 0;
    FILE *picture = argc > 1 ? fopen(argv[1], "w") : NULL;
    if (picture)
        fprintf(picture, "P6\n%d %d\n255\n", WIDTH, HEIGHT);
    if (mp_pool_new(NULL, &pool) || mp_pool_imap(pool, &draw_row, next_row, &next, NULL, &imap) ||
        mp_bar_new(&(mp_bar_options_t){.label = "rows"}, &bar))
        return fprintf(stderr, "%s\n", mp_errmsg()), 1;
    while (mp_imap_next(imap, &outcome, -1) == MP_OK) {
        if (outcome.rc)
            return fprintf(stderr, "row %d: %s\n", (int)outcome.index, outcome.message), 1;
        inside += put_row(picture, outcome.value.data);
        progress.done++;
        mp_bar_update(bar, &progress);
    }
    if (picture && fclose(picture))
        return 1;
    printf("%ld of %d points are inside\n", inside, WIDTH * HEIGHT);
    return 0;
}
/* prints:
60955 of 307200 points are inside
*/
