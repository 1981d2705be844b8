/* manager.h: objects that processes share through a server, as Python's Manager gives them.
 *
 *     mp_manager_t *manager = NULL;
 *     mp_object_t *ages = NULL, *log = NULL;
 *     if (mp_manager_start(NULL, &manager) || mp_manager_dict(manager, NULL, &ages) ||
 *         mp_manager_list(manager, NULL, &log)) …
 *     mp_dict_set(ages, MP_K("ann"), MP_V(41), -1);      // in this process or a child
 *     mp_list_append(log, MP_V("set ann"), -1);
 *
 * The server is a process of our own (mp_manager_start), or a broker (mp_manager_connect to the
 * address of an mp-broker), or another program's manager; the objects and all calls on them are
 * the same. Between processes of one host they go through shared memory, else over ZeroMQ.
 *
 * A manager has one connection in each process that uses it. While a process holds something (a
 * lock, units, an item of a queue) or waits, a thread of the library tells the manager several
 * times within each lease that the process lives. Who dies, or is silent for a whole lease,
 * loses what it held: the next one is told, and has a higher token (managed.h).
 */
#ifndef MP_MANAGER_H
#define MP_MANAGER_H

#include <mp/error.h>
#include <mp/object.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

typedef struct mp_manager mp_manager_t;

/* All zero is the default. */
typedef struct mp_manager_options {
    const char *address; /* "tcp://HOST:PORT" (port 0 picks one), "ipc:///PATH"; NULL: one of its
                            own, for this user's processes on this host */
    const void *key;     /* that clients must have, and prove; NULL: none. Copied */
    size_t key_bytes;
    int lease_ms;                  /* how long a silent client keeps its holds, from 50; 0: 3000 */
    size_t max_bytes;              /* of all objects together; 0: 1 GiB */
    int (*initializer)(void *arg); /* called in the server first; not 0: start fails */
    void *initarg;
    bool no_lane; /* ZeroMQ also for processes of this host */
} mp_manager_options_t;

/* Start a server process, forked from this one: it sees the types that this program has
 * registered (type.h). It ends with mp_manager_shutdown, and dies with this process.
 * MP_OK; MP_EINVAL; MP_EPERM an address beyond this host without a key; MP_EEXIST the address is
 * in use; MP_EFAILED the initializer did; MP_ETIMEDOUT it wasn't ready within 10 s; MP_ENOMEM;
 * MP_ESYSTEM. */
MP_API MP_MUST_CHECK mp_rc_t mp_manager_start(const mp_manager_options_t *options,
                                              mp_manager_t **out);

/* Use a server that is there.
 * address     NULL: the environment's MP_BROKER
 * timeout_ms  how long to try
 * MP_OK; MP_EINVAL; MP_ECONNECT; MP_ETIMEDOUT; MP_EAUTH; MP_EVERSION; MP_ENOMEM; MP_ESYSTEM. */
MP_API MP_MUST_CHECK mp_rc_t mp_manager_connect(const char *address, const void *key,
                                                size_t key_bytes, int timeout_ms,
                                                mp_manager_t **out);

/* All zero is the default. */
typedef struct mp_connect_options {
    const void *key; /* of a program's manager: it is proven, not shown; NULL: none */
    size_t key_bytes;
    const char *key_file; /* of a broker with keys: the certificate to show, see key.h; NULL: that
                             of the environment's MP_KEY_FILE, if any. Read at each connection */
    bool no_lane;         /* ZeroMQ also on this host */
} mp_connect_options_t;

/* The same. MP_OK; the codes of mp_manager_connect; MP_ENOTFOUND, MP_EPERM key_file isn't there, or
 * others can read it. */
MP_API MP_MUST_CHECK mp_rc_t mp_manager_connect_with(const char *address,
                                                     const mp_connect_options_t *options,
                                                     int timeout_ms, mp_manager_t **out);

/* Be the server, in this process: Python's get_server().serve_forever(). The calling thread is
 * used until stop_fd is readable (an eventfd, a pipe, a signalfd; -1: for ever).
 * ready  called with the address once it listens; may be NULL
 * MP_OK; the codes of mp_manager_start. */
MP_API mp_rc_t mp_manager_serve(const mp_manager_options_t *options,
                                void (*ready)(const char *address, void *arg), void *arg,
                                int stop_fd);

/* Where others connect to. Valid as long as the handle. */
MP_API const char *mp_manager_address(const mp_manager_t *self);
/* Of the server that this process started; 0: it didn't. */
MP_API int mp_manager_pid(const mp_manager_t *self);

/* End the server that this process started: it is asked, and killed after the timeout. Clients'
 * calls end with MP_EPEERLOST. MP_OK; MP_ESTATE this process didn't start it. */
MP_API mp_rc_t mp_manager_shutdown(mp_manager_t *self, int timeout_ms);

/* Shut down what this process started (within a second), and free the handle. Objects' handles
 * stay valid; their calls fail if the server is gone. NULL-safe. */
