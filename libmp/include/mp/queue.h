/* queue.h: items from any number of producers to any number of consumers.
 *
 *     mp_queue_t *queue = NULL;
 *     if (mp_queue_new(NULL, &queue)) …
 *     if (fork() == 0) {
 *         mp_queue_put(queue, "hello", 5, -1);
 *         …
 *     }
 *     char text[16];
 *     size_t size;
 *     if (mp_queue_get(queue, text, sizeof text, &size, 1000)) …
 *
 * The process that makes a queue owns it: the items are there, and it serves the others from a
 * thread of the library. Its forked children use the handle as it is, whether they were forked
 * before or after the first use; other processes open a reference (ref.h) or, when the queue
 * was bound to an endpoint, its address. In the owner no call passes through a socket. Between
 * processes of one host items travel through shared memory, else over ZeroMQ.
 *
 * Order: what one producer (a process) puts is got in that order. Nothing is promised between
 * producers.
 *
 * Put: MP_OK means that the item is in the producer's window (bounded in items and bytes), or
 * for a queue with a small maxsize that the owner has a place for it. From there it is sent
 * without further calls. The producer keeps a copy until the owner acknowledges: mp_queue_flush
 * waits for that, and if the owner is lost before, mp_queue_unacknowledged hands them back. A
 * put that fails leaves the item with its caller. A process that exits, or closes the queue,
 * first waits until all is acknowledged, at most for `linger_ms`; one that is killed loses only
 * what wasn't acknowledged, and over shared memory not even that.
 *
 * Get: an item that was got stays the owner's until it is settled: by the next get of the same
 * thread, by mp_queue_settle if the handle settles explicitly, by mp_queue_task_done for a
 * joinable queue. When its consumer dies before, it goes back to the head of the queue, marked
 * as redelivered: work is done at least once. A consumer that is quick gets several items in
 * one message, as many as it uses up in about a millisecond; these are not in qsize any more,
 * and all that it had not settled are redelivered if it dies. An item that was on its way to a
 * consumer whose wait ended goes back too; it is marked only if another one was given meanwhile.
 *
 * All calls may be made by any thread. A wait ends with its timeout whatever the owner does; one
 * shorter than a tenth of a second waits that long for the owner's answer, if that is due.
 * When the owner dies or destroys the queue, waits end at once, with MP_EPEERLOST or MP_ECLOSED.
 *
 * Security: a queue that is bound to an endpoint beyond this host needs a key. The key
 * authenticates both sides when they meet; what travels is neither encrypted nor signed.
 */
#ifndef MP_QUEUE_H
#define MP_QUEUE_H

#include <mp/error.h>
#include <mp/item.h>
#include <mp/ref.h>
#include <mp/task.h>
#include <mp/tree.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

typedef struct mp_queue mp_queue_t;

/* All zero is the default. */
typedef struct mp_queue_options {
    size_t maxsize;         /* items; 0: bounded by max_bytes alone. Up to 1024 each put waits for
                               a place; above that, the windows of the producers come on top */
    size_t max_bytes;       /* of items that are queued or not settled, each with 64 bytes more for
                               its keeping; 0: 256 MiB */
    size_t max_item_bytes;  /* 0: 64 MiB; at most max_bytes and 1 GiB - 1 */
    bool joinable;          /* counts unfinished items: task_done, join */
    bool settle_explicitly; /* for mp_queue_settle; every handle of the queue does */
    const char *endpoint;   /* also bind it to "tcp://HOST:PORT" (the port may be 0) or
                               "ipc:///PATH"; NULL: only for processes of this host and user */
    const void *key;        /* for those who come by the endpoint; copied */
    size_t key_bytes;
    bool no_lane;  /* ZeroMQ also on one host; as MP_LANE=off does for the whole program */
    int linger_ms; /* 0: 5000; -1: don't wait */
} mp_queue_options_t;

