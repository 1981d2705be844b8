/* lifeline.h: children that die with their parent.
 *
 * The parent alone holds the write end of a pipe. A child asks the kernel for SIGKILL when that
 * end is closed, which the parent's death does however it comes: no thread, no handler, nothing
 * that a child could block, and unlike PR_SET_PDEATHSIG not tied to the thread that forked.
 */
#ifndef MPX_LIFELINE_H
#define MPX_LIFELINE_H

#include <mp/error.h>
#include <stdbool.h>
#include <sys/types.h>

/* The read end of this process's own lifeline, for its children to inherit; made with the first
 * call, once per process. Under the fork guard, so that only this process holds the other end.
 * MP_OK; MP_ESYSTEM; MP_ENOMEM. */
mp_rc_t mpx_lifeline_reader(int *out);

/* From here on, closing the other end of the pipe `fd` kills `owner`: a process, or -N for the
 * group N. `fd` must be the only reader that is an open file of its own (see reopen), and stays
 * open. False: it could not be armed, or the end came before. Async-signal-safe. */
bool mpx_lifeline_arm(int fd, pid_t owner);

/* The same for this process and a read end that siblings have inherited as well: it is opened
 * anew first, since the kernel's note is kept with the open file. Closes fd. Called while the
 * process has one thread. */
bool mpx_lifeline_join(int fd);

#endif
