/* exec.h: the built-in task mp.exec: run a command, hand its output back.
 *
 * Over bytes. Input: u8 flags (bit 0: what follows is one command line for /bin/sh -c),
 * then NUL-terminated strings, at least one: the command and its arguments. Value, also of
 * a failed call: u32 little-endian length of stdout, stdout, stderr.
 *
 * The command's stdin is empty. It stays in the executor's process group, so it ends with
 * the executor. The call is over when the command has ended and both its outputs are
 * closed; a process that it left behind and that still holds them is waited for no longer
 * than MPX_EXEC_GRACE_MS, and then on its own.
 *
 * Codes: 1..255 the command's exit status; 128+n it was killed by signal n; 126 and 127 it
 * could not be run or found, as in a shell.
 */
#ifndef MPX_EXEC_H
#define MPX_EXEC_H

#include <mp/task.h>

#define MPX_EXEC_NAME     "mp.exec"
#define MPX_EXEC_SHELL    1u
#define MPX_EXEC_GRACE_MS 200

/* Not in the registry unless the executor offers it. */
extern const mp_task_t mpx_exec_task;

/* The end of what a value says that the command wrote to stderr, as a string with room for `room`
 * bytes. */
void mpx_exec_said(mp_bytes_t value, char *out, size_t room);

#endif
