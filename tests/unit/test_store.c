/* The store: what is committed is there, one process has it, and a full disk costs nothing else. */
#include "depot.h"

#include <errno.h>
#include <sched.h>
#include <signal.h>
#include <sys/mount.h>
#include <sys/resource.h>
#include <sys/syscall.h>

/* ---- a disk that fails ---------------------------------------------------------------------- */

/* liblmdb's calls come here first. How many to let through, then fail one; < 0: none fails. */
static int meta_writes = -1; /* pwrite, which LMDB uses for these and for single pages */
static int syncs = -1;

#define INTERPOSED __attribute__((visibility("default")))
INTERPOSED ssize_t pwrite64(int fd, const void *data, size_t size, off64_t at);
INTERPOSED ssize_t pwrite(int fd, const void *data, size_t size, off_t at);
INTERPOSED int fdatasync(int fd);

ssize_t pwrite64(int fd, const void *data, size_t size, off64_t at)
{
    if (meta_writes >= 0 && at < 8192 && meta_writes-- == 0) {
        errno = EIO;
        return -1;
    }
    return syscall(SYS_pwrite64, fd, data, size, at);
}

ssize_t pwrite(int fd, const void *data, size_t size, off_t at)
{
    return pwrite64(fd, data, size, at);
}

int fdatasync(int fd)
{
    if (syncs >= 0 && syncs-- == 0) {
        errno = EIO;
        return -1;
    }
    return (int)syscall(SYS_fdatasync, fd);
}

/* ---- what it is for ------------------------------------------------------------------------- */

START_TEST(there_again)
{
    mpx_store_t *store = open_store();
    OK(mpx_store_commit(store));
    ck_assert(!mpx_store_is_changed(store));
    OK(put(store, "b", "2"));
    OK(put(store, "a", "1"));
    OK(put(store, "c", ""));
    OK(mpx_store_put(store, MPX_BUCKET_META, text("a"), text("meta")));
    ck_assert(mpx_store_is_changed(store));
    ck_assert_str_eq(listed(store), ""); /* as of the last commit */
    OK(mpx_store_commit(store));
    ck_assert(!mpx_store_is_changed(store));
    ck_assert_str_eq(listed(store), "a=1 b=2 c= ");
    OK(put(store, "b", "changed"));
    OK(mpx_store_del(store, MPX_BUCKET_ENTRY, text("c")));
    OK(mpx_store_del(store, MPX_BUCKET_ENTRY, text("nothing")));
    OK(mpx_store_commit(store));
    OK(put(store, "d", "not committed"));
    mpx_store_close(&store);
    ck_assert_ptr_null(store);
    mpx_store_close(&store);
    store = open_store();
    ck_assert_str_eq(listed(store), "a=1 b=changed ");
    ck_assert_str_eq(listed_of(store, MPX_BUCKET_META), "a=meta ");
    ck_assert_str_eq(listed_of(store, MPX_BUCKET_RESULT), "");
    ck_assert_uint_le(mpx_store_bytes(store), file_size("data.mdb"));
    ck_assert_uint_gt(mpx_store_bytes(store), 0);
    mpx_store_close(&store);
}
END_TEST

START_TEST(by_prefix)
{
    static const char *const keys[] = {"a", "a/1", "a/2", "a/2/x", "a\xff", "b", "b/1"};
    mpx_store_t *store = open_store();
    for (size_t i = 0; i < sizeof keys / sizeof *keys; i++)
        OK(put(store, keys[i], ""));
    OK(mpx_store_del_all(store, MPX_BUCKET_ENTRY, text("a/")));
    OK(mpx_store_del_all(store, MPX_BUCKET_ENTRY, text("zzz")));
    OK(mpx_store_commit(store));
    ck_assert_str_eq(listed(store), "a= a\xff= b= b/1= ");
    OK(mpx_store_del_all(store, MPX_BUCKET_ENTRY, text("")));
    OK(mpx_store_put(store, MPX_BUCKET_ENTRY, text("new"), text("")));
    OK(mpx_store_commit(store));
    ck_assert_str_eq(listed(store), "new= ");
    OK(put_many(store, 0, 30000, 10)); /* many pages, three levels */
    OK(mpx_store_del_all(store, MPX_BUCKET_JOB, text("0000")));
    OK(mpx_store_commit(store));
    ck_assert_uint_eq(count(store), 20000);
    OK(mpx_store_del_all(store, MPX_BUCKET_JOB, text("0")));
    OK(mpx_store_commit(store));
    ck_assert_uint_eq(count(store), 0);
    mpx_store_close(&store);
    OK(probe());
}
END_TEST

