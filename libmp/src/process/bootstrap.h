/* bootstrap.h: a new process, from its first instruction to its exit. */
#ifndef MPX_BOOTSTRAP_H
#define MPX_BOOTSTRAP_H

#include "request.h"

/* Write out what the program has buffered, as far as no other thread is at it: a forked child
 * would have a copy. */
void mpx_bootstrap_flush(void);

/* First thing in a forked child: default signals, /dev/null as input, nothing in the buffers;
 * tied to the life of who holds the other end of `lifeline`. Ends the process if it can't be. */
void mpx_bootstrap_forked(int lifeline);

/* From here on this process is that one. */
void mpx_bootstrap_become(const mpx_identity_t *identity);

/* What the parent had set, for one that doesn't have its memory. */
void mpx_bootstrap_inherit(const mpx_request_t *request);

/* End a forked child: look after its own children, write out what is buffered. */
void mpx_bootstrap_exit(int code) __attribute__((noreturn));

#endif
