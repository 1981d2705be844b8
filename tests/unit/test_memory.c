/* Values, arrays, named blocks and lists. */
#include "child_kit.h"
#include "life.h"
#include "slice.h"

#include <fcntl.h>
#include <mp/scope.h>
#include <mp/shared_memory.h>
#include <mp/value.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdio.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

/* ---- Value ---------------------------------------------------------------------------------- */

static mp_value_t *value;
static mp_array_t *array;

static void increments(void)
{
    int *n = mp_value_get_obj(value);
    for (int i = 0; i < 10000; i++)
        MP_WITH_LOCK(mp_value_get_lock(value))
    ++*n;
}

static void adds(void)
{
    for (int i = 0; i < 10000; i++)
        if (mp_value_add(value, 1, NULL) != MP_OK)
            _exit(1);
}

static void four_of(void (*run)(void))
{
    pid_t pids[4];
    for (int i = 0; i < 4; i++)
        pids[i] = child(run);
    for (int i = 0; i < 4; i++)
        join_child(pids[i]);
}

START_TEST(increments_are_not_lost)
{
    int n = 0;
    ck_assert_int_eq(mp_value_new('i', NULL, NULL, &value), MP_OK);
    four_of(increments);
    four_of(adds);
    ck_assert_int_eq(mp_value_get(value, &n), MP_OK);
    ck_assert_int_eq(n, 80000);
    mp_value_destroy(&value);
    ck_assert_ptr_null(value);
    ck_assert_int_eq(mp_raw_value_new('q', NULL, &value), MP_OK);
    ck_assert_ptr_null(mp_value_get_lock(value));
    four_of(adds);
    ck_assert_int_eq(*(long long *)mp_value_get_obj(value), 40000);
    mp_value_destroy(&value);
}
END_TEST

START_TEST(type_codes_and_structs)
{
    static const char codes[] = "cbBhHiIlLqQfd";
    static const size_t sizes[] = {1, 1, 1, 2, 2, 4, 4, 8, 8, 8, 8, 4, 8};
    struct point {
        double x, y;
    } point = {1.5, 2.5}, back = {0};
    int64_t sum = 0;
    for (size_t i = 0; codes[i]; i++) {
        ck_assert_int_eq(mp_value_new(codes[i], NULL, NULL, &value), MP_OK);
        ck_assert_uint_eq(mp_value_bytes(value), sizes[i]);
        mp_rc_t rc = mp_value_add(value, -1, &sum);
        ck_assert_int_eq(rc, codes[i] == 'f' || codes[i] == 'd' ? MP_EINVAL : MP_OK);
        if (codes[i] == 'B')
            ck_assert_int_eq(sum, 255);
        if (codes[i] == 'h')
            ck_assert_int_eq(sum, -1);
        mp_value_destroy(&value);
    }
    ck_assert_int_eq(mp_value_new_struct(sizeof point, &point, NULL, &value), MP_OK);
    ck_assert_int_eq(mp_value_get(value, &back), MP_OK);
    ck_assert(back.x == 1.5 && back.y == 2.5);
    back.x = 9;
    ck_assert_int_eq(mp_value_set(value, &back), MP_OK);
    ck_assert(((struct point *)mp_value_get_obj(value))->x == 9);
    mp_value_destroy(&value);
    ck_assert_int_eq(mp_value_new('x', NULL, NULL, &value), MP_EINVAL);
    ck_assert_int_eq(mp_value_new(0, NULL, NULL, &value), MP_EINVAL);
    ck_assert_int_eq(mp_value_new_struct(0, NULL, NULL, &value), MP_EINVAL);
    ck_assert_int_eq(mp_value_new_struct(SIZE_MAX, NULL, NULL, &value), MP_ETOOLARGE);
}
END_TEST

