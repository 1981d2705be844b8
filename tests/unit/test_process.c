/* Processes, started in three ways. Each test runs with each method. */
#include "process_kit.h"

/* ---- targets -------------------------------------------------------------------------------- */

MP_TARGET(calls_exit, order_t)
{
    exit(self->number);
}

MP_TARGET(dies_of, order_t)
{
    kill(getpid(), self->number);
    return 0;
}

MP_TARGET(slow, order_t)
{
    usleep(100000);
    FILE *file = fopen(self->path, "w");
    if (!file)
        return 1;
    fprintf(file, "done");
    fclose(file);
    return 0;
}

/* As hard to end as can be. */
MP_TARGET(spins_deaf, order_t)
{
    sigset_t all;
    sigfillset(&all);
    sigprocmask(SIG_BLOCK, &all, NULL);
    FILE *file = fopen(self->path, "w");
    fprintf(file, "%d", (int)getpid());
    fclose(file);
    set_event(&self->event);
    for (;;)
        continue;
    return 0;
}

MP_TARGET(writes, order_t)
{
    printf("%d\n", self->number);
    return 0;
}

MP_TARGET(looks_around, order_t)
{
    const mp_process_t *me = mp_process_current();
    mp_process_t *parent = mp_process_parent();
    sigset_t mask;
    sigprocmask(SIG_SETMASK, NULL, &mask);
    struct sigaction term;
    sigaction(SIGTERM, NULL, &term);
    if (strcmp(mp_process_name(me), "the child") != 0 || mp_process_pid(me) != getpid() ||
        !mp_process_daemon(me))
        return 1;
    if (!parent || mp_process_pid(parent) != self->number || !mp_process_is_alive(parent) ||
        strcmp(mp_process_name(parent), "MainProcess") != 0 ||
        mp_process_join(parent, 10) != MP_ETIMEDOUT)
        return 2;
    if (mp_process_join(mp_process_current(), 0) != MP_EDEADLOCK)
        return 3;
    if (sigismember(&mask, SIGTERM) || term.sa_handler != SIG_DFL)
        return 4;
    char byte;
    if (read(STDIN_FILENO, &byte, 1) != 0)
        return 5;
    return 0;
}

/* 0, 1, 2 and the lifeline. */
MP_TARGET(counts_descriptors, order_t)
{
    return count_descriptors() - self->number;
}

MP_TARGET(starts_a_grandchild, order_t)
{
    order_t order = {.number = 5};
    mp_process_t *child = NULL;
    int code = -1;
    mp_process_options_t options = {
        .registered = &returns, .item = &order, .method = (mp_method_t)self->number};
    if (mp_process_new(&options, &child) != MP_OK || mp_process_start(child) != MP_OK ||
        mp_process_join(child, LONG_MS) != MP_OK || mp_process_exitcode(child, &code) != MP_OK)
        return 1;
    char name[64];
    snprintf(name, sizeof name, "%s:1", mp_process_name(mp_process_current()));
    bool named = strcmp(mp_process_name(child), name) == 0;
    mp_process_destroy(&child);
    return code == 5 && named ? 0 : 2;
}

MP_TARGET(leaves_a_grandchild, order_t)
{
    order_t order = *self;
    mp_process_t *child = NULL;
    mp_process_options_t options = {
        .registered = &spins_deaf, .item = &order, .method = (mp_method_t)self->number};
    if (mp_process_new(&options, &child) != MP_OK || mp_process_start(child) != MP_OK)
        return 1;
    for (;;)
        pause();
    return 0;
}

/* At its exit: a daemon that would stay for ever, and one that must be waited for. */
MP_TARGET(exits_with_children, order_t)
{
    order_t order = *self;
    mp_process_t *stays_for_ever = NULL;
    mp_process_t *finishes = NULL;
    mp_process_options_t daemon = {.registered = &stays, .item = &order, .daemon = 1};
    mp_process_options_t other = {.registered = &slow, .item = &order, .daemon = -1};
    if (mp_process_new(&daemon, &stays_for_ever) != MP_OK ||
        mp_process_start(stays_for_ever) != MP_OK || mp_process_new(&other, &finishes) != MP_OK ||
        mp_process_start(finishes) != MP_OK)
        return 1;
    mp_process_destroy(&stays_for_ever); /* the handles; both run on */
    mp_process_destroy(&finishes);
    if (self->number == 2) /* as a program ends */
        exit(0);
    return 0;
}

