#include "dock.h"

#include "clock.h"
#include "fault.h"
#include "logger.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <sys/file.h>
#include <sys/mman.h>
#include <sys/random.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <time.h>
#include <unistd.h>

#define FOLDER "/dev/shm"
#define PREFIX "mp-"

enum {
    PATH_BYTES = sizeof FOLDER "/" PREFIX + MP_SHARED_MEMORY_NAME_MAX,
    TRIES = 100,
    MUCH_BYTES = 1 << 24
};

static const uint64_t magic = UINT64_C(0x316d656d6d687370); /* "pshmmem1" */

typedef struct head {
    uint64_t magic;
    uint64_t bytes;
    mpx_life_t creator;
    uint64_t check; /* over the lines above */
    _Atomic uint32_t kept;
} head_t;

static uint64_t check_of(const head_t *head)
{
    uint64_t sum = head->magic;
    sum = (sum ^ head->bytes) * UINT64_C(0x9E3779B97F4A7C15);
    return (sum ^ head->creator) * UINT64_C(0x9E3779B97F4A7C15);
}

static mp_rc_t check_name(const char *name)
{
    size_t length = strnlen(name, MP_SHARED_MEMORY_NAME_MAX + 1);
    bool fine = length > 0 && length <= MP_SHARED_MEMORY_NAME_MAX && name[0] != '.';
    for (size_t i = 0; fine && i < length; i++)
        fine = (name[i] >= 'a' && name[i] <= 'z') || (name[i] >= 'A' && name[i] <= 'Z') ||
               (name[i] >= '0' && name[i] <= '9') || strchr("_.-", name[i]);
    return fine ? MP_OK
                : mpx_fault(MP_EINVAL,
                            "a block's name has 1 to %d letters, digits, '_', '.' and "
                            "'-', not first a dot",
                            MP_SHARED_MEMORY_NAME_MAX);
}

static void path_of(const char *name, char path[PATH_BYTES])
{
    snprintf(path, PATH_BYTES, FOLDER "/" PREFIX "%s", name);
}

static head_t *head_of(const mpx_berth_t *self)
{
    return (head_t *)(void *)self->base;
}

/* ---- creating ------------------------------------------------------------------------------- */

/* Room is taken now: a write to memory that the file system doesn't have would be a SIGBUS. For
 * much of it the file system is asked first, before it gives all that it has to no avail. */
static mp_rc_t reserve(int fd, size_t bytes)
{
    struct statvfs room;
    if (bytes >= MUCH_BYTES && fstatvfs(fd, &room) == 0 && bytes / room.f_frsize >= room.f_bavail)
        return mpx_fault(MP_ETOOLARGE, "%zu bytes of shared memory: " FOLDER " has %zu", bytes,
                         (size_t)room.f_bavail * room.f_frsize);
    int error = posix_fallocate(fd, 0, (off_t)bytes);
    if (error == ENOSPC || error == EFBIG)
        return mpx_fault(MP_ETOOLARGE, "%zu bytes of shared memory", bytes);
    errno = error;
    return error ? mpx_fault_errno("%zu bytes of shared memory", bytes) : MP_OK;
}

static mp_rc_t map(mpx_berth_t *self)
{
    void *base =
        mmap(NULL, MPX_DOCK_HEAD + self->bytes, PROT_READ | PROT_WRITE, MAP_SHARED, self->fd, 0);
    if (base == MAP_FAILED)
        return mpx_fault_errno("mapping '%s'", self->name);
    self->base = base;
    return MP_OK;
}

static mp_rc_t note_inode(mpx_berth_t *self)
{
    struct stat info;
    if (fstat(self->fd, &info) != 0)
        return mpx_fault_errno("'%s'", self->name);
    self->device = info.st_dev;
    self->inode = info.st_ino;
    return MP_OK;
}

/* Private from the start; only a strange umask has taken the owner's rights too. */
static mp_rc_t open_unnamed(mpx_berth_t *self)
{
    struct stat info;
    self->fd = open(FOLDER, O_TMPFILE | O_RDWR | O_CLOEXEC, 0600);
    if (self->fd < 0 || fstat(self->fd, &info) != 0 ||
        ((info.st_mode & 0777) != 0600 && fchmod(self->fd, 0600) != 0) ||
        flock(self->fd, LOCK_SH | LOCK_NB) != 0)
        return mpx_fault_errno("a block in " FOLDER);
    self->device = info.st_dev;
    self->inode = info.st_ino;
    return MP_OK;
}

static mp_rc_t fill(mpx_berth_t *self)
{
    mp_rc_t rc = reserve(self->fd, MPX_DOCK_HEAD + self->bytes);
    if (rc == MP_OK)
        rc = map(self);
    if (rc != MP_OK)
        return rc;
    head_t *head = head_of(self);
    head->magic = magic;
    head->bytes = self->bytes;
    head->creator = mpx_life_self();
    head->check = check_of(head);
    return MP_OK;
}

