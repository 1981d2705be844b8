/* bench_objects: a manager's dict, list and lock, asked one at a time and many at once: a manager
 * of our own, and an mp-broker over ipc and over tcp.
 * Usage: bench_objects free|pinned | durable DIR. MP_LANE=off: ZeroMQ also on one host.
 * MP_BROKER_BIN: the broker; without it there are no lines of it. */
#include "bench_objects.h"

#include <mp/dict.h>
#include <mp/list.h>
#include <mp/managed.h>
#include <mp/manager.h>
#include <mp/pipeline.h>

static mp_manager_t *manager;
static mp_object_t *object, *locks[WRITERS], *noted;
static _Thread_local mp_object_t *mine;
static mp_pipeline_t *pipeline;
static const char *dict_name; /* a durable one's: it outlives its handles */

static void begin(operation_t operation)
{
    if (operation == LIST_APPEND)
        require(mp_manager_list(manager, NULL, &object));
    else if (operation == LOCK)
        for (int i = 0; i < CLIENTS; i++)
            require(mp_manager_lock(manager, NULL, &locks[i]));
    else if (operation == ONE_LOCK)
        require(mp_manager_lock(manager, NULL, &object));
    else
        require(mp_manager_dict(manager, dict_name, &object));
    for (int i = 0; i < KEYS && (operation == DICT_SET || operation == DICT_GET); i++)
        require(mp_dict_set_bytes(object, mp_key_str(nth_key(i)), value_bytes, VALUE_BYTES, -1));
}

static void join(int client)
{
    mine = object ? object : locks[client];
}

static void end(operation_t operation)
{
    mp_pipeline_destroy(&pipeline);
    if (object)
        require(mp_object_delete(object, -1));
    mp_object_destroy(&object);
    for (int i = 0; i < CLIENTS && operation == LOCK; i++) {
        require(mp_object_delete(locks[i], -1));
        mp_object_destroy(&locks[i]);
    }
}

static void check_value(const char *got, size_t size)
{
    if (size == VALUE_BYTES && memcmp(got, value_bytes, VALUE_BYTES) == 0)
        return;
    fprintf(stderr, "bench_objects: a value isn't what was set\n");
    exit(1);
}

static void call(operation_t operation)
{
    char got[VALUE_BYTES];
    size_t size = 0;
    switch (operation) {
    case DICT_SET:
        require(mp_dict_set_bytes(mine, mp_key_str(next_key()), value_bytes, VALUE_BYTES, -1));
        break;
    case DICT_GET:
        require(mp_dict_get_bytes(mine, mp_key_str(next_key()), got, sizeof got, &size, -1));
        check_value(got, size);
        break;
    case LIST_APPEND:
        require(mp_list_append_bytes(mine, value_bytes, VALUE_BYTES, -1));
        break;
    default:
        require(mp_managed_lock_acquire(mine, NULL, -1));
        require(mp_managed_lock_release(mine, -1));
    }
}

/* A lock is tried, which doesn't wait. False: a pipeline doesn't take it. */
static bool note(operation_t operation, char *got, size_t *size)
{
    mp_rc_t rc = MP_OK;
    if (operation == DICT_SET)
        rc = mp_dict_set_bytes(noted, mp_key_str(next_key()), value_bytes, VALUE_BYTES, 0);
    else if (operation == DICT_GET)
        rc = mp_dict_get_bytes(noted, mp_key_str(next_key()), got, VALUE_BYTES, size, 0);
    else if (operation == LIST_APPEND)
        rc = mp_list_append_bytes(noted, value_bytes, VALUE_BYTES, 0);
    else {
        rc = mp_managed_lock_acquire(noted, NULL, 0);
        if (rc == MP_OK)
            rc = mp_managed_lock_release(noted, 0);
    }
    if (rc == MP_EINVAL && operation == LOCK)
        return false;
    require(rc);
    return true;
}

static bool batch(operation_t operation)
{
    static char got[BATCH][VALUE_BYTES];
    static size_t sizes[BATCH];
    if (!pipeline) {
        require(mp_pipeline_new(manager, NULL, &pipeline));
        noted = mp_pipeline_object(pipeline, mine);
        if (!noted)
            require(MP_ENOMEM);
    }
    for (int i = 0; i < BATCH; i++)
        if (!note(operation, got[i], &sizes[i]))
            return false;
    require(mp_pipeline_run(pipeline, -1));
    for (int i = 0; i < BATCH && operation == DICT_GET; i++)
        check_value(got[i], sizes[i]);
    return true;
}

/* False: no broker was given. */
static bool start_broker(const char *address, const char *directory, const char *data, pid_t *pid)
{
    char log[256];
    const char *program = getenv("MP_BROKER_BIN");
    if (!program || !*program) {
        printf("# mp-broker: skipped: MP_BROKER_BIN isn't set\n");
        return false;
    }
    char *argv[] = {"mp-broker",   "--listen", (char *)address,
                    "--log-level", "warning",  data ? "--data" : NULL,
                    (char *)data,  NULL};
    snprintf(log, sizeof log, "%s/log", directory);
    *pid = server_start(program, argv, log);
    require(mp_manager_connect(address, NULL, 0, 10000, &manager));
    return true;
}

static void stop_broker(pid_t pid)
{
    mp_manager_destroy(&manager);
    server_stop(pid);
}

static void bench_durable(peer_t *peer, const char *directory)
{
    char address[256], data[256];
    pid_t pid = 0;
    snprintf(address, sizeof address, "ipc://%s/broker", directory);
    snprintf(data, sizeof data, "%s/data", directory);
    mkdir(data, 0700);
    if (!start_broker(address, directory, data, &pid))
        return;
    dict_name = "bench";
    bench_writers(peer);
    stop_broker(pid);
}

static void bench_brokers(peer_t *peer, const char *where, const char *directory)
{
    char address[256];
    pid_t pid = 0;
    snprintf(address, sizeof address, "ipc://%s/broker", directory);
    if (!start_broker(address, directory, NULL, &pid))
        return;
    bench_objects(peer, where);
    stop_broker(pid);
    snprintf(address, sizeof address, "tcp://127.0.0.1:%d", free_port());
    peer->suffix = ", tcp";
    if (!start_broker(address, directory, NULL, &pid))
        return;
    bench_objects(peer, where);
    stop_broker(pid);
}

int main(int argc, char **argv)
{
    MP_MAIN(argc, argv);
    const char *lane = getenv("MP_LANE");
    const char *where = argc > 1 ? argv[1] : "";
    bool durable = strcmp(where, "durable") == 0;
    bool laned = !lane || strcmp(lane, "off") != 0;
    peer_t peer = {laned ? "libmp" : "libmp-zmq", "", begin, join, call, batch, end};
    if (!durable && strcmp(where, "free") != 0 && strcmp(where, "pinned") != 0)
        return 64;
    const char *directory = new_directory(durable && argc > 2 ? argv[2] : "/tmp");
    if (!durable) {
        mp_manager_options_t options = {.no_lane = !laned};
        require(mp_manager_start(&options, &manager));
        bench_objects(&peer, where);
        mp_manager_destroy(&manager);
    }
    peer.name = "mp-broker";
    if (durable)
        bench_durable(&peer, directory);
    else if (laned)
        bench_brokers(&peer, where, directory);
    remove_directory(directory);
    return 0;
}
