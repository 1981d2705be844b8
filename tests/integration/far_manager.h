/* far_manager.h: managers as the tests of each way to reach them make and use them (far.h).
 *
 *     broker  an mp-broker at an ipc address, started by the test; MP_BROKER_BIN says where it is
 */
#ifndef FAR_MANAGER_H
#define FAR_MANAGER_H

#include "far.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <stdatomic.h>
#include <sys/prctl.h>

static char far_broker[128];
static pid_t far_broker_pid;

/* Wait until it is true; 20 s at most. */
#define UNTIL(condition)                                                                           \
    do {                                                                                           \
        int64_t until_ = now_ms() + LONG_MS;                                                       \
        while (!(condition)) {                                                                     \
            ck_assert_msg(now_ms() < until_, "waited in vain for " #condition);                    \
            nanosleep(&(struct timespec){.tv_nsec = 2000000}, NULL);                               \
        }                                                                                          \
    } while (0)

/* ---- managers ------------------------------------------------------------------------------- */

static inline mp_manager_t *new_manager(mp_manager_options_t options)
{
    mp_manager_t *manager = NULL;
    if (far_is("broker")) {
        OK(mp_manager_connect(far_broker, NULL, 0, LONG_MS, &manager));
        return manager;
    }
    options.no_lane = far_is("ipc");
    if (far_is("tcp")) {
        options.address = "tcp://127.0.0.1:0";
        options.key = far_key;
        options.key_bytes = KEY_BYTES;
    }
    OK(mp_manager_start(&options, &manager));
    return manager;
}

/* A broker doesn't take a test's options, and isn't to be killed by it. */
static inline bool is_ours(void)
{
    return !far_is("broker");
}

static inline mp_object_t *new_object(mp_manager_t *manager, mp_object_type_t type)
{
    mp_object_t *object = NULL;
    OK(mp_manager_object(manager, type, NULL, &object));
    return object;
}

static inline mp_object_stat_t stat_of(mp_object_t *object)
{
    mp_object_stat_t stat;
    OK(mp_object_stat(object, &stat, LONG_MS));
    return stat;
}

/* What mp_manager_objects says of one; a copy. NULL: nothing. */
static inline mp_tree_t *seen(mp_manager_t *manager, uint64_t id)
{
    mp_tree_t *all = NULL, *found = NULL;
    OK(mp_manager_objects(manager, &all, LONG_MS));
    for (ptrdiff_t i = 0; i < (ptrdiff_t)mp_tree_len(all); i++)
        if (mp_tree_int_or(mp_tree_get(mp_tree_at(all, i), "id"), 0) == (int64_t)id)
            found = mp_tree_copy(mp_tree_at(all, i));
    mp_tree_destroy(&all);
    return found;
}

static inline bool is_seen(mp_manager_t *manager, uint64_t id)
{
    mp_tree_t *found = seen(manager, id);
    bool is = found != NULL;
    mp_tree_destroy(&found);
    return is;
}

/* ---- values ---------------------------------------------------------------------------------- */

/* The tree as JSON; it is destroyed. */
static inline void is_json(mp_tree_t *tree, const char *json)
{
    char *text = NULL;
    OK(mp_tree_to_json(tree, 0, &text));
    ck_assert_str_eq(text, json);
    free(text);
    mp_tree_destroy(&tree);
}

static inline int64_t is_int(mp_tree_t *tree)
{
    int64_t number = 0;
    OK(mp_tree_as_int(tree, &number));
    mp_tree_destroy(&tree);
    return number;
}

static inline int64_t number_at(mp_object_t *dict, const char *key)
{
    mp_tree_t *value = NULL;
    OK(mp_dict_get(dict, MP_K(key), &value, LONG_MS));
    return is_int(value);
}

/* ---- a broker -------------------------------------------------------------------------------- */

static inline void far_stop_broker(void)
{
    if (!far_broker_pid)
        return;
    kill(far_broker_pid, SIGTERM);
    waitpid(far_broker_pid, NULL, 0);
    unlink(far_broker + strlen("ipc://"));
    char folder[128];
    snprintf(folder, sizeof folder, "%s", far_broker + strlen("ipc://"));
    *strrchr(folder, '/') = 0;
    rmdir(folder);
}

/* false: there is none, or it has no objects. */
static inline bool far_start_broker(void)
{
    char folder[] = "/tmp/mp-far-XXXXXX";
    const char *program = getenv("MP_BROKER_BIN");
    mp_manager_t *manager = NULL;
    if (!program || !*program || !mkdtemp(folder))
        return false;
    snprintf(far_broker, sizeof far_broker, "ipc://%s/broker", folder);
    far_broker_pid = fork();
    if (far_broker_pid == 0) {
        prctl(PR_SET_PDEATHSIG, SIGKILL);
        int null = open("/dev/null", O_RDWR);
        dup2(null, 1);
        if (!getenv("MP_TEST_VERBOSE"))
            dup2(null, 2);
        execl(program, program, "--listen", far_broker, (char *)NULL);
        _exit(127);
    }
    /* In a child, so that the tests begin without threads. */
    pid_t pid = fork();
    if (pid == 0)
        _exit(mp_manager_connect(far_broker, NULL, 0, 10000, &manager) != MP_OK);
    int status = -1;
    waitpid(pid, &status, 0);
    if (status != 0)
        far_stop_broker();
    return status == 0;
}

/* The main of a suite. 77: it can't be run here. */
static inline int far_main(int argc, char **argv, void (*set_up)(void), const TTest *const *tests,
                           double seconds)
{
    if (argc == 2)
        far = argv[1];
    if (far_is("broker") && !far_start_broker())
        return 77;
    int rc = suite_run_with(set_up, far, tests, seconds);
    far_stop_broker();
    return rc;
}

#endif
