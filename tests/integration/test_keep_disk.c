/* test_keep_disk: a broker whose disk is full, and one whose data directory is in use, damaged, or
 * not to be written. MP_BROKER_BIN says where it is. */
#include "keep_suite.h"

#include <stdatomic.h>
#include <sys/mman.h>
#include <sys/mount.h>

enum { BIG = 300000, CONTENT_MAX = 1 << 22 };

/* ---- a full disk --------------------------------------------------------------------------- */

/* 0: a limit of file sizes. 1: a small file system, filled up. */
static void make_disk(int kind)
{
    char disk[KEEP_PATH + 16];
    keep_make(&keep);
    if (kind == 0)
        return;
    snprintf(disk, sizeof disk, "%s/disk", keep.folder);
    snprintf(keep.data, sizeof keep.data, "%s/disk/d", keep.folder);
    if (mkdir(disk, 0700) != 0 || mount("tmpfs", disk, "tmpfs", 0, "size=2m,mode=700") != 0) {
        keep_clear(&keep);
        exit(0); /* it isn't allowed here */
    }
}

static void limit_files(off_t bytes)
{
    struct rlimit limit = {bytes ? (rlim_t)bytes : RLIM_INFINITY, RLIM_INFINITY};
    ck_assert_int_eq(prlimit(keep.pid, RLIMIT_FSIZE, &limit, NULL), 0);
}

static void filler(char *out, size_t size)
{
    snprintf(out, size, "%s/disk/filler", keep.folder);
}

static void fill_disk(int kind)
{
    static char page[4096];
    char path[KEEP_PATH + 32];
    struct stat status;
    if (kind == 0) {
        snprintf(path, sizeof path, "%s/data.mdb", keep.data);
        ck_assert_int_eq(stat(path, &status), 0);
        limit_files(status.st_size);
        return;
    }
    filler(path, sizeof path);
    int fd = open(path, O_WRONLY | O_CREAT | O_CLOEXEC, 0600);
    while (write(fd, page, sizeof page) > 0)
        ;
    close(fd);
}

static void free_disk(int kind)
{
    char path[KEEP_PATH + 32];
    if (kind == 0) {
        limit_files(0);
        return;
    }
    filler(path, sizeof path);
    ck_assert_int_eq(unlink(path), 0);
}

static void remove_disk(int kind)
{
    char disk[KEEP_PATH + 16];
    keep_end(&keep, SIGKILL);
    snprintf(disk, sizeof disk, "%s/disk", keep.folder);
    if (kind == 1)
        ck_assert_int_eq(umount2(disk, MNT_DETACH), 0);
    keep_clear(&keep);
}

typedef struct things {
    mp_object_t *dict, *list, *value, *queue, *set;
} things_t;

static things_t things_of(mp_manager_t *manager)
{
    return (things_t){
        .dict = named(manager, MP_OBJECT_DICT, "dict"),
        .list = named(manager, MP_OBJECT_LIST, "list"),
        .value = named(manager, MP_OBJECT_VALUE, "value"),
        .queue = named(manager, MP_OBJECT_JOINABLE_QUEUE, "queue"),
        .set = named(manager, MP_OBJECT_SET, "set"),
    };
}

static void let_go(things_t *things)
{
    mp_object_destroy(&things->dict);
    mp_object_destroy(&things->list);
    mp_object_destroy(&things->value);
    mp_object_destroy(&things->queue);
    mp_object_destroy(&things->set);
}

/* Of all objects, also of those that we don't know. */
static long long items_of_all(mp_manager_t *manager)
{
    mp_tree_t *all = NULL;
    long long sum = 0;
    OK(mp_manager_objects(manager, &all, LONG_MS));
    for (ptrdiff_t i = 0; i < (ptrdiff_t)mp_tree_len(all); i++)
        sum += 1000 + mp_tree_int_or(mp_tree_get(mp_tree_at(all, i), "items"), 0);
    mp_tree_destroy(&all);
    return sum;
}