START_TEST(a_given_lock)
{
    mp_lock_t *lock = NULL;
    int n = 0;
    ck_assert_int_eq(mp_lock_new(&lock), MP_OK);
    mp_shared_options_t options = {.lock = lock};
    ck_assert_int_eq(mp_value_new('i', &(int){3}, &options, &value), MP_OK);
    ck_assert_ptr_eq(mp_value_get_lock(value), lock);
    ck_assert_int_eq(mp_lock_acquire(lock, 0), MP_OK);
    ck_assert_int_eq(mp_value_get(value, &n), MP_EDEADLOCK);
    ck_assert_int_eq(mp_lock_release(lock), MP_OK);
    ck_assert_int_eq(mp_value_get(value, &n), MP_OK);
    ck_assert_int_eq(n, 3);
    mp_value_destroy(&value);
    mp_lock_destroy(&lock);
}
END_TEST

static void dies_writing(void)
{
    if (mp_lock_acquire(mp_value_get_lock(value), -1) != MP_OK)
        _exit(1);
    *(int *)mp_value_get_obj(value) = 5;
    kill(getpid(), SIGKILL);
}

START_TEST(a_writer_dies)
{
    int n = 0;
    ck_assert_int_eq(mp_value_new('i', NULL, NULL, &value), MP_OK);
    pid_t pid = child(dies_writing);
    ck_assert_int_eq(waitpid(pid, NULL, 0), pid);
    ck_assert_int_eq(mp_value_get(value, &n), MP_EOWNERDEAD);
    ck_assert_int_eq(n, 5);
    ck_assert_int_eq(mp_value_get(value, &n), MP_OK);
    mp_value_destroy(&value);
}
END_TEST

static mp_ref_t *told;

static void opens_value(void)
{
    mp_value_t *opened = NULL;
    while (!atomic_load((_Atomic uint64_t *)&told->word[0]))
        usleep(500);
    if (mp_value_open(told, &opened) != MP_OK || mp_value_add(opened, 41, NULL) != MP_OK)
        _exit(1);
    mp_value_destroy(&opened);
}

