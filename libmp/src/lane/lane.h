/* lane.h: a two-way channel of records between two processes of one host.
 *
 * Two rings in one shared mapping carry the bytes; a socket pair carries only wake-ups
 * and the news that the other end is gone. A side that finds its ring empty announces
 * that it will sleep, looks once more, and sleeps on the socket; the other side sends
 * one byte only to a side that announced it. While both are busy no system call is
 * made at all. A side that waits for a moment only may nap on a bell of its peer's
 * (bell.h) instead, and announces that.
 *
 *     side A (owner)                              side B (executor)
 *     ring 0  head ---------------------------->  tail
 *     ring 1  tail  <----------------------------  head
 *     socket  <------------- one byte ---------->
 *
 * A record is contiguous and 16-aligned in memory. Records longer than a quarter of
 * the ring travel in fragments, which the reader puts together again in memory of its
 * own; the lane hides that.
 *
 * What has been committed survives the writer's death and can still be read. Beyond
 * that, a writer can keep a record open (mpx_lane_open) and count on a shared cursor
 * how much of it is valid; the reader gets at it with mpx_lane_salvage once the writer
 * is dead. That is how the results of calls survive a crash of the next call.
 *
 * The peer may be running code that has gone wild: every position and length that is
 * read from shared memory is checked, and MP_EPROTO returned if it can't be. One thread
 * at a time on each side.
 */
#ifndef MPX_LANE_H
#define MPX_LANE_H

#include "bell.h"

#include <mp/error.h>
#include <mp/task.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

typedef struct mpx_lane mpx_lane_t;

/* A message of a visit, the largest thing that travels; links have limits of their own. */
#define MPX_LANE_RECORD_MAX ((1u << 30) + 64u * 1024u)

/* Make a lane whose two rings hold ring_bytes each (a power of two, at least 64 KiB).
 * This side is A. *peer_fds are what the other process needs: the mapping's descriptor
 * and its socket; the caller passes them on and closes them. All are close-on-exec.
 * Its rings start over early, so that they touch few pages, and may be full at any time: for
 * sides that stay awake, or sleep for room, until what they write is written.
 * MP_OK; MP_EINVAL; MP_ENOMEM; MP_ESYSTEM. */
mp_rc_t mpx_lane_new(size_t ring_bytes, mpx_lane_t **out, int peer_fds[2]);

/* Become side B. Takes the two descriptors over on success. Reads the ring size from
 * the mapping and checks it. MP_OK; MP_EINVAL; MP_ENOMEM; MP_ESYSTEM. */
mp_rc_t mpx_lane_attach(const int fds[2], mpx_lane_t **out);

/* A lane of which no side is taken yet: the two descriptors of side A (0) and of side B (1).
 * They may travel on sockets, or be inherited; each side is for one process to take. While no
 * more than half of a ring is unread, a record of up to a quarter of it is never refused: so who
 * limits itself to that can write, and do something else.
 * MP_OK; MP_EINVAL; MP_ENOMEM; MP_ESYSTEM. */
mp_rc_t mpx_lane_pair(size_t ring_bytes, int a_fds[2], int b_fds[2]);
/* Become the side 0 or 1, also one that another process has left. Takes the descriptors over
 * on success. MP_OK; MP_EINVAL; MP_EPROTO; MP_ENOMEM; MP_ESYSTEM. */
mp_rc_t mpx_lane_join(const int fds[2], unsigned side, mpx_lane_t **out);
/* The opposite: the lane ends here, and its descriptors are the caller's to pass on. What the
 * peer sent and wasn't popped stays in it, and the peer notices nothing.
 * false: not now, with a record cut, open, held or read in part. */
bool mpx_lane_leave(mpx_lane_t **self, int fds[2], unsigned *side);

/* Unmap and close. NULL-safe, idempotent. */
void mpx_lane_destroy(mpx_lane_t **self);

/* The socket; readable when the peer rang or is gone. For poll only. */
int mpx_lane_fd(const mpx_lane_t *self);

/* Append a record made of the parts, in order. Does not ring.
 * MP_OK; MP_EBUSY no room now: a record of up to a quarter of the ring was not written at
 * all, of a longer one the lane has kept what it couldn't write (mpx_lane_cut is true):
 * call mpx_lane_flush when there is room, and write nothing else until it returns MP_OK;
 * MP_ETOOLARGE; MP_ENOMEM; MP_EPROTO. */
mp_rc_t mpx_lane_write(mpx_lane_t *self, const mp_bytes_t *parts, size_t parts_count);
/* Go on with a long record. MP_OK all of it is written, or there was none; MP_EBUSY;
 * MP_EPROTO. */
mp_rc_t mpx_lane_flush(mpx_lane_t *self);
/* Is a long record written only in part? */
bool mpx_lane_cut(const mpx_lane_t *self);
/* How much of it isn't. */
size_t mpx_lane_rest(const mpx_lane_t *self);
/* Bytes that one mpx_lane_write could take now without being cut; 0 also while a record
 * is cut or open, or the peer has broken the lane. */
size_t mpx_lane_room(const mpx_lane_t *self);

/* Wake the peer if it sleeps until a record comes. No harm when it is gone:
 * mpx_lane_awake tells that. */
void mpx_lane_ring(mpx_lane_t *self);

/* The oldest record of the peer, or MP_EBUSY when there is none. The bytes are valid,
 * and stay in the ring, until mpx_lane_pop; until then the same record is read again. A
 * peer gone wild may still change them: copy what is checked before it is used.
 * MP_OK; MP_EBUSY; MP_EPROTO; MP_ENOMEM (for a fragmented record). */
