/* scale.c: a broker's structures for one client's calls, without links and disks: its relay, its
 * engine and the core, with workers that take simulated time. Each chunk is one call of 16 bytes:
 * the dearest way to have them. */
#include "scale.h"

#include "clock.h"
#include "relay.h"

#include <limits.h>
#include <malloc.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

enum { ITEM_BYTES = 16, VALUE_BYTES = 8, ROUND_CALLS = 200000, BAR_MB = 400, FLUSH = 64 };

typedef struct given {
    uint64_t worker, chunk, first;
} given_t;

typedef struct model {
    mpx_engine_t *engine;
    mpx_relay_t *relay;
    int64_t now;    /* simulated */
    given_t *given; /* a ring: what is oldest is over first */
    size_t room, head, count;
    uint64_t answered, unacked;
    uint64_t chunk, call; /* last numbers */
    uint64_t workers;
} model_t;

static void must(bool holds, const char *what)
{
    if (holds)
        return;
    fprintf(stderr, "scale: %s\n", what);
    exit(1);
}

static int64_t cpu_ns(void)
{
    struct timespec now;
    clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &now);
    return now.tv_sec * MPX_S + now.tv_nsec;
}

static mp_rc_t to_worker(void *arg, uint64_t worker, const mpx_header_t *header, mp_bytes_t payload)
{
    model_t *self = arg;
    (void)payload;
    if (header->op != MPX_OP_SUBMIT)
        return MP_OK;
    must(self->count < self->room, "more is given than there is");
    self->given[(self->head + self->count++) % self->room] =
        (given_t){worker, header->chunk, header->first};
    return MP_OK;
}

static void stop_worker(void *arg, uint64_t worker, uint64_t job, uint64_t chunk,
                        mpx_stop_stage_t stage, mp_rc_t why)
{
    (void)arg, (void)worker, (void)job, (void)chunk, (void)stage, (void)why;
}

static mp_rc_t to_client(void *arg, const mpx_header_t *header, mp_bytes_t payload)
{
    model_t *self = arg;
    self->answered += header->op == MPX_OP_RESULT ? header->count : 0;
    self->unacked += payload.size;
    return MP_OK;
}

static void say(model_t *self, const mpx_header_t *header, mp_bytes_t payload)
{
    must(mpx_relay_message(self->relay, self->now, header, payload) == MP_OK,
         "a message is refused");
}

static void put(model_t *self)
{
    static const char item[ITEM_BYTES];
    mpx_header_t header = {.op = MPX_OP_SUBMIT,
                           .job = 1,
                           .chunk = ++self->chunk,
                           .first = self->call++,
                           .count = 1,
                           .attempt = 1,
                           .item_bytes = ITEM_BYTES};
    say(self, &header, (mp_bytes_t){item, sizeof item});
}

/* The oldest given call is over. Calls take a millisecond, on as many workers as there are. */
static void end_one(model_t *self)
{
    static const char value[VALUE_BYTES];
    must(self->count > 0, "nothing is given, and calls are open");
    given_t given = self->given[self->head];
    self->head = (self->head + 1) % self->room;
    self->count--;
    self->now += MPX_MS / (int64_t)self->workers;
    mpx_header_t header = {.op = MPX_OP_RESULT,
                           .chunk = given.chunk,
                           .first = given.first,
                           .count = 1,
                           .item_bytes = VALUE_BYTES,
                           .busy_ns = MPX_MS};
    must(mpx_engine_message(self->engine, self->now, given.worker, &header,
                            (mp_bytes_t){value, sizeof value}) == MP_OK,
         "a result is refused");
}

static void flush(model_t *self)
{
    must(mpx_relay_flush(self->relay, self->now) == MP_OK, "a flush fails");
    mpx_header_t ack = {.op = MPX_OP_ACK, .bytes = self->unacked};
    self->unacked = 0;
    say(self, &ack, (mp_bytes_t){0});
}

static void open_job(model_t *self)
{
    mpx_open_t open = {.task = "t", .signature = "x -> y", .label = ""};
    mpx_header_t header = {.op = MPX_OP_OPEN, .job = 1};
    mpx_buf_t body = {0};
    must(mpx_open_pack(&open, &body) == MP_OK, "an OPEN can't be packed");
    say(self, &header, mpx_buf_bytes(&body));
    mpx_buf_free(&body);
}