/* At its exit: one that is no daemon and never ends; the exit's limit ends it. */
MP_TARGET(exits_with_a_limit, order_t)
{
    order_t order = *self;
    mp_process_t *child = NULL;
    mp_process_options_t options = {.registered = &stays, .item = &order, .daemon = -1};
    mp_set_exit_join_ms(50);
    if (mp_process_new(&options, &child) != MP_OK || mp_process_start(child) != MP_OK)
        return 1;
    mp_process_destroy(&child);
    return 0;
}

MP_TARGET(logs, order_t)
{
    order_t order = {.number = 3};
    mp_process_t *child = NULL;
    int code = 0;
    mp_process_options_t options = {.registered = &returns, .item = &order, .name = "inner"};
    if (mp_process_new(&options, &child) != MP_OK || mp_process_start(child) != MP_OK ||
        mp_process_join(child, LONG_MS) != MP_OK || mp_process_exitcode(child, &code) != MP_OK)
        return 1;
    mp_process_destroy(&child);
    return code != 3;
}

/* ---- tests ---------------------------------------------------------------------------------- */

START_TEST(ends_with_what_it_returns)
{
    mp_method_t method = methods[_i];
    order_t order = {.number = 42};
    mp_process_t *process = process_of(&returns, &order, method);
    int code = 0;
    ck_assert_int_eq(mp_process_pid(process), 0);
    ck_assert_int_eq(mp_process_sentinel(process), -1);
    ck_assert_int_eq(mp_process_exitcode(process, &code), MP_EBUSY);
    ck_assert_int_eq(mp_process_join(process, 0), MP_ESTATE);
    ck_assert_int_eq(mp_process_terminate(process), MP_ESTATE);
    ck_assert(!mp_process_is_alive(process));
    ck_assert_int_eq(mp_process_start(process), MP_OK);
    ck_assert_int_eq(mp_process_start(process), MP_ESTATE);
    ck_assert_int_gt(mp_process_pid(process), 0);
    struct pollfd sentinel = {mp_process_sentinel(process), POLLIN, 0};
    ck_assert_int_eq(poll(&sentinel, 1, LONG_MS), 1);
    ck_assert_int_eq(mp_process_join(process, 0), MP_OK);
    ck_assert_int_eq(mp_process_join(process, 0), MP_OK);
    ck_assert_int_eq(mp_process_terminate(process), MP_OK);
    ck_assert_int_eq(ended(&process), 42);

    process = started(&calls_exit, &order, method);
    ck_assert_int_eq(ended(&process), 42);
    order.number = -1;
    process = started(&returns, &order, method);
    ck_assert_int_eq(ended(&process), 255);
    order.number = SIGABRT;
    process = started(&dies_of, &order, method);
    ck_assert_int_eq(ended(&process), -SIGABRT);
}
END_TEST

START_TEST(signals_end_it)
{
    static mp_rc_t (*const ways[])(mp_process_t *) = {mp_process_terminate, mp_process_kill,
                                                      mp_process_interrupt};
    static const int codes[] = {-SIGTERM, -SIGKILL, -SIGINT};
    mp_event_t *event = NULL;
    order_t order = with_event(&event);
    /* What this process blocks and handles is no matter of its children. */
    sigset_t term;
    sigemptyset(&term);
    sigaddset(&term, SIGTERM);
    sigprocmask(SIG_BLOCK, &term, NULL);
    (void)signal(SIGINT, SIG_IGN);
    for (int i = 0; i < 3; i++) {
        mp_event_clear(event);
        mp_process_t *process = started(&stays, &order, methods[_i]);
        ck_assert_int_eq(mp_event_wait(event, LONG_MS), MP_OK);
        ck_assert_int_eq(mp_process_join(process, 0), MP_ETIMEDOUT);
        ck_assert_int_eq(mp_process_join(process, 20), MP_ETIMEDOUT);
        ck_assert(mp_process_is_alive(process));
        ck_assert_int_eq(ways[i](process), MP_OK);
        ck_assert_int_eq(ended(&process), codes[i]);
    }
    mp_event_destroy(&event);
}
END_TEST

