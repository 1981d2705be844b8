/* bench_remote: what a broker's numbers cost, by peers that speak the protocol of proto/
 * themselves: a crowd of idle workers, and a client that queues all of its calls at once, one in
 * each message. Usage: bench_remote crowd ENDPOINT N            until it is killed; says "ready"
 * when all are in bench_remote queued ENDPOINT BROKER_PID N   calls of 16 bytes of bench_pool's
 * task take16, whose workers may come at the word "queued" */
#include "bench.h"

#include <stdint.h>
#include <zmq.h>

enum { MOST = 128, HELLO = 1, PONG = 5, PING = 4, OPEN = 6, SUBMIT = 7, RESULT = 9, ACK = 12 };

typedef struct message {
    unsigned char bytes[2 * MOST];
    size_t size;
} message_t;

static void number(message_t *self, unsigned field, uint64_t value)
{
    self->bytes[self->size++] = (unsigned char)(field << 3);
    for (; value > 127; value >>= 7)
        self->bytes[self->size++] = (unsigned char)(value | 128);
    self->bytes[self->size++] = (unsigned char)value;
}

static void text(message_t *self, unsigned field, const void *bytes, size_t size)
{
    self->bytes[self->size++] = (unsigned char)(field << 3 | 2);
    self->bytes[self->size++] = (unsigned char)size;
    memcpy(self->bytes + self->size, bytes, size);
    self->size += size;
}

/* A head without its header, which follows by number(). */
static message_t begin(uint64_t op)
{
    message_t self = {.bytes = {1}, .size = 4};
    number(&self, 1, op);
    return self;
}

static void end(message_t *self, const void *payload, size_t size)
{
    self->bytes[2] = (unsigned char)(self->size - 4);
    self->size = (self->size + 15) / 16 * 16;
    memcpy(self->bytes + self->size, payload, size);
    self->size += size;
}

static void send_it(void *socket, message_t *message, const void *payload, size_t size)
{
    end(message, payload, size);
    if (zmq_send(socket, message->bytes, message->size, 0) < 0)
        exit((perror("bench_remote: send"), 1));
}

static uint64_t varint(const unsigned char **at)
{
    uint64_t value = 0;
    for (int shift = 0;; shift += 7) {
        unsigned char byte = *(*at)++;
        value |= (uint64_t)(byte & 127) << shift;
        if (byte < 128)
            return value;
    }
}

typedef struct head {
    uint64_t op, count, payload;
} head_t;

/* The next message, in one frame or two. */
static head_t receive(void *socket)
{
    head_t head = {.count = 0};
    zmq_msg_t frame;
    zmq_msg_init(&frame);
    if (zmq_msg_recv(&frame, socket, 0) < 0)
        exit((perror("bench_remote: receive"), 1));
    const unsigned char *bytes = zmq_msg_data(&frame), *at = bytes + 4;
    size_t header = (size_t)(bytes[2] | bytes[3] << 8), front = (4 + header + 15) / 16 * 16;
    while (at < bytes + 4 + header) {
        unsigned field = *at++ >> 3; /* all of them are varints */
        uint64_t value = varint(&at);
        head.op = field == 1 ? value : head.op;
        head.count = field == 5 ? value : head.count;
    }
    head.payload = zmq_msg_size(&frame) - front;
    if (zmq_msg_more(&frame)) {
        zmq_msg_recv(&frame, socket, 0);
        head.payload = zmq_msg_size(&frame);
    }
    zmq_msg_close(&frame);
    return head;
}

static void *dial(void *context, const char *endpoint, const message_t *hello)
{
    void *socket = zmq_socket(context, ZMQ_DEALER);
    int none = 0, never = -1, yes = 1;
    zmq_setsockopt(socket, ZMQ_SNDHWM, &none, sizeof none);
    zmq_setsockopt(socket, ZMQ_RCVHWM, &none, sizeof none);
    zmq_setsockopt(socket, ZMQ_RECONNECT_IVL, &never, sizeof never);
    zmq_setsockopt(socket, ZMQ_IMMEDIATE, &yes, sizeof yes);
    message_t first = begin(HELLO);
    if (!socket || zmq_connect(socket, endpoint) != 0)
        exit((perror(endpoint), 1));
    send_it(socket, &first, hello->bytes, hello->size);
    if (receive(socket).op != 2)
        exit((fprintf(stderr, "bench_remote: no welcome\n"), 1));
    return socket;
}

static message_t hello_of(uint64_t role)
{
    message_t self = {.size = 0};
    number(&self, 1, role);
    number(&self, 2, 1);
    number(&self, 3, 1);
    return self;
}

