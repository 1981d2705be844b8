/* net.c: the link of the simulation: link.h between processes that are structs.
 *
 * A connection loses no single message: it is a row of bytes each way. When it breaks, a part of
 * what is under way still arrives, perhaps long after the other side has connected anew; the rest
 * is lost, as is what is sent into it until that side hears of the end. */
#include "world.h"

#include "clock.h"
#include "link.h"
#include "recalls.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <unistd.h>

typedef struct conn {
    struct conn *next;
    uint64_t id;
    mpx_link_t *ends[2]; /* the dialer's, the hub's; NULL: gone, or told of the end */
    const proc_t *procs[2];
    bool broken;
    bool known; /* a message of it was handed to the hub */
    int64_t latency_ns;
    int64_t last_at[2]; /* of what is under way to that end */
} conn_t;

typedef struct flight {
    int64_t at;
    uint64_t number;
    conn_t *conn;
    int to;
    mpx_link_event_kind_t kind;
    bool lost;
    mp_rc_t rc;
    size_t sizes[2];
    struct flight *next; /* in an inbox */
    unsigned char bytes[];
} flight_t;

struct mpx_link {
    struct mpx_link *next;
    proc_t *owner;
    bool hub, dead;
    conn_t *conn; /* of a dial */
    flight_t *inbox, **inbox_end;
    flight_t *read; /* what was handed out last */
    char endpoint[MPX_ENDPOINT_MAX];
};

enum { FLIGHTS_MAX = 1 << 16, HEARTBEATS_MS = 2400, LATE_MS = 3000 };

static struct {
    conn_t *conns;
    mpx_link_t *links;
    uint64_t last_conn, last_flight;
    flight_t *heap[FLIGHTS_MAX];
    size_t count;
} net;

static int shared_fd = -1; /* something to poll, which nobody does */

/* ---- what is under way -------------------------------------------------------------- */

static bool before(const flight_t *a, const flight_t *b)
{
    return a->at != b->at ? a->at < b->at : a->number < b->number;
}

static void sift_down(size_t i)
{
    for (size_t child; (child = 2 * i + 1) < net.count; i = child) {
        if (child + 1 < net.count && before(net.heap[child + 1], net.heap[child]))
            child++;
        if (!before(net.heap[child], net.heap[i]))
            return;
        flight_t *swap = net.heap[i];
        net.heap[i] = net.heap[child];
        net.heap[child] = swap;
    }
}

static void launch(flight_t *flight)
{
    MUST(net.count < FLIGHTS_MAX, "too much is under way: somebody floods the network");
    size_t i = net.count++;
    flight->number = ++net.last_flight;
    net.heap[i] = flight;
    for (; i && before(net.heap[i], net.heap[(i - 1) / 2]); i = (i - 1) / 2) {
        flight_t *swap = net.heap[i];
        net.heap[i] = net.heap[(i - 1) / 2];
        net.heap[(i - 1) / 2] = swap;
    }
}

static flight_t *land(void)
{
    flight_t *flight = net.heap[0];
    net.heap[0] = net.heap[--net.count];
    sift_down(0);
    return flight;
}

static void order_again(void)
{
    for (size_t i = net.count / 2 + 1; i-- > 0;)
        sift_down(i);
}

static void send_flight(conn_t *conn, int to, int64_t at, mpx_link_event_kind_t kind, mp_rc_t rc,
                        mp_bytes_t head, mp_bytes_t payload)
{
    flight_t *flight = calloc(1, sizeof *flight + head.size + payload.size);
    MUST(flight, "no memory");
    if (at <= conn->last_at[to])
        at = conn->last_at[to] + 1;
    conn->last_at[to] = at;
    flight->at = at;
    flight->conn = conn;
    flight->to = to;
    flight->kind = kind;
    flight->rc = rc;
    flight->sizes[0] = head.size;
    flight->sizes[1] = payload.size;
    if (head.size)
        memcpy(flight->bytes, head.data, head.size);
    if (payload.size)
        memcpy(flight->bytes + head.size, payload.data, payload.size);
    launch(flight);
}

/* ---- words for people --------------------------------------------------------------- */