static void add_json(char **at, mp_rc_t rc, mp_tree_t *tree)
{
    char *text = NULL;
    OK(rc);
    OK(mp_tree_to_json(tree, 0, &text));
    *at = stpcpy(*at, text);
    free(text);
    mp_tree_destroy(&tree);
}

/* All that is in them, as text; in memory of its own. */
static char *content_of(mp_manager_t *manager, const things_t *things)
{
    char *content = malloc(CONTENT_MAX), *at = content;
    mp_tree_t *out = NULL;
    size_t size = 0;
    mp_rc_t rc = mp_dict_items(things->dict, &out, LONG_MS);
    add_json(&at, rc, out);
    rc = mp_list_copy(things->list, &out, LONG_MS);
    add_json(&at, rc, out);
    rc = mp_managed_value_get(things->value, &out, NULL, LONG_MS);
    add_json(&at, rc, out);
    OK(mp_managed_queue_qsize(things->queue, &size, LONG_MS));
    at += sprintf(at, " %zu queued", size);
    OK(mp_set_len(things->set, &size, LONG_MS));
    at += sprintf(at, " %zu in the set, %lld items", size, items_of_all(manager));
    return content;
}

static mp_tree_t *big(void)
{
    static char text[BIG + 1];
    memset(text, 'x', BIG);
    return mp_tree_str(text);
}

static mp_rc_t write_big(mp_manager_t *manager, const things_t *things, int which)
{
    mp_object_t *object = NULL;
    mp_object_options_t options = {.name = "new"};
    mp_rc_t rc;
    switch (which) {
    case 0:
        return mp_dict_set(things->dict, MP_K("a"), big(), LONG_MS);
    case 1:
        return mp_dict_update(things->dict, MP_DICT({"b", MP_V(9)}, {"new", big()}), LONG_MS);
    case 2:
        return mp_list_append(things->list, big(), LONG_MS);
    case 3:
        return mp_list_set_slice(things->list, 0, 2, 1, MP_LIST(big()), LONG_MS);
    case 4:
        return mp_managed_value_set(things->value, big(), LONG_MS);
    case 5:
        return mp_managed_queue_put(things->queue, big(), LONG_MS);
    case 6:
        return mp_list_insert(things->list, 0, big(), LONG_MS);
    case 7:
        options.initial = MP_DICT({"x", big()});
        rc = mp_manager_object(manager, MP_OBJECT_DICT, &options, &object);
        mp_object_destroy(&object);
        return rc;
    default:
        return MP_EOF;
    }
}

/* Changes are refused for a second after one has failed: so try also after that. */
static void nothing_is_written(mp_manager_t *manager, const things_t *things, const char *before)
{
    for (int which = 0;; which++) {
        mp_rc_t rc = write_big(manager, things, which);
        if (rc == MP_EOF)
            break;
        ck_assert_msg(rc == MP_ENOSPACE, "write %d: %s (%s)", which, mp_errname(rc), mp_errmsg());
        IS(mp_dict_set(things->dict, MP_K("a"), MP_V(2), LONG_MS), MP_ENOSPACE);
        char *after = content_of(manager, things);
        ck_assert_str_eq(after, before);
        free(after);
        keep_sleep_us(1050000);
    }
}

/* What isn't stored goes on. */
static void the_rest_works(mp_manager_t *manager)
{
    mp_object_t *lock = named(manager, MP_OBJECT_LOCK, "lock");
    mp_object_t *unit = named(manager, MP_OBJECT_SEMAPHORE, "unit");
    mp_object_t *event = named(manager, MP_OBJECT_EVENT, "event");
    uint64_t token = 0, last = 0;
    for (int i = 0; i < 100; i++) {
        OK(mp_managed_lock_acquire(lock, &token, LONG_MS));
        ck_assert_uint_gt(token, last);
        last = token;
        OK(mp_managed_lock_release(lock, LONG_MS));
        OK(mp_managed_semaphore_acquire(unit, LONG_MS));
        OK(mp_managed_semaphore_release(unit, LONG_MS));
        OK(mp_managed_event_wait(event, LONG_MS));
    }
    mp_object_destroy(&lock);
    mp_object_destroy(&unit);
    mp_object_destroy(&event);
}