MP_API void mp_manager_destroy(mp_manager_t **self);

/* ---- making and opening objects ------------------------------------------------------------ */

/* All zero is an anonymous one. */
typedef struct mp_object_options {
    const char *name;   /* opened if it is there, else made. At most 255 bytes */
    bool only_new;      /* MP_EEXIST if the name is taken */
    bool only_open;     /* MP_ENOTFOUND if there is none */
    int64_t ttl_ms;     /* a new one expires after that; 0: never */
    size_t max_items;   /* of a new one: more are MP_ELIMIT; of a queue: its maxsize. 0: none */
    size_t max_bytes;   /* of a new one, with 64 for each item; 0: the manager's limit */
    int64_t value;      /* a semaphore's units (0: 1, -1: none), a barrier's parties */
    mp_object_t *lock;  /* of a condition: its Lock or RLock; NULL: an RLock of its own */
    char typecode;      /* of an array: one of b B h H i I l L q Q f d; of a value: 0 any item */
    mp_tree_t *initial; /* of a dict, list, set, namespace, value, array (its items), or what a
                           custom type is made from. Taken over, also on failure */
    const char *custom; /* the name of a custom type */
    int timeout_ms;     /* 0: 10 s; -1: for ever */
} mp_object_options_t;

/* Of one that is there, only the type is looked at, not the rest.
 * MP_OK; MP_EEXIST; MP_ENOTFOUND no such name, lock or custom type; MP_EINVAL the name belongs to
 * an object of another type; and the codes of object.h. */
MP_API MP_MUST_CHECK mp_rc_t mp_manager_object(mp_manager_t *self, mp_object_type_t type,
                                               const mp_object_options_t *options,
                                               mp_object_t **out);

/* The same by type. name  NULL: anonymous. */
MP_API MP_MUST_CHECK mp_rc_t mp_manager_dict(mp_manager_t *self, const char *name,
                                             mp_object_t **out);
MP_API MP_MUST_CHECK mp_rc_t mp_manager_list(mp_manager_t *self, const char *name,
                                             mp_object_t **out);
MP_API MP_MUST_CHECK mp_rc_t mp_manager_set(mp_manager_t *self, const char *name,
                                            mp_object_t **out);
MP_API MP_MUST_CHECK mp_rc_t mp_manager_namespace(mp_manager_t *self, const char *name,
                                                  mp_object_t **out);
MP_API MP_MUST_CHECK mp_rc_t mp_manager_value(mp_manager_t *self, const char *name,
                                              mp_tree_t *initial, mp_object_t **out);
MP_API MP_MUST_CHECK mp_rc_t mp_manager_array(mp_manager_t *self, const char *name, char typecode,
                                              mp_tree_t *initial, mp_object_t **out);
MP_API MP_MUST_CHECK mp_rc_t mp_manager_queue(mp_manager_t *self, const char *name, size_t maxsize,
                                              mp_object_t **out);
MP_API MP_MUST_CHECK mp_rc_t mp_manager_joinable_queue(mp_manager_t *self, const char *name,
                                                       size_t maxsize, mp_object_t **out);
MP_API MP_MUST_CHECK mp_rc_t mp_manager_lock(mp_manager_t *self, const char *name,
                                             mp_object_t **out);
MP_API MP_MUST_CHECK mp_rc_t mp_manager_rlock(mp_manager_t *self, const char *name,
                                              mp_object_t **out);
MP_API MP_MUST_CHECK mp_rc_t mp_manager_semaphore(mp_manager_t *self, const char *name, int value,
                                                  mp_object_t **out);
MP_API MP_MUST_CHECK mp_rc_t mp_manager_bounded_semaphore(mp_manager_t *self, const char *name,
                                                          int value, mp_object_t **out);
MP_API MP_MUST_CHECK mp_rc_t mp_manager_event(mp_manager_t *self, const char *name,
                                              mp_object_t **out);
MP_API MP_MUST_CHECK mp_rc_t mp_manager_condition(mp_manager_t *self, const char *name,
                                                  mp_object_t *lock, mp_object_t **out);
MP_API MP_MUST_CHECK mp_rc_t mp_manager_barrier(mp_manager_t *self, const char *name, int parties,
                                                mp_object_t **out);

/* What it keeps: a list of dicts with id, type, name, version, items, bytes, handles and `waiting`
 * (a list of clients, "host:pid"), and of locks and semaphores `held`: a list of dicts with client,
 * token or units, and held_ms. To be destroyed by the caller. */
MP_API MP_MUST_CHECK mp_rc_t mp_manager_objects(mp_manager_t *self, mp_tree_t **out,
                                                int timeout_ms);

/* How the server is: "objects", "clients", "bytes", "max_bytes", "durable" and so on. */
MP_API MP_MUST_CHECK mp_rc_t mp_manager_stat(mp_manager_t *self, mp_tree_t **out, int timeout_ms);

#ifdef __cplusplus
}
#endif

#endif
