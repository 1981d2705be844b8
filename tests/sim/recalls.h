/* recalls.h: chunks that workers have, as their messages tell, and what is asked back of them.
 *
 * What a worker has given back it doesn't run; when it is asked for a chunk it answers; and nothing
 * waits for long behind a call that takes long while a worker that could run it has nothing. */
#ifndef SIM_RECALLS_H
#define SIM_RECALLS_H

#include "world.h"

void recalls_reset(void);
void recalls_free(void);
/* A message leaves that process by a connection; one arrives. */
void recalls_said(const proc_t *by, uint64_t conn, mp_bytes_t head);
void recalls_heard(const proc_t *by, uint64_t conn, mp_bytes_t head, mp_bytes_t payload);
/* It is broken: nobody counts on what its worker has. */
void recalls_cut(uint64_t conn);
/* An executor of that worker begins a call. */
void recalls_begun(const proc_t *worker, const order_t *order);
/* The worker has taken a turn. */
void recalls_check(const proc_t *worker);

#endif
