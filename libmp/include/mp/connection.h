/* connection.h: messages between two processes: pipes, listeners and clients.
 *
 *     mp_connection_t *ours = NULL, *theirs = NULL;
 *     if (mp_pipe(NULL, &ours, &theirs)) …
 *     if (fork() == 0) {
 *         mp_connection_send_bytes(theirs, "hello", 5, -1);
 *         …
 *     }
 *     char text[16];
 *     size_t size;
 *     if (mp_connection_recv_bytes_into(ours, text, sizeof text, &size, 1000)) …
 *
 * A connection is one end. Messages arrive whole, in order, with any length from zero up; half
 * a message never does. A send returns when all of the message is on its way; it waits while
 * the other side is behind by more than a window of 512 KiB.
 *
 * An end belongs to the first process that uses it. Copies that other processes have by fork
 * are no ends: they hold nothing open, and using one fails with MP_EBUSY. So both ends may be
 * left open in the parent. When the process that has an end closes it or dies, the other side
 * receives what was sent, and then MP_EOF; as it does when no process is left that could use
 * the end.
 *
 * Ends of a pipe go between processes of one host through shared memory (or ipc over ZeroMQ,
 * with `no_lane` or MP_LANE=off). Listener and client take "tcp://HOST:PORT", and "ipc:///PATH"
 * with the same choice.
 *
 * Threads: one may send while another receives; two that send (receive) take turns. Close and
 * destroy only when no other thread is in a call.
 *
 * Security: a listener beyond this host needs a key. Both sides prove that they have it; what
 * travels afterwards is neither encrypted nor signed.
 */
#ifndef MP_CONNECTION_H
#define MP_CONNECTION_H

#include <mp/error.h>
#include <mp/item.h>
#include <mp/ref.h>
#include <mp/tree.h>
#include <stdbool.h>
#include <stddef.h>