START_TEST(lost_transactions)
{
    static const char big[MPX_STORE_KEY_MAX + 1];
    mpx_store_t *store = open_store();
    OK(put(store, "a", "1"));
    IS(mpx_store_put(store, MPX_BUCKET_ENTRY, (mp_bytes_t){big, sizeof big}, text("")), MP_EINVAL);
    ck_assert_ptr_nonnull(strstr(mp_errmsg(), "481"));
    IS(put(store, "b", "2"), MP_EINVAL);
    ck_assert_ptr_nonnull(strstr(mp_errmsg(), "481"));
    ck_assert(mpx_store_is_changed(store));
    mpx_store_abort(store);
    ck_assert(!mpx_store_is_changed(store));
    OK(mpx_store_put(store, MPX_BUCKET_ENTRY, (mp_bytes_t){big, sizeof big - 1}, text("")));
    mpx_store_abort(store);
    IS(put(store, "", "2"), MP_EINVAL);
    IS(mpx_store_commit(store), MP_EINVAL);
    OK(put(store, "c", "3"));
    OK(mpx_store_commit(store));
    ck_assert_str_eq(listed(store), "c=3 ");
    mpx_store_close(&store);
}
END_TEST

static mp_rc_t change_each(void *arg, mp_bytes_t key, mp_bytes_t value)
{
    (void)value;
    OK(mpx_store_put(arg, MPX_BUCKET_ENTRY, key, text("seen")));
    IS(mpx_store_commit(arg), MP_ESTATE);
    return *(const char *)key.data == 'b' ? MP_EEMPTY : MP_OK;
}

START_TEST(changed_while_read)
{
    mpx_store_t *store = open_store();
    for (const char *key = "abc"; *key; key++)
        OK(mpx_store_put(store, MPX_BUCKET_ENTRY, (mp_bytes_t){key, 1}, text("")));
    OK(mpx_store_commit(store));
    IS(mpx_store_read(store, MPX_BUCKET_ENTRY, change_each, store), MP_EEMPTY);
    ck_assert_str_eq(listed(store), "a= b= c= ");
    OK(mpx_store_commit(store));
    ck_assert_str_eq(listed(store), "a=seen b=seen c= ");
    mpx_store_close(&store);
}
END_TEST

/* Pages that are taken and given back in one transaction are counted, but never written. */
START_TEST(shorter_than_it_says)
{
    static const char big[60000];
    mpx_store_t *store = open_store();
    for (int i = 0; i < 10; i++) { /* so that there are free pages for all else */
        OK(put(store, "a", "1"));
        OK(mpx_store_commit(store));
    }
    OK(put(store, "a", "1"));
    OK(mpx_store_put(store, MPX_BUCKET_ENTRY, text("b"), (mp_bytes_t){big, sizeof big}));
    OK(mpx_store_del(store, MPX_BUCKET_ENTRY, text("b")));
    OK(mpx_store_commit(store));
    ck_assert_uint_gt(mpx_store_bytes(store), file_size("data.mdb"));
    mpx_store_close(&store);
    OK(probe());
}
END_TEST

/* Values with pages of their own, changed and deleted at random; each state of the file is sound,
 * also when pages at its end were taken and given back. */