/* An errno. */
static int publish(const mpx_berth_t *self)
{
    char from[32];
    char to[PATH_BYTES];
    snprintf(from, sizeof from, "/proc/self/fd/%d", self->fd);
    path_of(self->name, to);
    return linkat(AT_FDCWD, from, AT_FDCWD, to, AT_SYMLINK_FOLLOW) == 0 ? 0 : errno;
}

static void choose_name(char *name, size_t size)
{
    uint64_t random = 0;
    if (getrandom(&random, sizeof random, 0) != sizeof random)
        random = (uint64_t)mpx_now();
    snprintf(name, size, "psm_%016llx", (unsigned long long)random);
}

static bool reap_one(const char *name, size_t *bytes);

static mp_rc_t give_name(mpx_berth_t *self, const char *name)
{
    int error = EEXIST;
    for (int tries = 0; error == EEXIST && tries < 2; tries++) {
        if (name)
            snprintf(self->name, sizeof self->name, "%s", name);
        else
            choose_name(self->name, sizeof self->name);
        error = publish(self);
        if (error == EEXIST && name && !reap_one(name, NULL))
            return mpx_fault(MP_EEXIST, "there is a block '%s'", name);
    }
    if (!error)
        return MP_OK;
    errno = error;
    return mpx_fault_errno("naming the block '%s'", self->name);
}

static void reap_once(void)
{
    (void)mp_shared_memory_reap(NULL, NULL);
}

mp_rc_t mpx_dock_create(const char *name, size_t bytes, mpx_berth_t *out)
{
    static pthread_once_t once = PTHREAD_ONCE_INIT;
    mp_rc_t rc = name ? check_name(name) : MP_OK;
    if (rc == MP_OK && bytes == 0)
        rc = mpx_fault(MP_EINVAL, "a block of no bytes");
    if (rc == MP_OK && bytes > (size_t)INT64_MAX - MPX_DOCK_HEAD)
        rc = mpx_fault(MP_ETOOLARGE, "a block of %zu bytes", bytes);
    if (rc != MP_OK)
        return rc;
    pthread_once(&once, reap_once);
    mpx_berth_t self = {.bytes = bytes};
    rc = open_unnamed(&self);
    if (rc == MP_OK)
        rc = fill(&self);
    if (rc == MP_OK)
        rc = give_name(&self, name);
    if (rc != MP_OK) {
        mpx_dock_close(&self);
        return rc;
    }
    *out = self;
    return MP_OK;
}

/* ---- attaching ------------------------------------------------------------------------------ */

/* Bytes of data; 0: it is none of ours. */
static size_t check_head(int fd, head_t *head)
{
    struct stat info;
    if (fstat(fd, &info) != 0 || !S_ISREG(info.st_mode) || info.st_size <= MPX_DOCK_HEAD ||
        pread(fd, head, sizeof *head, 0) != sizeof *head || head->magic != magic ||
        head->check != check_of(head) || head->bytes != (uint64_t)info.st_size - MPX_DOCK_HEAD)
        return 0;
    return head->bytes;
}

/* Who reaps holds it exclusively for a moment, and then it has no name any more. */
static bool share(int fd)
{
    static const struct timespec step = {.tv_nsec = 1000000};
    struct stat info;
    for (int i = 0; i < TRIES; i++) {
        if (flock(fd, LOCK_SH | LOCK_NB) == 0)
            return fstat(fd, &info) == 0 && info.st_nlink > 0;
        nanosleep(&step, NULL);
    }
    return false;
}

static mp_rc_t attach_open(mpx_berth_t *self)
{
    head_t head;
    if (!share(self->fd))
        return mpx_fault(MP_ENOTFOUND, "there is no block '%s'", self->name);
    self->bytes = check_head(self->fd, &head);
    if (!self->bytes)
        return mpx_fault(MP_ECORRUPT, FOLDER "/" PREFIX "%s is no block of ours, or damaged",
                         self->name);
    mp_rc_t rc = note_inode(self);
    return rc == MP_OK ? map(self) : rc;
}

static mp_rc_t open_named(const char *name, int *fd)
{
    char path[PATH_BYTES];
    path_of(name, path);
    *fd = open(path, O_RDWR | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK);
    if (*fd >= 0)
        return MP_OK;
    if (errno == ENOENT)
        return mpx_fault(MP_ENOTFOUND, "there is no block '%s'", name);
    if (errno == EACCES)
        return mpx_fault(MP_EPERM, "the block '%s' is another user's", name);
    if (errno == ELOOP || errno == EISDIR || errno == ENXIO)
        return mpx_fault(MP_ECORRUPT, "%s is no block of ours", path);
    return mpx_fault_errno("the block '%s'", name);
}