static void describe(const flight_t *flight, const char *what)
{
    static const char *const others[] = {
        [MPX_LINK_UP] = "is connected", [MPX_LINK_DOWN] = "hears that the connection is over"};
    mpx_header_t header;
    mp_bytes_t payload;
    bool apart;
    const conn_t *conn = flight->conn;
    char from[64], to[64], words[256];
    if (!world->trace)
        return;
    snprintf(from, sizeof from, "%s", name_of(conn->procs[!flight->to]));
    snprintf(to, sizeof to, "%s", name_of(conn->procs[flight->to]));
    if (flight->kind != MPX_LINK_MESSAGE) {
        trace("%s %s (connection %llu with %s)%s", to, others[flight->kind],
              (unsigned long long)conn->id, from, what);
        return;
    }
    if (mpx_head_unpack((mp_bytes_t){flight->bytes, flight->sizes[0]}, &header, &payload, &apart))
        return;
    int n = snprintf(words, sizeof words, "%s", mpx_op_name(header.op));
    const struct {
        const char *name;
        uint64_t value;
    } fields[] = {{"job", header.job},     {"chunk", header.chunk},     {"first", header.first},
                  {"count", header.count}, {"attempt", header.attempt}, {"bytes", header.bytes},
                  {"nonce", header.nonce}};
    for (size_t i = 0; i < sizeof fields / sizeof *fields && n < (int)sizeof words; i++)
        if (fields[i].value)
            n += snprintf(words + n, sizeof words - (size_t)n, " %s %llu", fields[i].name,
                          (unsigned long long)fields[i].value);
    if (header.code && n < (int)sizeof words)
        snprintf(words + n, sizeof words - (size_t)n, " %s", mp_errname((mp_rc_t)header.code));
    trace("%s -> %s: %s (connection %llu)%s", from, to, words, (unsigned long long)conn->id, what);
}

/* ---- breaking ----------------------------------------------------------------------- */

/* What is under way to that end: all of it arrives, or some, or it does later. */
static void break_direction(conn_t *conn, int to, bool may_lose)
{
    uint64_t most = net.last_flight + 1;
    uint64_t kind = may_lose ? chance(3) : 1;
    uint64_t from = kind == 0 ? 0 : kind == 1 ? most : net.last_flight - chance(8);
    int64_t late = may_lose && one_in(3) ? (int64_t)chance(LATE_MS) * MPX_MS : 0;
    for (size_t i = 0; i < net.count; i++) {
        flight_t *flight = net.heap[i];
        if (flight->conn != conn || flight->to != to || flight->kind == MPX_LINK_DOWN)
            continue;
        if (flight->number >= from && !flight->lost) {
            flight->lost = true;
            world->losses++;
            describe(flight, " is lost");
        }
        flight->at += late;
    }
    conn->last_at[to] += conn->last_at[to] > world->now ? late : 0;
    order_again();
}

static void hear_of_end(conn_t *conn, int to, int64_t delay_ns)
{
    if (conn->ends[to])
        send_flight(conn, to, world->now + delay_ns, MPX_LINK_DOWN, MP_EOF, (mp_bytes_t){0},
                    (mp_bytes_t){0});
}

static int64_t delay_of_end(void)
{
    if ((world->faults & SILENCE) && one_in(3))
        return (int64_t)chance(HEARTBEATS_MS) * MPX_MS;
    return (int64_t)chance(2000) * 1000;
}

static void break_conn(conn_t *conn, bool may_lose)
{
    if (conn->broken)
        return;
    conn->broken = true;
    recalls_cut(conn->id);
    for (int to = 0; to < 2; to++) {
        break_direction(conn, to, may_lose);
        hear_of_end(conn, to, may_lose ? delay_of_end() : 0);
    }
}

void net_cut_one(void)
{
    unsigned open = 0;
    for (const conn_t *conn = net.conns; conn; conn = conn->next)
        open += !conn->broken;
    uint64_t which = open ? chance(open) : 0;
    for (conn_t *conn = net.conns; conn; conn = conn->next)
        if (!conn->broken && which-- == 0) {
            trace("** connection %llu of %s breaks", (unsigned long long)conn->id,
                  name_of(conn->procs[0]));
            break_conn(conn, true);
            return;
        }
}

void net_cut_all(const proc_t *of)
{
    for (conn_t *conn = net.conns; conn; conn = conn->next)
        if (!of || conn->procs[0] == of || conn->procs[1] == of)
            break_conn(conn, true);
}