START_TEST(value_travels_as_a_reference)
{
    mp_ref_t ref;
    int n = 0;
    told = mmap(NULL, sizeof *told, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    pid_t pid = child(opens_value);
    ck_assert_int_eq(mp_value_new('i', &(int){1}, NULL, &value), MP_OK);
    mp_value_ref(value, &ref);
    memcpy(&told->word[1], &ref.word[1], sizeof ref - sizeof ref.word[0]);
    atomic_store((_Atomic uint64_t *)&told->word[0], ref.word[0]);
    join_child(pid);
    ck_assert_int_eq(mp_value_get(value, &n), MP_OK);
    ck_assert_int_eq(n, 42);
    mp_value_destroy(&value);
    ck_assert_int_eq(mp_value_open(&ref, &value), MP_ENOTFOUND);
}
END_TEST

/* ---- Array ---------------------------------------------------------------------------------- */

static void fills(void)
{
    int *items = mp_array_get_obj(array);
    for (int i = 0; i < 10; i++)
        items[i] = 100 + i;
}

START_TEST(array_items)
{
    int item = 0;
    ck_assert_int_eq(mp_array_new('i', 10, NULL, NULL, &array), MP_OK);
    ck_assert_uint_eq(mp_array_len(array), 10);
    join_child(child(fills));
    ck_assert_int_eq(mp_array_get(array, 0, &item), MP_OK);
    ck_assert_int_eq(item, 100);
    ck_assert_int_eq(mp_array_get(array, -1, &item), MP_OK);
    ck_assert_int_eq(item, 109);
    ck_assert_int_eq(mp_array_get(array, 10, &item), MP_ERANGE);
    ck_assert_int_eq(mp_array_get(array, -11, &item), MP_ERANGE);
    ck_assert_int_eq(mp_array_set(array, 3, &(int){7}), MP_OK);
    ck_assert_int_eq(((int *)mp_array_get_obj(array))[3], 7);
    mp_array_destroy(&array);
    ck_assert_int_eq(mp_array_new('i', 0, NULL, NULL, &array), MP_EINVAL);
    ck_assert_int_eq(mp_array_new('i', (size_t)-1, NULL, NULL, &array), MP_ETOOLARGE);
    ck_assert_int_eq(mp_array_new('?', 1, NULL, NULL, &array), MP_EINVAL);
}
END_TEST

/* Against the rule itself: walk and keep what is in range. */
static size_t slow_slice(long n, long start, long stop, long step, long *out)
{
    size_t count = 0;
    long low = step > 0 ? 0 : -1, high = step > 0 ? n : n - 1;
    if (start < 0)
        start = start + n < low ? low : start + n;
    if (stop < 0)
        stop = stop + n < low ? low : stop + n;
    start = start > high ? high : start;
    stop = stop > high ? high : stop;
    for (long i = start; step > 0 ? i < stop : i > stop; i += step)
        out[count++] = i;
    return count;
}

START_TEST(slices)
{
    long expected[64];
    mpx_slice_t slice;
    for (long n = 1; n <= 6; n++)
        for (long start = -9; start <= 9; start++)
            for (long stop = -9; stop <= 9; stop++)
                for (long step = -4; step <= 4; step++) {
                    if (step == 0)
                        continue;
                    ck_assert_int_eq(mpx_slice_of((size_t)n, start, stop, step, &slice), MP_OK);
                    size_t count = slow_slice(n, start, stop, step, expected);
                    ck_assert_uint_eq(slice.count, count);
                    if (count)
                        ck_assert_int_eq((long)slice.first, expected[0]);
                }
    ck_assert_int_eq(mpx_slice_of(5, 0, 5, 0, &slice), MP_EINVAL);
    ck_assert_int_eq(mpx_slice_of(5, MP_SLICE_OPEN, MP_SLICE_OPEN, -1, &slice), MP_OK);
    ck_assert_uint_eq(slice.count, 5);
    ck_assert_uint_eq(slice.first, 4);
    ck_assert_int_eq(mpx_slice_of(5, MP_SLICE_OPEN, MP_SLICE_OPEN, PTRDIFF_MIN, &slice), MP_OK);
    ck_assert_uint_eq(slice.count, 1);
    ck_assert_int_eq(mpx_slice_of(5, 0, MP_SLICE_OPEN, PTRDIFF_MAX, &slice), MP_OK);
    ck_assert_uint_eq(slice.count, 1);
}
END_TEST

START_TEST(array_slices_and_text)
{
    static const int digits[] = {0, 1, 2, 3, 4, 5, 6, 7, 8, 9};
    static const int odd[] = {9, 7, 5, 3, 1};
    int out[10];
    char text[8];
    size_t count = 10;
    ck_assert_int_eq(mp_array_new('i', 10, digits, NULL, &array), MP_OK);
    ck_assert_int_eq(mp_array_get_slice(array, MP_SLICE_OPEN, MP_SLICE_OPEN, -2, out, &count),
                     MP_OK);
    ck_assert_uint_eq(count, 5);
    ck_assert_mem_eq(out, odd, sizeof odd);
    count = 3;
    ck_assert_int_eq(mp_array_get_slice(array, 0, 5, 1, out, &count), MP_ERANGE);
    ck_assert_int_eq(mp_array_set_slice(array, 0, 10, 2, odd, 5), MP_OK);
    ck_assert_int_eq(mp_array_set_slice(array, 0, 10, 2, odd, 4), MP_ERANGE);
    count = 10;
    ck_assert_int_eq(mp_array_get_slice(array, 0, 4, 1, out, &count), MP_OK);
    ck_assert_mem_eq(out, ((int[]){9, 1, 7, 3}), 4 * sizeof(int));
    ck_assert_int_eq(mp_array_set_text(array, "x"), MP_EINVAL);
    mp_array_destroy(&array);
    ck_assert_int_eq(mp_array_new('c', 5, NULL, NULL, &array), MP_OK);
    ck_assert_int_eq(mp_array_set_text(array, "hello"), MP_OK);
    ck_assert_int_eq(mp_array_get_text(array, text, sizeof text), MP_OK);
    ck_assert_str_eq(text, "hello");
    ck_assert_int_eq(mp_array_get_text(array, text, 5), MP_ERANGE);
    ck_assert_int_eq(mp_array_set_text(array, "hello!"), MP_ERANGE);
    ck_assert_int_eq(mp_array_set_text(array, "hi"), MP_OK);
    ck_assert_int_eq(mp_array_get_text(array, text, sizeof text), MP_OK);
    ck_assert_str_eq(text, "hi");
    mp_array_destroy(&array);
}
END_TEST

/* ---- SharedMemory --------------------------------------------------------------------------- */

static char name[64];
static mp_shared_memory_t *block;

static void setup(void)
{
    snprintf(name, sizeof name, "test-%d", (int)getpid());
}

static const char *path_of(const char *block_name)
{
    static char path[300];
    snprintf(path, sizeof path, "/dev/shm/mp-%s", block_name);
    return path;
}

static void writes_42(void)
{
    mp_shared_memory_t *attached = NULL;
    if (mp_shared_memory_attach(name, &attached) != MP_OK ||
        mp_shared_memory_size(attached) != 1000)
        _exit(1);
    double(*m)[10] = mp_shared_memory_buf(attached);
    m[0][0] = 42;
    mp_shared_memory_destroy(&attached);
}

START_TEST(block_by_name)
{
    struct stat info;
    umask(0);
    ck_assert_int_eq(mp_shared_memory_create(name, 1000, &block), MP_OK);
    ck_assert_int_eq(stat(path_of(name), &info), 0);
    ck_assert_uint_eq(info.st_mode & 0777, 0600);
    ck_assert_uint_eq(mp_shared_memory_size(block), 1000);
    ck_assert_str_eq(mp_shared_memory_name(block), name);
    join_child(child(writes_42));
    double(*m)[10] = mp_shared_memory_buf(block);
    ck_assert(m[0][0] == 42 && m[9][9] == 0);
    mp_shared_memory_t *second = NULL;
    ck_assert_int_eq(mp_shared_memory_create(name, 1, &second), MP_EEXIST);
    ck_assert_int_eq(mp_shared_memory_unlink(block), MP_OK);
    ck_assert_int_eq(mp_shared_memory_unlink(block), MP_ENOTFOUND);
    ck_assert_int_eq(mp_shared_memory_attach(name, &second), MP_ENOTFOUND);
    ck_assert(m[0][0] == 42); /* as long as it is mapped */
    mp_shared_memory_close(block);
    mp_shared_memory_close(block);
    ck_assert_ptr_null(mp_shared_memory_buf(block));
    mp_shared_memory_destroy(&block);
    ck_assert_ptr_null(block);
}
END_TEST

START_TEST(names_and_sizes)
{
    char long_name[301];
    memset(long_name, 'n', 300);
    long_name[300] = 0;
    static const char *const bad[] = {"", ".hidden", "a/b", "../x", "a b", "\xc3\xa4", "a\n"};
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
        ck_assert_int_eq(mp_shared_memory_create(bad[i], 1, &block), MP_EINVAL);
        ck_assert_int_eq(mp_shared_memory_attach(bad[i], &block), MP_EINVAL);
    }
    ck_assert_int_eq(mp_shared_memory_create(long_name, 1, &block), MP_EINVAL);
    ck_assert_int_eq(mp_shared_memory_attach(NULL, &block), MP_EINVAL);
    ck_assert_int_eq(mp_shared_memory_attach(name, &block), MP_ENOTFOUND);
    ck_assert_int_eq(mp_shared_memory_create(name, 0, &block), MP_EINVAL);
    ck_assert_int_eq(mp_shared_memory_create(name, (size_t)-1, &block), MP_ETOOLARGE);
    ck_assert_int_eq(mp_shared_memory_create(name, (size_t)1 << 50, &block), MP_ETOOLARGE);
    ck_assert_int_eq(access(path_of(name), F_OK), -1);
    long_name[200] = 0;
    ck_assert_int_eq(mp_shared_memory_create(long_name, 1, &block), MP_OK);
    ck_assert_int_eq(mp_shared_memory_unlink(block), MP_OK);
    mp_shared_memory_destroy(&block);
    ck_assert_int_eq(mp_shared_memory_create(NULL, 1, &block), MP_OK);
    ck_assert_int_eq(mp_shared_memory_unlink(block), MP_OK);
    mp_shared_memory_destroy(&block);
}
END_TEST

