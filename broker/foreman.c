#include "foreman.h"

#include "fault.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <utlist.h>

/* A worker that was told of a shipment. */
typedef struct asked {
    uint64_t worker;
    bool owes;      /* an answer, for which the client waits */
    uint64_t first; /* the piece that it waits for; */
    uint64_t bytes; /* 0: none */
    struct asked *prev, *next;
} asked_t;

typedef struct shipment {
    uint64_t number; /* the nonce of what workers are told */
    uint64_t client;
    uint64_t nonce; /* the client's */
    uint64_t bytes;
    uint32_t have; /* workers that have it */
    bool told;     /* the client has its last answer */
    asked_t *asked;
    struct shipment *prev, *next;
    size_t size; /* of what a SHIP has as payload */
    unsigned char payload[];
} shipment_t;

struct mpx_foreman {
    mpx_foreman_options_t options;
    shipment_t *shipments;
    uint64_t last_number;
    mpx_buf_t scratch;
};

enum { SHIPMENTS_MAX = 64, WORDS_MAX = 768 };

mp_rc_t mpx_foreman_new(const mpx_foreman_options_t *options, mpx_foreman_t **out)
{
    mpx_foreman_t *self = calloc(1, sizeof *self);
    if (!self)
        return MP_ENOMEM;
    self->options = *options;
    *out = self;
    return MP_OK;
}

static void shipment_free(mpx_foreman_t *self, shipment_t *shipment)
{
    asked_t *asked, *next;
    DL_FOREACH_SAFE (shipment->asked, asked, next)
        free(asked);
    DL_DELETE(self->shipments, shipment);
    free(shipment);
}

void mpx_foreman_destroy(mpx_foreman_t **self_p)
{
    mpx_foreman_t *self = *self_p;
    if (!self)
        return;
    while (self->shipments)
        shipment_free(self, self->shipments);
    mpx_buf_free(&self->scratch);
    free(self);
    *self_p = NULL;
}

/* ---- sending ---------------------------------------------------------------------- */

static mpx_peer_t *find_peer(const mpx_foreman_t *self, uint64_t id)
{
    return mpx_peer_find(*self->options.peers, id);
}

static void send_to(const mpx_foreman_t *self, uint64_t id, const mpx_header_t *header,
                    mp_bytes_t payload)
{
    mpx_peer_t *peer = find_peer(self, id);
    if (peer)
        self->options.send(peer, header, payload);
}

/* An answer with words for people. */
static void send_words(mpx_foreman_t *self, uint64_t id, const mpx_header_t *header,
                       const char *words)
{
    mpx_problem_t problem = {.message = words};
    mpx_buf_clear(&self->scratch);
    if (mpx_problem_pack(&problem, &self->scratch) == MP_OK)
        send_to(self, id, header, mpx_buf_bytes(&self->scratch));
}

/* ---- sent home -------------------------------------------------------------------- */

static void list_workers(const mpx_foreman_t *self, char *out, size_t size)
{
    size_t used = 0;
    snprintf(out, size, "none is connected");
    for (const mpx_peer_t *peer = *self->options.peers; peer; peer = peer->hh.next) {
        if (peer->state != MPX_PEER_WORKER || used >= size)
            continue;
        int n = snprintf(out + used, size - used, "%s%s", used ? ", " : "there are: ", peer->name);
        used += n > 0 ? (size_t)n : 0;
    }
}