/* MP_OK; MP_EINVAL an option; MP_EPERM an endpoint beyond this host without a key; MP_EEXIST
 * the endpoint is in use; MP_ENOMEM; MP_ESYSTEM. */
MP_API mp_rc_t mp_queue_new(const mp_queue_options_t *options, mp_queue_t **out);
/* The same, joinable. */
MP_API mp_rc_t mp_joinable_queue_new(const mp_queue_options_t *options, mp_queue_t **out);
/* All defaults. */
MP_API mp_rc_t mp_simple_queue_new(mp_queue_t **out);

/* Where others find a queue that was bound to an endpoint: "tcp://127.0.0.1:41234/7". NULL: it
 * wasn't. Valid as long as the handle. */
MP_API const char *mp_queue_address(const mp_queue_t *self);

/* A handle on a queue elsewhere. Its owner is asked with the first call that needs it.
 * key  what the owner was given; NULL: none
 * MP_OK; MP_EINVAL; MP_ENOMEM. */
MP_API mp_rc_t mp_queue_connect(const char *address, const void *key, size_t key_bytes,
                                mp_queue_t **out);

/* A reference for another process of this host, as an item or in an argument, and a handle
 * from one.
 * MP_OK; MP_EUNPASSABLE of a handle that was made from an address: pass that; open: MP_EINVAL
 * it is no reference to a queue; MP_ENOMEM. */
MP_API mp_rc_t mp_queue_ref(const mp_queue_t *self, mp_ref_t *out);
MP_API mp_rc_t mp_queue_open(const mp_ref_t *ref, mp_queue_t **out);

/* Close (with the linger), and free the handle. The owner's ends the queue: what is in it is
 * lost, and everybody else is told. In a forked child it frees only the child's. */
MP_API void mp_queue_destroy(mp_queue_t **self);

/* ---- producers ---------------------------------------------------------------------------- */

/* Put a copy of the bytes.
 * timeout_ms  0: try once (Python's put_nowait), -1: for ever
 * MP_OK; MP_EFULL the timeout passed; MP_ETOOLARGE the item is larger than the queue takes;
 * MP_ECLOSED this handle, or the queue, is closed; MP_EPEERLOST the owner is; MP_ECONNECT it
 * was never reached; MP_EAUTH; MP_EINVAL; MP_EPROTO; MP_EVERSION; MP_ENOMEM; MP_ESYSTEM. */
MP_API mp_rc_t mp_queue_put(mp_queue_t *self, const void *data, size_t size, int timeout_ms);
MP_API mp_rc_t mp_queue_put_nowait(mp_queue_t *self, const void *data, size_t size);
/* Encoded at once: the tree stays the caller's. Also MP_EINVAL for a NULL tree. */
MP_API mp_rc_t mp_queue_put_tree(mp_queue_t *self, const mp_tree_t *tree, int timeout_ms);
/* Of any kind. */
MP_API mp_rc_t mp_queue_put_item(mp_queue_t *self, mp_item_kind_t kind, const void *data,
                                 size_t size, int timeout_ms);

/* Wait until the owner has acknowledged all that this process put.
 * MP_OK; MP_ETIMEDOUT; MP_EPEERLOST; MP_ECLOSED. */
MP_API mp_rc_t mp_queue_flush(mp_queue_t *self, int timeout_ms);

/* After MP_EPEERLOST: the next item of this process that the owner never acknowledged, in the
 * order of the puts; to be cleared by the caller. MP_OK; MP_EEMPTY no more; MP_ESTATE the owner
 * isn't lost; MP_ENOMEM. */
MP_API mp_rc_t mp_queue_unacknowledged(mp_queue_t *self, mp_item_t *out);

/* ---- consumers ---------------------------------------------------------------------------- */

/* Copy the next item's bytes, of whatever kind, into `buffer`.
 * size  how many there were; also set with MP_ETOOLARGE; may be NULL
 * MP_OK; MP_EEMPTY the timeout passed; MP_ETOOLARGE more than `room`: the item stays the next
 * one; and the codes of mp_queue_put from MP_ECLOSED on. */