START_TEST(damaged_and_strange_files)
{
    mp_shared_memory_t *none = NULL;
    const char *path = path_of(name);
    unsigned seed = 1;
    for (int i = 0; i < 60; i++) { /* each byte of the head that counts, one by one */
        ck_assert_int_eq(mp_shared_memory_create(name, 100, &block), MP_OK);
        int fd = open(path, O_RDWR);
        unsigned char byte = 0;
        off_t at = rand_r(&seed) % 32;
        ck_assert_int_eq(pread(fd, &byte, 1, at), 1);
        byte ^= (unsigned char)(1 + rand_r(&seed) % 255);
        ck_assert_int_eq(pwrite(fd, &byte, 1, at), 1);
        ck_assert_int_eq(mp_shared_memory_attach(name, &none), MP_ECORRUPT);
        close(fd);
        ck_assert_int_eq(mp_shared_memory_unlink(block), MP_OK);
        mp_shared_memory_destroy(&block);
    }
    int fd = open(path, O_CREAT | O_RDWR, 0600);
    ck_assert_int_eq(mp_shared_memory_attach(name, &none), MP_ECORRUPT); /* empty */
    ck_assert_int_eq(ftruncate(fd, 10000), 0);
    ck_assert_int_eq(mp_shared_memory_attach(name, &none), MP_ECORRUPT);  /* zeros */
    ck_assert_int_eq(mp_shared_memory_create(name, 1, &none), MP_EEXIST); /* not ours to take */
    close(fd);
    unlink(path);
    ck_assert_int_eq(symlink("/etc/passwd", path), 0);
    ck_assert_int_eq(mp_shared_memory_attach(name, &none), MP_ECORRUPT);
    unlink(path);
    ck_assert_int_eq(mkfifo(path, 0600), 0);
    ck_assert_int_eq(mp_shared_memory_attach(name, &none), MP_ECORRUPT);
    unlink(path);
    ck_assert_ptr_null(none);
}
END_TEST

