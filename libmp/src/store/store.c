/* store.c: over LMDB 0.9.
 *
 * LMDB's own locks are off (MDB_NOLOCK): its reader table knows processes by their pid, which
 * says nothing in another container, and we have one process and one thread anyway. What they
 * would keep safe is that no page is written which an open read needs; a read here is over before
 * the next commit. MDB_WRITEMAP is off, because writing to a map of a full disk is SIGBUS.
 */
#include "store.h"

#include "check.h"
#include "fault.h"
#include "forkguard.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <lmdb.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <unistd.h>

enum { FORMAT = 3 };
enum { UNIT = 1 << 16 }; /* sizes of the map are multiples of it */

/* Never renamed, nor their order changed: both are in the file. */
static const char *const names[MPX_BUCKETS] = {"meta", "object", "entry", "job", "call", "result"};
static char format_name[] = "format";
static MDB_val format_key = {sizeof format_name - 1, format_name};

struct mpx_store {
    char *directory; /* absolute, since the program may change its own */
    size_t max_bytes;
    uint64_t generation;
    int lock;
    int fd; /* LMDB's */
    MDB_env *env;
    MDB_dbi buckets[MPX_BUCKETS];
    MDB_txn *txn;
    unsigned reading;
    mp_rc_t lost; /* why the transaction is, and its words */
    char words[256];
};

/* ---- errors --------------------------------------------------------------------------------- */

/* LMDB calls a short write EIO, and that is what a disk does that is just becoming full. */
static bool is_full(int fd)
{
    struct stat status;
    struct rlimit limit;
    if (fstat(fd, &status) != 0)
        return false;
    if (getrlimit(RLIMIT_FSIZE, &limit) == 0 && limit.rlim_cur != RLIM_INFINITY &&
        (rlim_t)status.st_size + UNIT > limit.rlim_cur)
        return true;
    /* KEEP_SIZE: if there is room after all it is only set aside, behind the end. */
    return fallocate(fd, FALLOC_FL_KEEP_SIZE, status.st_size, UNIT) != 0 &&
           (errno == ENOSPC || errno == EDQUOT || errno == EFBIG);
}

static mp_rc_t code_of(int error, int fd)
{
    switch (error) {
    case MDB_MAP_FULL:
    case ENOSPC:
    case EDQUOT:
    case EFBIG:
        return MP_ENOSPACE;
    case EIO:
        return is_full(fd) ? MP_ENOSPACE : MP_ESYSTEM;
    case ENOMEM:
        return MP_ENOMEM;
    case MDB_INVALID:
    case MDB_CORRUPTED:
    case MDB_PAGE_NOTFOUND:
    case MDB_CURSOR_FULL:
        return MP_ECORRUPT;
    case MDB_VERSION_MISMATCH:
        return MP_EVERSION;
    case EACCES:
    case EPERM:
    case EROFS:
        return MP_EPERM;
    case MDB_BAD_VALSIZE:
        return MP_EINVAL;
    default:
        return MP_ESYSTEM;
    }
}

static mp_rc_t fault(const mpx_store_t *self, int error, const char *what)
{
    return mpx_fault(code_of(error, self->fd), "the store %s: %s: %s", self->directory, what,
                     mdb_strerror(error));
}

/* The transaction can't be committed any more: remember why. */
static mp_rc_t lose(mpx_store_t *self, mp_rc_t rc)
{
    if (self->txn)
        mdb_txn_abort(self->txn);
    self->txn = NULL;
    self->lost = rc;
    snprintf(self->words, sizeof self->words, "%s", mp_errmsg());
    return rc;
}

/* ---- LMDB's environment --------------------------------------------------------------------- */

/* The map takes addresses, not memory; but there may be a limit of these (RLIMIT_AS, sanitizers).
 * Then half of what there is, since the process needs some for itself. */