mp_rc_t mpx_lane_read(mpx_lane_t *self, mp_bytes_t *out);
/* Give its room back. Wakes a peer that sleeps for room, at each quarter of the ring. */
void mpx_lane_pop(mpx_lane_t *self);

/* Announce that this side goes to sleep on mpx_lane_fd. false: don't, because a record is
 * there, or if `for_room` room for what was last refused (for any record up to a quarter
 * of the ring, if nothing was); or because the lane is broken, as the next call will tell.
 * Who holds a record (read, not popped) and sleeps for room is woken by room alone.
 * Undone by mpx_lane_awake. */
bool mpx_lane_sleep(mpx_lane_t *self, bool for_room);
/* Whether a record is there, without a system call. */
bool mpx_lane_readable(mpx_lane_t *self);
/* Whether lingering makes sense: the peer runs meanwhile only if there is another processor. */
bool mpx_lane_may_linger(void);
/* Of one that is asleep, for records: don't sleep yet, but look until that time (CLOCK_MONOTONIC,
 * ns) whether one comes. true: one is there, and this side is awake; false: it is asleep as before.
 */
bool mpx_lane_linger(mpx_lane_t *self, int64_t until);
/* No longer asleep: take the wake-up bytes off the socket. One system call.
 * MP_OK; MP_EOF the peer is gone (what it committed can still be read). When it rang
 * before it went, the first call takes the bytes, and the second one tells: the socket
 * stays readable. */
mp_rc_t mpx_lane_awake(mpx_lane_t *self);

/* Let the peer sleep on a bell of ours, too: its descriptor goes out with a wake-up. NULL: no
 * longer, as it must be before the bell goes. */
void mpx_lane_lend_bell(mpx_lane_t *self, mpx_bell_t *bell);
/* The other side: take the bell, if one comes, in mpx_lane_awake. */
void mpx_lane_want_bell(mpx_lane_t *self);
/* Of one that is asleep, for records: sleep on the peer's bell until one comes (true: it is there,
 * and this side is awake), or until that time (CLOCK_MONOTONIC, ns; false: it is asleep as before).
 * At once false if there is no bell. That the peer is gone it doesn't tell. Another thread may
 * write meanwhile. */
bool mpx_lane_nap(mpx_lane_t *self, int64_t until);
/* For another thread: end a nap, with false. Seldom too early to be noticed. */
void mpx_lane_disturb(mpx_lane_t *self);

/* For who is at neither end, but has the mapping's descriptor, which stays the caller's: whether an
 * end sleeps until a record comes. Forked children don't have it. NULL: it can't be had. */
typedef struct mpx_lane_window mpx_lane_window_t;
const mpx_lane_window_t *mpx_lane_window_open(int memory);
/* Looks after all that the caller has stored before. */
bool mpx_lane_window_sleeps(const mpx_lane_window_t *self, unsigned side);
void mpx_lane_window_close(const mpx_lane_window_t **self); /* NULL-safe, idempotent */

/* A note is a word that both sides can read and write at any time, past all records: only the
 * newest value counts, and nobody is woken. Zero at first. */
enum { MPX_LANE_NOTES = 3 };
uint64_t mpx_lane_note(const mpx_lane_t *self, unsigned which);
void mpx_lane_set_note(mpx_lane_t *self, unsigned which, uint64_t value);

/* Things that were sent can be called back before the peer takes them up. They have numbers, which
 * rise in the order in which they are sent; one side sends, and the other takes up. So many at
 * most are called back and not yet forgotten: twice what is ever given to a worker at once, as
 * those that were called back keep their places until they are met. */
enum { MPX_LANE_CALLED_BACK = 512 };
/* true: the peer will not take it up. false: it has, or too many are called back; if it is refused
 * that all the same, it says so. */
bool mpx_lane_call_back(mpx_lane_t *self, uint64_t number);
/* The peer has refused it, or will never be asked. */
void mpx_lane_forget(mpx_lane_t *self, uint64_t number);
/* On the other side. false: it was called back, and must not be. */
bool mpx_lane_take_up(mpx_lane_t *self, uint64_t number);

/* Each side has a board, which it writes over as often as it likes: its peer sees what is there
 * when it looks, and is woken by mpx_lane_ring if it sleeps. */
enum { MPX_LANE_BOARD = 512 };
void mpx_lane_write_board(mpx_lane_t *self, const unsigned char text[MPX_LANE_BOARD]);
/* The peer's. false: it is as it was at the last look, or just being written. */
bool mpx_lane_read_board(mpx_lane_t *self, unsigned char out[MPX_LANE_BOARD]);

/* Keep a record of `size` bytes (at most a quarter of the ring) open for filling in
 * place; its memory is 16-aligned and zeroed. Only one at a time, and no
 * mpx_lane_write in between. NULL: no room now (or the lane is broken: mpx_lane_flush
 * tells, and mpx_lane_sleep returns false). */
void *mpx_lane_open(mpx_lane_t *self, size_t size);
/* How many of its units (calls) are valid, for the reader if this side dies. */
void mpx_lane_cursor(mpx_lane_t *self, uint32_t valid);
/* Commit its first `size` bytes (not more than were opened); 0 drops it. */
void mpx_lane_commit(mpx_lane_t *self, size_t size);
/* After the peer's death, with all its records read: its open record and cursor.
 * The bytes stay valid until the lane is destroyed; `valid` is whatever the peer left.
 * false: it had none open, or what it left is not valid. */
bool mpx_lane_salvage(mpx_lane_t *self, mp_bytes_t *out, uint32_t *valid);

#endif
