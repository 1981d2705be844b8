/* bell.h: many sleepers of a host, woken by one system call.
 *
 * A process that has many peers on lanes (lane.h) owns a bell, a page of words that its peers map
 * without being able to write. Each peer has a slot, a bit of a word, and sleeps on that word as a
 * futex, for its bit. The owner notes the slots that are to be woken, moves their words, and wakes
 * all bits of a word at once. For each peer that costs a third of a byte on a socket.
 *
 *     slot 0..31   word 0   owner: pull(3) pull(7) toll -> one FUTEX_WAKE_BITSET of 1<<3 | 1<<7
 *     slot 32..63  word 1
 *
 * A futex tells nobody that its owner has died: who sleeps on a bell sleeps shortly, and on a
 * descriptor after that.
 *
 * One thread at a time on the owner's side; any number of sleepers.
 */
#ifndef MPX_BELL_H
#define MPX_BELL_H

#include <mp/error.h>
#include <stdbool.h>
#include <stdint.h>

typedef struct mpx_bell mpx_bell_t;

enum { MPX_BELL_SLOTS = 2048, MPX_BELL_NONE = -1 };

/* Make one. MP_OK; MP_ENOMEM; MP_ESYSTEM: also where the kernel can't protect it from its readers
 * (Linux before 5.1). */
mp_rc_t mpx_bell_new(mpx_bell_t **out);
/* To be sent to a peer; it stays the bell's. */
int mpx_bell_fd(const mpx_bell_t *self);
/* Another process's. The descriptor stays the caller's. NULL: it is no bell, or out of memory. */
mpx_bell_t *mpx_bell_open(int fd);
/* NULL-safe, idempotent. */
void mpx_bell_destroy(mpx_bell_t **self);

/* ---- the owner's */

/* A slot that few others have. */
int mpx_bell_join(mpx_bell_t *self);
void mpx_bell_part(mpx_bell_t *self, int slot);
/* Wake it: at once, or while hushed at the next toll, which comes by itself when they are many. */
void mpx_bell_pull(mpx_bell_t *self, int slot);
/* While on, who is pulled is only noted. Off: as a toll. */
void mpx_bell_hush(mpx_bell_t *self, bool on);
/* Wake all that are noted. Cheap if there are none. */
void mpx_bell_toll(mpx_bell_t *self);
/* The same, if they wait for long. */
void mpx_bell_toll_if_due(mpx_bell_t *self);

/* ---- a sleeper's */

/* What it stands at. To be asked before a sleeper looks whether there is anything for it. */
uint32_t mpx_bell_state(const mpx_bell_t *self, int slot);
/* Sleep until the slot is rung, another one of its word was rung since that state, or that time
 * (CLOCK_MONOTONIC, ns). */
void mpx_bell_sleep(const mpx_bell_t *self, int slot, uint32_t state, int64_t until);
/* Wake another thread, which may be about to sleep and is missed then. */
void mpx_bell_disturb(const mpx_bell_t *self, int slot);

#endif
