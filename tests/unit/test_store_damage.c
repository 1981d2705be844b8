/* The store's files: damaged, strange, and as a killed process leaves them. */
#include "depot.h"

#include <sched.h>
#include <signal.h>

enum { ROUNDS = 25 };

/* ---- damage --------------------------------------------------------------------------------- */

static void make_sample(void)
{
    mpx_store_t *store = open_store();
    OK(put_many(store, 0, 2000, 100));
    OK(put_many(store, 2000, 10, 10000));
    OK(mpx_store_del_all(store, MPX_BUCKET_JOB, text("000010")));
    OK(mpx_store_commit(store));
    mpx_store_close(&store);
}

/* Whatever is in the file: an answer, and no crash in what can be done with it. */
static mp_rc_t use_damaged(void)
{
    mpx_store_t *store = NULL;
    mp_rc_t rc = try_open(0, &store);
    if (rc != MP_OK)
        return rc;
    size_t n = 0;
    for (int bucket = 0; bucket < MPX_BUCKETS; bucket++)
        mpx_store_read(store, (mpx_bucket_t)bucket, tally, &n);
    put_many(store, 5000, 100, 1000);
    mpx_store_close(&store);
    return MP_OK;
}

START_TEST(garbage)
{
    size_t size = 0;
    make_sample();
    char *good = load(&size);
    char *data = malloc(size);
    unsigned seed = 7;
    for (size_t i = 0; i < size; i++)
        data[i] = (char)rand_r(&seed);
    save(data, size);
    IS(in_child(use_damaged), MP_ECORRUPT);
    save("no store", 8);
    IS(in_child(use_damaged), MP_ECORRUPT);
    save("", 0);
    IS(in_child(use_damaged), MP_ECORRUPT);
    for (size_t page = 0; page < 2; page++) {
        memcpy(data, good, size);
        memset(data + page * 4096, 0, 4096);
        save(data, size);
        IS(in_child(use_damaged), MP_ECORRUPT);
    }
    memcpy(data, good, size);
    memset(data + 8192, 0x55, size - 8192);
    save(data, size);
    IS(in_child(use_damaged), MP_ECORRUPT);
    memcpy(data, good, size);
    data[16 + 4]++; /* LMDB's own version */
    save(data, size);
    IS(in_child(use_damaged), MP_EVERSION);
    save(good, size);
    OK(in_child(use_damaged));
    free(data);
    free(good);
}
END_TEST

START_TEST(truncated)
{
    size_t size = 0;
    make_sample();
    char *good = load(&size);
    int refused = 0;
    for (size_t left = 100; left < size; left += 4096 + 1000) {
        save(good, left);
        refused += in_child(use_damaged) == MP_ECORRUPT;
    }
    ck_assert_int_ge(refused, (int)(size / 5096));
    free(good);
}
END_TEST

/* Each page in turn: empty, or with wrong bytes in its structure. */
START_TEST(every_page)
{
    size_t size = 0;
    make_sample();
    char *good = load(&size);
    char *data = malloc(size);
    unsigned seed = 3;
    int refused = 0;
    for (size_t page = 2; page < size / 4096; page++) {
        memcpy(data, good, size);
        if (page % 2)
            memset(data + page * 4096, 0, 4096);
        else
            for (int i = 0; i < 40; i++)
                data[page * 4096 + (size_t)rand_r(&seed) % 200] = (char)rand_r(&seed);
        save(data, size);
        mp_rc_t rc = in_child(use_damaged);
        ck_assert(rc == MP_OK || rc == MP_ECORRUPT); /* some are free, or of a large value */
        refused += rc == MP_ECORRUPT;
    }
    ck_assert_int_ge(refused, (int)(size / 4096 / 2));
    free(data);
    free(good);
}
END_TEST

/* The byte behind the key of the record with our version. */
START_TEST(another_version)
{
    size_t size = 0, found = 0;
    make_sample();
    char *data = load(&size);
    for (size_t at = 0; at + 7 < size; at++)
        if (!memcmp(data + at, "format\3", 7)) {
            data[at + 6] = 1;
            found++;
        }
    ck_assert_uint_ge(found, 1);
    save(data, size);
    IS(in_child(use_damaged), MP_EVERSION);
    free(data);
}
END_TEST