static mp_rc_t on_dismiss(mpx_foreman_t *self, mpx_peer_t *client, const mpx_header_t *header,
                          mp_bytes_t payload)
{
    char name[sizeof client->name], there[WORDS_MAX / 2], words[WORDS_MAX];
    mpx_header_t answer = {.op = MPX_OP_DISMISSED, .nonce = header->nonce};
    mpx_plain_text(payload, name, sizeof name);
    if (!self->options.may(client, MPX_WISH_DISMISS)) {
        answer.code = MP_EPERM;
        snprintf(words, sizeof words, "%s", mp_errmsg());
        send_words(self, client->id, &answer, words);
        return MP_OK;
    }
    for (mpx_peer_t *peer = *self->options.peers; peer; peer = peer->hh.next) {
        if (peer->state != MPX_PEER_WORKER || strcmp(peer->name, name) != 0)
            continue;
        mpx_log(self->options.log, MP_LOG_INFO, "worker_dismissed", "worker", peer->name, "by",
                client->name, NULL);
        self->options.send(peer, &(mpx_header_t){.op = MPX_OP_DISMISS}, (mp_bytes_t){0});
        answer.count++;
    }
    answer.code = answer.count ? MP_OK : MP_ENOTFOUND;
    list_workers(self, there, sizeof there);
    snprintf(words, sizeof words, "no worker is called '%s'; %s", name, there);
    send_words(self, client->id, &answer, answer.count ? "" : words);
    return MP_OK;
}

/* ---- modules ---------------------------------------------------------------------- */

static shipment_t *find_number(const mpx_foreman_t *self, uint64_t number)
{
    shipment_t *shipment;
    DL_FOREACH (self->shipments, shipment)
        if (shipment->number == number)
            break;
    return shipment;
}

static shipment_t *find_nonce(const mpx_foreman_t *self, uint64_t client, uint64_t nonce)
{
    shipment_t *shipment;
    DL_FOREACH (self->shipments, shipment)
        if (shipment->client == client && shipment->nonce == nonce)
            break;
    return shipment;
}

static asked_t *find_asked(const shipment_t *shipment, uint64_t worker)
{
    asked_t *asked;
    DL_FOREACH (shipment->asked, asked)
        if (asked->worker == worker)
            break;
    return asked;
}

/* Of one worker, or with words of ours. */
static void tell_problem(mpx_foreman_t *self, const shipment_t *shipment, mp_rc_t rc,
                         const char *words)
{
    mpx_header_t header = {.op = MPX_OP_SHIPPED, .nonce = shipment->nonce, .code = rc};
    send_words(self, shipment->client, &header, words);
}

/* The last answer, when no worker owes one any more. */
static void settle(mpx_foreman_t *self, shipment_t *shipment)
{
    const asked_t *asked;
    DL_FOREACH (shipment->asked, asked)
        if (asked->owes)
            return;
    if (shipment->told)
        return;
    shipment->told = true;
    mpx_header_t header = {.op = MPX_OP_SHIPPED, .nonce = shipment->nonce, .count = shipment->have};
    send_to(self, shipment->client, &header, (mp_bytes_t){0});
}

static mp_rc_t ask(const mpx_foreman_t *self, shipment_t *shipment, mpx_peer_t *worker)
{
    asked_t *asked = calloc(1, sizeof *asked);
    if (!asked)
        return MP_ENOMEM;
    asked->worker = worker->id;
    asked->owes = !shipment->told;
    DL_APPEND(shipment->asked, asked);
    mpx_header_t header = {.op = MPX_OP_SHIP, .nonce = shipment->number, .bytes = shipment->bytes};
    self->options.send(worker, &header, (mp_bytes_t){shipment->payload, shipment->size});
    return MP_OK;
}

/* Why it can't even begin. */
static void refuse(mpx_foreman_t *self, const mpx_peer_t *client, uint64_t nonce, mp_rc_t rc,
                   const char *words)
{
    shipment_t none = {.client = client->id, .nonce = nonce};
    tell_problem(self, &none, rc, words);
    settle(self, &none);
}

static size_t count_shipments(const mpx_foreman_t *self, uint64_t client)
{
    size_t count = 0;
    for (const shipment_t *shipment = self->shipments; shipment; shipment = shipment->next)
        count += shipment->client == client;
    return count;
}