static void creates_and_is_killed(void)
{
    if (mp_shared_memory_create(name, 5000, &block) == MP_OK)
        kill(getpid(), SIGKILL);
    _exit(1);
}

static void attaches_and_stays(void)
{
    if (mp_shared_memory_attach(name, &block) != MP_OK)
        _exit(1);
    *(volatile char *)mp_shared_memory_buf(block) = 1;
    for (;;)
        pause();
}

static void seen(void *arg, const mp_shared_memory_info_t *info)
{
    if (strcmp(info->name, name) == 0)
        *(mp_shared_memory_info_t *)arg = *info;
}

static mp_shared_memory_info_t look(void)
{
    mp_shared_memory_info_t info = {0};
    ck_assert_int_eq(mp_shared_memory_each(seen, &info), MP_OK);
    return info;
}

START_TEST(blocks_of_the_dead)
{
    size_t blocks = 0;
    pid_t creator = child(creates_and_is_killed);
    ck_assert_int_eq(waitpid(creator, NULL, 0), creator);
    mp_shared_memory_info_t info = look();
    ck_assert_uint_eq(info.bytes, 5000);
    ck_assert_int_eq(info.creator, creator);
    ck_assert(!info.creator_lives && !info.in_use && !info.kept);
    /* Somebody still has it: it stays, and can be attached by more. */
    pid_t user = child(attaches_and_stays);
    while (!look().in_use)
        usleep(500);
    ck_assert_int_eq(mp_shared_memory_reap(NULL, NULL), MP_OK);
    ck_assert_int_eq(mp_shared_memory_attach(name, &block), MP_OK);
    kill_child(user);
    ck_assert_int_eq(mp_shared_memory_reap(NULL, NULL), MP_OK);
    ck_assert_uint_eq(look().bytes, 5000); /* now by us */
    mp_shared_memory_destroy(&block);
    ck_assert_int_eq(mp_shared_memory_reap(&blocks, NULL), MP_OK);
    ck_assert_uint_ge(blocks, 1);
    ck_assert_int_eq(access(path_of(name), F_OK), -1);
}
END_TEST