START_TEST(check_finds_no_fault_where_there_is_none)
{
    unsigned seed = 1;
    for (int round = 0; round < 60; round++) {
        mpx_store_t *store = open_store();
        for (int i = 0; i < 40; i++) {
            unsigned first = (unsigned)rand_r(&seed) % 400;
            size_t size = (size_t)rand_r(&seed) % (round % 3 ? 200 : 20000);
            char prefix[16];
            snprintf(prefix, sizeof prefix, "%07u", first / 10);
            OK(mpx_store_put(store, MPX_BUCKET_ENTRY, text("x"), text(prefix)));
            OK(mpx_store_del_all(store, MPX_BUCKET_JOB, text(prefix)));
            OK(put_many(store, first, (unsigned)rand_r(&seed) % 30, size));
            prefix[i % 8] = '\0';
            OK(mpx_store_del_all(store, MPX_BUCKET_JOB, text(prefix)));
            if (i % 7)
                mpx_store_abort(store);
        }
        OK(mpx_store_commit(store));
        mpx_store_close(&store);
    }
}
END_TEST

/* ---- one process ---------------------------------------------------------------------------- */

static mp_rc_t probe_elsewhere(void)
{
    /* The lock must not be one of pids: another container has others. */
    if (unshare(CLONE_NEWPID) != 0)
        return probe();
    return in_child(probe);
}

START_TEST(one_at_a_time)
{
    mpx_store_t *store = open_store();
    IS(probe(), MP_EBUSY);
    IS(in_child(probe), MP_EBUSY);
    IS(in_child(probe_elsewhere), MP_EBUSY);
    OK(put(store, "a", "1"));
    OK(mpx_store_commit(store));
    mpx_store_close(&store);
    OK(in_child(probe_elsewhere));
    OK(probe());
}
END_TEST

static mpx_store_t *inherited;

static mp_rc_t use_inherited(void)
{
    char out[512] = "";
    IS(put(inherited, "b", "2"), MP_EFORKED);
    IS(mpx_store_del(inherited, MPX_BUCKET_ENTRY, text("b")), MP_EFORKED);
    IS(mpx_store_commit(inherited), MP_EFORKED);
    IS(mpx_store_read(inherited, MPX_BUCKET_ENTRY, print, out), MP_EFORKED);
    ck_assert_uint_eq(mpx_store_bytes(inherited), 0);
    mpx_store_abort(inherited);
    mpx_store_close(&inherited);
    return probe();
}

START_TEST(a_child_does_not_touch_it)
{
    inherited = open_store();
    OK(put(inherited, "a", "1"));
    IS(in_child(use_inherited), MP_EBUSY);
    OK(mpx_store_commit(inherited));
    ck_assert_str_eq(listed(inherited), "a=1 ");
    mpx_store_close(&inherited);
}
END_TEST

/* Opens, has a child of its own that says when it runs, and is killed. */
static void open_and_fork(const int says[2], const int until[2])
{
    char byte = 0;
    mpx_store_t *store = open_store();
    OK(put(store, "a", "1"));
    OK(mpx_store_commit(store));
    if (fork() == 0) {
        close(until[1]);
        _exit(write(says[1], &byte, 1) != 1 || read(until[0], &byte, 1) != 0);
    }
    pause();
}

START_TEST(a_child_that_lives_on_holds_nothing)
{
    int says[2], until[2];
    char byte;
    ck_assert_int_eq(pipe(says), 0);
    ck_assert_int_eq(pipe(until), 0);
    pid_t pid = fork();
    if (pid == 0)
        open_and_fork(says, until);
    close(says[1]);
    ck_assert_int_eq(read(says[0], &byte, 1), 1);
    kill(pid, SIGKILL);
    ck_assert_int_eq(waitpid(pid, NULL, 0), pid);
    mpx_store_t *store = open_store();
    ck_assert_str_eq(listed(store), "a=1 ");
    mpx_store_close(&store);
    close(until[1]);
    ck_assert_int_eq(read(says[0], &byte, 1), 0); /* it has ended */
}
END_TEST