static void make_content(mp_manager_t *manager, const things_t *things)
{
    static const mp_object_type_t types[] = {MP_OBJECT_LOCK, MP_OBJECT_SEMAPHORE, MP_OBJECT_EVENT};
    static const char *const names[] = {"lock", "unit", "event"};
    for (int i = 0; i < 3; i++) {
        mp_object_t *object = named(manager, types[i], names[i]);
        if (types[i] == MP_OBJECT_EVENT)
            OK(mp_managed_event_set(object, LONG_MS));
        mp_object_destroy(&object);
    }
    OK(mp_dict_update(things->dict, MP_DICT({"a", MP_V(1)}, {"b", MP_V("two")}), LONG_MS));
    OK(mp_list_extend(things->list, MP_LIST(MP_V(1), MP_V(2), MP_V(3)), LONG_MS));
    OK(mp_managed_value_set(things->value, MP_V(7), LONG_MS));
    OK(mp_managed_queue_put(things->queue, MP_V("job"), LONG_MS));
    OK(mp_set_add(things->set, MP_K("member"), NULL, LONG_MS));
}

START_TEST(a_full_disk_loses_nothing)
{
    make_disk(_i);
    keep_start(&keep);
    mp_manager_t *manager = manager_of();
    things_t things = things_of(manager);
    make_content(manager, &things);
    fill_disk(_i);
    char *before = content_of(manager, &things);
    nothing_is_written(manager, &things, before);
    the_rest_works(manager);
    ck_assert_int_eq(keep_said(&keep, "data_refused"), 1);
    ck_assert_int_eq(keep_said(&keep, "data_stored"), 0);
    free_disk(_i);
    UNTIL(mp_dict_set(things.dict, MP_K("c"), MP_V(3), LONG_MS) == MP_OK);
    UNTIL(write_big(manager, &things, 5) == MP_OK);
    OK(write_big(manager, &things, 7));
    ck_assert_int_eq(keep_said(&keep, "data_refused"), 1);
    ck_assert_int_eq(keep_said(&keep, "data_stored"), 1);
    free(before);
    before = content_of(manager, &things);
    restart(manager, SIGKILL);
    held_something(things.dict);
    held_something(things.list);
    held_something(things.value);
    held_something(things.queue);
    held_something(things.set);
    char *after = content_of(manager, &things);
    ck_assert_str_eq(after, before);
    free(after);
    free(before);
    let_go(&things);
    mp_manager_destroy(&manager);
    remove_disk(_i);
}
END_TEST

/* ---- a disk that is full again and again ----------------------------------------------------- */

enum { KEYS = 4, PADDING = 20000 };

typedef struct flapping {
    atomic_bool over;
    atomic_long done[KEYS], refused[KEYS];
} flapping_t;

static flapping_t *flapping;

static int64_t number_at(mp_object_t *dict, int key)
{
    char text[PADDING + 32];
    size_t size = 0;
    mp_rc_t rc;
    /* What is read together with a change that can't be stored isn't told either. */
    do
        rc = mp_dict_get_bytes(dict, MP_K(key), text, sizeof text - 1, &size, LONG_MS);
    while (rc == MP_ENOSPACE);
    OK(rc);
    text[size] = '\0';
    return strtol(text, NULL, 10);
}

/* What it was told of each write must be what is there then. */
static void write_padded(int me)
{
    static char text[PADDING];
    mp_object_t *dict = named(manager_of(), MP_OBJECT_DICT, "dict");
    for (long i = 1; !atomic_load(&flapping->over); i++) {
        size_t size = (size_t)sprintf(text, "%ld", i);
        memset(text + size, ' ', sizeof text - size);
        mp_rc_t rc = mp_dict_set_bytes(dict, MP_K(me), text, i % 2 ? sizeof text : size, LONG_MS);
        if (rc == MP_OK)
            atomic_store(&flapping->done[me], i);
        else
            IS(rc, MP_ENOSPACE);
        if (rc != MP_OK)
            atomic_fetch_add(&flapping->refused[me], 1);
        ck_assert_int_eq(number_at(dict, me), atomic_load(&flapping->done[me]));
    }
    _exit(0);
}

