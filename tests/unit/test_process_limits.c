/* Processes: what is refused, what runs out, the fork server's own life. */
#include "child_kit.h"
#include "process_kit.h"

static atomic_int preloaded;

MP_TARGET(preload, order_t)
{
    atomic_store(&preloaded, 7);
    return 0;
}

MP_TARGET(sees_preload, order_t)
{
    return atomic_load(&preloaded);
}

static int works(void *arg)
{
    int *shared = arg;
    *shared = 42;
    return 0;
}

START_TEST(fork_sees_the_parent_s_memory)
{
    int local = 1;
    int *shared =
        mmap(NULL, sizeof *shared, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    mp_process_t *process = NULL;
    mp_process_options_t options = {.target = works, .arg = shared};
    ck_assert_int_eq(mp_process_new(&options, &process), MP_OK);
    ck_assert_int_eq(mp_process_start(process), MP_OK);
    ck_assert_int_eq(ended(&process), 0);
    ck_assert_int_eq(*shared, 42);
    options.arg = &local;
    ck_assert_int_eq(mp_process_new(&options, &process), MP_OK);
    ck_assert_int_eq(mp_process_start(process), MP_OK);
    ck_assert_int_eq(ended(&process), 0);
    ck_assert_int_eq(local, 1);
}
END_TEST

START_TEST(what_is_refused)
{
    mp_process_t *process = NULL;
    order_t order = {0};
    char long_name[300];
    memset(long_name, 'n', sizeof long_name - 1);
    long_name[sizeof long_name - 1] = 0;
    mp_process_options_t function = {.target = works, .method = MP_SPAWN};
    ck_assert_int_eq(mp_process_new(NULL, &process), MP_EINVAL);
    ck_assert_int_eq(mp_process_new(&(mp_process_options_t){0}, &process), MP_EINVAL);
    ck_assert_int_eq(mp_process_new(&function, &process), MP_EUNPASSABLE);
    function.method = MP_FORKSERVER;
    ck_assert_int_eq(mp_process_new(&function, &process), MP_EUNPASSABLE);
    function.method = (mp_method_t)9;
    ck_assert_int_eq(mp_process_new(&function, &process), MP_EINVAL);
    mp_process_options_t both = {.target = works, .registered = &returns};
    ck_assert_int_eq(mp_process_new(&both, &process), MP_EINVAL);
    mp_process_options_t named = {.registered = &returns, .item = &order, .name = long_name};
    ck_assert_int_eq(mp_process_new(&named, &process), MP_EINVAL);
    static const mp_target_t late = {"late", {"int", 4, 4}, NULL};
    ck_assert_int_eq(mp_target_enter(&late), MP_EINVAL);
    mp_target_t loaded = returns; /* as if a module had brought it */
    loaded.name = "loaded";
    ck_assert_int_eq(mp_target_enter(&loaded), MP_OK);
    mp_process_options_t module = {.registered = &loaded, .item = &order, .method = MP_SPAWN};
    ck_assert_int_eq(mp_process_new(&module, &process), MP_EUNPASSABLE);
    module.method = MP_FORK;
    ck_assert_int_eq(mp_process_new(&module, &process), MP_OK);
    mp_process_destroy(&process);
}
END_TEST

static int uses_the_parent_s_child(void *arg)
{
    mp_process_t *sibling = arg;
    int code;
    return mp_process_join(sibling, 0) == MP_EFORKED &&
                   mp_process_exitcode(sibling, &code) == MP_EFORKED &&
                   mp_process_kill(sibling) == MP_EFORKED &&
                   mp_process_start(sibling) == MP_EFORKED && !mp_process_is_alive(sibling) &&
                   mp_active_children(NULL, 0) == 0
               ? 0
               : 1;
}

START_TEST(a_stranger_s_child)
{
    mp_event_t *event = NULL;
    order_t order = with_event(&event);
    mp_process_t *sibling = started(&stays, &order, MP_FORK);
    mp_process_t *process = NULL;
    mp_process_options_t options = {.target = uses_the_parent_s_child, .arg = sibling};
    ck_assert_int_eq(mp_process_new(&options, &process), MP_OK);
    ck_assert_int_eq(mp_process_start(process), MP_OK);
    ck_assert_int_eq(ended(&process), 0);
    ck_assert_int_eq(mp_process_kill(sibling), MP_OK);
    ck_assert_int_eq(ended(&sibling), -SIGKILL);
    mp_event_destroy(&event);
}
END_TEST

START_TEST(without_descriptors_nothing_is_started)
{
    order_t order = {.number = 1};
    for (int i = 0; i < METHODS; i++) {
        mp_process_t *warm = started(&returns, &order, methods[i]);
        (void)ended(&warm);
    }
    mp_process_t *processes[METHODS];
    mp_rc_t codes[METHODS];
    int filled[100], count = 0;
    for (int i = 0; i < METHODS; i++)
        processes[i] = process_of(&returns, &order, methods[i]);
    setrlimit(RLIMIT_NOFILE, &(struct rlimit){100, 100});
    while ((filled[count] = open("/dev/null", O_RDONLY)) >= 0)
        count++;
    for (int i = 0; i < METHODS; i++)
        codes[i] = mp_process_start(processes[i]);
    while (count > 0)
        close(filled[--count]);
    for (int i = 0; i < METHODS; i++) {
        ck_assert_int_eq(codes[i], MP_ESYSTEM);
        ck_assert_int_eq(mp_process_start(processes[i]), MP_OK); /* nothing was spoilt */
        ck_assert_int_eq(ended(&processes[i]), 1);
    }
}
END_TEST

/* A user may have no more processes: MP_ESYSTEM, and later all is well. */
START_TEST(without_processes_nothing_is_started)
{
    order_t order = {.number = 1};
    if (getuid() != 0)
        return; /* another user is needed, whose number of processes is known */
    ck_assert_int_eq(setresuid(65533, 65533, 65533), 0);
    prctl(PR_SET_DUMPABLE, 1);
    setrlimit(RLIMIT_NPROC, &(struct rlimit){1, 1000});
    mp_process_t *process = process_of(&returns, &order, MP_FORK);
    ck_assert_int_eq(mp_process_start(process), MP_ESYSTEM);
    ck_assert_ptr_nonnull(strstr(mp_errmsg(), "Process-1"));
    ck_assert_uint_eq(mp_active_children(NULL, 0), 0);
    setrlimit(RLIMIT_NPROC, &(struct rlimit){1000, 1000});
    ck_assert_int_eq(mp_process_start(process), MP_OK);
    ck_assert_int_eq(ended(&process), 1);
}
END_TEST

#ifdef MP_SANITIZED
enum { STARTS = 500 };
#else
enum { STARTS = 3000 };
#endif

START_TEST(thousands_of_starts_take_no_memory)
{
    order_t order = {.number = 1};
    long before = 0;
    for (int i = 0; i < STARTS; i++) {
        mp_process_t *process = started(&returns, &order, MP_FORK);
        ck_assert_int_eq(ended(&process), 1);
        if (i == STARTS / 10)
            before = resident_kib();
    }
#ifdef MP_SANITIZED /* which keeps what was freed for a while */
    (void)before;
#else
    ck_assert_int_lt(resident_kib(), before + 1024);
#endif
}
END_TEST

static pid_t server_pid(void)
{
    pid_t found = 0;
    DIR *proc = opendir("/proc");
    const struct dirent *entry;
    while ((entry = readdir(proc)) && !found) {
        char path[300], text[512] = "";
        int ppid = 0;
        snprintf(path, sizeof path, "/proc/%s/stat", entry->d_name);
        FILE *file = fopen(path, "r");
        if (!file)
            continue;
        if (fgets(text, sizeof text, file) && strstr(text, "(mp-forkserver)") &&
            sscanf(strrchr(text, ')') + 1, " %*c %d", &ppid) == 1 && ppid == getpid())
            found = atoi(entry->d_name);
        fclose(file);
    }
    closedir(proc);
    return found;
}

/* A child that finds the library usable, whatever other threads did when it was forked. */
MP_TARGET(uses_everything, order_t)
{
    mp_value_t *value = NULL;
    mp_lock_t *lock = NULL;
    mp_process_t *child = NULL;
    order_t order = {.number = 4};
    int code = 0;
    mp_process_options_t options = {.registered = &returns, .item = &order};
    if (mp_value_new('i', NULL, NULL, &value) != MP_OK || mp_value_add(value, 1, NULL) != MP_OK ||
        mp_lock_new(&lock) != MP_OK || mp_lock_acquire(lock, 0) != MP_OK ||
        mp_lock_release(lock) != MP_OK)
        return 1;
    if (self->number &&
        (mp_process_new(&options, &child) != MP_OK || mp_process_start(child) != MP_OK ||
         mp_process_join(child, LONG_MS) != MP_OK || mp_process_exitcode(child, &code) != MP_OK ||
         code != 4))
        return 2;
    mp_process_destroy(&child);
    mp_lock_destroy(&lock);
    mp_value_destroy(&value);
    return 0;
}

static atomic_bool done;

static void *churns(void *arg)
{
    while (!atomic_load(&done)) {
        mp_value_t *value = NULL;
        ck_assert_int_eq(mp_value_new('d', NULL, NULL, &value), MP_OK);
        mp_value_destroy(&value);
        (void)mp_active_children(NULL, 0);
    }
    return arg;
}

static void *starts_many(void *arg)
{
    mp_method_t method = methods[*(int *)arg];
    for (int i = 0; i < (method == MP_SPAWN ? 10 : 40); i++) {
        order_t order = {.number = i % 4 == 0};
        mp_process_t *process = started(&uses_everything, &order, method);
        ck_assert_int_eq(ended(&process), 0);
    }
    return NULL;
}

START_TEST(threads_start_processes)
{
    static int numbers[] = {0, 1, 2, 0};
    pthread_t starters[4];
    pthread_t busy[2];
    for (int i = 0; i < 2; i++)
        pthread_create(&busy[i], NULL, churns, NULL);
    for (int i = 0; i < 4; i++)
        pthread_create(&starters[i], NULL, starts_many, &numbers[i]);
    for (int i = 0; i < 4; i++)
        pthread_join(starters[i], NULL);
    atomic_store(&done, true);
    for (int i = 0; i < 2; i++)
        pthread_join(busy[i], NULL);
    ck_assert_uint_eq(mp_active_children(NULL, 0), 0);
}
END_TEST

START_TEST(fork_server_is_killed)
{
    mp_event_t *event = NULL;
    order_t order = with_event(&event);
    mp_process_t *lives = started(&stays, &order, MP_FORKSERVER);
    ck_assert_int_eq(mp_event_wait(event, LONG_MS), MP_OK);
    pid_t server = server_pid();
    ck_assert_int_gt(server, 0);
    ck_assert_int_eq(kill(server, SIGKILL), 0);
    order.number = 9;
    mp_process_t *next = started(&returns, &order, MP_FORKSERVER);
    ck_assert_int_eq(ended(&next), 9);
    ck_assert(mp_process_is_alive(lives));
    pid_t pid = mp_process_pid(lives);
    ck_assert_int_eq(mp_process_kill(lives), MP_OK);
    ck_assert_int_eq(ended(&lives), 255); /* who could have told is gone */
    until_gone(pid);
    mp_event_destroy(&event);
}
END_TEST

START_TEST(fork_server_preloads)
{
    order_t order = {0};
    ck_assert_int_eq(mp_set_forkserver_preload(&preload), MP_OK);
    for (int i = 0; i < 2; i++) {
        mp_process_t *process = started(&sees_preload, &order, MP_FORKSERVER);
        ck_assert_int_eq(ended(&process), 7);
    }
    ck_assert_int_eq(atomic_load(&preloaded), 0);
}
END_TEST

START_TEST(start_methods)
{
    ck_assert_int_eq(mp_get_start_method(), MP_FORK);
    ck_assert_int_eq(mp_set_start_method(MP_SPAWN, false), MP_OK);
    ck_assert_int_eq(mp_set_start_method(MP_FORK, false), MP_ESTATE);
    ck_assert_int_eq(mp_set_start_method(MP_METHOD_DEFAULT, true), MP_EINVAL);
    mp_process_t *process = NULL;
    mp_process_options_t options = {.target = works};
    ck_assert_int_eq(mp_process_new(&options, &process), MP_EUNPASSABLE);
    static const mp_context_t forking = {MP_FORK};
    options.context = &forking;
    ck_assert_int_eq(mp_process_new(&options, &process), MP_OK);
    mp_process_destroy(&process);
    ck_assert_int_eq(mp_set_start_method(MP_FORKSERVER, true), MP_OK);
    ck_assert_str_eq(mp_method_name(mp_get_start_method()), "forkserver");
    ck_assert_ptr_null(mp_method_name(MP_METHOD_DEFAULT));
    ck_assert_int_ge(mp_machine_cpu_count(), mp_cpu_count());
}
END_TEST

int main(int argc, char **argv)
{
    MP_MAIN(argc, argv);
    const TTest *const tests[] = {fork_sees_the_parent_s_memory,
                                  what_is_refused,
                                  a_stranger_s_child,
                                  without_descriptors_nothing_is_started,
                                  without_processes_nothing_is_started,
                                  thousands_of_starts_take_no_memory,
                                  threads_start_processes,
                                  fork_server_is_killed,
                                  fork_server_preloads,
                                  start_methods,
                                  NULL};
    return suite_run("process_limits", tests, 110);
}
