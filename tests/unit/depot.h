/* depot.h: a store in a folder of a test's own, and what the tests of the store do with it. */
#ifndef DEPOT_H
#define DEPOT_H

#include "ok.h"
#include "store.h"
#include "suite.h"

#include <dirent.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

enum { RECORDS = 16 };

static char folder[64];    /* of one test */
static char directory[80]; /* of its store, in the folder */
static pid_t owner;

/* ---- files ---------------------------------------------------------------------------------- */

static inline void path_of(char out[160], const char *file)
{
    snprintf(out, 160, "%s/%s", directory, file);
}

static inline void empty(const char *path)
{
    char file[400];
    DIR *dir = opendir(path);
    for (struct dirent *entry; dir && (entry = readdir(dir));) {
        snprintf(file, sizeof file, "%s/%s", path, entry->d_name);
        if (entry->d_name[0] != '.')
            unlink(file);
    }
    if (dir)
        closedir(dir);
}

static inline void clean(void)
{
    if (getpid() != owner)
        return;
    empty(directory);
    rmdir(directory);
    empty(folder);
    rmdir(folder);
}

static inline void setup(void)
{
    strcpy(folder, "/tmp/mp-test-store-XXXXXX");
    ck_assert_ptr_nonnull(mkdtemp(folder));
    snprintf(directory, sizeof directory, "%s/s", folder);
    owner = getpid();
    atexit(clean);
}

static inline size_t file_size(const char *file)
{
    char path[160];
    struct stat status;
    path_of(path, file);
    ck_assert_int_eq(stat(path, &status), 0);
    return (size_t)status.st_size;
}

static inline void *load(size_t *size)
{
    char path[160];
    *size = file_size("data.mdb");
    void *data = malloc(*size);
    path_of(path, "data.mdb");
    int fd = open(path, O_RDONLY);
    ck_assert_int_eq(read(fd, data, *size), (ssize_t)*size);
    close(fd);
    return data;
}

static inline void save(const void *data, size_t size)
{
    char path[160];
    path_of(path, "data.mdb");
    int fd = open(path, O_WRONLY | O_CREAT | O_TRUNC, 0600);
    ck_assert_int_ge(fd, 0);
    ck_assert_int_eq(write(fd, data, size), (ssize_t)size);
    close(fd);
}

/* ---- stores --------------------------------------------------------------------------------- */

static inline mp_rc_t try_open(size_t max_bytes, mpx_store_t **out)
{
    const mpx_store_options_t options = {.directory = directory, .max_bytes = max_bytes};
    return mpx_store_open(&options, out);
}

static inline mpx_store_t *open_store(void)
{
    mpx_store_t *store = NULL;
    OK(try_open(0, &store));
    return store;
}

/* Whether it opens; closed again at once. */
static inline mp_rc_t probe(void)
{
    mpx_store_t *store = NULL;
    mp_rc_t rc = try_open(0, &store);
    ck_assert((rc == MP_OK) == (store != NULL));
    mpx_store_close(&store);
    return rc;
}

static inline mp_bytes_t text(const char *string)
{
    return (mp_bytes_t){string, strlen(string)};
}

static inline mp_rc_t put(mpx_store_t *store, const char *key, const char *value)
{
    return mpx_store_put(store, MPX_BUCKET_ENTRY, text(key), text(value));
}

/* KEY=VALUE of each record, with a space behind. */
static inline mp_rc_t print(void *arg, mp_bytes_t key, mp_bytes_t value)
{
    char *out = arg;
    size_t used = strlen(out);
    snprintf(out + used, 512 - used, "%.*s=%.*s ", (int)key.size, (const char *)key.data,
             (int)value.size, (const char *)value.data);
    return MP_OK;
}

static inline const char *listed_of(mpx_store_t *store, mpx_bucket_t bucket)
{
    static char out[512];
    out[0] = '\0';
    OK(mpx_store_read(store, bucket, print, out));
    return out;
}

static inline const char *listed(mpx_store_t *store)
{
    return listed_of(store, MPX_BUCKET_ENTRY);
}

static inline mp_rc_t tally(void *arg, mp_bytes_t key, mp_bytes_t value)
{
    (void)key;
    (void)value;
    ++*(size_t *)arg;
    return MP_OK;
}

static inline size_t count(mpx_store_t *store)
{
    size_t n = 0;
    OK(mpx_store_read(store, MPX_BUCKET_JOB, tally, &n));
    return n;
}

/* n records of `size` bytes with keys from `first` up, in one transaction. */
static inline mp_rc_t put_many(mpx_store_t *store, unsigned first, unsigned n, size_t size)
{
    static const char content[1 << 16];
    mp_rc_t rc = MP_OK;
    for (unsigned i = first; i < first + n && rc == MP_OK; i++) {
        char key[16];
        snprintf(key, sizeof key, "%08u", i);
        rc = mpx_store_put(store, MPX_BUCKET_JOB, text(key), (mp_bytes_t){content, size});
    }
    mp_rc_t committed = mpx_store_commit(store);
    ck_assert(rc == MP_OK || rc == committed);
    return committed;
}

/* Ends the child with the code that `run` returns. */
static inline mp_rc_t in_child(mp_rc_t (*run)(void))
{
    int status = 0;
    pid_t pid = fork();
    if (pid == 0)
        _exit(-run());
    ck_assert_int_eq(waitpid(pid, &status, 0), pid);
    ck_assert_msg(WIFEXITED(status), "killed by %d", WTERMSIG(status));
    return (mp_rc_t)-WEXITSTATUS(status);
}

#endif