static void forks_and_is_killed(void)
{
    if (mp_shared_memory_create(name, 10, &block) != MP_OK || fork() < 0)
        _exit(1);
    for (;;)
        pause();
}

/* A forked child has its parent's handle: the block isn't reaped while the child lives. */
START_TEST(a_forked_child_keeps_the_block)
{
    char line[64] = "";
    int grandchild = 0;
    pid_t creator = child(forks_and_is_killed);
    snprintf(line, sizeof line, "/proc/%d/task/%d/children", (int)creator, (int)creator);
    while (grandchild == 0) {
        FILE *file = fopen(line, "r");
        ck_assert_ptr_nonnull(file);
        if (fscanf(file, "%d", &grandchild) != 1)
            grandchild = 0;
        fclose(file);
    }
    kill_child(creator);
    ck_assert_int_eq(mp_shared_memory_reap(NULL, NULL), MP_OK);
    ck_assert(look().in_use);
    ck_assert_int_eq(kill(grandchild, SIGKILL), 0);
    while (look().in_use)
        usleep(500);
    ck_assert_int_eq(mp_shared_memory_reap(NULL, NULL), MP_OK);
    ck_assert_uint_eq(look().bytes, 0);
}
END_TEST

static void creates_kept(void)
{
    if (mp_shared_memory_create(name, 10, &block) != MP_OK || mp_shared_memory_keep(block) != MP_OK)
        _exit(1);
}

START_TEST(kept_blocks_and_taken_over_names)
{
    join_child(child(creates_kept));
    ck_assert_int_eq(mp_shared_memory_reap(NULL, NULL), MP_OK);
    ck_assert(look().kept);
    ck_assert_int_eq(mp_shared_memory_create(name, 1, &block), MP_EEXIST);
    ck_assert_int_eq(mp_shared_memory_attach(name, &block), MP_OK);
    ck_assert_int_eq(mp_shared_memory_unlink(block), MP_OK);
    mp_shared_memory_destroy(&block);
    pid_t creator = child(creates_and_is_killed);
    ck_assert_int_eq(waitpid(creator, NULL, 0), creator);
    ck_assert_int_eq(mp_shared_memory_create(name, 77, &block), MP_OK); /* the dead one's name */
    ck_assert_uint_eq(mp_shared_memory_size(block), 77);
    ck_assert_int_eq(mp_shared_memory_unlink(block), MP_OK);
    mp_shared_memory_destroy(&block);
}
END_TEST

static mp_ref_t secret;

static void is_another_user(void)
{
    mp_shared_memory_t *none = NULL;
    mp_value_t *opened = NULL;
    if (setresgid(65533, 65533, 65533) != 0 || setresuid(65533, 65533, 65533) != 0)
        _exit(1);
    if (mp_shared_memory_attach(name, &none) != MP_EPERM)
        _exit(2);
    /* Its own hold on our memory is from the fork; a process that was not forked has none. */
    secret.word[1] ^= 1;
    if (mp_value_open(&secret, &opened) == MP_OK)
        _exit(3);
}

START_TEST(another_user)
{
    if (getuid() != 0)
        return;
    ck_assert_int_eq(mp_value_new('i', NULL, NULL, &value), MP_OK);
    mp_value_ref(value, &secret);
    ck_assert_int_eq(mp_shared_memory_create(name, 1000, &block), MP_OK);
    join_child(child(is_another_user));
    ck_assert_int_eq(mp_shared_memory_unlink(block), MP_OK);
    mp_shared_memory_destroy(&block);
    mp_value_destroy(&value);
}
END_TEST

