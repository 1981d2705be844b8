/* test_manager_life: managers that start, end, die, stop, come back, and are asked for what they
 * don't give. Usage: test_manager_life lane|ipc|tcp */
#include "far_manager.h"

#include <sys/eventfd.h>

enum { WAITS = 6 };

static struct board {
    _Atomic int step;
    _Atomic int ready;
    _Atomic pid_t pid;
    char address[128];
} * board;

static void set_up(void)
{
    board = shared(sizeof *board);
}

static bool lives(pid_t pid)
{
    char path[64], state = 'X';
    snprintf(path, sizeof path, "/proc/%d/stat", (int)pid);
    FILE *file = fopen(path, "r");
    if (!file)
        return false;
    if (fscanf(file, "%*d (%*[^)]) %c", &state) != 1)
        state = 'X';
    fclose(file);
    return state != 'Z' && state != 'X';
}

static bool is_lost(mp_rc_t rc)
{
    return rc == MP_EPEERLOST || rc == MP_ECONNECT;
}

/* ---- a manager that dies -----------------------------------------------------------------------
 */

typedef struct scene {
    mp_object_t *lock, *queue, *event, *dict, *barrier;
    int which;
} scene_t;

static mp_rc_t wait_for_ever(const scene_t *self)
{
    uint64_t version = stat_of(self->dict).version;
    mp_tree_t *out = NULL;
    atomic_fetch_add(&board->ready, 1);
    switch (self->which) {
    case 0:
        return mp_managed_lock_acquire(self->lock, NULL, -1);
    case 1:
        return mp_managed_queue_get(self->queue, &out, -1);
    case 2:
        return mp_managed_event_wait(self->event, -1);
    case 3:
        return mp_object_watch(self->dict, &version, -1);
    case 4:
        return mp_managed_barrier_wait(self->barrier, NULL, -1);
    default:
        return mp_dict_wait(self->dict, MP_K("x"), &out, -1);
    }
}

static void wait_until_it_dies(void *arg)
{
    const scene_t *self = arg;
    mp_rc_t rc = wait_for_ever(self);
    ck_assert_msg(is_lost(rc), "%d: %s", self->which, mp_errname(rc));
    rc = mp_dict_set(self->dict, MP_K("y"), MP_V(1), 0);
    ck_assert_msg(is_lost(rc), "%s", mp_errname(rc));
    rc = mp_dict_set(self->dict, MP_K("y"), MP_V(1), -1);
    ck_assert_msg(is_lost(rc), "%s", mp_errname(rc));
}

static uint32_t waiters(const scene_t *self)
{
    return stat_of(self->lock).waiters + stat_of(self->queue).waiters +
           stat_of(self->event).waiters + stat_of(self->dict).waiters +
           stat_of(self->barrier).waiters;
}

START_TEST(a_killed_managers_clients_are_told)
{
    mp_manager_t *manager = new_manager((mp_manager_options_t){0});
    scene_t scene = {.lock = NULL}, scenes[WAITS];
    far_one_t others[WAITS];
    OK(mp_manager_lock(manager, NULL, &scene.lock));
    OK(mp_manager_queue(manager, NULL, 0, &scene.queue));
    OK(mp_manager_event(manager, NULL, &scene.event));
    OK(mp_manager_dict(manager, NULL, &scene.dict));
    OK(mp_manager_barrier(manager, NULL, 2, &scene.barrier));
    OK(mp_managed_lock_acquire(scene.lock, NULL, LONG_MS));
    for (int i = 0; i < WAITS; i++) {
        scenes[i] = scene;
        scenes[i].which = i;
        far_start(&others[i], wait_until_it_dies, &scenes[i]);
    }
    UNTIL(waiters(&scene) == WAITS);
    int64_t begin = now_ms();
    if (_i % 2)
        ck_assert_int_eq(kill(mp_manager_pid(manager), SIGKILL), 0);
    else
        OK(mp_manager_shutdown(manager, LONG_MS));
    for (int i = 0; i < WAITS; i++)
        far_join(&others[i]);
    ck_assert_int_lt(now_ms() - begin, 40000);
    ck_assert(is_lost(mp_managed_lock_release(scene.lock, 100)));
    mp_object_destroy(&scene.lock);
    mp_object_destroy(&scene.queue);
    mp_object_destroy(&scene.event);
    mp_manager_destroy(&manager);
    mp_object_destroy(&scene.dict);
    mp_object_destroy(&scene.barrier);
}
END_TEST

