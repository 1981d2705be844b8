/* store.h: what must outlive the process, in a directory.
 *
 * Records by bucket and key, changed by transactions: all of one or nothing of it is there
 * after a crash, and once mpx_store_commit has said MP_OK it is on the disk. data.mdb is LMDB's,
 * which never overwrites what the last commit wrote, so that a torn write harms nothing that was
 * committed. Backups, and LMDB's own tools, only while it is closed.
 *
 * One process at a time has a directory open (its file `lock` is flocked), and a process only
 * once. One thread at a time may use a store. In a forked child all calls but close say
 * MP_EFORKED or do nothing, and closing leaves the memory to its end. A store knows nothing of
 * what it stores.
 *
 * A full disk, also one limited by RLIMIT_FSIZE if SIGXFSZ is ignored, costs the transaction: reads
 * go on, and commits do once there is room. Also a deletion needs some.
 */
#ifndef MPX_STORE_H
#define MPX_STORE_H

#include <mp/error.h>
#include <mp/task.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

typedef struct mpx_store mpx_store_t;

typedef enum mpx_bucket {
    MPX_BUCKET_META,   /* numbers that must only rise */
    MPX_BUCKET_OBJECT, /* what an object is */
    MPX_BUCKET_ENTRY,  /* what is in it */
    MPX_BUCKET_JOB,
    MPX_BUCKET_CALL,
    MPX_BUCKET_RESULT,
    MPX_BUCKETS
} mpx_bucket_t;

enum { MPX_STORE_KEY_MAX = 480 };

typedef struct mpx_store_options {
    const char *directory; /* made with mode 0700 if it isn't there; its parent must be */
    /* Of the file; more is MP_ENOSPACE. 0: 1 TiB. That many addresses are taken, or fewer if they
     * aren't there: then half of those that are. */
    size_t max_bytes;
} mpx_store_options_t;

/* Looks through the whole file first (check.h): where there is garbage instead of LMDB's structure
 * it is MP_ECORRUPT. Keys and values aren't checked. MP_OK; MP_EBUSY another process has it open,
 * or this one; MP_EVERSION it was written by another version; MP_ECORRUPT it is damaged, or no
 * store; MP_EPERM; MP_ENOSPACE; MP_ESYSTEM; MP_ENOMEM; MP_EINVAL. */
mp_rc_t mpx_store_open(const mpx_store_options_t *options, mpx_store_t **out);
/* What wasn't committed is forgotten. NULL-safe, idempotent. */
void mpx_store_close(mpx_store_t **self);

/* Each record of a bucket as of the last commit, in the order of keys (as bytes); stops with what
 * `each` returns if that isn't MP_OK. Key and value are valid during the call only, in which the
 * store may be changed, but not committed or closed. MP_OK; MP_ECORRUPT; MP_ENOMEM; MP_ESYSTEM;
 * MP_EFORKED. */
mp_rc_t mpx_store_read(mpx_store_t *self, mpx_bucket_t bucket,
                       mp_rc_t (*each)(void *arg, mp_bytes_t key, mp_bytes_t value), void *arg);

/* Change a record; a transaction begins with the first change. After an error the transaction is
 * lost: every further change says the same, up to mpx_store_commit, which also does, or
 * mpx_store_abort. MP_OK; MP_ENOSPACE; MP_EINVAL a key of 0 or over MPX_STORE_KEY_MAX bytes, a
 * value of 4 GiB; MP_ENOMEM; MP_ECORRUPT; MP_ESYSTEM; MP_EFORKED. */
mp_rc_t mpx_store_put(mpx_store_t *self, mpx_bucket_t bucket, mp_bytes_t key, mp_bytes_t value);
/* MP_OK also if it isn't there. */
mp_rc_t mpx_store_del(mpx_store_t *self, mpx_bucket_t bucket, mp_bytes_t key);
/* All records whose keys begin with it; those of 0 bytes are all of the bucket. */
mp_rc_t mpx_store_del_all(mpx_store_t *self, mpx_bucket_t bucket, mp_bytes_t prefix);

/* Whether a transaction has begun, or is lost. */
bool mpx_store_is_changed(const mpx_store_t *self);
/* Make it last. MP_OK, also if nothing has changed; otherwise all of it is undone, and the store
 * may be used again: what a change said; MP_ENOSPACE; MP_ENOMEM; MP_ESYSTEM; MP_EFORKED. Only
 * MP_ESTATE, in a call of mpx_store_read, leaves it as it was. */
mp_rc_t mpx_store_commit(mpx_store_t *self);
/* Undo what wasn't committed. */
void mpx_store_abort(mpx_store_t *self);

/* Of the file, as of the last commit, up to the last page that was ever in use: room from deletions
 * counts, and is used again. */
size_t mpx_store_bytes(const mpx_store_t *self);

#endif
