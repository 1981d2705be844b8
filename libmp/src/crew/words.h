/* words.h: what an executor said last: its stderr while a call ran, and where it crashed.
 *
 * A page that an executor shares with the nursery. The executor's stderr is a pipe whose other end
 * the nursery reads: it passes on what it hears to its own stderr, and keeps the end of it here.
 * While a call runs whose output is wanted elsewhere (forward.h), the executor's stdout is another
 * such pipe, and what comes out of both goes to the crew instead, in the call's name.
 * A signal that says that the executor has gone wrong (SIGSEGV, SIGBUS, SIGFPE, SIGILL, SIGSYS,
 * SIGABRT) is answered by writing here which calls were active, and then has its usual effect.
 */
#ifndef MPX_WORDS_H
#define MPX_WORDS_H

#include <mp/error.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum { MPX_WORDS_MAX = 4096 };

typedef struct mpx_words mpx_words_t;

/* To be made before the fork. announces: mpx_words_announce will be called. NULL: no memory. */
mpx_words_t *mpx_words_new(bool announces);
void mpx_words_free(mpx_words_t *self);

/* ---- the executor ---- */

/* Take the signals that nobody else has taken. */
void mpx_words_arm(mpx_words_t *self);
/* It is up, and has so much memory already. */
void mpx_words_up(mpx_words_t *self, uint64_t footprint);
/* A call begins: what was said so far isn't about it. */
void mpx_words_call_begins(mpx_words_t *self);
/* What the running call has said, as a string, when the nursery has heard it. Waits for that, for a
 * fifth of a second at most. */
void mpx_words_said(mpx_words_t *self, char out[MPX_WORDS_MAX + 1]);

/* From now on so many bytes of what comes are the call's; chunk 0: of no call. */
void mpx_words_forward(mpx_words_t *self, uint64_t chunk, uint64_t index, uint64_t bytes);
/* Wait until the nursery has heard all, by stderr and by this pipe, for as long as its owner takes
 * it (5 s at most). */
void mpx_words_settle(mpx_words_t *self, int pipe);
/* So much was too much since the forwarding began. */
uint64_t mpx_words_unsaid(const mpx_words_t *self);

/* ---- the nursery ---- */

/* The next call that begins sends the nursery a SIGCHLD, also one that begins just now. false: it
 * can't, since it has given up the right to. */
bool mpx_words_announce(mpx_words_t *self);
/* What it had when it was up; false: it isn't yet. */
bool mpx_words_is_up(const mpx_words_t *self, uint64_t *footprint);

/* Whose call's output it is that was read; false: nobody wants it. */
bool mpx_words_wanted(const mpx_words_t *self, uint64_t *chunk, uint64_t *index);
/* How many of so many bytes may be passed on; the others count as unsaid. */
size_t mpx_words_allow(mpx_words_t *self, size_t size);
/* They could not be. */
void mpx_words_lose(mpx_words_t *self, size_t size);
/* Bytes of the call's stdout are heard. */
void mpx_words_hear_output(mpx_words_t *self);

/* Its stderr, or the pipe of its calls' stdout, is about to be read: until what was there is heard,
 * an executor that finds it empty still waits. */
void mpx_words_listen(mpx_words_t *self, bool output);
/* The executor has said so much more; or nothing. */
void mpx_words_hear(mpx_words_t *self, const char *bytes, size_t size);
/* After the executor's death: what its last call had said, and the backtrace, as strings. */
void mpx_words_last(const mpx_words_t *self, char said[MPX_WORDS_MAX + 1],
                    char backtrace[MPX_WORDS_MAX + 1]);

#endif
