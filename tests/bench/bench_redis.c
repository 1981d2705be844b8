/* bench_redis: the rival: Redis through hiredis, with the cases of bench_objects.c. A dict is a
 * hash, a list a list, a lock a key that is set if it isn't there and expires.
 * Usage: bench_redis free|pinned | durable DIR. REDIS_SERVER: the program. */
#include "bench_objects.h"

#include <hiredis/hiredis.h>

static char socket_path[200];
static int port; /* 0: by the socket */
static _Thread_local char lock_name[32];
static _Thread_local redisContext *context;
static pid_t server;

static redisReply *need(void *reply)
{
    redisReply *self = reply;
    if (!self || self->type == REDIS_REPLY_ERROR) {
        fprintf(stderr, "bench_redis: %s\n", self ? self->str : context->errstr);
        exit(1);
    }
    return self;
}

static void join(int client)
{
    if (context)
        redisFree(context);
    for (int i = 0; i < 500; i++) { /* until the server is there */
        context = port ? redisConnect("127.0.0.1", port) : redisConnectUnix(socket_path);
        if (context && !context->err)
            break;
        redisFree(context);
        context = NULL;
        usleep(10000);
    }
    if (!context) {
        fprintf(stderr, "bench_redis: there is no server\n");
        exit(1);
    }
    snprintf(lock_name, sizeof lock_name, "lock-%d", client);
}

static void begin(operation_t operation)
{
    join(0);
    freeReplyObject(need(redisCommand(context, "FLUSHALL SYNC")));
    for (int i = 0; i < KEYS && (operation == DICT_SET || operation == DICT_GET); i++)
        freeReplyObject(
            need(redisCommand(context, "HSET dict %s %b", nth_key(i), value_bytes, VALUE_BYTES)));
}

/* Words, not a format to be read each time. */
static void append(int argc, const char **argv)
{
    if (redisAppendCommandArgv(context, argc, argv, NULL) != REDIS_OK)
        exit(1);
}

static void append_operation(operation_t operation, const char *lock)
{
    if (operation == DICT_SET)
        append(4, (const char *[]){"HSET", "dict", next_key(), value_bytes});
    else if (operation == DICT_GET)
        append(3, (const char *[]){"HGET", "dict", next_key()});
    else if (operation == LIST_APPEND)
        append(3, (const char *[]){"RPUSH", "list", value_bytes});
    else
        append(6, (const char *[]){"SET", lock, "me", "NX", "PX", "3000"});
}

static redisReply *reply(void)
{
    void *out = NULL;
    if (redisGetReply(context, &out) != REDIS_OK)
        out = NULL;
    return need(out);
}

static void check(operation_t operation, redisReply *answer)
{
    if (operation == DICT_GET && answer->len != VALUE_BYTES) {
        fprintf(stderr, "bench_redis: a value isn't what was set\n");
        exit(1);
    }
    freeReplyObject(answer);
}

static void append_release(const char *lock)
{
    append(2, (const char *[]){"DEL", lock});
}

static void call(operation_t operation)
{
    const char *lock = operation == ONE_LOCK ? "lock" : lock_name;
    bool is_lock = operation == LOCK || operation == ONE_LOCK;
    for (bool again = true; again;) {
        append_operation(operation, lock);
        redisReply *answer = reply();
        again = is_lock && answer->type == REDIS_REPLY_NIL; /* another client has it */
        check(operation, answer);
    }
    if (is_lock) {
        append_release(lock);
        freeReplyObject(reply());
    }
}

static bool batch(operation_t operation)
{
    for (int i = 0; i < BATCH; i++) {
        append_operation(operation, lock_name);
        if (operation == LOCK)
            append_release(lock_name);
    }
    for (int i = 0; i < BATCH; i++) {
        check(operation, reply());
        if (operation == LOCK)
            freeReplyObject(reply());
    }
    return true;
}

static void end(operation_t operation)
{
    (void)operation;
}

/* False: there is no Redis here. */
static bool start(const char *directory, bool durable)
{
    static char port_text[16];
    const char *program = getenv("REDIS_SERVER");
    char log[256];
    if (!program) /* Debian's redis-tools has it by another name */
        program = access("/usr/bin/redis-server", X_OK) == 0 ? "/usr/bin/redis-server"
                                                             : "/usr/bin/redis-check-rdb";
    if (access(program, X_OK) != 0)
        return false;
    snprintf(socket_path, sizeof socket_path, "%s/redis", directory);
    snprintf(log, sizeof log, "%s/log", directory);
    snprintf(port_text, sizeof port_text, "%d", durable ? 0 : free_port());
    char *argv[] = {"redis-server",
                    "--port",
                    port_text,
                    "--bind",
                    "127.0.0.1",
                    "--unixsocket",
                    socket_path,
                    "--dir",
                    (char *)directory,
                    "--save",
                    "",
                    "--appendonly",
                    durable ? "yes" : "no",
                    "--appendfsync",
                    "always",
                    NULL};
    server = server_start(program, argv, log);
    return true;
}

int main(int argc, char **argv)
{
    static peer_t peer = {"Redis", "", begin, join, call, batch, end};
    const char *where = argc > 1 ? argv[1] : "";
    bool durable = strcmp(where, "durable") == 0;
    const char *directory = new_directory(durable && argc > 2 ? argv[2] : "/tmp");
    if (!start(directory, durable))
        printf("# Redis: skipped: it isn't installed\n");
    else if (durable)
        bench_writers(&peer);
    else {
        bench_objects(&peer, where);
        redisReply *answer = need(redisCommand(context, "CONFIG GET port"));
        port = atoi(answer->element[1]->str);
        freeReplyObject(answer);
        peer.suffix = ", tcp";
        bench_objects(&peer, where);
    }
    server_stop(server);
    remove_directory(directory);
    return 0;
}
