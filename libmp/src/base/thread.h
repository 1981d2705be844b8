/* thread.h: threads of the library's own. */
#ifndef MPX_THREAD_H
#define MPX_THREAD_H

#include <mp/error.h>
#include <pthread.h>
#include <stdbool.h>

/* Detached, and with all signals blocked: the program's handlers run in the program's threads.
 * what   for the error's words. MP_OK; MP_ESYSTEM. */
mp_rc_t mpx_thread_start(void *(*run)(void *arg), void *arg, const char *what, pthread_t *out);

/* The same for one that can be done without: no words of an error. */
bool mpx_thread_try(void *(*run)(void *arg), void *arg);

#endif