static int crowd(const char *endpoint, int n)
{
    void *context = zmq_ctx_new();
    message_t hello = hello_of(2), task = {.size = 0};
    text(&task, 1, "rarely", 6);
    text(&task, 2, "int[4,4] -> int[4,4] little", 27);
    number(&hello, 8, 1);
    text(&hello, 9, task.bytes, task.size);
    for (int i = 0; i < n; i++)
        dial(context, endpoint, &hello);
    puts("ready");
    fflush(stdout);
    pause();
    return 0;
}

static double megabytes(const char *pid)
{
    char path[64], line[128];
    long kib = 0;
    snprintf(path, sizeof path, "/proc/%s/status", pid);
    FILE *file = fopen(path, "r");
    while (file && fgets(line, sizeof line, file))
        sscanf(line, "RssAnon: %ld", &kib);
    if (file)
        fclose(file);
    return (double)kib * 1024 / 1e6;
}

/* Until the broker has taken in all that was sent to it. */
static void flush(void *socket)
{
    message_t ping = begin(PING);
    number(&ping, 10, 1);
    send_it(socket, &ping, "", 0);
    while (receive(socket).op != PONG)
        ;
}

/* What is measured is what the broker keeps, so it is not flooded: now and then we wait for it. */
static void submit_all(void *socket, int n)
{
    enum { AHEAD = 4096 };
    static const unsigned char item[16] = {7};
    message_t open = begin(OPEN), body = {.size = 0};
    number(&open, 2, 1);
    text(&body, 1, "take16", 6);
    text(&body, 2, "sixteen_t[16,4] -> int[4,4] little", 34);
    send_it(socket, &open, body.bytes, body.size);
    for (int i = 0; i < n; i++) {
        message_t submit = begin(SUBMIT);
        number(&submit, 2, 1);
        number(&submit, 3, (uint64_t)i + 1);
        number(&submit, 4, (uint64_t)i);
        number(&submit, 5, 1);
        number(&submit, 6, 1);
        number(&submit, 7, sizeof item);
        send_it(socket, &submit, item, sizeof item);
        if (i % AHEAD == AHEAD - 1)
            flush(socket);
    }
    flush(socket);
}

static int queued(const char *endpoint, const char *pid, int n)
{
    message_t hello = hello_of(1);
    void *socket = dial(zmq_ctx_new(), endpoint, &hello);
    double before = megabytes(pid), start = seconds(), first = 0;
    char name[64];
    submit_all(socket, n);
    snprintf(name, sizeof name, "remote: %d queued, to queue one", n);
    report("libmp", name, "us", (seconds() - start) * 1e6 / n);
    usleep(100000);
    snprintf(name, sizeof name, "remote: %d queued, broker's memory", n);
    report("libmp", name, "MB", megabytes(pid) - before);
    fprintf(stderr, "queued\n");
    /* The middle half, apart from the first chunks, whose size has to be found, and from the end,
     * when nothing waits behind them any more: what these and the start cost beyond that is told,
     * too. */
    double quarter = 0, late = 0;
    int done = 0, early = 0, from = 0, to = 0;
    for (uint64_t taken = 0; done < n;) {
        head_t head = receive(socket);
        if (head.op != RESULT)
            continue;
        double now = seconds();
        done += (int)head.count;
        if (first == 0) { /* what the worker's start took is not counted */
            first = now;
            early = done;
        }
        if (quarter == 0 && done >= n / 4) {
            quarter = now;
            from = done;
        }
        if (done <= n / 4 * 3 || to == 0) {
            late = now;
            to = done;
        }
        taken += head.payload;
        if (taken > 1 << 20) {
            message_t ack = begin(ACK);
            number(&ack, 11, taken);
            send_it(socket, &ack, "", 0);
            taken = 0;
        }
    }
    double whole = (seconds() - first) * 1e6;
    double each = to > from ? (late - quarter) * 1e6 / (to - from) : whole / (n - early);
    snprintf(name, sizeof name, "remote: %d queued, to run one", n);
    report("libmp", name, "us", each);
    snprintf(name, sizeof name, "remote: %d queued, at the ends", n);
    report("libmp", name, "us", whole - each * (n - early));
    return 0;
}

int main(int argc, char **argv)
{
    if (argc == 4 && strcmp(argv[1], "crowd") == 0)
        return crowd(argv[2], atoi(argv[3]));
    if (argc == 5 && strcmp(argv[1], "queued") == 0)
        return queued(argv[2], argv[3], atoi(argv[4]));
    return 64;
}