/* ---- ShareableList, manager ----------------------------------------------------------------- */

START_TEST(list_of_all_types)
{
    mp_shareable_list_t *list = NULL;
    mp_shareable_list_t *same = NULL;
    mp_scalar_t item;
    size_t at = 0;
    mp_scalar_t items[] = {mp_scalar_str("howdy"),
                           mp_scalar_bytes("H\0\0", 3),
                           mp_scalar_float(-273.154),
                           mp_scalar_int(100),
                           mp_scalar_none(),
                           mp_scalar_bool(true),
                           mp_scalar_str("\xc3\xa4\xc3\xb6\xc3\xbc"),
                           mp_scalar_str("")};
    ck_assert_int_eq(mp_shareable_list_new(items, 8, name, &list), MP_OK);
    ck_assert_int_eq(mp_shareable_list_attach(name, &same), MP_OK);
    ck_assert_uint_eq(mp_shareable_list_len(same), 8);
    for (int i = 0; i < 8; i++) {
        ck_assert_int_eq(mp_shareable_list_get(same, i, &item), MP_OK);
        ck_assert(mp_scalar_equal(item, items[i]));
    }
    ck_assert_int_eq(mp_shareable_list_set(list, 0, mp_scalar_str("12345678")), MP_OK);
    ck_assert_int_eq(mp_shareable_list_set(list, 0, mp_scalar_str("123456789")), MP_ETOOLARGE);
    ck_assert_int_eq(mp_shareable_list_set(list, 3, mp_scalar_bytes("\0\0", 2)), MP_OK);
    ck_assert_int_eq(mp_shareable_list_get(same, 3, &item), MP_OK);
    ck_assert(mp_scalar_equal(item, mp_scalar_bytes("\0\0", 2)));
    ck_assert_int_eq(mp_shareable_list_set(list, -1, mp_scalar_int(100)), MP_OK);
    ck_assert_int_eq(mp_shareable_list_index(same, mp_scalar_int(100), &at), MP_OK);
    ck_assert_uint_eq(at, 7);
    ck_assert_uint_eq(mp_shareable_list_count(same, mp_scalar_none()), 1);
    ck_assert_int_eq(mp_shareable_list_index(same, mp_scalar_int(5), &at), MP_ENOTFOUND);
    ck_assert_int_eq(mp_shareable_list_get(same, 8, &item), MP_ERANGE);
    ck_assert_int_eq(mp_shared_memory_unlink(mp_shareable_list_shm(list)), MP_OK);
    mp_shareable_list_destroy(&same);
    mp_shareable_list_destroy(&list);
}
END_TEST

/* Every byte of a list's block may be anything: an answer, and no fault. */
START_TEST(damaged_lists)
{
    mp_shareable_list_t *list = NULL;
    mp_shared_memory_t *none = NULL;
    mp_scalar_t items[] = {mp_scalar_str("text"), mp_scalar_int(1), mp_scalar_bytes("x", 1)};
    unsigned seed = 9;
    ck_assert_int_eq(mp_shared_memory_create(name, 100, &none), MP_OK);
    ck_assert_int_eq(mp_shareable_list_attach(name, &list), MP_ECORRUPT);
    ck_assert_int_eq(mp_shared_memory_unlink(none), MP_OK);
    mp_shared_memory_destroy(&none);
    for (int i = 0; i < 300; i++) {
        mp_shareable_list_t *made = NULL;
        ck_assert_int_eq(mp_shareable_list_new(items, 3, name, &made), MP_OK);
        mp_shared_memory_t *shm = mp_shareable_list_shm(made);
        unsigned char *bytes = mp_shared_memory_buf(shm);
        for (int j = 0; j < 3; j++)
            bytes[(size_t)rand_r(&seed) % mp_shared_memory_size(shm)] =
                (unsigned char)rand_r(&seed);
        if (mp_shareable_list_attach(name, &list) == MP_OK) {
            for (size_t at = 0; at < mp_shareable_list_len(list); at++) {
                mp_scalar_t item;
                (void)mp_shareable_list_get(list, (ptrdiff_t)at, &item);
                (void)mp_shareable_list_set(list, (ptrdiff_t)at, mp_scalar_int(1));
            }
            (void)mp_shareable_list_count(list, mp_scalar_str("text"));
            mp_shareable_list_destroy(&list);
        }
        ck_assert_int_eq(mp_shared_memory_unlink(shm), MP_OK);
        mp_shareable_list_destroy(&made);
    }
}
END_TEST

