/* forkserver.h: a process of one thread that forks clean children for this one.
 *
 *     we      --request, lifeline, pipe for the status-->  server
 *     server  --fork--> child: tied to us, not to the server
 *     we      <--pid or errno, pidfd--  server
 *             <--wait status, through the pipe, when it has reaped the child--
 *
 * The server is spawned with the first child, and again when it has died; its children live on
 * then, but nobody can tell their exit codes any more.
 */
#ifndef MPX_FORKSERVER_H
#define MPX_FORKSERVER_H

#include "child.h"

/* MP_OK; MP_ESYSTEM; MP_ENOMEM. */
mp_rc_t mpx_forkserver_start(const mpx_request_t *request, const void *item, mpx_started_t *out);

/* Be the server, until the other side closes. preload: a target to run first, or "". */
int mpx_forkserver_main(const char *preload);

#endif