START_TEST(nothing_for_exec)
{
    mpx_store_t *store = open_store();
    char path[160], link[300], name[320];
    path_of(path, "");
    DIR *dir = opendir("/proc/self/fd");
    int ours = 0;
    for (struct dirent *entry; (entry = readdir(dir));) {
        snprintf(name, sizeof name, "/proc/self/fd/%s", entry->d_name);
        ssize_t length = readlink(name, link, sizeof link);
        if (length > 0 && !strncmp(link, path, strlen(path))) {
            ours++;
            ck_assert_int_eq(fcntl(atoi(entry->d_name), F_GETFD), FD_CLOEXEC);
        }
    }
    closedir(dir);
    ck_assert_int_eq(ours, 3);
    mpx_store_close(&store);
}
END_TEST

/* ---- no room -------------------------------------------------------------------------------- */

/* Committed until there is no room; how many records there are. */
static unsigned fill(mpx_store_t *store)
{
    unsigned n = 0;
    mp_rc_t rc;
    while ((rc = put_many(store, n, RECORDS, 1000)) == MP_OK)
        n += RECORDS;
    IS(rc, MP_ENOSPACE);
    ck_assert_uint_gt(n, 0);
    ck_assert_uint_eq(count(store), n);
    return n;
}

START_TEST(over_max_bytes)
{
    mpx_store_t *store = NULL;
    OK(try_open(1 << 20, &store));
    unsigned n = fill(store);
    mpx_store_close(&store);
    ck_assert_uint_le(file_size("data.mdb"), 1 << 20);
    OK(try_open(2 << 20, &store));
    ck_assert_uint_eq(count(store), n);
    OK(put_many(store, n, RECORDS, 1000));
    OK(mpx_store_del_all(store, MPX_BUCKET_JOB, text("")));
    OK(mpx_store_commit(store));
    ck_assert_uint_ge(fill(store), n); /* room is used again */
    mpx_store_close(&store);
}
END_TEST

START_TEST(over_the_file_size_limit)
{
    struct rlimit limit = {1 << 20, RLIM_INFINITY};
    mpx_store_t *store = open_store();
    signal(SIGXFSZ, SIG_IGN);
    limit.rlim_cur += (rlim_t)_i * 1024; /* so that some writes are short */
    ck_assert_int_eq(setrlimit(RLIMIT_FSIZE, &limit), 0);
    unsigned n = fill(store);
    IS(put_many(store, n, RECORDS, 60000), MP_ENOSPACE);
    limit.rlim_cur = RLIM_INFINITY;
    ck_assert_int_eq(setrlimit(RLIMIT_FSIZE, &limit), 0);
    OK(put_many(store, n, RECORDS, 1000));
    ck_assert_uint_eq(count(store), n + RECORDS);
    mpx_store_close(&store);
    store = open_store();
    ck_assert_uint_eq(count(store), n + RECORDS);
    mpx_store_close(&store);
}
END_TEST

/* A small file system that ends with this process; false: not allowed here. */
static bool mount_small(void)
{
    return unshare(CLONE_NEWNS) == 0 && mount("none", "/", NULL, MS_REC | MS_PRIVATE, NULL) == 0 &&
           mount("none", folder, "tmpfs", 0, "size=1m") == 0;
}

