/* words.h: what an executor said last: its stderr while a call ran, and where it crashed.
 *
 * A page that an executor shares with the nursery. The executor's stderr is a pipe whose other end
 * the nursery reads: it passes on what it hears to its own stderr, and keeps the end of it here.
 * A signal that says that the executor has gone wrong (SIGSEGV, SIGBUS, SIGFPE, SIGILL, SIGSYS,
 * SIGABRT) is answered by writing here which calls were active, and then has its usual effect.
 */
#ifndef MPX_WORDS_H
#define MPX_WORDS_H

#include <mp/error.h>
#include <stddef.h>

enum { MPX_WORDS_MAX = 4096 };

typedef struct mpx_words mpx_words_t;

/* To be made before the fork. NULL: no memory. */
mpx_words_t *mpx_words_new(void);
void mpx_words_free(mpx_words_t *self);

/* ---- the executor ---- */

/* Take the signals that nobody else has taken. */
void mpx_words_arm(mpx_words_t *self);
/* A call begins: what was said so far isn't about it. */
void mpx_words_call_begins(mpx_words_t *self);
/* What the running call has said, as a string, when the nursery has heard it. Waits for that, for a
 * fifth of a second at most. */
void mpx_words_said(mpx_words_t *self, char out[MPX_WORDS_MAX + 1]);

/* ---- the nursery ---- */

/* Its stderr is about to be read: until what was there is heard, an executor that finds it empty
 * still waits. */
void mpx_words_listen(mpx_words_t *self);
/* The executor has said so much more; or nothing. */
void mpx_words_hear(mpx_words_t *self, const char *bytes, size_t size);
/* After the executor's death: what its last call had said, and the backtrace, as strings. */
void mpx_words_last(const mpx_words_t *self, char said[MPX_WORDS_MAX + 1],
                    char backtrace[MPX_WORDS_MAX + 1]);

#endif
