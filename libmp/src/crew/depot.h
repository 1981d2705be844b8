/* depot.h: chunks that are too large for a lane lie in shared memory, and only their placement is
 * sent.
 *
 * What came from mp_alloc stays where it is. Else inputs are copied to a block of the depot, and
 * results are written to one; blocks are used again, by any executor, once their chunk is over or
 * its executor is dead. Nothing but the owner's crew decides what is free.
 */
#ifndef MPX_DEPOT_H
#define MPX_DEPOT_H

#include "crew.h"
#include "post.h"

typedef struct mpx_depot mpx_depot_t;
/* The place of one chunk. */
typedef struct mpx_stay {
    uint64_t chunk;
    uint64_t first;
    uint32_t count;
    uint32_t result_bytes; /* of each value; 0: results aren't placed */
    unsigned char *results;
    struct mpx_hold {
        struct mpx_store *store; /* a block of the depot, or */
        struct mpx_allocated *allocated;
    } in, out;
    struct mpx_stay *prev, *next; /* the owner's, for its own list */
} mpx_stay_t;

/* Inputs of a placed chunk that are not placed themselves are smaller. */
#define MPX_DEPOT_INLINE_MAX (64 * 1024)

/* Make one for so many executors. It keeps for later use what they hold with one call each of the
 * largest kind, 128 MiB, but not more than an eighth of the machine's memory: new pages from the
 * kernel cost more than the copies that go into them.
 * MP_OK; MP_ENOMEM. */
mp_rc_t mpx_depot_new(uint32_t executors, mpx_depot_t **out);
void mpx_depot_destroy(mpx_depot_t **self); /* every stay has ended before */

/* Whether a chunk is worth it. */
bool mpx_depot_wants(size_t payload_bytes, const mpx_results_to_t *to);
/* Whether all chunks of such calls, also of a single one, will be used where they are: no byte of
 * them travels, and none has to be kept. */
bool mpx_depot_in_place(const void *in, size_t in_bytes, const void *out, size_t out_bytes,
                        size_t calls);
/* MP_OK; MP_ENOMEM, MP_ESYSTEM, MP_ETOOLARGE, or MP_EPERM because this process lets nobody open its
 * memory (PR_SET_DUMPABLE): it has to go as it is. */
mp_rc_t mpx_depot_place(mpx_depot_t *self, const mpx_header_t *submit, mp_bytes_t payload,
                        const mpx_results_to_t *to, mpx_stay_t **out, mpx_placement_t *placement);
/* Values [first, first+count) of its results, or NULL: it has none there. */
const unsigned char *mpx_stay_values(const mpx_stay_t *self, uint64_t first, uint32_t count);
void mpx_depot_release(mpx_depot_t *self, mpx_stay_t *stay);

#endif