void net_died(proc_t *proc)
{
    for (mpx_link_t *link = net.links; link; link = link->next)
        link->dead |= link->owner == proc;
    for (conn_t *conn = net.conns; conn; conn = conn->next)
        for (int end = 0; end < 2; end++)
            if (conn->ends[end] && conn->ends[end]->owner == proc) {
                conn->ends[end] = NULL;
                break_conn(conn, true);
            }
}

void net_silent(proc_t *proc)
{
    net_cut_all(proc);
}

/* ---- arriving ----------------------------------------------------------------------- */

int64_t net_next(void)
{
    return net.count ? net.heap[0]->at : MPX_NEVER;
}

void net_arrive(void)
{
    flight_t *flight = land();
    conn_t *conn = flight->conn;
    mpx_link_t *link = conn->ends[flight->to];
    bool unheard = flight->kind == MPX_LINK_DOWN && flight->to == 1 && !conn->known;
    if (flight->lost || !link || unheard) {
        if (unheard)
            conn->ends[1] = NULL;
        free(flight);
        return;
    }
    describe(flight, "");
    if (flight->kind == MPX_LINK_MESSAGE && !conn->broken)
        recalls_heard(link->owner, conn->id, (mp_bytes_t){flight->bytes, flight->sizes[0]},
                      (mp_bytes_t){flight->bytes + flight->sizes[0], flight->sizes[1]});
    if (flight->to == 1)
        conn->known = true;
    flight->next = NULL;
    *link->inbox_end = flight;
    link->inbox_end = &flight->next;
    world->messages++;
    wake(link->owner, world->now);
}

void net_reset(void)
{
    memset(&net, 0, sizeof net);
    if (shared_fd < 0)
        shared_fd = eventfd(0, EFD_CLOEXEC);
}

void net_free(void)
{
    while (net.count)
        free(land());
    while (net.conns) {
        conn_t *conn = net.conns;
        net.conns = conn->next;
        free(conn);
    }
}

/* ---- link.h ------------------------------------------------------------------------- */

static mpx_link_t *link_new(bool hub, const char *endpoint)
{
    mpx_link_t *self = calloc(1, sizeof *self);
    MUST(self, "no memory");
    self->owner = world->current;
    self->hub = hub;
    self->inbox_end = &self->inbox;
    snprintf(self->endpoint, sizeof self->endpoint, "%s", endpoint);
    self->next = net.links;
    net.links = self;
    return self;
}

mp_rc_t mpx_link_listen(void *context, const char *const *endpoints, size_t endpoints_count,
                        const mpx_link_options_t *options, mpx_link_t **out)
{
    (void)context, (void)options, (void)endpoints_count;
    *out = link_new(true, endpoints[0]);
    return MP_OK;
}

static mpx_link_t *find_hub(void)
{
    mpx_link_t *link = net.links;
    while (link && !(link->hub && !link->dead))
        link = link->next;
    return link;
}

mp_rc_t mpx_link_dial(void *context, const char *endpoint, const mpx_link_options_t *options,
                      mpx_link_t **out)
{
    (void)context, (void)options;
    mpx_link_t *hub = find_hub();
    mpx_link_t *self = link_new(false, endpoint);
    conn_t *conn = calloc(1, sizeof *conn);
    MUST(conn, "no memory");
    conn->id = ++net.last_conn;
    conn->latency_ns = (int64_t)(one_in(8) ? chance_between(2000, 30000) : chance_between(30, 500));
    conn->latency_ns *= 1000;
    conn->next = net.conns;
    net.conns = conn;
    conn->ends[0] = self;
    conn->procs[0] = self->owner;
    conn->procs[1] = broker_proc();
    self->conn = conn;
    *out = self;
    if (world->network) { /* nothing comes back */
        conn->broken = true;
    } else if (!hub) {
        conn->broken = true;
        send_flight(conn, 0, world->now + conn->latency_ns, MPX_LINK_DOWN, MP_ECONNECT,
                    (mp_bytes_t){0}, (mp_bytes_t){0});
    } else {
        conn->ends[1] = hub;
        send_flight(conn, 0, world->now + 3 * conn->latency_ns, MPX_LINK_UP, MP_OK, (mp_bytes_t){0},
                    (mp_bytes_t){0});
    }
    return MP_OK;
}

