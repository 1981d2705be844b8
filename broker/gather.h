/* gather.h: how many questions a commit waits for.
 *
 * A commit takes the disk as long for one as for a hundred, so many writers are best served if all
 * of them share each. Those who were answered together mostly ask again together: so a commit waits
 * until as many questions have come as lately did, but no longer than the last commit took, nor
 * than 5 ms. That at most doubles what the first one waits.
 *
 *     heard >= target                    commit; after several in a row, try for more, ever more
 *                                        rarely while that is in vain
 *     the last commit's time has passed  commit; try for fewer
 *
 * Pure: times come as numbers.
 */
#ifndef MPX_GATHER_H
#define MPX_GATHER_H

#include <stdbool.h>
#include <stdint.h>

/* All zero at first. */
typedef struct mpx_gather {
    uint64_t heard; /* questions since the last commit */
    uint64_t target;
    unsigned met;  /* commits in a row that didn't wait in vain */
    bool tries;    /* for more than there were before */
    unsigned vain; /* such tries in a row */
    int64_t until; /* it isn't worth to wait for longer */
} mpx_gather_t;

/* One has come, of however many operations, and there is something to commit. */
void mpx_gather_hear(mpx_gather_t *self);
/* Whether to wait for more before a commit. */
bool mpx_gather_wants(const mpx_gather_t *self, int64_t now);
/* What has come is committed, which took so long, and is answered now. */
void mpx_gather_committed(mpx_gather_t *self, int64_t now, int64_t took_ns);

#endif