static mp_rc_t ask_all(mpx_foreman_t *self, shipment_t *shipment)
{
    mp_rc_t rc = MP_OK;
    for (mpx_peer_t *peer = *self->options.peers; peer && rc == MP_OK; peer = peer->hh.next)
        if (peer->state == MPX_PEER_WORKER && peer->takes_modules)
            rc = ask(self, shipment, peer);
    if (!shipment->asked)
        tell_problem(self, shipment, MP_ENOWORKER,
                     "no worker that is connected takes modules; start mp-worker with "
                     "--accept-modules DIR");
    settle(self, shipment);
    return rc;
}

static mp_rc_t on_ship(mpx_foreman_t *self, mpx_peer_t *client, const mpx_header_t *header,
                       mp_bytes_t payload)
{
    mpx_ship_t ship;
    char words[WORDS_MAX];
    mp_rc_t rc = mpx_ship_unpack(payload, &ship);
    if (rc != MP_OK)
        return rc;
    if (header->bytes == 0 || find_nonce(self, client->id, header->nonce))
        return mpx_fault(MP_EPROTO, "a SHIP needs a size, and a number that is not in use");
    if (!self->options.may(client, MPX_WISH_SHIP)) {
        snprintf(words, sizeof words, "%s", mp_errmsg());
        refuse(self, client, header->nonce, MP_EPERM, words);
        return MP_OK;
    }
    if (count_shipments(self, client->id) >= SHIPMENTS_MAX) {
        refuse(self, client, header->nonce, MP_ELIMIT, "a client may ship 64 modules at most");
        return MP_OK;
    }
    shipment_t *shipment = calloc(1, sizeof *shipment + payload.size);
    if (!shipment)
        return MP_ENOMEM;
    shipment->number = ++self->last_number;
    shipment->client = client->id;
    shipment->nonce = header->nonce;
    shipment->bytes = header->bytes;
    shipment->size = payload.size;
    memcpy(shipment->payload, payload.data, payload.size);
    DL_APPEND(self->shipments, shipment);
    mpx_log(self->options.log, MP_LOG_INFO, "module_shipped", "client", client->name, "name",
            ship.name, NULL);
    return ask_all(self, shipment);
}

static mp_rc_t on_fetch(const mpx_foreman_t *self, const mpx_peer_t *worker,
                        const mpx_header_t *header)
{
    const shipment_t *shipment = find_number(self, header->nonce);
    asked_t *asked = shipment ? find_asked(shipment, worker->id) : NULL;
    if (!asked)
        return MP_OK; /* its client has just gone, which the worker is told */
    if (asked->bytes || header->bytes == 0 || header->bytes > MPX_PIECE_BYTES ||
        header->first >= shipment->bytes || header->bytes > shipment->bytes - header->first)
        return mpx_fault(MP_EPROTO, "a FETCH asks for what is not there, or too much at once");
    asked->first = header->first;
    asked->bytes = header->bytes;
    mpx_header_t question = {.op = MPX_OP_FETCH,
                             .nonce = shipment->nonce,
                             .chunk = worker->id,
                             .first = header->first,
                             .bytes = header->bytes};
    send_to(self, shipment->client, &question, (mp_bytes_t){0});
    return MP_OK;
}

static mp_rc_t on_piece(const mpx_foreman_t *self, const mpx_peer_t *client,
                        const mpx_header_t *header, mp_bytes_t payload)
{
    const shipment_t *shipment = find_nonce(self, client->id, header->nonce);
    asked_t *asked = shipment ? find_asked(shipment, header->chunk) : NULL;
    if (!asked)
        return MP_OK; /* the worker has gone */
    if (asked->bytes == 0 || header->first != asked->first || payload.size > asked->bytes ||
        (payload.size == 0 && header->code >= 0))
        return mpx_fault(MP_EPROTO, "a PIECE that nobody has asked for");
    asked->bytes = 0;
    mpx_header_t piece = {.op = MPX_OP_PIECE,
                          .nonce = shipment->number,
                          .first = header->first,
                          .code = header->code};
    send_to(self, asked->worker, &piece, payload);
    return MP_OK;
}