/* ---- a manager that is stopped -----------------------------------------------------------------
 */

START_TEST(a_stopped_manager_takes_back_what_nobody_waited_for)
{
    mp_manager_t *manager = new_manager((mp_manager_options_t){0});
    mp_object_t *lock = new_object(manager, MP_OBJECT_LOCK);
    mp_object_t *semaphore = new_object(manager, MP_OBJECT_SEMAPHORE);
    mp_object_t *queue = new_object(manager, MP_OBJECT_QUEUE);
    mp_tree_t *out = NULL;
    bool is = true;
    int status;
    pid_t pid = mp_manager_pid(manager);
    OK(mp_managed_queue_put(queue, MP_V(7), LONG_MS));
    ck_assert_int_eq(kill(pid, SIGSTOP), 0);
    ck_assert_int_eq(waitpid(pid, &status, WUNTRACED), pid);
    int64_t begin = now_ms();
    IS(mp_managed_lock_acquire(lock, NULL, 100), MP_ETIMEDOUT);
    if (!far_is("tcp")) { /* there it would be lost before long */
        IS(mp_managed_semaphore_acquire(semaphore, 0), MP_ETIMEDOUT);
        IS(mp_managed_queue_get(queue, &out, 0), MP_ETIMEDOUT);
    }
    ck_assert_int_lt(now_ms() - begin, 40000);
    ck_assert_int_eq(kill(pid, SIGCONT), 0);
    OK(mp_managed_lock_locked(lock, &is, LONG_MS));
    UNTIL(mp_managed_lock_locked(lock, &is, LONG_MS) == MP_OK && !is);
    UNTIL(stat_of(semaphore).items == 1);
    OK(mp_managed_lock_acquire(lock, NULL, LONG_MS));
    OK(mp_managed_semaphore_acquire(semaphore, LONG_MS));
    OK(mp_managed_queue_get(queue, &out, LONG_MS));
    is_json(out, "7");
    mp_object_destroy(&lock);
    mp_object_destroy(&semaphore);
    mp_object_destroy(&queue);
    mp_manager_destroy(&manager);
}
END_TEST

/* ---- a manager that comes back -----------------------------------------------------------------
 */

static mp_manager_options_t at(const char *address)
{
    mp_manager_options_t options = {.address = address};
    if (far_is("tcp")) {
        options.key = far_key;
        options.key_bytes = KEY_BYTES;
    }
    return options;
}

static void use_before_and_after(void *arg)
{
    mp_object_t **objects = arg;
    OK(mp_dict_set(objects[0], MP_K("x"), MP_V(1), LONG_MS));
    atomic_store(&board->step, 1);
    UNTIL(atomic_load(&board->step) == 2);
    mp_rc_t rc = mp_dict_set(objects[0], MP_K("y"), MP_V(2), LONG_MS);
    ck_assert_msg(rc == MP_OK || rc == MP_EPEERLOST, "%s", mp_errname(rc));
    OK(mp_dict_set(objects[0], MP_K("y"), MP_V(2), LONG_MS));
    IS(mp_dict_set(objects[1], MP_K("x"), MP_V(1), LONG_MS), MP_ENOTFOUND);
}

START_TEST(names_work_again_at_the_same_address)
{
    char folder[] = "/tmp/mp-life-XXXXXX", address[128];
    mp_manager_t *manager = NULL;
    mp_object_t *objects[2] = {NULL};
    far_one_t other;
    if (far_is("lane"))
        return; /* each manager has an address of its own */
    ck_assert_ptr_nonnull(mkdtemp(folder));
    snprintf(address, sizeof address, "ipc://%s/manager", folder);
    mp_manager_options_t options = at(far_is("tcp") ? "tcp://127.0.0.1:0" : address);
    OK(mp_manager_start(&options, &manager));
    snprintf(address, sizeof address, "%s", mp_manager_address(manager));
    OK(mp_manager_dict(manager, "names", &objects[0]));
    objects[1] = new_object(manager, MP_OBJECT_DICT);
    far_start(&other, use_before_and_after, objects);
    UNTIL(atomic_load(&board->step) == 1);
    kill(mp_manager_pid(manager), SIGKILL);
    mp_manager_destroy(&manager);
    options.address = address;
    OK(mp_manager_start(&options, &manager));
    mp_rc_t rc = mp_dict_set(objects[0], MP_K("z"), MP_V(3), LONG_MS);
    ck_assert_msg(rc == MP_OK || rc == MP_EPEERLOST, "%s", mp_errname(rc));
    OK(mp_dict_set(objects[0], MP_K("z"), MP_V(3), LONG_MS));
    atomic_store(&board->step, 2);
    far_join(&other);
    ck_assert_int_eq(number_at(objects[0], "y"), 2);
    mp_object_destroy(&objects[0]);
    mp_object_destroy(&objects[1]);
    mp_manager_destroy(&manager);
    if (!far_is("tcp"))
        unlink(address + strlen("ipc://"));
    ck_assert_int_eq(rmdir(folder), 0);
}
END_TEST

