/* bench_wire: queues and pipes between processes, beside raw ZeroMQ and a raw socket.
 * Usage: bench_wire queue|pipe|trip. MP_LANE=off: ZeroMQ also on one host. */
#include "bench.h"

#include <sys/socket.h>
#include <zmq.h>

static const char *peer_name = "libmp";

static void *buffer_of(size_t size)
{
    void *buffer = calloc(1, size ? size : 1);
    if (!buffer)
        exit(1);
    return buffer;
}

/* ---- queues: the owner is a third process, which sleeps
 * ---------------------------------------------------------------------- */

typedef struct load {
    const char *name;
    size_t size;
    int count; /* of items, all producers together */
} load_t;

static const load_t queue_loads[] = {
    {"16 B", 16, 400000}, {"1 KiB", 1024, 120000}, {"64 KiB", 65536, 8000}};
static const load_t pipe_loads[] = {{"16 B", 16, 800000},
                                    {"1 KiB", 1024, 200000},
                                    {"64 KiB", 65536, 10000},
                                    {"1 MiB", 1 << 20, 600}};

static void produce(mp_queue_t *queue, size_t size, int count)
{
    void *buffer = buffer_of(size);
    for (int i = 0; i < count; i++)
        require(mp_queue_put(queue, buffer, size, -1));
    require(mp_queue_flush(queue, -1));
    exit(0);
}

static void consume(mp_queue_t *queue, size_t size, int count)
{
    void *buffer = buffer_of(size);
    for (int i = 0; i < count; i++)
        require(mp_queue_get(queue, buffer, size, NULL, -1));
    exit(0);
}

static void bench_queue(const load_t *load, int sides)
{
    char name[64];
    mp_queue_t *queue = NULL;
    require(mp_queue_new(NULL, &queue));
    gate_t gate = gate_new();
    for (int i = 0; i < sides; i++) {
        if (gate_fork(&gate))
            produce(queue, load->size, load->count / sides);
        if (gate_fork(&gate))
            consume(queue, load->size, load->count / sides);
    }
    double spent = gate_time(&gate);
    snprintf(name, sizeof name, "queue %s, %d to %d", load->name, sides, sides);
    report(peer_name, name, "k/s", load->count / spent / 1000);
    mp_queue_destroy(&queue);
}

/* PUSH to PULL, without an owner between them. */
static void bench_raw_queue(const load_t *load)
{
    char endpoint[64], name[64];
    snprintf(endpoint, sizeof endpoint, "ipc://@mp-bench-%d", (int)getpid());
    gate_t gate = gate_new();
    if (gate_fork(&gate)) {
        void *context = zmq_ctx_new(), *socket = zmq_socket(context, ZMQ_PUSH);
        void *buffer = buffer_of(load->size);
        zmq_connect(socket, endpoint);
        for (int i = 0; i < load->count; i++)
            if (zmq_send(socket, buffer, load->size, 0) < 0)
                _exit(1);
        zmq_close(socket);
        zmq_ctx_term(context);
        _exit(0);
    }
    if (gate_fork(&gate)) {
        void *context = zmq_ctx_new(), *socket = zmq_socket(context, ZMQ_PULL);
        void *buffer = buffer_of(load->size);
        zmq_bind(socket, endpoint);
        for (int i = 0; i < load->count; i++)
            if (zmq_recv(socket, buffer, load->size, 0) < 0)
                _exit(1);
        _exit(0);
    }
    double spent = gate_time(&gate);
    snprintf(name, sizeof name, "queue %s, 1 to 1", load->name);
    report("ZeroMQ", name, "k/s", load->count / spent / 1000);
}

/* ---- pipes: one way
 * ------------------------------------------------------------------------------------------ */

static void bench_pipe(const load_t *load)
{
    char name[64];
    mp_connection_t *ours = NULL, *theirs = NULL;
    void *buffer = buffer_of(load->size);
    require(mp_pipe(NULL, &ours, &theirs));
    gate_t gate = gate_new();
    if (gate_fork(&gate)) {
        for (int i = 0; i < load->count; i++)
            require(mp_connection_send_bytes(theirs, buffer, load->size, -1));
        mp_connection_destroy(&theirs);
        exit(0);
    }
    if (gate_fork(&gate)) {
        for (int i = 0; i < load->count; i++)
            require(mp_connection_recv_bytes_into(ours, buffer, load->size, NULL, -1));
        exit(0);
    }
    double spent = gate_time(&gate);
    snprintf(name, sizeof name, "pipe %s, one way", load->name);
    report(peer_name, name, "k/s", load->count / spent / 1000);
    mp_connection_destroy(&ours);
    mp_connection_destroy(&theirs);
    free(buffer);
}

