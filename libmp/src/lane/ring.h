/* ring.h: records in one direction, from one writer to one reader, in shared memory.
 *
 * Positions count bytes from the beginning of time; where a byte lies is its position
 * modulo the ring's size. Everything from `tail` to `head` is committed and not yet
 * given back:
 *
 *     | ... free ... |tail  record  record  skip| record  head| ... free ... |
 *
 * A record is a 16-byte head and its payload, padded to 16, never wrapped: what doesn't
 * fit before the ring's end starts over, and a skip record fills the gap. An empty ring starts over
 * early: pages that nobody has touched yet cost more than all that is done with them.
 *
 * Each end believes only its own private copies. Of what the other end wrote it takes a
 * copy, checks it, and uses nothing but the copy; once a check fails the ring answers
 * MP_EPROTO for ever. The payload itself may still change under the reader's eyes when
 * the writer has gone wild: who must be sure copies it before checking it.
 */
#ifndef MPX_RING_H
#define MPX_RING_H

#include "buf.h"
#include <mp/error.h>
#include <mp/task.h>
#include <stdalign.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* Two cache lines: the prefetcher of x86 fetches them in pairs. */
#define MPX_RING_LINE 128

/* Positions and payloads are multiples of it. */
#define MPX_RING_ALIGN 16

/* What both ends see; all zero at first. */
typedef struct mpx_ring_shared {
    alignas(MPX_RING_LINE) _Atomic uint64_t head; /* by the writer */
    alignas(MPX_RING_LINE) _Atomic uint64_t tail; /* by the reader */

    /* By the writer; not read while it lives. A record is open exactly if open_at is
     * head + 1, so committing it closes it, and there is no moment in between. */
    alignas(MPX_RING_LINE) _Atomic uint64_t open_at;
    _Atomic uint32_t open_size;
    _Atomic uint32_t cursor;
} mpx_ring_shared_t;

typedef struct mpx_ring_writer {
    mpx_ring_shared_t *shared;
    unsigned char *bytes;
    size_t size;    /* of the ring, a power of two */
    uint64_t head;  /* the truth, of which shared->head is the copy */
    uint64_t tail;  /* as last seen */
    mpx_buf_t rest; /* of a cut record, from rest_from on */
    size_t rest_from;
    size_t wanted; /* payload bytes that were last refused; 0: none */
    size_t opened; /* of the open record */
    bool open;
    bool broken;
    bool starts_over; /* when it is empty, rather than use pages that weren't touched yet: until the
                         reader is past the gap that this leaves, the ring has room for little */
} mpx_ring_writer_t;

typedef struct mpx_ring_reader {
    mpx_ring_shared_t *shared;
    unsigned char *bytes;
    size_t size;
    uint64_t tail;     /* the truth, of which shared->tail is the copy */
    uint64_t head;     /* as last seen */
    mp_bytes_t record; /* valid while held */
    size_t span;       /* what it takes in the ring; 0: it is in `joined` */
    mpx_buf_t joined;  /* fragments so far */
    size_t expected;   /* bytes of the fragmented record; 0: none */
    bool held;         /* read and not popped */
    bool relieved;     /* so much was given back that a waiting writer should know;
                          the owner of this struct resets it */
    bool broken;
} mpx_ring_reader_t;

/* Longest record that is not cut into fragments. */
static inline size_t mpx_ring_whole_max(size_t ring_bytes)
{
    return ring_bytes / 4;
}

/* Start with zeroed structs that have shared, bytes and size set. Free what an end owns. */
void mpx_ring_writer_free(mpx_ring_writer_t *self);
void mpx_ring_reader_free(mpx_ring_reader_t *self);

/* These do what the functions of the same name in lane.h say. */
mp_rc_t mpx_ring_write(mpx_ring_writer_t *self, const mp_bytes_t *parts, size_t parts_count);
mp_rc_t mpx_ring_flush(mpx_ring_writer_t *self);
bool mpx_ring_cut(const mpx_ring_writer_t *self);
size_t mpx_ring_rest(const mpx_ring_writer_t *self);
size_t mpx_ring_room(const mpx_ring_writer_t *self);
void *mpx_ring_open(mpx_ring_writer_t *self, size_t size);
void mpx_ring_cursor(mpx_ring_writer_t *self, uint32_t valid);
void mpx_ring_commit(mpx_ring_writer_t *self, size_t size);

mp_rc_t mpx_ring_read(mpx_ring_reader_t *self, mp_bytes_t *out);
void mpx_ring_pop(mpx_ring_reader_t *self);
bool mpx_ring_salvage(mpx_ring_reader_t *self, mp_bytes_t *out, uint32_t *valid);

/* Is there a reason not to sleep: room for what was last refused (or for any record, if
 * nothing was), a record, or a broken ring? Looks at the shared positions. */
bool mpx_ring_writable(mpx_ring_writer_t *self);
bool mpx_ring_readable(mpx_ring_reader_t *self);

#endif