#ifdef __cplusplus
extern "C" {
#endif

typedef struct mp_connection mp_connection_t;
typedef struct mp_listener mp_listener_t;

/* All zero is the default. */
typedef struct mp_pipe_options {
    bool one_way; /* the first end only receives, the second only sends */
    bool no_lane; /* ZeroMQ over ipc */
} mp_pipe_options_t;

/* Two ends. MP_OK; MP_ENOMEM; MP_ESYSTEM. */
MP_API mp_rc_t mp_pipe(const mp_pipe_options_t *options, mp_connection_t **first,
                       mp_connection_t **second);

/* No more calls: the other side receives what was sent, and then MP_EOF. An end that nobody
 * has used is closed in this process only. Idempotent, NULL-safe; waits at most a second for
 * ZeroMQ to send what is left. */
MP_API void mp_connection_close(mp_connection_t *self);
/* Close, and free the handle. */
MP_API void mp_connection_destroy(mp_connection_t **self);

MP_API bool mp_connection_closed(const mp_connection_t *self);
MP_API bool mp_connection_readable(const mp_connection_t *self);
MP_API bool mp_connection_writable(const mp_connection_t *self);

/* ---- sending ------------------------------------------------------------------------------- */

/* timeout_ms  0: only if it can be sent at once, -1: for ever. A message that was begun when
 *             the time is up is taken back: the other side never sees it.
 * MP_OK; MP_ETIMEDOUT; MP_EOF the other side is closed or gone; MP_ECLOSED this one is; MP_EBUSY
 * another process has this end; MP_EPERM it only receives; MP_EINVAL; MP_ECONNECT the other side
 * was never reached; MP_EAUTH; MP_EPROTO; MP_EVERSION; MP_ENOMEM; MP_ESYSTEM. */
MP_API mp_rc_t mp_connection_send_bytes(mp_connection_t *self, const void *data, size_t size,
                                        int timeout_ms);
/* Encoded: the tree stays the caller's. */
MP_API mp_rc_t mp_connection_send_tree(mp_connection_t *self, const mp_tree_t *tree,
                                       int timeout_ms);
MP_API mp_rc_t mp_connection_send_item(mp_connection_t *self, mp_item_kind_t kind, const void *data,
                                       size_t size, int timeout_ms);

/* ---- receiving ------------------------------------------------------------------------------ */

/* Into memory of the caller's.
 * size  of the message; also set with MP_ETOOLARGE
 * MP_OK; MP_ETIMEDOUT; MP_EOF nothing is left and the other side is closed or gone; MP_ETOOLARGE
 * longer than `room`: it stays the next one (Python's BufferTooShort); MP_EPERM it only sends;
 * and the other codes of mp_connection_send_bytes. */
MP_API mp_rc_t mp_connection_recv_bytes_into(mp_connection_t *self, void *buffer, size_t room,
                                             size_t *size, int timeout_ms);
/* Into new memory, which is the caller's to free.
 * max_length  MP_ETOOLARGE beyond that, and the message stays; 0: no limit
 * Also MP_ENOMEM, and the message stays. */
MP_API mp_rc_t mp_connection_recv_bytes(mp_connection_t *self, size_t max_length, void **data,
                                        size_t *size, int timeout_ms);
/* To be destroyed by the caller. Also MP_EINVAL the next message is of another kind: it stays. */
MP_API MP_MUST_CHECK mp_rc_t mp_connection_recv_tree(mp_connection_t *self, mp_tree_t **out,
                                                     int timeout_ms);
/* Of any kind; to be cleared by the caller. max_length as above. */
MP_API MP_MUST_CHECK mp_rc_t mp_connection_recv_item(mp_connection_t *self, size_t max_length,
                                                     mp_item_t *out, int timeout_ms);

/* Wait until a receive has something to begin with: a message (of which more may be on its way,
 * if it is longer than the window) or MP_EOF.
 * MP_OK; MP_ETIMEDOUT; and the codes of a receive. */
MP_API mp_rc_t mp_connection_poll(mp_connection_t *self, int timeout_ms);

/* A descriptor for poll(2) and the like: after a poll or receive has said MP_ETIMEDOUT, it
 * becomes readable when there may be something. Don't read from it. -1: not usable here. */
MP_API int mp_connection_fileno(mp_connection_t *self);

/* "lane", "ipc" or "tcp"; "" before the first use. */
MP_API const char *mp_connection_carrier(const mp_connection_t *self);

/* A reference that hands this end to another process of this host, and a handle from one.
 * Making it gives the end up, if this process has it: the next process to use its copy has it
 * (this one too, if it uses it first). It can be opened while the process that made it lives.
 * MP_OK; MP_EUNPASSABLE an end that is in use over ZeroMQ; MP_EBUSY; MP_ECLOSED; MP_ENOMEM;
 * MP_ESYSTEM. Open: also MP_EINVAL, MP_ENOTFOUND. */
MP_API mp_rc_t mp_connection_ref(mp_connection_t *self, mp_ref_t *out);
MP_API mp_rc_t mp_connection_open(const mp_ref_t *ref, mp_connection_t **out);

/* ---- listener and client --------------------------------------------------------------------- */

/* All zero is the default. */
typedef struct mp_listener_options {
    const void *key; /* that clients must have, and prove; NULL: none. Copied */
    size_t key_bytes;
    size_t backlog; /* connections that wait for accept; further ones are refused; 0: 64 */
    bool no_lane;   /* ZeroMQ also for clients of this host */
} mp_listener_options_t;

/* address  "tcp://HOST:PORT" (the port may be 0), "ipc:///PATH"; NULL: an ipc one of its own,
 *          for processes of this user
 * Clients are greeted, and checked, by a thread of the library before accept sees them.
 * MP_OK; MP_EINVAL; MP_EPERM an address beyond this host without a key; MP_EEXIST the address is
 * in use; MP_ENOMEM; MP_ESYSTEM. */
MP_API mp_rc_t mp_listener_new(const char *address, const mp_listener_options_t *options,
                               mp_listener_t **out);
/* The address with the real port. Valid as long as the handle. */
MP_API const char *mp_listener_address(const mp_listener_t *self);
/* The next client.
 * MP_OK; MP_ETIMEDOUT; MP_EAUTH one had the wrong key (told once for each; call again); MP_ECLOSED;
 * MP_EFORKED; MP_ENOMEM. */
MP_API mp_rc_t mp_listener_accept(mp_listener_t *self, int timeout_ms, mp_connection_t **out);
/* Where the last accepted client came from: an IP address, or "local:PID". "": nobody yet. Valid
 * until the next accept. */
MP_API const char *mp_listener_last_accepted(const mp_listener_t *self);
/* Refuse new ones and those that wait. What was accepted goes on; over ZeroMQ the address stays
 * in use as long as it does. */
MP_API void mp_listener_close(mp_listener_t *self);
/* Close, and free the handle. */
MP_API void mp_listener_destroy(mp_listener_t **self);

/* Connect to a listener: tries until the timeout.
 * timeout_ms  0: once
 * MP_OK; MP_ECONNECT nobody listens there; MP_ETIMEDOUT it doesn't answer; MP_EAUTH the keys
 * differ, or one side has none; MP_ELIMIT its backlog is full; MP_EINVAL; MP_EPROTO; MP_EVERSION;
 * MP_ENOMEM; MP_ESYSTEM. */
MP_API mp_rc_t mp_client(const char *address, const void *key, size_t key_bytes, int timeout_ms,
                         mp_connection_t **out);

#ifdef __cplusplus
}
#endif

#endif