mp_rc_t mpx_dock_attach(const char *name, mpx_berth_t *out)
{
    if (!name)
        return mpx_fault(MP_EINVAL, "which block is to be attached?");
    mp_rc_t rc = check_name(name);
    if (rc != MP_OK)
        return rc;
    mpx_berth_t self = {.fd = -1};
    snprintf(self.name, sizeof self.name, "%s", name);
    rc = open_named(name, &self.fd);
    if (rc == MP_OK)
        rc = attach_open(&self);
    if (rc != MP_OK) {
        mpx_dock_close(&self);
        return rc;
    }
    *out = self;
    return MP_OK;
}

/* ---- leaving -------------------------------------------------------------------------------- */

void mpx_dock_close(mpx_berth_t *self)
{
    if (self->base)
        munmap(self->base, MPX_DOCK_HEAD + self->bytes);
    if (self->fd >= 0)
        close(self->fd);
    self->base = NULL;
    self->fd = -1;
}

/* By name, so only if that is still this block's: it may be another's by now. */
mp_rc_t mpx_dock_unlink(const mpx_berth_t *self)
{
    char path[PATH_BYTES];
    struct stat info;
    path_of(self->name, path);
    bool ours =
        lstat(path, &info) == 0 && info.st_dev == self->device && info.st_ino == self->inode;
    if (ours && unlink(path) == 0)
        return MP_OK;
    if (!ours || errno == ENOENT)
        return mpx_fault(MP_ENOTFOUND, "the block '%s' was unlinked before", self->name);
    return mpx_fault_errno("unlinking the block '%s'", self->name);
}

void mpx_dock_keep(const mpx_berth_t *self)
{
    atomic_store(&head_of(self)->kept, 1);
}

/* ---- all of them ---------------------------------------------------------------------------- */

/* Call `each` with every block of this user, open. */
static mp_rc_t walk(void (*each)(void *arg, const char *name, int fd, const head_t *head),
                    void *arg)
{
    DIR *folder = opendir(FOLDER);
    if (!folder)
        return mpx_fault_errno(FOLDER);
    const struct dirent *entry;
    while ((entry = readdir(folder))) {
        int fd = -1;
        head_t head;
        struct stat info;
        const char *name = entry->d_name + strlen(PREFIX);
        if (strncmp(entry->d_name, PREFIX, strlen(PREFIX)) != 0 || check_name(name) != MP_OK ||
            open_named(name, &fd) != MP_OK)
            continue;
        if (fstat(fd, &info) == 0 && info.st_uid == geteuid() && check_head(fd, &head))
            each(arg, name, fd, &head);
        close(fd);
    }
    closedir(folder);
    return MP_OK;
}

/* Whether anybody has it; if not, `fd` holds it exclusively now. */
static bool is_in_use(int fd)
{
    return flock(fd, LOCK_EX | LOCK_NB) != 0;
}

static bool reap_open(const char *name, int fd, const head_t *head)
{
    char path[PATH_BYTES];
    struct stat named;
    struct stat info;
    path_of(name, path);
    return !head->kept && mpx_life_gone(head->creator) && !is_in_use(fd) && fstat(fd, &info) == 0 &&
           lstat(path, &named) == 0 && named.st_ino == info.st_ino && unlink(path) == 0;
}

static bool reap_one(const char *name, size_t *bytes)
{
    int fd = -1;
    head_t head;
    if (open_named(name, &fd) != MP_OK)
        return false;
    bool reaped = check_head(fd, &head) && reap_open(name, fd, &head);
    if (reaped && bytes)
        *bytes = head.bytes;
    close(fd);
    return reaped;
}

typedef struct tally {
    size_t blocks;
    size_t bytes;
} tally_t;

static void reap_each(void *arg, const char *name, int fd, const head_t *head)
{
    tally_t *tally = arg;
    if (!reap_open(name, fd, head))
        return;
    mpx_tell(MP_LOG_INFO, "removed the block '%s', %zu bytes, of process %d, which is dead", name,
             (size_t)head->bytes, (int)mpx_life_pid(head->creator));
    tally->blocks++;
    tally->bytes += head->bytes;
}

mp_rc_t mp_shared_memory_reap(size_t *blocks, size_t *bytes)
{
    tally_t tally = {0};
    mp_rc_t rc = walk(reap_each, &tally);
    if (blocks)
        *blocks = tally.blocks;
    if (bytes)
        *bytes = tally.bytes;
    return rc;
}

typedef struct visit {
    void (*each)(void *arg, const mp_shared_memory_info_t *info);
    void *arg;
} visit_t;

static void show_each(void *arg, const char *name, int fd, const head_t *head)
{
    const visit_t *visit = arg;
    mp_shared_memory_info_t info = {.name = name,
                                    .bytes = head->bytes,
                                    .creator = mpx_life_pid(head->creator),
                                    .creator_lives = !mpx_life_gone(head->creator),
                                    .in_use = is_in_use(fd),
                                    .kept = head->kept};
    (void)flock(fd, LOCK_UN);
    visit->each(visit->arg, &info);
}

mp_rc_t mp_shared_memory_each(void (*each)(void *arg, const mp_shared_memory_info_t *info),
                              void *arg)
{
    return walk(show_each, &(visit_t){each, arg});
}