static void set_up(model_t *self, uint64_t workers, uint64_t calls)
{
    mpx_offer_t offer = {"t", "x -> y"};
    mpx_hello_t hello = {.role = MPX_ROLE_WORKER, .tasks = &offer, .tasks_count = 1};
    mpx_worker_spec_t spec = {.slots = 1, .horizon_ns = 5 * MPX_MS, .credit_bytes = 64 << 20};
    mpx_transport_t transport = {.self = self, .send = to_worker, .stop = stop_worker};
    mpx_relay_options_t options = {
        .send_self = self, .send = to_client, .match = true, .result_bytes = 64 << 20};
    *self = (model_t){.room = calls + 1, .workers = workers};
    self->given = calloc(self->room, sizeof *self->given);
    must(self->given && mpx_engine_new(&transport, "here", &self->engine) == MP_OK &&
             mpx_relay_new(self->engine, &options, &self->relay) == MP_OK,
         "no memory");
    for (uint64_t i = 1; i <= workers; i++)
        must(mpx_engine_worker_join(self->engine, 0, i, &hello, &spec) == MP_OK,
             "a worker can't join");
    open_job(self);
}

/* first: on memory that was never touched before, whose pages the kernel has to find and clear;
 * again: on the same memory. */
typedef struct cost {
    double first_put_ns, first_run_ns;
    double put_ns, run_ns;
    double call_bytes;
} cost_t;

/* What is freed stays with us, until we say otherwise. */
static void keep_memory(void)
{
    (void)mallopt(M_MMAP_MAX, 0);
    (void)mallopt(M_TRIM_THRESHOLD, INT_MAX);
}

static size_t used_bytes(void)
{
    struct mallinfo2 info = mallinfo2();
    return info.uordblks + info.hblkhd;
}

/* All calls are put, and then run. */
static void do_round(model_t *self, uint64_t calls, int64_t *put_ns, int64_t *run_ns,
                     size_t *most_bytes)
{
    int64_t began = cpu_ns();
    for (uint64_t i = 0; i < calls; i++)
        put(self);
    *put_ns += cpu_ns() - began;
    *most_bytes = used_bytes();
    began = cpu_ns();
    for (uint64_t i = 1; i <= calls; i++) {
        end_one(self);
        if (i % FLUSH == 0 || i == calls)
            flush(self);
    }
    *run_ns += cpu_ns() - began;
}

static cost_t measure(uint64_t workers, uint64_t calls)
{
    model_t self;
    uint64_t rounds = calls < ROUND_CALLS ? ROUND_CALLS / calls : 2;
    int64_t first_put_ns = 0, first_run_ns = 0, put_ns = 0, run_ns = 0;
    size_t bytes, later_bytes;
    (void)malloc_trim(0);
    set_up(&self, workers, calls);
    size_t before = used_bytes();
    do_round(&self, calls, &first_put_ns, &first_run_ns, &bytes);
    for (uint64_t round = 0; round < rounds; round++)
        do_round(&self, calls, &put_ns, &run_ns, &later_bytes);
    must(self.answered == (rounds + 1) * calls, "calls are not answered");
    must(mpx_relay_open_calls(self.relay) == 0, "calls are left");
    mpx_relay_destroy(&self.relay, self.now);
    mpx_engine_destroy(&self.engine);
    free(self.given);
    double n = (double)calls, again = (double)(rounds * calls);
    return (cost_t){.first_put_ns = (double)first_put_ns / n,
                    .first_run_ns = (double)first_run_ns / n,
                    .put_ns = (double)put_ns / again,
                    .run_ns = (double)run_ns / again,
                    .call_bytes = (double)(bytes - before) / n};
}

int scale(uint64_t calls_max)
{
    double least = 0, most = 0, most_mb = 0;
    keep_memory();
    printf("%8s %9s %17s %17s %12s %10s\n", "workers", "calls", "first put+run ns",
           "again put+run ns", "sum ns", "bytes/call");
    for (uint64_t workers = 1; workers <= 10000; workers *= 10)
        for (uint64_t calls = 1000; calls <= calls_max; calls *= 10) {
            cost_t cost = measure(workers, calls);
            double sum = cost.put_ns + cost.run_ns;
            double mb = cost.call_bytes * (double)calls / 1e6;
            least = least == 0 || sum < least ? sum : least;
            most = sum > most ? sum : most;
            most_mb = mb > most_mb ? mb : most_mb;
            printf("%8llu %9llu %8.0f %8.0f %8.0f %8.0f %12.0f %10.0f\n",
                   (unsigned long long)workers, (unsigned long long)calls, cost.first_put_ns,
                   cost.first_run_ns, cost.put_ns, cost.run_ns, sum, cost.call_bytes);
            fflush(stdout);
        }
    printf("cost of a call on memory that was touched before: largest / smallest = %.2f; memory at "
           "most %.0f MB (bar: %d)\n",
           most / least, most_mb, BAR_MB);
    return most_mb > BAR_MB;
}