static mp_rc_t on_shipped(mpx_foreman_t *self, const mpx_peer_t *worker, const mpx_header_t *header,
                          mp_bytes_t payload)
{
    shipment_t *shipment = find_number(self, header->nonce);
    asked_t *asked = shipment ? find_asked(shipment, worker->id) : NULL;
    char words[WORDS_MAX];
    mpx_problem_t problem;
    void *arena = NULL;
    if (!asked)
        return MP_OK;
    mp_rc_t rc = mpx_problem_unpack(payload, &problem, &arena);
    if (rc != MP_OK)
        return rc;
    snprintf(words, sizeof words, "worker %s: %s", worker->name, problem.message);
    free(arena);
    bool owed = asked->owes;
    asked->owes = false;
    asked->bytes = 0;
    shipment->have += owed && header->code == 0;
    if (owed && header->code)
        tell_problem(self, shipment, header->code < 0 ? (mp_rc_t)header->code : MP_EPROTO, words);
    settle(self, shipment);
    return MP_OK;
}

/* ---- messages, comings and goings -------------------------------------------------- */

bool mpx_foreman_takes(mpx_op_t op)
{
    return op >= MPX_OP_DISMISS && op < MPX_OP_OFFER && op != MPX_OP_OUTPUT;
}

mp_rc_t mpx_foreman_client(mpx_foreman_t *self, mpx_peer_t *client, const mpx_header_t *header,
                           mp_bytes_t payload)
{
    switch (header->op) {
    case MPX_OP_DISMISS:
        return on_dismiss(self, client, header, payload);
    case MPX_OP_SHIP:
        return on_ship(self, client, header, payload);
    case MPX_OP_PIECE:
        return on_piece(self, client, header, payload);
    default:
        return mpx_fault(MP_EPROTO, "%s is not for a client to send", mpx_op_name(header->op));
    }
}

mp_rc_t mpx_foreman_worker(mpx_foreman_t *self, mpx_peer_t *worker, const mpx_header_t *header,
                           mp_bytes_t payload)
{
    switch (header->op) {
    case MPX_OP_FETCH:
        return on_fetch(self, worker, header);
    case MPX_OP_SHIPPED:
        return on_shipped(self, worker, header, payload);
    default:
        return mpx_fault(MP_EPROTO, "%s is not for a worker to send", mpx_op_name(header->op));
    }
}

mp_rc_t mpx_foreman_joined(mpx_foreman_t *self, mpx_peer_t *worker)
{
    mp_rc_t rc = MP_OK;
    if (!worker->takes_modules)
        return MP_OK;
    for (shipment_t *shipment = self->shipments; shipment && rc == MP_OK; shipment = shipment->next)
        rc = ask(self, shipment, worker);
    return rc;
}

static void drop_worker(mpx_foreman_t *self, shipment_t *shipment, const mpx_peer_t *worker)
{
    asked_t *asked = find_asked(shipment, worker->id);
    char words[WORDS_MAX];
    if (!asked)
        return;
    if (asked->owes) {
        snprintf(words, sizeof words, "worker %s was lost before it had it", worker->name);
        tell_problem(self, shipment, MP_EWORKERLOST, words);
    }
    DL_DELETE(shipment->asked, asked);
    free(asked);
    settle(self, shipment);
}

/* Workers don't wait for pieces of one that is gone. */
static void drop_shipment(mpx_foreman_t *self, shipment_t *shipment)
{
    const asked_t *asked;
    mpx_header_t header = {.op = MPX_OP_SHIPPED, .nonce = shipment->number, .code = MP_ECANCELLED};
    DL_FOREACH (shipment->asked, asked)
        send_to(self, asked->worker, &header, (mp_bytes_t){0});
    shipment_free(self, shipment);
}

void mpx_foreman_gone(mpx_foreman_t *self, const mpx_peer_t *peer)
{
    shipment_t *shipment, *next;
    DL_FOREACH_SAFE (self->shipments, shipment, next) {
        if (shipment->client == peer->id)
            drop_shipment(self, shipment);
        else
            drop_worker(self, shipment, peer);
    }
}