START_TEST(not_allowed)
{
    OK(probe());
    char path[160];
    path_of(path, "data.mdb");
    ck_assert_int_eq(unlink(path), 0);
    ck_assert_int_eq(mkdir(path, 0700), 0);
    IS(probe(), MP_ECORRUPT);
    ck_assert_int_eq(rmdir(path), 0);
    save("leftover of one killed while it made it", 8);
    char unfinished[160];
    path_of(unfinished, "data.new");
    ck_assert_int_eq(rename(path, unfinished), 0);
    OK(probe());
    ck_assert_int_eq(access(unfinished, F_OK), -1);
    struct stat status;
    ck_assert_int_eq(stat(directory, &status), 0);
    ck_assert_uint_eq(status.st_mode & 0777, 0700);
    ck_assert_int_eq(stat(path, &status), 0);
    ck_assert_uint_eq(status.st_mode & 0777, 0600);
    mpx_store_t *store = NULL;
    const mpx_store_options_t nowhere = {.directory = "/nonexistent/store"};
    IS(mpx_store_open(&nowhere, &store), MP_ESYSTEM);
    const mpx_store_options_t nothing = {.directory = ""};
    IS(mpx_store_open(&nothing, &store), MP_EINVAL);
}
END_TEST

/* ---- killed --------------------------------------------------------------------------------- */

/* Commits for ever, and says after each how many records there must be. */
static void commit_for_ever(int out)
{
    mpx_store_t *store = open_store();
    unsigned n = (unsigned)count(store);
    for (;;) {
        OK(put_many(store, n, RECORDS, 100 + n % 5000));
        n += RECORDS;
        if (write(out, &n, sizeof n) != (ssize_t)sizeof n)
            _exit(1);
    }
}

/* A record for each number, and whole transactions. */
static mp_rc_t in_order(void *arg, mp_bytes_t key, mp_bytes_t value)
{
    unsigned *next = arg;
    char wanted[16];
    snprintf(wanted, sizeof wanted, "%08u", *next);
    ck_assert_mem_eq(key.data, wanted, key.size);
    ck_assert_uint_eq(value.size, 100 + (*next - *next % RECORDS) % 5000);
    ++*next;
    return MP_OK;
}

START_TEST(killed_while_it_commits)
{
    unsigned seed = 11, acknowledged = 0;
    for (int round = 0; round < ROUNDS; round++) {
        int ends[2];
        ck_assert_int_eq(pipe2(ends, O_CLOEXEC), 0);
        pid_t pid = fork();
        if (pid == 0)
            commit_for_ever(ends[1]);
        close(ends[1]);
        /* A number of commits, and then at any point of the next. */
        for (int i = 1 + rand_r(&seed) % 8; i > 0; i--)
            ck_assert_int_eq(read(ends[0], &acknowledged, sizeof acknowledged),
                             (ssize_t)sizeof acknowledged);
        for (int i = rand_r(&seed) % 1000; i > 0; i--)
            sched_yield();
        kill(pid, SIGKILL);
        ck_assert_int_eq(waitpid(pid, NULL, 0), pid);
        while (read(ends[0], &acknowledged, sizeof acknowledged) > 0)
            ;
        close(ends[0]);
        /* A copy of the files is as good as they are. */
        size_t size = 0;
        void *data = load(&size);
        char original[160];
        path_of(original, "data.mdb");
        unlink(original);
        save(data, size);
        free(data);
        mpx_store_t *store = open_store();
        unsigned n = 0;
        OK(mpx_store_read(store, MPX_BUCKET_JOB, in_order, &n));
        ck_assert_uint_ge(n, acknowledged);
        ck_assert_uint_eq(n % RECORDS, 0);
        mpx_store_close(&store);
    }
}
END_TEST

int main(void)
{
    const TTest *const tests[] = {
        garbage, truncated, every_page, another_version, not_allowed, killed_while_it_commits,
        NULL};
    return suite_run_with(setup, "store_damage", tests, 110);
}