/* ---- keys --------------------------------------------------------------------------------------
 */

START_TEST(keys_are_asked_for)
{
    char folder[] = "/tmp/mp-life-XXXXXX", address[128];
    mp_manager_t *manager = NULL, *visitor = NULL;
    mp_object_t *dict = NULL;
    if (far_is("lane"))
        return;
    ck_assert_ptr_nonnull(mkdtemp(folder));
    snprintf(address, sizeof address, "ipc://%s/manager", folder);
    mp_manager_options_t options = {
        .address = far_is("tcp") ? "tcp://127.0.0.1:0" : address, .key = "secret", .key_bytes = 6};
    OK(mp_manager_start(&options, &manager));
    const char *there = mp_manager_address(manager);
    IS(mp_manager_connect(there, "wrong", 5, LONG_MS, &visitor), MP_EAUTH);
    IS(mp_manager_connect(there, NULL, 0, LONG_MS, &visitor), MP_EAUTH);
    OK(mp_manager_connect(there, "secret", 6, LONG_MS, &visitor));
    OK(mp_manager_dict(visitor, "x", &dict));
    OK(mp_dict_set(dict, MP_K(1), MP_V(1), LONG_MS));
    mp_object_destroy(&dict);
    mp_manager_destroy(&visitor);
    mp_manager_destroy(&manager);
    ck_assert_int_eq(rmdir(folder), 0);
}
END_TEST

START_TEST(a_manager_without_a_key_has_none_to_prove)
{
    mp_manager_t *manager = NULL, *visitor = NULL;
    if (far_is("tcp"))
        return;
    OK(mp_manager_start(&(mp_manager_options_t){.no_lane = far_is("ipc")}, &manager));
    IS(mp_manager_connect(mp_manager_address(manager), "secret", 6, 2000, &visitor), MP_EAUTH);
    mp_manager_destroy(&manager);
}
END_TEST

/* ---- its process -------------------------------------------------------------------------------
 */

static void start_and_stay(void *arg)
{
    (void)arg;
    mp_manager_t *manager = new_manager((mp_manager_options_t){0});
    atomic_store(&board->pid, mp_manager_pid(manager));
    for (;;)
        pause();
}

START_TEST(it_dies_with_who_started_it)
{
    far_one_t other;
    far_start(&other, start_and_stay, NULL);
    UNTIL(atomic_load(&board->pid));
    ck_assert(lives(board->pid));
    far_kill(&other);
    int64_t begin = now_ms();
    UNTIL(!lives(board->pid));
    ck_assert_int_lt(now_ms() - begin, 2000);
}
END_TEST

static void keep_ready(const char *address, void *arg)
{
    struct board *self = arg;
    snprintf(self->address, sizeof self->address, "%s", address);
    atomic_store(&self->step, 1);
}

static void serve(void *arg)
{
    mp_manager_options_t options = at(far_is("tcp") ? "tcp://127.0.0.1:0" : NULL);
    options.no_lane = far_is("ipc");
    OK(mp_manager_serve(&options, keep_ready, board, *(int *)arg));
    atomic_store(&board->step, 2);
}

START_TEST(any_process_can_be_the_server)
{
    int stop = eventfd(0, EFD_CLOEXEC);
    mp_manager_t *manager = NULL;
    mp_object_t *dict = NULL;
    far_one_t other;
    far_start(&other, serve, &stop);
    UNTIL(atomic_load(&board->step) == 1);
    OK(mp_manager_connect(board->address, far_is("tcp") ? far_key : NULL,
                          far_is("tcp") ? KEY_BYTES : 0, LONG_MS, &manager));
    ck_assert_int_eq(mp_manager_pid(manager), 0);
    IS(mp_manager_shutdown(manager, 0), MP_ESTATE);
    dict = new_object(manager, MP_OBJECT_DICT);
    OK(mp_dict_set(dict, MP_K(1), MP_V(1), LONG_MS));
    ck_assert_int_eq(write(stop, &(uint64_t){1}, 8), 8);
    far_join(&other);
    ck_assert_int_eq(atomic_load(&board->step), 2);
    ck_assert(is_lost(mp_dict_set(dict, MP_K(1), MP_V(1), 0)));
    mp_object_destroy(&dict);
    mp_manager_destroy(&manager);
    close(stop);
}
END_TEST

