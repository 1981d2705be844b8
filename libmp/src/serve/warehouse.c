#include "warehouse.h"

#include "fault.h"

#include <dirent.h>
#include <elf.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <signal.h>
#include <sodium.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

enum { HEX = 2 * MPX_HASH_BYTES + 1, NAME = HEX + 32 };

struct mpx_warehouse {
    int dir;
    char path[PATH_MAX];
    uint64_t max_bytes;
    int fd; /* what comes in; -1: nothing */
    uint64_t had;
    uint8_t hash[MPX_HASH_BYTES];
    char part[NAME];
    crypto_hash_sha256_state state;
};

static void name_of(const uint8_t hash[MPX_HASH_BYTES], char out[NAME])
{
    char hex[HEX];
    sodium_bin2hex(hex, sizeof hex, hash, MPX_HASH_BYTES);
    snprintf(out, NAME, "%s.so", hex);
}

/* ---- the directory ------------------------------------------------------------------- */

static mp_rc_t check_private(int dir, const char *path)
{
    struct stat about;
    if (fstat(dir, &about) != 0)
        return mpx_fault(MP_EINVAL, "%s: %s", path, strerror(errno));
    if (about.st_uid != geteuid() || (about.st_mode & 077) != 0)
        return mpx_fault(MP_EINVAL,
                         "%s: others may write or read there; it must be this user's, with mode "
                         "0700",
                         path);
    return MP_OK;
}

/* HASH.PID.part of a process that is not any more. */
static bool is_left_over(const char *name)
{
    const char *dot = strchr(name, '.');
    char *end = NULL;
    long pid = dot ? strtol(dot + 1, &end, 10) : 0;
    if (pid <= 0 || pid > INT_MAX || strcmp(end, ".part") != 0)
        return false;
    return kill((pid_t)pid, 0) != 0 && errno == ESRCH;
}

static bool is_module(const char *name)
{
    size_t length = strlen(name);
    return length > 3 && strcmp(name + length - 3, ".so") == 0;
}