START_TEST(child_knows_who_it_is)
{
    order_t order = {.number = getpid()};
    mp_process_t *process = NULL;
    mp_process_options_t options = {.registered = &looks_around,
                                    .item = &order,
                                    .name = "another name",
                                    .daemon = 1,
                                    .method = methods[_i]};
    ck_assert_ptr_null(mp_process_parent());
    ck_assert_str_eq(mp_process_name(mp_process_current()), "MainProcess");
    ck_assert_int_eq(mp_process_new(&options, &process), MP_OK);
    ck_assert_int_eq(mp_process_set_name(process, "the child"), MP_OK);
    ck_assert(mp_process_daemon(process));
    ck_assert_int_eq(mp_process_start(process), MP_OK);
    ck_assert_int_eq(mp_process_set_name(process, "late"), MP_ESTATE);
    ck_assert_int_eq(mp_process_set_daemon(process, false), MP_ESTATE);
    ck_assert_int_eq(ended(&process), 0);
}
END_TEST

START_TEST(grandchildren)
{
    for (int i = 0; i < METHODS; i++) {
        order_t order = {.number = methods[i]};
        mp_process_t *process = started(&starts_a_grandchild, &order, methods[_i]);
        ck_assert_int_eq(ended(&process), 0);
    }
}
END_TEST

START_TEST(output_comes_once)
{
    char path[] = "/tmp/mp-output-XXXXXX";
    char text[256] = "";
    int file = mkstemp(path);
    fflush(stdout);
    int before = dup(STDOUT_FILENO);
    dup2(file, STDOUT_FILENO);
    setvbuf(stdout, NULL, _IOFBF, 4096);
    printf("first\n"); /* in the buffer at the start */
    order_t order = {.number = 2};
    mp_process_t *process = started(&writes, &order, methods[_i]);
    ck_assert_int_eq(ended(&process), 0);
    printf("third\n");
    fflush(stdout);
    dup2(before, STDOUT_FILENO);
    ck_assert_int_gt(pread(file, text, sizeof text - 1, 0), 0);
    ck_assert_str_eq(text, "first\n2\nthird\n");
    close(file);
    close(before);
    unlink(path);
}
END_TEST

START_TEST(no_stranger_s_descriptors)
{
    order_t order = {.number = 4};
    for (int i = 0; i < 20; i++)
        ck_assert_int_ge(open("/dev/null", O_RDONLY), 0);
    if (methods[_i] == MP_FORK)
        return; /* it has its parent's */
    mp_process_t *process = started(&counts_descriptors, &order, methods[_i]);
    ck_assert_int_eq(ended(&process), 0);
}
END_TEST

START_TEST(two_hundred_leave_nothing)
{
    enum { COUNT = 200, AT_ONCE = 20 };
    mp_process_t *processes[AT_ONCE];
    order_t order = {.number = 3};
    mp_process_t *warm = started(&returns, &order, methods[_i]);
    (void)ended(&warm);
    int before = count_descriptors();
    for (int i = 0; i < COUNT / AT_ONCE; i++) {
        for (int j = 0; j < AT_ONCE; j++)
            processes[j] = started(&returns, &order, methods[_i]);
        for (int j = 0; j < AT_ONCE; j++)
            ck_assert_int_eq(ended(&processes[j]), 3);
    }
    ck_assert_int_eq(count_descriptors(), before);
    ck_assert_uint_eq(mp_active_children(NULL, 0), 0);
}
END_TEST