static int fail_to_start(void *arg)
{
    return *(int *)arg;
}

START_TEST(starting_can_fail)
{
    int one = 1;
    mp_manager_t *manager = NULL, *second = NULL;
    IS(mp_manager_start(&(mp_manager_options_t){.initializer = fail_to_start, .initarg = &one},
                        &manager),
       MP_EFAILED);
    IS(mp_manager_start(&(mp_manager_options_t){.address = "tcp://0.0.0.0:0"}, &manager), MP_EPERM);
    IS(mp_manager_start(&(mp_manager_options_t){.address = "here"}, &manager), MP_EINVAL);
    IS(mp_manager_start(&(mp_manager_options_t){.lease_ms = -1}, &manager), MP_EINVAL);
    IS(mp_manager_start(&(mp_manager_options_t){.key_bytes = 1}, &manager), MP_EINVAL);
    ck_assert_ptr_null(manager);
    mp_manager_options_t options = {
        .address = "tcp://127.0.0.1:0", .key = far_key, .key_bytes = KEY_BYTES};
    OK(mp_manager_start(&options, &manager));
    options.address = mp_manager_address(manager);
    IS(mp_manager_start(&options, &second), MP_EEXIST);
    IS(mp_manager_connect("tcp://127.0.0.1:1", NULL, 0, 2000, &second), MP_ECONNECT);
    IS(mp_manager_connect("nonsense", NULL, 0, 100, &second), MP_EINVAL);
    unsetenv("MP_BROKER");
    IS(mp_manager_connect(NULL, NULL, 0, 100, &second), MP_EINVAL);
    ck_assert_ptr_null(second);
    mp_manager_destroy(&manager);
    mp_manager_destroy(&manager);
}
END_TEST

START_TEST(two_managers_do_not_mix)
{
    mp_manager_t *managers[2];
    mp_object_t *dicts[2], *locks[2], *twin = NULL;
    mp_pipeline_t *pipeline = NULL;
    for (int i = 0; i < 2; i++) {
        managers[i] = new_manager((mp_manager_options_t){0});
        OK(mp_manager_dict(managers[i], "same", &dicts[i]));
        OK(mp_dict_set(dicts[i], MP_K("x"), MP_V(i), LONG_MS));
        locks[i] = new_object(managers[i], MP_OBJECT_LOCK);
    }
    for (int i = 0; i < 2; i++)
        ck_assert_int_eq(number_at(dicts[i], "x"), i);
    OK(mp_managed_lock_acquire(locks[1], NULL, LONG_MS));
    IS(mp_object_guard(dicts[0], locks[1]), MP_EINVAL);
    IS(mp_manager_condition(managers[0], NULL, locks[1], &twin), MP_EINVAL);
    OK(mp_pipeline_new(managers[0], NULL, &pipeline));
    ck_assert_ptr_null(mp_pipeline_object(pipeline, dicts[1]));
    mp_pipeline_destroy(&pipeline);
    /* A reference to another manager's object is only data there. */
    OK(mp_dict_set(dicts[0], MP_K("other"), mp_object_node(dicts[1]), LONG_MS));
    mp_manager_destroy(&managers[0]);
    ck_assert_int_eq(number_at(dicts[1], "x"), 1);
    for (int i = 0; i < 2; i++) {
        mp_object_destroy(&dicts[i]);
        mp_object_destroy(&locks[i]);
        mp_manager_destroy(&managers[i]);
    }
}
END_TEST

START_TEST(ends_may_come_in_any_order)
{
    mp_manager_t *manager = new_manager((mp_manager_options_t){0});
    mp_object_t *dict = new_object(manager, MP_OBJECT_DICT);
    pid_t pid = mp_manager_pid(manager);
    ck_assert(lives(pid));
    if (_i == 0)
        OK(mp_manager_shutdown(manager, LONG_MS));
    if (_i == 0)
        IS(mp_manager_shutdown(manager, LONG_MS), MP_ESTATE);
    if (_i == 1)
        mp_object_destroy(&dict);
    mp_manager_destroy(&manager);
    ck_assert(!lives(pid));
    if (_i == 2)
        ck_assert(is_lost(mp_dict_set(dict, MP_K(1), MP_V(1), 0)));
    mp_object_destroy(&dict);
    mp_object_destroy(&dict);
}
END_TEST