/* Clear away what is left over, and add up the rest. */
static uint64_t survey(const mpx_warehouse_t *self)
{
    uint64_t bytes = 0;
    struct stat about;
    const struct dirent *entry;
    int fd = openat(self->dir, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    DIR *list = fd < 0 ? NULL : fdopendir(fd);
    if (!list) {
        if (fd >= 0)
            close(fd);
        return 0;
    }
    while ((entry = readdir(list))) {
        if (is_left_over(entry->d_name))
            unlinkat(self->dir, entry->d_name, 0);
        else if (is_module(entry->d_name) &&
                 fstatat(self->dir, entry->d_name, &about, AT_SYMLINK_NOFOLLOW) == 0)
            bytes += (uint64_t)about.st_size;
    }
    closedir(list);
    return bytes;
}

mp_rc_t mpx_warehouse_open(const char *dir, uint64_t max_bytes, mpx_warehouse_t **out)
{
    mpx_warehouse_t *self = calloc(1, sizeof *self);
    if (!self)
        return mpx_fault(MP_ENOMEM, "%s", dir);
    self->fd = -1;
    self->max_bytes = max_bytes;
    mp_rc_t rc = MP_OK;
    if (mkdir(dir, 0700) != 0 && errno != EEXIST)
        rc = mpx_fault(MP_EINVAL, "%s: %s", dir, strerror(errno));
    self->dir = open(dir, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
    if (rc == MP_OK && (self->dir < 0 || !realpath(dir, self->path)))
        rc = mpx_fault(MP_EINVAL, "%s: %s", dir, strerror(errno));
    if (rc == MP_OK)
        rc = check_private(self->dir, dir);
    if (rc != MP_OK) {
        mpx_warehouse_close(&self);
        return rc;
    }
    (void)survey(self);
    *out = self;
    return MP_OK;
}

void mpx_warehouse_close(mpx_warehouse_t **self_p)
{
    mpx_warehouse_t *self = *self_p;
    if (!self)
        return;
    mpx_warehouse_drop(self);
    if (self->dir >= 0)
        close(self->dir);
    free(self);
    *self_p = NULL;
}

/* ---- what is there ------------------------------------------------------------------- */

static bool hash_of(int fd, uint8_t out[MPX_HASH_BYTES])
{
    unsigned char piece[65536];
    crypto_hash_sha256_state state;
    ssize_t n;
    crypto_hash_sha256_init(&state);
    while ((n = read(fd, piece, sizeof piece)) > 0 || (n < 0 && errno == EINTR))
        if (n > 0)
            crypto_hash_sha256_update(&state, piece, (unsigned long long)n);
    crypto_hash_sha256_final(&state, out);
    return n == 0;
}

bool mpx_warehouse_has(const mpx_warehouse_t *self, const uint8_t hash[MPX_HASH_BYTES],
                       uint64_t bytes)
{
    char name[NAME];
    uint8_t found[MPX_HASH_BYTES];
    struct stat about;
    name_of(hash, name);
    int fd = openat(self->dir, name, O_RDONLY | O_NOFOLLOW | O_CLOEXEC | O_NONBLOCK);
    if (fd < 0)
        return false;
    bool has = fstat(fd, &about) == 0 && S_ISREG(about.st_mode) &&
               (uint64_t)about.st_size == bytes && hash_of(fd, found) &&
               memcmp(found, hash, sizeof found) == 0;
    close(fd);
    if (!has)
        unlinkat(self->dir, name, 0);
    return has;
}

mp_rc_t mpx_warehouse_path(const mpx_warehouse_t *self, const uint8_t hash[MPX_HASH_BYTES],
                           char *out, size_t size)
{
    char name[NAME];
    name_of(hash, name);
    int n = snprintf(out, size, "%s/%s", self->path, name);
    return n > 0 && (size_t)n < size ? MP_OK : mpx_fault(MP_EINVAL, "%s: too long", self->path);
}

void mpx_warehouse_remove(const mpx_warehouse_t *self, const uint8_t hash[MPX_HASH_BYTES])
{
    char name[NAME];
    name_of(hash, name);
    unlinkat(self->dir, name, 0);
}

/* ---- what comes in ------------------------------------------------------------------- */

mp_rc_t mpx_warehouse_begin(mpx_warehouse_t *self, const uint8_t hash[MPX_HASH_BYTES],
                            uint64_t bytes)
{
    char hex[HEX];
    uint64_t there = survey(self);
    mpx_warehouse_drop(self);
    if (there > self->max_bytes || bytes > self->max_bytes - there)
        return mpx_fault(MP_ENOSPACE, "%s has %llu bytes of modules; remove what isn't needed",
                         self->path, (unsigned long long)there);
    sodium_bin2hex(hex, sizeof hex, hash, MPX_HASH_BYTES);
    snprintf(self->part, sizeof self->part, "%s.%d.part", hex, (int)getpid());
    self->fd =
        openat(self->dir, self->part, O_WRONLY | O_CREAT | O_TRUNC | O_NOFOLLOW | O_CLOEXEC, 0600);
    if (self->fd < 0)
        return mpx_fault_errno("%s/%s", self->path, self->part);
    memcpy(self->hash, hash, MPX_HASH_BYTES);
    self->had = 0;
    crypto_hash_sha256_init(&self->state);
    return MP_OK;
}

uint64_t mpx_warehouse_had(const mpx_warehouse_t *self)
{
    return self->had;
}

static bool read_head(const char *path, Elf64_Ehdr *out)
{
    int fd = open(path, O_RDONLY | O_CLOEXEC);
    ssize_t n = fd < 0 ? -1 : read(fd, out, sizeof *out);
    if (fd >= 0)
        close(fd);
    return n == (ssize_t)sizeof *out;
}

/* The beginnings of 32- and 64-bit files are the same as far as this looks. */
static bool fits_machine(mp_bytes_t piece)
{
    Elf64_Ehdr theirs, ours;
    if (piece.size < sizeof theirs)
        return false;
    memcpy(&theirs, piece.data, sizeof theirs);
    return memcmp(theirs.e_ident, ELFMAG, SELFMAG) == 0 && theirs.e_type == ET_DYN &&
           read_head("/proc/self/exe", &ours) &&
           theirs.e_ident[EI_CLASS] == ours.e_ident[EI_CLASS] &&
           theirs.e_ident[EI_DATA] == ours.e_ident[EI_DATA] && theirs.e_machine == ours.e_machine;
}

mp_rc_t mpx_warehouse_add(mpx_warehouse_t *self, mp_bytes_t piece)
{
    const unsigned char *at = piece.data;
    size_t left = piece.size;
    if (self->had == 0 && !fits_machine(piece))
        return mpx_fault(MP_EMODULE, "that is no shared object for this machine");
    while (left) {
        ssize_t n = write(self->fd, at, left);
        if (n < 0 && errno == EINTR)
            continue;
        if (n < 0 && (errno == ENOSPC || errno == EDQUOT))
            return mpx_fault(MP_ENOSPACE, "%s: %s", self->path, strerror(errno));
        if (n < 0)
            return mpx_fault_errno("%s/%s", self->path, self->part);
        at += n;
        left -= (size_t)n;
    }
    crypto_hash_sha256_update(&self->state, piece.data, piece.size);
    self->had += piece.size;
    return MP_OK;
}

mp_rc_t mpx_warehouse_finish(mpx_warehouse_t *self)
{
    uint8_t found[MPX_HASH_BYTES];
    char name[NAME];
    crypto_hash_sha256_final(&self->state, found);
    if (memcmp(found, self->hash, sizeof found) != 0)
        return mpx_fault(MP_EMODULE, "what has come is not what was announced: its hash differs");
    name_of(self->hash, name);
    if (fchmod(self->fd, 0500) != 0 || renameat(self->dir, self->part, self->dir, name) != 0)
        return mpx_fault_errno("%s/%s", self->path, name);
    close(self->fd);
    self->fd = -1;
    return MP_OK;
}

void mpx_warehouse_drop(mpx_warehouse_t *self)
{
    if (self->fd < 0)
        return;
    unlinkat(self->dir, self->part, 0);
    close(self->fd);
    self->fd = -1;
}