static void close_end(conn_t *conn, int end, bool lingers)
{
    if (conn->ends[end] == NULL)
        return;
    conn->ends[end] = NULL;
    if (conn->broken)
        return;
    conn->broken = true;
    recalls_cut(conn->id);
    break_direction(conn, !end, !lingers);
    hear_of_end(conn, !end, conn->latency_ns);
}

void mpx_link_destroy(mpx_link_t **self_p, int linger_ms)
{
    mpx_link_t *self = *self_p;
    if (!self)
        return;
    *self_p = NULL;
    for (conn_t *conn = net.conns; conn; conn = conn->next)
        for (int end = 0; end < 2; end++)
            if (conn->ends[end] == self)
                close_end(conn, end, linger_ms > 0);
    mpx_link_t **at = &net.links;
    while (*at != self)
        at = &(*at)->next;
    *at = self->next;
    while (self->inbox) {
        flight_t *flight = self->inbox;
        self->inbox = flight->next;
        free(flight);
    }
    free(self->read);
    free(self);
}

mp_rc_t mpx_link_next(mpx_link_t *self, mpx_link_event_t *out)
{
    flight_t *flight = self->inbox;
    free(self->read);
    self->read = flight;
    if (!flight)
        return MP_EBUSY;
    self->inbox = flight->next;
    if (!self->inbox)
        self->inbox_end = &self->inbox;
    *out = (mpx_link_event_t){.kind = flight->kind, .rc = flight->rc};
    out->peer = self->hub ? flight->conn->id : 0;
    out->frames[0] = (mp_bytes_t){flight->bytes, flight->sizes[0]};
    out->frames[1] = (mp_bytes_t){flight->bytes + flight->sizes[0], flight->sizes[1]};
    out->frames_count = flight->kind == MPX_LINK_MESSAGE ? 1 + (flight->sizes[1] > 0) : 0;
    out->address = "simulated";
    if (flight->kind == MPX_LINK_DOWN)
        flight->conn->ends[flight->to] = NULL;
    return MP_OK;
}

static conn_t *conn_of(const mpx_link_t *self, uint64_t peer)
{
    if (!self->hub)
        return self->conn;
    conn_t *conn = net.conns;
    while (conn && !(conn->id == peer && conn->ends[1] == self))
        conn = conn->next;
    return conn;
}

mp_rc_t mpx_link_send(mpx_link_t *self, uint64_t peer, mp_bytes_t head, mp_bytes_t payload)
{
    conn_t *conn = conn_of(self, peer);
    if (!conn || conn->ends[self->hub] != self)
        return MP_ECLOSED;
    if (self->dead || conn->broken || world->dying == self->owner)
        return MP_OK; /* into nowhere */
    recalls_said(self->owner, conn->id, head);
    int64_t jitter = (int64_t)chance((uint64_t)conn->latency_ns / 2 + 1);
    send_flight(conn, !self->hub, world->now + conn->latency_ns + jitter, MPX_LINK_MESSAGE, MP_OK,
                head, payload);
    return MP_OK;
}

void mpx_link_kick(mpx_link_t *self, uint64_t peer)
{
    conn_t *conn = conn_of(self, peer);
    if (conn && !self->dead)
        break_conn(conn, false);
}

void mpx_link_trust(mpx_link_t *self, uint64_t peer, bool trusted)
{
    (void)self, (void)peer, (void)trusted;
}

int64_t mpx_link_patrol(mpx_link_t *self, int64_t now)
{
    (void)self, (void)now;
    return MPX_NEVER;
}

const char *mpx_link_carrier(const mpx_link_t *self, uint64_t peer)
{
    (void)self, (void)peer;
    return "tcp";
}

const char *mpx_link_endpoint(const mpx_link_t *self, size_t i)
{
    return i == 0 ? self->endpoint : NULL;
}

int mpx_link_fd(const mpx_link_t *self)
{
    (void)self;
    return shared_fd;
}

bool mpx_link_ready(mpx_link_t *self)
{
    return self->inbox != NULL;
}

size_t mpx_link_peers(const mpx_link_t *self)
{
    size_t count = 0;
    for (const conn_t *conn = net.conns; conn; conn = conn->next)
        count += conn->ends[1] == self;
    return count;
}

void mpx_link_hush(mpx_link_t *self, bool on)
{
    (void)self;
    (void)on;
}

uint64_t mpx_link_failed_handshakes(const mpx_link_t *self)
{
    (void)self;
    return 0;
}