START_TEST(limits_are_kept)
{
    mp_manager_t *manager = new_manager((mp_manager_options_t){.max_bytes = 1 << 20});
    mp_object_t *dict = NULL;
    mp_tree_t *stat = NULL;
    static char bytes[2 << 20];
    OK(mp_manager_object(manager, MP_OBJECT_DICT,
                         &(mp_object_options_t){.max_items = 2, .max_bytes = 10000}, &dict));
    OK(mp_dict_set(dict, MP_K(1), MP_V(1), LONG_MS));
    OK(mp_dict_set(dict, MP_K(2), MP_V(2), LONG_MS));
    IS(mp_dict_set(dict, MP_K(3), MP_V(3), LONG_MS), MP_ELIMIT);
    IS(mp_dict_set_bytes(dict, MP_K(1), bytes, 20000, LONG_MS), MP_ELIMIT);
    ck_assert_uint_eq(stat_of(dict).items, 2);
    mp_object_destroy(&dict);
    dict = new_object(manager, MP_OBJECT_DICT);
    IS(mp_dict_set_bytes(dict, MP_K(1), bytes, sizeof bytes, LONG_MS), MP_ELIMIT);
    OK(mp_manager_stat(manager, &stat, LONG_MS));
    ck_assert_int_eq(mp_tree_int_or(mp_tree_get(stat, "max_bytes"), 0), 1 << 20);
    ck_assert_int_ge(mp_tree_int_or(mp_tree_get(stat, "objects"), 0), 1);
    mp_tree_destroy(&stat);
    mp_object_destroy(&dict);
    mp_manager_destroy(&manager);
}
END_TEST

/* ---- types of our own --------------------------------------------------------------------------
 */

static mp_rc_t make_counter(const mp_tree_t *from, void **self)
{
    int64_t *counter = calloc(1, sizeof *counter);
    if (from && mp_tree_as_int(from, counter)) {
        free(counter);
        return mp_type_fail(MP_EINVAL, "a counter is made from a number");
    }
    *self = counter;
    return counter ? MP_OK : MP_ENOMEM;
}

static mp_rc_t count(void *self, const mp_tree_t *args, mp_tree_t **result)
{
    int64_t *counter = self;
    *counter += mp_tree_int_or(args, 1);
    *result = MP_V(*counter);
    return *result ? MP_OK : MP_ENOMEM;
}

static mp_rc_t refuse(void *self, const mp_tree_t *args, mp_tree_t **result)
{
    (void)self, (void)args, (void)result;
    return mp_type_fail(MP_ESTATE, "it does not %s", mp_tree_str_or(args, "?"));
}

static mp_rc_t shrug(void *self, const mp_tree_t *args, mp_tree_t **result)
{
    (void)self, (void)args, (void)result;
    return MP_EBUSY;
}

static mp_rc_t say_nothing(void *self, const mp_tree_t *args, mp_tree_t **result)
{
    (void)self, (void)args, (void)result;
    return MP_OK;
}

static const mp_method_def_t methods[] = {
    {"count", count}, {"refuse", refuse}, {"say_nothing", say_nothing}, {"shrug", shrug}};
MP_OBJECT_TYPE(counter, .create = make_counter, .destroy = free, .methods = methods,
               .methods_count = 4);

static void count_there(void *arg)
{
    mp_tree_t *out = NULL;
    for (int i = 0; i < 10; i++) {
        OK(mp_object_call(arg, "count", NULL, &out, LONG_MS));
        mp_tree_destroy(&out);
    }
}