static void bench_trees(int count)
{
    mp_connection_t *ours = NULL, *theirs = NULL;
    require(mp_pipe(NULL, &ours, &theirs));
    gate_t gate = gate_new();
    if (gate_fork(&gate)) {
        for (int i = 0; i < count; i++) {
            mp_tree_t *tree = MP_DICT({"name", MP_V("frame")}, {"number", MP_V(i)},
                                      {"at", MP_LIST(MP_V(1.5), MP_V(2.5))});
            require(mp_connection_send_tree(theirs, tree, -1));
            mp_tree_destroy(&tree);
        }
        mp_connection_destroy(&theirs);
        exit(0);
    }
    if (gate_fork(&gate)) {
        for (int i = 0; i < count; i++) {
            mp_tree_t *tree = NULL;
            require(mp_connection_recv_tree(ours, &tree, -1));
            mp_tree_destroy(&tree);
        }
        exit(0);
    }
    report(peer_name, "pipe, dict of three, one way", "k/s", count / gate_time(&gate) / 1000);
    mp_connection_destroy(&ours);
    mp_connection_destroy(&theirs);
}

/* ---- pipes: there and back
 * ------------------------------------------------------------------------------------------ */

enum { TRIPS = 3000, BIG_TRIPS = 300 };

static void bench_trips(const load_t *load, const char *where)
{
    char name[64];
    static double times[TRIPS];
    int trips = load->size > 100000 ? BIG_TRIPS : TRIPS;
    mp_connection_t *ours = NULL, *theirs = NULL;
    void *buffer = buffer_of(load->size);
    require(mp_pipe(NULL, &ours, &theirs));
    pid_t child = fork();
    if (child == 0) {
        for (int i = 0; i < trips; i++) {
            require(mp_connection_recv_bytes_into(theirs, buffer, load->size, NULL, -1));
            require(mp_connection_send_bytes(theirs, buffer, load->size, -1));
        }
        mp_connection_destroy(&theirs);
        exit(0);
    }
    for (int i = 0; i < trips; i++) {
        double begin = seconds();
        require(mp_connection_send_bytes(ours, buffer, load->size, -1));
        require(mp_connection_recv_bytes_into(ours, buffer, load->size, NULL, -1));
        times[i] = seconds() - begin;
    }
    waitpid(child, NULL, 0);
    mp_connection_destroy(&ours);
    mp_connection_destroy(&theirs);
    free(buffer);
    snprintf(name, sizeof name, "pipe %s, round trip, %s", load->name, where);
    report(peer_name, name, "us", median(times, trips) * 1e6);
}

static void move(int fd, char *buffer, size_t size, ssize_t (*call)(int, char *, size_t))
{
    for (size_t at = 0; at < size;) {
        ssize_t n = call(fd, buffer + at, size - at);
        if (n <= 0)
            _exit(1);
        at += (size_t)n;
    }
}

static ssize_t put(int fd, char *buffer, size_t size)
{
    return write(fd, buffer, size);
}

static ssize_t get(int fd, char *buffer, size_t size)
{
    return read(fd, buffer, size);
}

static void bench_raw_trips(const load_t *load, const char *where)
{
    char name[64];
    static double times[TRIPS];
    int pair[2];
    int trips = load->size > 100000 ? BIG_TRIPS : TRIPS;
    char *buffer = buffer_of(load->size);
    if (socketpair(AF_UNIX, SOCK_STREAM, 0, pair) != 0)
        exit(1);
    pid_t child = fork();
    for (int i = 0; i < trips; i++) {
        double begin = seconds();
        move(pair[child == 0], buffer, load->size, child ? put : get);
        move(pair[child == 0], buffer, load->size, child ? get : put);
        times[i] = seconds() - begin;
    }
    if (child == 0)
        _exit(0);
    waitpid(child, NULL, 0);
    close(pair[0]);
    close(pair[1]);
    free(buffer);
    snprintf(name, sizeof name, "pipe %s, round trip, %s", load->name, where);
    report("socket", name, "us", median(times, trips) * 1e6);
}

int main(int argc, char **argv)
{
    const char *lane = getenv("MP_LANE");
    const char *topic = argc > 1 ? argv[1] : "";
    const char *where = argc > 2 ? argv[2] : "free";
    int raw = !lane || strcmp(lane, "off") != 0;
    if (!raw)
        peer_name = "libmp-zmq";
    if (strcmp(topic, "queue") == 0)
        for (size_t i = 0; i < sizeof queue_loads / sizeof *queue_loads; i++) {
            bench_queue(&queue_loads[i], 1);
            bench_queue(&queue_loads[i], 2);
            if (raw)
                bench_raw_queue(&queue_loads[i]);
        }
    else if (strcmp(topic, "pipe") == 0) {
        for (size_t i = 0; i < sizeof pipe_loads / sizeof *pipe_loads; i++)
            bench_pipe(&pipe_loads[i]);
        bench_trees(50000);
    } else if (strcmp(topic, "trip") == 0)
        for (size_t i = 0; i < sizeof pipe_loads / sizeof *pipe_loads; i++) {
            bench_trips(&pipe_loads[i], where);
            if (raw)
                bench_raw_trips(&pipe_loads[i], where);
        }
    else
        return 64;
    return 0;
}
