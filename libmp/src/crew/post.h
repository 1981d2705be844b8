/* post.h: how an executor's messages lie in its lane.
 *
 * Towards the executor a record is a message as it is: head, payload. From it, each record
 * begins with a prefix, so that results can be written in place, call by call, before it is
 * known how many there will be, and be found there if the executor dies:
 *
 *      0   u32 where the message begins in the record; 0: the record is open
 *      4   u32 size of a value       (of an open record)
 *      8   u64 chunk                 (of an open record)
 *     16   u64 number of first call  (of an open record)
 *     ...
 *     96   values of an open record; once committed, the head ends here
 *
 * What is large lies elsewhere (depot.h), which a header's kind says: the payload of a placed
 * SUBMIT begins with its placement, followed by the inputs if those are not placed; a placed
 * RESULT has no payload.
 */
#ifndef MPX_POST_H
#define MPX_POST_H

#include "lane.h"
#include "wire.h"
#include <mp/ref.h>

enum { MPX_POST_PLACED = 1 }; /* header.kind */

/* A SUBMIT's nonce is the deadline of its calls by the clock of this host; 0: none. */

/* Notes of the lane: the chunk that the executor is to give up, the one whose running call is
 * past its soft limit, and whether it is to begin no call any more but those of calls (not 0). */
enum { MPX_NOTE_CANCELLED, MPX_NOTE_LATE, MPX_NOTE_GIVE_BACK };

/* What the executor's board says: how far a call is. */
typedef struct mpx_news {
    uint64_t chunk;
    uint64_t index;
    uint64_t done;
    uint64_t total;
    char text[MPX_LANE_BOARD - 4 * sizeof(uint64_t)]; /* ends with NUL */
} mpx_news_t;

/* Somewhere in a shared block; ref.word[0] is 0: nowhere. */
typedef struct mpx_place {
    mp_ref_t ref;
    uint64_t offset;
    uint64_t bytes;
} mpx_place_t;

typedef struct mpx_placement {
    mpx_place_t in;
    mpx_place_t out;
} mpx_placement_t;

/* Values that one open record can take, of that size; 0: too large for it. */
uint32_t mpx_post_capacity(uint32_t item_bytes);

/* Start a RESULT for up to `count` values; returns where they go, 16-aligned and zeroed.
 * NULL: no room now. mpx_lane_cursor says how many are there. */
void *mpx_post_open(mpx_lane_t *lane, uint64_t chunk, uint64_t first, uint32_t item_bytes,
                    uint32_t count);
/* Finish it: header->count values are sent; 0 drops it. */
void mpx_post_commit(mpx_lane_t *lane, void *values, const mpx_header_t *header);

/* Send a message made of a header and parts. As mpx_lane_write. */
mp_rc_t mpx_post_write(mpx_lane_t *lane, const mpx_header_t *header, const mp_bytes_t *parts,
                       size_t parts_count);

/* The owner's side: take a record, or what a dead executor left open, apart.
 * MP_OK; MP_EPROTO. */
mp_rc_t mpx_post_read(mp_bytes_t record, mpx_header_t *header, mp_bytes_t *payload);
/* false: there is nothing to salvage. */
bool mpx_post_salvage(mpx_lane_t *lane, mpx_header_t *header, mp_bytes_t *payload);

#endif