START_TEST(types_of_our_own)
{
    mp_manager_t *manager = new_manager((mp_manager_options_t){0});
    mp_object_t *object = NULL;
    mp_object_options_t options = {.custom = "counter", .initial = MP_V(5)};
    mp_tree_t *out = NULL;
    far_one_t other;
    OK(mp_manager_object(manager, MP_OBJECT_CUSTOM, &options, &object));
    far_start(&other, count_there, object);
    far_join(&other);
    OK(mp_object_call(object, "count", MP_V(100), &out, LONG_MS));
    is_json(out, "115");
    OK(mp_object_call(object, "count", NULL, NULL, LONG_MS));
    out = NULL;
    OK(mp_object_call(object, "say_nothing", MP_V(1), &out, LONG_MS));
    ck_assert_ptr_null(out);
    IS(mp_object_call(object, "refuse", MP_V("dance"), &out, LONG_MS), MP_ESTATE);
    ck_assert_ptr_nonnull(strstr(mp_errmsg(), "it does not dance"));
    IS(mp_object_call(object, "shrug", NULL, &out, LONG_MS), MP_EBUSY);
    ck_assert_ptr_nonnull(strstr(mp_errmsg(), "a counter says MP_EBUSY"));
    IS(mp_object_call(object, "unknown", NULL, &out, LONG_MS), MP_ENOTFOUND);
    IS(mp_object_call(object, NULL, MP_V(1), &out, LONG_MS), MP_EINVAL);
    mp_object_destroy(&object);
    options.initial = MP_V("text");
    IS(mp_manager_object(manager, MP_OBJECT_CUSTOM, &options, &object), MP_EINVAL);
    ck_assert_ptr_nonnull(strstr(mp_errmsg(), "made from a number"));
    IS(mp_manager_object(manager, MP_OBJECT_CUSTOM, &(mp_object_options_t){.custom = "none"},
                         &object),
       MP_ENOTFOUND);
    IS(mp_object_type_enter(&(mp_object_type_def_t){.name = "counter"}), MP_EEXIST);
    IS(mp_object_type_enter(&(mp_object_type_def_t){.name = NULL}), MP_EINVAL);
    mp_object_t *dict = new_object(manager, MP_OBJECT_DICT);
    IS(mp_object_call(dict, "count", NULL, &out, LONG_MS), MP_EINVAL);
    mp_object_destroy(&dict);
    mp_manager_destroy(&manager);
}
END_TEST

/* Methods aren't known to change anything, so each is refused. */
START_TEST(a_stale_token_is_refused_for_methods_too)
{
    mp_manager_t *manager = new_manager((mp_manager_options_t){0});
    mp_object_t *object = NULL, *lock = new_object(manager, MP_OBJECT_LOCK);
    mp_object_options_t options = {.custom = "counter", .initial = MP_V(5)};
    mp_tree_t *out = NULL;
    uint64_t stale = 0, token = 0;
    OK(mp_manager_object(manager, MP_OBJECT_CUSTOM, &options, &object));
    OK(mp_managed_lock_acquire(lock, &stale, LONG_MS));
    OK(mp_object_guard(object, lock));
    OK(mp_object_call(object, "count", NULL, &out, LONG_MS));
    is_json(out, "6");
    OK(mp_managed_lock_release(lock, LONG_MS));
    IS(mp_object_call(object, "count", NULL, &out, LONG_MS), MP_ESTALE);
    OK(mp_managed_lock_acquire(lock, &token, LONG_MS));
    ck_assert_uint_gt(token, stale);
    IS(mp_object_call(object, "count", NULL, &out, LONG_MS), MP_ESTALE);
    IS(mp_object_call(object, "say_nothing", NULL, NULL, LONG_MS), MP_ESTALE);
    OK(mp_object_guard_token(object, lock, token));
    OK(mp_object_call(object, "count", NULL, &out, LONG_MS));
    is_json(out, "7"); /* the refused ones were not called */
    OK(mp_object_guard_token(object, lock, stale));
    IS(mp_object_call(object, "count", NULL, &out, LONG_MS), MP_ESTALE);
    mp_object_destroy(&lock);
    mp_object_destroy(&object);
    mp_manager_destroy(&manager);
}
END_TEST

int main(int argc, char **argv)
{
    if (argc == 2)
        far = argv[1];
    const TTest *const each[] = {a_killed_managers_clients_are_told, ends_may_come_in_any_order,
                                 NULL};
    const TTest *const once[] = {a_stopped_manager_takes_back_what_nobody_waited_for,
                                 names_work_again_at_the_same_address,
                                 keys_are_asked_for,
                                 a_manager_without_a_key_has_none_to_prove,
                                 it_dies_with_who_started_it,
                                 any_process_can_be_the_server,
                                 starting_can_fail,
                                 two_managers_do_not_mix,
                                 limits_are_kept,
                                 types_of_our_own,
                                 a_stale_token_is_refused_for_methods_too,
                                 NULL};
    return suite_run_each(set_up, far, each, 3, once, 60);
}