static size_t addressable(size_t wanted)
{
    size_t size = wanted;
    for (; size > UNIT; size /= 2) {
        void *at = mmap(NULL, size, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
        if (at != MAP_FAILED) {
            munmap(at, size);
            break;
        }
    }
    if (size < wanted)
        size /= 2;
    return size < UNIT ? UNIT : size & ~(size_t)(UNIT - 1);
}

static mp_rc_t path_of(const mpx_store_t *self, const char *file, char *out)
{
    int length = snprintf(out, PATH_MAX, "%s/%s", self->directory, file);
    return length < PATH_MAX ? MP_OK
                             : mpx_fault(MP_EINVAL, "%s: the path is too long", self->directory);
}

/* In a child nothing of LMDB's is touched: it may have been in the middle of something. */
static void close_env(mpx_store_t *self)
{
    if (self->txn)
        mdb_txn_abort(self->txn);
    self->txn = NULL;
    if (self->fd >= 0)
        mpx_forkguard_remove(self->fd);
    self->fd = -1;
    if (self->env)
        mdb_env_close(self->env);
    self->env = NULL;
}

static mp_rc_t open_env(mpx_store_t *self, const char *file)
{
    char path[PATH_MAX];
    mp_rc_t rc = path_of(self, file, path);
    if (rc != MP_OK)
        return rc;
    int error = mdb_env_create(&self->env);
    if (!error)
        error = mdb_env_set_maxdbs(self->env, MPX_BUCKETS);
    if (!error)
        error = mdb_env_set_mapsize(self->env, addressable(self->max_bytes));
    if (!error)
        error = mdb_env_open(self->env, path, MDB_NOSUBDIR | MDB_NOLOCK, 0600);
    if (!error)
        error = mdb_env_get_fd(self->env, &self->fd);
    if (error)
        rc = fault(self, error, "it can't be opened");
    else if ((rc = mpx_forkguard_add(self->fd)) != MP_OK)
        self->fd = -1; /* LMDB closes it */
    else
        fcntl(self->fd, F_SETFD, FD_CLOEXEC); /* LMDB doesn't, for this one of its two */
    if (rc != MP_OK)
        close_env(self);
    return rc;
}

static mp_rc_t check_format(mpx_store_t *self, MDB_txn *txn, MDB_dbi root)
{
    MDB_val value = {0, NULL};
    int error = mdb_get(txn, root, &format_key, &value);
    if (error == MDB_NOTFOUND)
        return mpx_fault(MP_ECORRUPT, "%s: a database, but no store", self->directory);
    if (error)
        return fault(self, error, "its version can't be read");
    unsigned written = value.mv_size == 1 ? *(unsigned char *)value.mv_data : 0;
    if (written != FORMAT)
        return mpx_fault(MP_EVERSION,
                         "%s was written by another version of the program, in format %u, and this "
                         "one reads %d: go on with that version, or take another directory",
                         self->directory, written, FORMAT);
    return MP_OK;
}

/* flags  MDB_CREATE, or 0 */
static int open_buckets(mpx_store_t *self, MDB_txn *txn, unsigned flags)
{
    int error = 0;
    for (size_t i = 0; i < MPX_BUCKETS && !error; i++)
        error = mdb_dbi_open(txn, names[i], flags, &self->buckets[i]);
    return error;
}

/* data.mdb as it is. */
static mp_rc_t open_data(mpx_store_t *self)
{
    MDB_txn *txn = NULL;
    MDB_dbi root = 0;
    mp_rc_t rc = open_env(self, "data.mdb");
    if (rc != MP_OK)
        return rc;
    int error = mdb_txn_begin(self->env, NULL, MDB_RDONLY, &txn);
    if (!error)
        error = mdb_dbi_open(txn, NULL, 0, &root);
    if (!error && (rc = check_format(self, txn, root)) == MP_OK) {
        error = open_buckets(self, txn, 0);
        if (error == MDB_NOTFOUND || error == MDB_INCOMPATIBLE)
            error = MDB_CORRUPTED;
    }
    if (!error && rc == MP_OK) {
        error = mdb_txn_commit(txn); /* or the handles of the buckets are gone */
        txn = NULL;
    }
    if (error)
        rc = fault(self, error, "it can't be read");
    if (txn)
        mdb_txn_abort(txn);
    if (rc != MP_OK)
        close_env(self);
    return rc;
}

/* ---- opening -------------------------------------------------------------------------------- */

static mp_rc_t sync_directory(const mpx_store_t *self, const char *path)
{
    int fd = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    int error = fd < 0 || fsync(fd) != 0 ? errno : 0;
    if (fd >= 0)
        close(fd);
    /* Some file systems sync no directories. */
    return error && error != EINVAL ? fault(self, error, path) : MP_OK;
}

/* What an empty store has in it, in an environment that is just being made. */
static mp_rc_t write_empty(mpx_store_t *self)
{
    unsigned char format = FORMAT;
    MDB_val value = {1, &format};
    MDB_dbi root = 0;
    int error = mdb_txn_begin(self->env, NULL, 0, &self->txn);
    if (!error)
        error = mdb_dbi_open(self->txn, NULL, 0, &root);
    if (!error)
        error = mdb_put(self->txn, root, &format_key, &value, 0);
    if (!error)
        error = open_buckets(self, self->txn, MDB_CREATE);
    if (!error) {
        error = mdb_txn_commit(self->txn);
        self->txn = NULL;
    }
    return error ? fault(self, error, "it can't be made") : MP_OK;
}

/* Under another name first, so that data.mdb is never half of one. */
static mp_rc_t make_data(mpx_store_t *self)
{
    char path[PATH_MAX], unfinished[PATH_MAX];
    mp_rc_t rc = path_of(self, "data.mdb", path);
    if (rc == MP_OK)
        rc = path_of(self, "data.new", unfinished);
    if (rc != MP_OK)
        return rc;
    unlink(unfinished);
    rc = open_env(self, "data.new");
    if (rc == MP_OK)
        rc = write_empty(self);
    close_env(self);
    if (rc == MP_OK && rename(unfinished, path) != 0)
        rc = fault(self, errno, path);
    if (rc != MP_OK) {
        unlink(unfinished);
        return rc;
    }
    return sync_directory(self, self->directory);
}

static mp_rc_t take_lock(mpx_store_t *self)
{
    char path[PATH_MAX];
    mp_rc_t rc = path_of(self, "lock", path);
    if (rc != MP_OK)
        return rc;
    int fd = open(path, O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0600);
    if (fd < 0)
        return fault(self, errno, path);
    /* A forked child would hold it for us when we are gone. */
    rc = mpx_forkguard_add(fd);
    if (rc != MP_OK) {
        close(fd);
        return rc;
    }
    self->lock = fd;
    if (flock(fd, LOCK_EX | LOCK_NB) == 0)
        return MP_OK;
    if (errno == EWOULDBLOCK)
        return mpx_fault(MP_EBUSY, "%s is in use by another process", self->directory);
    return fault(self, errno, path);
}

static mp_rc_t make_directory(mpx_store_t *self, const char *given)
{
    char parent[PATH_MAX];
    int made = mkdir(given, 0700);
    if (made != 0 && errno != EEXIST)
        return mpx_fault(code_of(errno, -1), "%s: %s", given, strerror(errno));
    self->directory = realpath(given, NULL);
    if (!self->directory)
        return mpx_fault(code_of(errno, -1), "%s: %s", given, strerror(errno));
    mp_rc_t rc = made == 0 ? path_of(self, "..", parent) : MP_OK;
    return rc == MP_OK && made == 0 ? sync_directory(self, parent) : rc;
}

static mp_rc_t open_store(mpx_store_t *self, const mpx_store_options_t *options)
{
    char path[PATH_MAX];
    mp_rc_t rc = make_directory(self, options->directory);
    if (rc == MP_OK)
        rc = take_lock(self);
    if (rc == MP_OK)
        rc = path_of(self, "data.mdb", path);
    if (rc != MP_OK)
        return rc;
    if (access(path, F_OK) != 0 && errno == ENOENT)
        rc = make_data(self);
    if (rc == MP_OK)
        rc = mpx_store_check(path);
    return rc == MP_OK ? open_data(self) : rc;
}

mp_rc_t mpx_store_open(const mpx_store_options_t *options, mpx_store_t **out)
{
    if (!options->directory || !*options->directory)
        return mpx_fault(MP_EINVAL, "a store needs a directory");
    mpx_store_t *self = calloc(1, sizeof *self);
    if (!self)
        return mpx_fault(MP_ENOMEM, "%s: out of memory", options->directory);
    self->lock = self->fd = -1;
    self->generation = mpx_fork_generation();
    self->max_bytes = options->max_bytes;
    if (!self->max_bytes)
        self->max_bytes = sizeof(size_t) > 4 ? (size_t)((uint64_t)1 << 40) : (size_t)1 << 30;
    mp_rc_t rc = open_store(self, options);
    if (rc == MP_OK)
        *out = self;
    else
        mpx_store_close(&self);
    return rc;
}

void mpx_store_close(mpx_store_t **store)
{
    mpx_store_t *self = *store;
    *store = NULL;
    /* A child has a copy of the memory and nothing else. LMDB's part of it may be as another
     * thread of the parent had just left it, so it stays. */
    if (!self || self->generation != mpx_fork_generation())
        return;
    close_env(self);
    if (self->lock >= 0) {
        mpx_forkguard_remove(self->lock);
        /* A child that was forked just now may not have closed it yet. */
        flock(self->lock, LOCK_UN);
        close(self->lock);
    }
    free(self->directory);
    free(self);
}

/* Before anything else: after an error LMDB may have had to be opened anew, in vain. */
static mp_rc_t ready(mpx_store_t *self)
{
    if (self->generation != mpx_fork_generation())
        return mpx_fault(MP_EFORKED, "a store can't be used in a forked child");
    return self->env ? MP_OK : open_data(self);
}

/* ---- reading -------------------------------------------------------------------------------- */

static mp_rc_t read_all(mpx_store_t *self, MDB_cursor *cursor,
                        mp_rc_t (*each)(void *arg, mp_bytes_t key, mp_bytes_t value), void *arg)
{
    MDB_val key, value;
    mp_rc_t rc = MP_OK;
    int error = mdb_cursor_get(cursor, &key, &value, MDB_FIRST);
    while (!error) {
        rc = each(arg, (mp_bytes_t){key.mv_data, key.mv_size},
                  (mp_bytes_t){value.mv_data, value.mv_size});
        if (rc != MP_OK)
            return rc;
        error = mdb_cursor_get(cursor, &key, &value, MDB_NEXT);
    }
    return error == MDB_NOTFOUND ? MP_OK : fault(self, error, "it can't be read");
}

mp_rc_t mpx_store_read(mpx_store_t *self, mpx_bucket_t bucket,
                       mp_rc_t (*each)(void *arg, mp_bytes_t key, mp_bytes_t value), void *arg)
{
    MDB_txn *txn = NULL;
    MDB_cursor *cursor = NULL;
    mp_rc_t rc = ready(self);
    if (rc != MP_OK)
        return rc;
    int error = mdb_txn_begin(self->env, NULL, MDB_RDONLY, &txn);
    if (!error)
        error = mdb_cursor_open(txn, self->buckets[bucket], &cursor);
    if (error) {
        rc = fault(self, error, "it can't be read");
    } else {
        self->reading++;
        rc = read_all(self, cursor, each, arg);
        self->reading--;
        mdb_cursor_close(cursor);
    }
    if (txn)
        mdb_txn_abort(txn);
    return rc;
}

/* ---- changing ------------------------------------------------------------------------------- */

/* min  how long a key is at least */
static mp_rc_t change(mpx_store_t *self, mp_bytes_t key, size_t min)
{
    if (self->lost != MP_OK)
        return mpx_fault(self->lost, "%s", self->words);
    mp_rc_t rc = ready(self);
    if (rc != MP_OK)
        return rc == MP_EFORKED ? rc : lose(self, rc);
    if (key.size < min || key.size > MPX_STORE_KEY_MAX)
        return lose(self, mpx_fault(MP_EINVAL, "a key of %zu bytes: a store's have 1 to %d",
                                    key.size, MPX_STORE_KEY_MAX));
    int error = self->txn ? 0 : mdb_txn_begin(self->env, NULL, 0, &self->txn);
    return error ? lose(self, fault(self, error, "no transaction can begin")) : MP_OK;
}

/* LMDB wants a pointer also to nothing. */
static MDB_val val_of(mp_bytes_t bytes)
{
    const void *data = bytes.size ? bytes.data : "";
    return (MDB_val){bytes.size, (void *)(uintptr_t)data};
}

static mp_rc_t changed(mpx_store_t *self, int error)
{
    return error && error != MDB_NOTFOUND ? lose(self, fault(self, error, "it can't be changed"))
                                          : MP_OK;
}

mp_rc_t mpx_store_put(mpx_store_t *self, mpx_bucket_t bucket, mp_bytes_t key, mp_bytes_t value)
{
    mp_rc_t rc = change(self, key, 1);
    if (rc != MP_OK)
        return rc;
    MDB_val name = val_of(key), content = val_of(value);
    return changed(self, mdb_put(self->txn, self->buckets[bucket], &name, &content, 0));
}

mp_rc_t mpx_store_del(mpx_store_t *self, mpx_bucket_t bucket, mp_bytes_t key)
{
    mp_rc_t rc = change(self, key, 1);
    if (rc != MP_OK)
        return rc;
    MDB_val name = val_of(key);
    return changed(self, mdb_del(self->txn, self->buckets[bucket], &name, NULL));
}

/* Found anew each time: where a cursor of LMDB is after a deletion depends on the page. */
static int del_prefix(MDB_cursor *cursor, mp_bytes_t prefix)
{
    for (;;) {
        MDB_val key = val_of(prefix), value;
        int error = mdb_cursor_get(cursor, &key, &value, MDB_SET_RANGE);
        if (error)
            return error;
        if (key.mv_size < prefix.size || memcmp(key.mv_data, prefix.data, prefix.size) != 0)
            return MDB_NOTFOUND;
        error = mdb_cursor_del(cursor, 0);
        if (error)
            return error;
    }
}

mp_rc_t mpx_store_del_all(mpx_store_t *self, mpx_bucket_t bucket, mp_bytes_t prefix)
{
    MDB_cursor *cursor = NULL;
    mp_rc_t rc = change(self, prefix, 0);
    if (rc != MP_OK)
        return rc;
    if (!prefix.size)
        return changed(self, mdb_drop(self->txn, self->buckets[bucket], 0));
    int error = mdb_cursor_open(self->txn, self->buckets[bucket], &cursor);
    if (!error) {
        error = del_prefix(cursor, prefix);
        mdb_cursor_close(cursor);
    }
    return changed(self, error);
}

bool mpx_store_is_changed(const mpx_store_t *self)
{
    return self->txn || self->lost != MP_OK;
}

static size_t last_transaction(const mpx_store_t *self)
{
    MDB_envinfo info = {0};
    return mdb_env_info(self->env, &info) == 0 ? info.me_last_txnid : 0;
}

/* When the one write fails that makes a transaction count, LMDB puts the old bytes back and wants
 * to be opened anew (MDB_PANIC). Should they have stayed new after all, then the transaction is
 * there, and must be said to be, if only it is on the disk. If opening fails, ready() tries again.
 */
static bool is_there_anyway(mpx_store_t *self, size_t before)
{
    MDB_txn *txn = NULL;
    int error = mdb_txn_begin(self->env, NULL, MDB_RDONLY, &txn);
    if (!error)
        mdb_txn_abort(txn);
    if (error != MDB_PANIC)
        return false;
    close_env(self);
    return open_data(self) == MP_OK && last_transaction(self) > before &&
           mdb_env_sync(self->env, 1) == 0;
}

mp_rc_t mpx_store_commit(mpx_store_t *self)
{
    if (self->generation != mpx_fork_generation())
        return mpx_fault(MP_EFORKED, "a store can't be used in a forked child");
    if (self->reading)
        return mpx_fault(MP_ESTATE, "%s: no commit while it is read", self->directory);
    mp_rc_t lost = self->lost;
    self->lost = MP_OK;
    if (lost != MP_OK)
        return mpx_fault(lost, "%s", self->words);
    if (!self->txn)
        return MP_OK;
    size_t before = last_transaction(self);
    int error = mdb_txn_commit(self->txn);
    self->txn = NULL;
    if (!error)
        return MP_OK;
    mp_rc_t rc = code_of(error, self->fd);
    if (is_there_anyway(self, before))
        return MP_OK;
    return mpx_fault(rc, "the store %s: nothing was committed: %s", self->directory,
                     mdb_strerror(error));
}

void mpx_store_abort(mpx_store_t *self)
{
    if (self->generation != mpx_fork_generation())
        return;
    if (self->txn)
        mdb_txn_abort(self->txn);
    self->txn = NULL;
    self->lost = MP_OK;
}

size_t mpx_store_bytes(const mpx_store_t *self)
{
    MDB_envinfo info;
    MDB_stat stat;
    if (self->generation != mpx_fork_generation() || !self->env ||
        mdb_env_info(self->env, &info) != 0 || mdb_env_stat(self->env, &stat) != 0)
        return 0;
    return (info.me_last_pgno + 1) * stat.ms_psize;
}