START_TEST(active_children)
{
    mp_event_t *event = NULL;
    mp_process_t *found[5] = {0};
    order_t order = with_event(&event);
    mp_process_t *lives = started(&stays, &order, methods[_i]);
    mp_process_t *dies = started(&returns, &order, methods[_i]);
    ck_assert_int_eq(mp_process_join(dies, LONG_MS), MP_OK);
    ck_assert_uint_eq(mp_active_children(found, 5), 1);
    ck_assert_ptr_eq(found[0], lives);
    mp_process_destroy(&lives); /* it runs on */
    ck_assert_int_eq(mp_process_kill(found[0]), MP_OK);
    ck_assert_int_eq(ended(&found[0]), -SIGKILL);
    ck_assert_uint_eq(mp_active_children(found, 5), 0);
    mp_process_destroy(&dies);
    mp_event_destroy(&event);
}
END_TEST

static void *starts_and_ends(void *arg)
{
    const order_t *order = arg;
    mp_process_t *process = started(&stays, order, (mp_method_t)order->number);
    mp_process_destroy(&process);
    return NULL;
}

/* Everybody who is ready, nobody else; signals don't end it. */
START_TEST(waits_for_several)
{
    mp_event_t *event = NULL;
    int pipes[2];
    size_t count = 0;
    order_t order = with_event(&event);
    ck_assert_int_eq(pipe(pipes), 0);
    mp_process_t *fresh = process_of(&returns, &order, methods[_i]);
    mp_process_t *lives = started(&stays, &order, methods[_i]);
    mp_process_t *dies = started(&returns, &order, methods[_i]);
    mp_waitable_t things[] = {{.process = lives}, {.process = dies}, {.fd = pipes[0]}};
    ck_assert_int_eq(mp_wait(things, 3, LONG_MS, &count), MP_OK);
    ck_assert(!things[0].ready && things[1].ready && !things[2].ready);
    ck_assert_uint_eq(count, 1);
    ck_assert_int_eq(write(pipes[1], "x", 1), 1);
    ck_assert_int_eq(mp_wait(things, 3, LONG_MS, &count), MP_OK);
    ck_assert_uint_eq(count, 2);
    ck_assert(!things[0].ready && things[1].ready && things[2].ready);
    ck_assert_int_eq(mp_process_kill(lives), MP_OK);
    ck_assert_int_eq(mp_wait(things, 1, LONG_MS, NULL), MP_OK);
    ck_assert_int_eq(ended(&lives), -SIGKILL);
    ck_assert_int_eq(ended(&dies), 0);
    things[0] = (mp_waitable_t){.process = fresh};
    ck_assert_int_eq(mp_wait(things, 1, 0, NULL), MP_ESTATE);
    things[0] = (mp_waitable_t){.fd = -1};
    ck_assert_int_eq(mp_wait(things, 1, 0, NULL), MP_EINVAL);
    close(pipes[1]);
    things[0] = (mp_waitable_t){.fd = pipes[1]};
    ck_assert_int_eq(mp_wait(things, 1, 0, NULL), MP_EINVAL);
    ck_assert_int_eq(mp_wait(NULL, 0, 20, &count), MP_ETIMEDOUT);
    close(pipes[0]);
    mp_process_destroy(&fresh);
    mp_event_destroy(&event);
}
END_TEST

/* Not tied to the thread that started it. */
START_TEST(outlives_the_thread_that_started_it)
{
    mp_event_t *event = NULL;
    mp_process_t *found = NULL;
    pthread_t thread;
    order_t order = with_event(&event);
    order.number = methods[_i];
    pthread_create(&thread, NULL, starts_and_ends, &order);
    pthread_join(thread, NULL);
    ck_assert_int_eq(mp_event_wait(event, LONG_MS), MP_OK);
    ck_assert_uint_eq(mp_active_children(&found, 1), 1);
    ck_assert_int_eq(mp_process_join(found, SOON_MS), MP_ETIMEDOUT);
    ck_assert_int_eq(mp_process_kill(found), MP_OK);
    ck_assert_int_eq(ended(&found), -SIGKILL);
    mp_event_destroy(&event);
}
END_TEST