MP_API mp_rc_t mp_queue_get(mp_queue_t *self, void *buffer, size_t room, size_t *size,
                            int timeout_ms);
MP_API mp_rc_t mp_queue_get_nowait(mp_queue_t *self, void *buffer, size_t room, size_t *size);
/* The next item as a tree, to be destroyed by the caller. Also MP_EINVAL the item is of another
 * kind: it stays the next one. */
MP_API MP_MUST_CHECK mp_rc_t mp_queue_get_tree(mp_queue_t *self, mp_tree_t **out, int timeout_ms);
/* Of any kind, to be cleared by the caller. */
MP_API MP_MUST_CHECK mp_rc_t mp_queue_get_item(mp_queue_t *self, mp_item_t *out, int timeout_ms);

/* Settle the oldest `count` items that this process got (0: all): the owner forgets them. For
 * queues that settle explicitly. MP_OK; MP_ESTATE it doesn't, or there are fewer. */
MP_API mp_rc_t mp_queue_settle(mp_queue_t *self, size_t count);
/* What this process got and didn't settle goes back to the head of the queue.
 * MP_OK; MP_ECLOSED; MP_EPEERLOST. */
MP_API mp_rc_t mp_queue_give_back(mp_queue_t *self);

/* ---- joinable ------------------------------------------------------------------------------ */

/* One item that this process got is finished: the oldest of the calling thread, or of any.
 * MP_OK; MP_ESTATE it got none that isn't finished, or the queue isn't joinable (Python's
 * ValueError); MP_EPEERLOST. */
MP_API mp_rc_t mp_queue_task_done(mp_queue_t *self);
/* Wait until all that was put is finished. Items whose consumer died are put back, and count
 * until somebody finishes them.
 * MP_OK; MP_ETIMEDOUT; MP_ESTATE not joinable; MP_EPEERLOST; MP_ECLOSED. */
MP_API mp_rc_t mp_queue_join(mp_queue_t *self, int timeout_ms);

/* ---- looking ------------------------------------------------------------------------------- */

/* Exact at the owner when it answered. */
typedef struct mp_queue_stat {
    size_t size;       /* items that a get could have */
    size_t prefetched; /* given to consumers and not settled */
    size_t waiting;    /* put, but not admitted since the queue is full */
    size_t bytes;      /* of all these, each with 64 more */
    size_t unfinished; /* joinable: put, and not done */
    size_t maxsize;
    size_t peers; /* processes that are connected, without the owner */
    uint64_t put; /* since the queue was made: admitted */
    uint64_t got; /* given and settled */
    uint64_t redelivered;
    const char *carrier; /* how this process reaches it: "owner", "lane", "ipc" or "tcp" */
} mp_queue_stat_t;

/* From elsewhere than the owner this is a round trip. What this process put before counts.
 * MP_OK; MP_ETIMEDOUT; and the codes of mp_queue_put from MP_ECLOSED on. */
MP_API mp_rc_t mp_queue_stat(mp_queue_t *self, mp_queue_stat_t *out, int timeout_ms);
MP_API mp_rc_t mp_queue_qsize(mp_queue_t *self, size_t *out, int timeout_ms);
MP_API mp_rc_t mp_queue_empty(mp_queue_t *self, bool *out, int timeout_ms);
/* maxsize items or more; never true for a queue without a maxsize. */
MP_API mp_rc_t mp_queue_full(mp_queue_t *self, bool *out, int timeout_ms);

/* No more calls from this process: flush, settle what was got, give back what was prefetched.
 * Others are not affected; for the owner's process the queue goes on to serve them.
 * MP_OK, also when it was closed; MP_ETIMEDOUT not all was acknowledged (it is closed all the
 * same); MP_EPEERLOST. */
MP_API mp_rc_t mp_queue_close(mp_queue_t *self, int timeout_ms);

#ifdef __cplusplus
}
#endif

#endif