START_TEST(a_disk_is_full_again_and_again)
{
    pid_t pids[KEYS];
    int status = -1;
    mp_manager_t *manager = begin();
    mp_object_t *dict = named(manager, MP_OBJECT_DICT, "dict");
    flapping =
        mmap(NULL, sizeof *flapping, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    for (int i = 0; i < KEYS; i++) {
        OK(mp_dict_set_bytes(dict, MP_K(i), "0", 1, LONG_MS));
        if ((pids[i] = fork()) == 0) {
            prctl(PR_SET_PDEATHSIG, SIGKILL);
            write_padded(i);
        }
    }
    for (int i = 0; i < KEYS; i++)
        UNTIL(atomic_load(&flapping->done[i]) > 0);
    for (int i = 0; i < 5; i++) {
        long before = atomic_load(&flapping->refused[i % KEYS]);
        long done = atomic_load(&flapping->done[i % KEYS]);
        limit_files(8192);
        UNTIL(atomic_load(&flapping->refused[i % KEYS]) > before);
        limit_files(0);
        UNTIL(atomic_load(&flapping->done[i % KEYS]) > done);
    }
    atomic_store(&flapping->over, true);
    for (int i = 0; i < KEYS; i++) {
        ck_assert_int_eq(waitpid(pids[i], &status, 0), pids[i]);
        ck_assert_int_eq(status, 0);
    }
    restart(manager, SIGKILL);
    for (int i = 0; i < KEYS; i++)
        ck_assert_int_eq(number_at(dict, i), atomic_load(&flapping->done[i]));
    mp_object_destroy(&dict);
    finish(&manager);
}
END_TEST

/* ---- directories that it can't use ----------------------------------------------------------- */

enum { REFUSED = 71, NOT_ALLOWED = 78, FILE_MAX = 1 << 22 };

typedef struct file {
    char *bytes;
    size_t size;
} file_t;

static void data_path(char *out, size_t size)
{
    snprintf(out, size, "%s/data.mdb", keep.data);
}

static file_t read_data(void)
{
    char path[KEEP_PATH + 32];
    file_t file = {.bytes = malloc(FILE_MAX)};
    data_path(path, sizeof path);
    FILE *stream = fopen(path, "r");
    ck_assert_ptr_nonnull(stream);
    file.size = fread(file.bytes, 1, FILE_MAX, stream);
    fclose(stream);
    return file;
}

static void write_data(file_t file)
{
    char path[KEEP_PATH + 32];
    data_path(path, sizeof path);
    FILE *stream = fopen(path, "w");
    ck_assert_ptr_nonnull(stream);
    ck_assert_uint_eq(fwrite(file.bytes, 1, file.size, stream), file.size);
    fclose(stream);
}

static void log_says(const char *words)
{
    ck_assert_msg(keep_said(&keep, words) > 0, "%s: no '%s'", keep.log, words);
}

/* It says no, names the directory and the reason, and has changed nothing. */
static void is_refused(int status, const char *words)
{
    file_t before = read_data();
    unlink(keep.log);
    ck_assert_int_eq(keep_exit_status(&keep), status);
    log_says(words);
    log_says(keep.data);
    file_t after = read_data();
    ck_assert(after.size == before.size && memcmp(after.bytes, before.bytes, after.size) == 0);
    free(before.bytes);
    free(after.bytes);
}

START_TEST(two_brokers_dont_share_a_directory)
{
    mp_manager_t *manager = begin();
    mp_object_t *dict = named(manager, MP_OBJECT_DICT, "dict");
    pid_t first = keep.pid;
    char address[sizeof keep.address];
    memcpy(address, keep.address, sizeof address);
    snprintf(keep.address, sizeof keep.address, "ipc://%s/other", keep.folder);
    is_refused(REFUSED, "in use by another process");
    memcpy(keep.address, address, sizeof address);
    keep.pid = first;
    OK(mp_dict_set(dict, MP_K("a"), MP_V(1), LONG_MS));
    restart(manager, SIGKILL);
    ck_assert(has(dict, "a"));
    mp_object_destroy(&dict);
    finish(&manager);
}
END_TEST

static void make_store(void)
{
    mp_manager_t *manager = begin();
    mp_object_t *dict = named(manager, MP_OBJECT_DICT, "dict");
    for (int i = 0; i < 1000; i++)
        OK(mp_dict_set(dict, MP_K(i), MP_V("a value"), LONG_MS));
    mp_object_destroy(&dict);
    mp_manager_destroy(&manager);
    keep_end(&keep, SIGTERM);
}

START_TEST(damage_is_told)
{
    make_store();
    file_t whole = read_data(), part = {.bytes = malloc(FILE_MAX), .size = whole.size};
    write_data((file_t){whole.bytes, 0});
    is_refused(REFUSED, "data.mdb");
    write_data((file_t){whole.bytes, 5000});
    is_refused(REFUSED, "data.mdb");
    write_data((file_t){whole.bytes, whole.size / 2});
    is_refused(REFUSED, "data.mdb");
    for (size_t i = 0; i < part.size; i++)
        part.bytes[i] = (char)random();
    write_data(part);
    is_refused(REFUSED, "data.mdb");
    memcpy(part.bytes, whole.bytes, 8192); /* its first pages are whole */
    write_data(part);
    is_refused(REFUSED, "data.mdb");
    memcpy(part.bytes, whole.bytes, whole.size);
    for (char *at = part.bytes;
         (at = memmem(at, (size_t)(part.bytes + part.size - at), "format\3", 7)); at++)
        at[6] = 1;
    write_data(part);
    is_refused(REFUSED, "another version");
    write_data(whole);
    keep_start(&keep);
    free(whole.bytes);
    free(part.bytes);
    keep_clear(&keep);
}
END_TEST

START_TEST(a_missing_parent_is_told)
{
    keep_make(&keep);
    snprintf(keep.data, sizeof keep.data, "%s/none/data", keep.folder);
    ck_assert_int_eq(keep_exit_status(&keep), REFUSED);
    log_says("none/data");
    log_says("No such file");
    snprintf(keep.data, sizeof keep.data, "%s/log", keep.folder); /* no directory */
    ck_assert_int_eq(keep_exit_status(&keep), REFUSED);
    log_says("/log");
    keep_clear(&keep);
}
END_TEST

static void give_to_nobody(const char *path, mode_t mode)
{
    ck_assert_int_eq(chmod(path, mode), 0);
    if (geteuid() == 0)
        ck_assert_int_eq(chown(path, NOBODY, NOBODY), 0);
}

/* That its directory, or only its file, can't be written. */
START_TEST(a_read_only_directory_is_told)
{
    char path[KEEP_PATH + 32], lock[KEEP_PATH + 32];
    make_store();
    data_path(path, sizeof path);
    snprintf(lock, sizeof lock, "%s/lock", keep.data);
    give_to_nobody(keep.folder, 0700);
    give_to_nobody(keep.log, 0600);
    give_to_nobody(keep.data, 0500);
    give_to_nobody(path, 0400);
    give_to_nobody(lock, 0400);
    keep.as_nobody = true;
    is_refused(NOT_ALLOWED, "ermission denied");
    give_to_nobody(lock, 0600);
    is_refused(NOT_ALLOWED, "ermission denied");
    unlink(lock);
    is_refused(NOT_ALLOWED, "ermission denied");
    keep_clear(&keep);
}
END_TEST

int main(void)
{
    const TTest *const each[] = {a_full_disk_loses_nothing, NULL};
    const TTest *const once[] = {
        a_disk_is_full_again_and_again, two_brokers_dont_share_a_directory, damage_is_told,
        a_missing_parent_is_told,       a_read_only_directory_is_told,      NULL};
    return suite_run_each(NULL, "keep_disk", each, 2, once, 120);
}