static mp_shared_memory_manager_t *manager;

static void uses_manager(void)
{
    if (mp_shared_memory_manager_block(manager, 1, &block) != MP_EFORKED)
        _exit(1);
    mp_shared_memory_manager_destroy(&manager);
}

START_TEST(manager_unlinks_all)
{
    char names[2][64];
    mp_shareable_list_t *list = NULL;
    mp_scalar_t item = mp_scalar_int(1);
    ck_assert_int_eq(mp_shared_memory_manager_new(&manager), MP_OK);
    ck_assert_int_eq(mp_shared_memory_manager_block(manager, 2000, &block), MP_OK);
    ck_assert_int_eq(mp_shared_memory_manager_list(manager, &item, 1, &list), MP_OK);
    snprintf(names[0], 64, "%s", mp_shared_memory_name(block));
    snprintf(names[1], 64, "%s", mp_shared_memory_name(mp_shareable_list_shm(list)));
    mp_shared_memory_destroy(&block);
    join_child(child(uses_manager));
    for (int i = 0; i < 2; i++)
        ck_assert_int_eq(access(path_of(names[i]), F_OK), 0);
    mp_shared_memory_manager_destroy(&manager);
    for (int i = 0; i < 2; i++)
        ck_assert_int_eq(access(path_of(names[i]), F_OK), -1);
    mp_shareable_list_destroy(&list);
}
END_TEST

/* ---- scopes --------------------------------------------------------------------------------- */

static int leaves_early(mp_lock_t *lock)
{
    MP_WITH_LOCK(lock)
    {
        ck_assert(mp_lock_locked(lock));
        return 1;
    }
    return 0;
}

START_TEST(scopes)
{
    MP_SCOPED(mp_lock) lock = NULL;
    int runs = 0;
    ck_assert_int_eq(mp_lock_new(&lock), MP_OK);
    ck_assert_int_eq(leaves_early(lock), 1);
    ck_assert(!mp_lock_locked(lock));
    for (int i = 0; i < 3; i++)
        MP_WITH_LOCK(lock)
        {
            runs++;
            if (i == 1)
                break;
        }
    ck_assert_int_eq(runs, 3);
    ck_assert(!mp_lock_locked(lock));
    MP_WITH_LOCK(lock)
    MP_WITH_LOCK(lock) /* it is no RLock */
    runs = -1;
    ck_assert_int_eq(runs, 3);
    ck_assert(!mp_lock_locked(lock));
}
END_TEST

int main(void)
{
    const TTest *const tests[] = {increments_are_not_lost,
                                  type_codes_and_structs,
                                  a_given_lock,
                                  a_writer_dies,
                                  value_travels_as_a_reference,
                                  array_items,
                                  slices,
                                  array_slices_and_text,
                                  block_by_name,
                                  names_and_sizes,
                                  damaged_and_strange_files,
                                  blocks_of_the_dead,
                                  a_forked_child_keeps_the_block,
                                  kept_blocks_and_taken_over_names,
                                  another_user,
                                  list_of_all_types,
                                  damaged_lists,
                                  manager_unlinks_all,
                                  scopes,
                                  NULL};
    return suite_run_with(setup, "memory", tests, 60);
}