/* All but the last `left` bytes of the file system, in a file `ballast` beside the store. */
static int take_room(size_t left)
{
    static const char page[4096];
    char path[120];
    snprintf(path, sizeof path, "%s/ballast", folder);
    int fd = open(path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
    ck_assert_int_ge(fd, 0);
    while (write(fd, page, sizeof page) == (ssize_t)sizeof page)
        ;
    struct stat status;
    fstat(fd, &status);
    ck_assert_int_eq(ftruncate(fd, status.st_size - (off_t)left), 0);
    return fd;
}

static mp_rc_t on_a_full_disk(void)
{
    if (!mount_small())
        return MP_ECANCELLED;
    int ballast = take_room(0);
    IS(probe(), MP_ENOSPACE); /* not even an empty one */
    ck_assert_int_eq(ftruncate(ballast, 0), 0);
    close(ballast);
    for (size_t i = 0; i < 12; i++) {
        empty(directory);
        mpx_store_t *store = open_store();
        ballast = take_room((64 + 4 * i) << 10);
        unsigned n = fill(store);
        IS(put_many(store, n, RECORDS, 60000), MP_ENOSPACE);
        ck_assert_uint_eq(count(store), n);
        mpx_store_close(&store);
        store = open_store(); /* also on a full disk */
        ck_assert_uint_eq(count(store), n);
        IS(put_many(store, n, RECORDS * 2, 10000), MP_ENOSPACE);
        ck_assert_int_eq(ftruncate(ballast, 0), 0);
        close(ballast);
        OK(put_many(store, n, RECORDS, 1000));
        ck_assert_uint_eq(count(store), n + RECORDS);
        mpx_store_close(&store);
    }
    empty(directory);
    return probe();
}

START_TEST(full_disk)
{
    mp_rc_t rc = in_child(on_a_full_disk);
    if (rc != MP_ECANCELLED) /* no mounts here; the limit of the file's size is tested anyway */
        OK(rc);
}
END_TEST

START_TEST(failing_disk)
{
    mpx_store_t *store = open_store();
    OK(put_many(store, 0, RECORDS, 1000));
    for (unsigned i = 1; i < 20; i++) {
        syncs = i % 2 ? 0 : -1;
        meta_writes = i % 2 ? -1 : 0;
        IS(put_many(store, i * RECORDS, RECORDS, 1000), MP_ESYSTEM);
        ck_assert_int_eq(syncs & meta_writes, -1); /* one has failed */
        ck_assert_uint_eq(count(store), i * RECORDS);
        OK(put_many(store, i * RECORDS, RECORDS, 1000));
        ck_assert_uint_eq(count(store), (i + 1) * RECORDS);
    }
    mpx_store_close(&store);
    store = open_store();
    ck_assert_uint_eq(count(store), 20 * RECORDS);
    mpx_store_close(&store);
}
END_TEST

#ifndef MP_SANITIZED /* whose shadow takes more addresses than any limit leaves */
static mp_rc_t with_few_addresses(void)
{
    struct rlimit limit = {(rlim_t)1 << 30, (rlim_t)1 << 30};
    ck_assert_int_eq(setrlimit(RLIMIT_AS, &limit), 0);
    mpx_store_t *store = open_store();
    void *rest = malloc((size_t)128 << 20); /* some is left for others */
    ck_assert_ptr_nonnull(rest);
    free(rest);
    OK(put_many(store, 0, 1000, 10000));
    ck_assert_uint_eq(count(store), 1000);
    mpx_store_close(&store);
    return MP_OK;
}
#endif

#ifndef MP_SANITIZED
START_TEST(few_addresses)
{
    OK(in_child(with_few_addresses));
}
END_TEST
#endif

int main(void)
{
    const TTest *const each[] = {over_the_file_size_limit, NULL};
    const TTest *const once[] = {there_again,
                                 by_prefix,
                                 lost_transactions,
                                 changed_while_read,
                                 shorter_than_it_says,
                                 check_finds_no_fault_where_there_is_none,
                                 one_at_a_time,
                                 a_child_does_not_touch_it,
                                 a_child_that_lives_on_holds_nothing,
                                 nothing_for_exec,
                                 over_max_bytes,
                                 full_disk,
                                 failing_disk,
#ifndef MP_SANITIZED
                                 few_addresses,
#endif
                                 NULL};
    return suite_run_each(setup, "store", each, 4, once, 60);
}