/* A parent (started by fork), its child by the method: deaf to all signals. Then kill -9. */
START_TEST(child_dies_with_its_killed_parent)
{
    mp_event_t *event = NULL;
    int pid = 0;
    order_t order = with_event(&event);
    order.number = methods[_i];
    snprintf(order.path, sizeof order.path, "/tmp/mp-process-%d", (int)getpid());
    mp_process_t *parent = started(&leaves_a_grandchild, &order, MP_FORK);
    ck_assert_int_eq(mp_event_wait(event, LONG_MS), MP_OK);
    FILE *file = fopen(order.path, "r");
    ck_assert_ptr_nonnull(file);
    ck_assert_int_eq(fscanf(file, "%d", &pid), 1);
    fclose(file);
    unlink(order.path);
    ck_assert(!is_gone(pid));
    ck_assert_int_eq(mp_process_kill(parent), MP_OK);
    ck_assert_int_eq(ended(&parent), -SIGKILL);
    until_gone(pid);
    mp_event_destroy(&event);
}
END_TEST

START_TEST(children_at_exit)
{
    mp_event_t *event = NULL;
    for (int way = 1; way <= 2; way++) {
        order_t order = with_event(&event);
        order.number = way;
        snprintf(order.path, sizeof order.path, "/tmp/mp-process-%d", (int)getpid());
        mp_process_t *process = started(&exits_with_children, &order, methods[_i]);
        ck_assert_int_eq(ended(&process), 0);
        ck_assert_int_eq(unlink(order.path), 0); /* that child had all its time */
        mp_event_destroy(&event);
    }
    order_t order = with_event(&event);
    mp_process_t *process = started(&exits_with_a_limit, &order, methods[_i]);
    ck_assert_int_eq(ended(&process), 0);
    mp_event_destroy(&event);
}
END_TEST

static void read_file(int file, char *text, size_t size)
{
    ssize_t length = pread(file, text, size - 1, 0);
    ck_assert_int_ge(length, 0);
    text[length] = 0;
}

START_TEST(log_lines_of_children)
{
    char path[] = "/tmp/mp-log-XXXXXX";
    char text[4096];
    order_t order = {0};
    int file = mkstemp(path);
    int before = dup(STDERR_FILENO);
    unlink(path);
    dup2(file, STDERR_FILENO);
    mp_process_t *silent = started(&logs, &order, methods[_i]);
    int code = ended(&silent);
    read_file(file, text, sizeof text);
    ck_assert_int_eq(code, 0);
    ck_assert_str_eq(text, ""); /* unless asked for */
    mp_log_to_stderr(MP_LOG_INFO);
    mp_process_t *heard = started(&logs, &order, methods[_i]);
    code = ended(&heard);
    dup2(before, STDERR_FILENO);
    read_file(file, text, sizeof text);
    ck_assert_int_eq(code, 0);
    ck_assert_ptr_nonnull(strstr(text, "[info/MainProcess] started 'Process-2' by "));
    ck_assert_ptr_nonnull(strstr(text, "[info/Process-2] 'inner' ended with 3\n"));
    ck_assert_ptr_nonnull(strstr(text, "[info/inner] begins, process "));
    close(file);
    close(before);
}
END_TEST

int main(int argc, char **argv)
{
    MP_MAIN(argc, argv);
    const TTest *const each[] = {ends_with_what_it_returns,
                                 signals_end_it,
                                 child_knows_who_it_is,
                                 grandchildren,
                                 output_comes_once,
                                 no_stranger_s_descriptors,
                                 two_hundred_leave_nothing,
                                 active_children,
                                 waits_for_several,
                                 outlives_the_thread_that_started_it,
                                 child_dies_with_its_killed_parent,
                                 children_at_exit,
                                 log_lines_of_children,
                                 NULL};
    const TTest *const once[] = {NULL};
    return suite_run_each(NULL, "process", each, METHODS, once, 60);
}
