/* inquire.c: what a broker knows of itself. Facts come as trees, and are put together by kind. */
#include <mp/broker.h>

#include "ask.h"
#include "fault.h"
#include "node.h"

#include <stdlib.h>
#include <string.h>

enum { STAT_NONCE = 1, SURVEY_NONCE = 2 };

typedef struct inquiry {
    const char *why; /* NULL: everything */
    mp_tree_t *out;
    bool has_facts;
    bool has_survey; /* or wants none */
    const char *endpoint;
} inquiry_t;

/* ---- everything ------------------------------------------------------------------------- */

/* Where facts of a kind go; the broker's is alone. */
static const struct {
    const char *fact;
    const char *list;
} lists[] = {{"worker", "workers"}, {"task", "tasks"}, {"client", "clients"}, {"job", "jobs"}};

enum { LISTS = sizeof lists / sizeof *lists };

static mp_rc_t begin(inquiry_t *self)
{
    mp_tree_destroy(&self->out);
    self->has_facts = false;
    self->has_survey = self->why != NULL;
    self->out = self->why ? mp_tree_list(NULL, 0) : mp_tree_dict(NULL, 0);
    mp_rc_t rc = self->out ? MP_OK : mpx_fault(MP_ENOMEM, "what a broker says");
    for (size_t i = 0; !self->why && i < LISTS && rc == MP_OK; i++)
        rc = mp_tree_set(self->out, lists[i].list, mp_tree_list(NULL, 0));
    return rc;
}

/* Kinds that this version doesn't know are passed over. */
static mp_rc_t sort(mp_tree_t *out, const char *kind, mp_tree_t *fact)
{
    if (strcmp(kind, "broker") == 0)
        return mp_tree_set(out, kind, fact);
    for (size_t i = 0; i < LISTS; i++)
        if (strcmp(kind, lists[i].fact) == 0)
            return mp_tree_append(mp_tree_get(out, lists[i].list), fact);
    mp_tree_destroy(&fact);
    return MP_OK;
}

/* Each call has the reasons that follow it. */
static mp_rc_t sort_why(mp_tree_t *out, const char *kind, mp_tree_t *fact)
{
    mp_rc_t rc = MP_OK;
    if (strcmp(kind, "call") == 0) {
        rc = mp_tree_set(fact, "reasons", mp_tree_list(NULL, 0));
        if (rc == MP_OK)
            return mp_tree_append(out, fact);
    } else if (strcmp(kind, "reason") == 0) {
        return mp_tree_append(mp_tree_get(mp_tree_at(out, -1), "reasons"), fact);
    }
    mp_tree_destroy(&fact);
    return rc;
}

static mp_rc_t add_fact(const inquiry_t *self, mp_bytes_t node)
{
    char kind[16] = "";
    mp_tree_t *fact = NULL;
    mp_rc_t rc = mp_tree_decode(node.data, node.size, NULL, &fact);
    if (rc != MP_OK)
        return rc;
    mp_tree_t *name = mp_tree_remove(fact, "fact");
    const char *text = mp_tree_str_or(name, "");
    if (strlen(text) < sizeof kind)
        memcpy(kind, text, strlen(text) + 1);
    mp_tree_destroy(&name);
    return self->why ? sort_why(self->out, kind, fact) : sort(self->out, kind, fact);
}

static mp_rc_t on_facts(inquiry_t *self, const mpx_header_t *header, mp_bytes_t payload)
{
    mp_bytes_t node;
    mp_rc_t rc = MP_OK;
    while (payload.size && rc == MP_OK) {
        rc = mpx_node_next(&payload, &node, NULL);
        if (rc == MP_OK)
            rc = add_fact(self, node);
    }
    if (rc == MP_OK && header->code == MP_ENOTFOUND)
        return mpx_fault(MP_ENOTFOUND, "%s has no open job '%s'", self->endpoint, self->why);
    if (rc == MP_OK && header->code)
        return mpx_fault((mp_rc_t)header->code, "%s could not say all", self->endpoint);
    return rc;
}

/* ---- workers' memory, which they know themselves ------------------------------------------- */

/* A broker may say what it likes. */
static int64_t sum_of(int64_t bytes, uint64_t more)
{
    int64_t had = bytes > 0 ? bytes : 0;
    return more > (uint64_t)(INT64_MAX - had) ? INT64_MAX : had + (int64_t)more;
}

static mp_rc_t on_census(const inquiry_t *self, mp_bytes_t payload)
{
    mpx_executor_stat_t stat;
    void *arena = NULL;
    mp_tree_t *worker;
    mp_tree_t *workers = mp_tree_get(self->out, "workers");
    mp_rc_t rc = mpx_executor_stat_unpack(payload, &stat, &arena);
    if (rc != MP_OK)
        return rc;
    for (ptrdiff_t i = 0; (worker = mp_tree_at(workers, i)); i++) {
        if (mp_tree_int_or(mp_tree_get(worker, "id"), 0) != (int64_t)stat.session)
            continue;
        int64_t bytes = mp_tree_int_or(mp_tree_get(worker, "memory_bytes"), 0);
        rc = mp_tree_set(worker, "memory_bytes", mp_tree_int(sum_of(bytes, stat.memory_bytes)));
    }
    free(arena);
    return rc;
}

/* ---- the conversation ----------------------------------------------------------------------- */

static mp_rc_t ask_stat(const inquiry_t *self, mpx_session_t *session)
{
    mpx_header_t header = {.op = MPX_OP_STAT, .nonce = STAT_NONCE};
    if (!self->why)
        return mpx_session_send(session, &header, (mp_bytes_t){0});
    void *data = NULL;
    size_t size = 0;
    mp_tree_t *question = MP_DICT({"why", MP_V(self->why)});
    mp_rc_t rc = question ? mp_tree_encode(question, NULL, &data, &size)
                          : mpx_fault(MP_EINVAL, "a name that is no UTF-8");
    if (rc == MP_OK)
        rc = mpx_session_send(session, &header, (mp_bytes_t){data, size});
    free(data);
    mp_tree_destroy(&question);
    return rc;
}

static mp_rc_t on_up(void *arg, mpx_session_t *session)
{
    inquiry_t *self = arg;
    mp_rc_t rc = begin(self);
    return rc == MP_OK ? ask_stat(self, session) : rc;
}

/* All facts are there before the workers are asked, whose memory is put into them. */
static mp_rc_t on_message(void *arg, mpx_session_t *session, const mpx_header_t *header,
                          mp_bytes_t payload, bool *done)
{
    inquiry_t *self = arg;
    mpx_header_t survey = {.op = MPX_OP_SURVEY, .nonce = SURVEY_NONCE};
    mpx_header_t ack = {.op = MPX_OP_ACK, .bytes = payload.size};
    mp_rc_t rc = MP_OK;
    if (header->op == MPX_OP_FACTS && header->nonce == STAT_NONCE && !self->has_facts) {
        rc = on_facts(self, header, payload);
        self->has_facts = !payload.size;
        if (rc == MP_OK && self->has_facts && !self->has_survey)
            rc = mpx_session_send(session, &survey, (mp_bytes_t){0});
    } else if (header->op == MPX_OP_CENSUS && header->nonce == SURVEY_NONCE) {
        self->has_survey = !payload.size;
        rc = payload.size ? on_census(self, payload) : MP_OK;
    } else {
        return MP_OK;
    }
    if (rc == MP_OK && payload.size)
        rc = mpx_session_send(session, &ack, (mp_bytes_t){0});
    *done = self->has_facts && self->has_survey;
    return rc == MP_ECLOSED ? MP_OK : rc; /* it is lost, and asked again */
}

static mp_rc_t inquire(const char *endpoint, const char *why, int timeout_ms, mp_tree_t **out)
{
    if (!out)
        return mpx_fault(MP_EINVAL, "nowhere to put what the broker says");
    inquiry_t self = {.why = why, .endpoint = endpoint};
    mpx_ask_t ask = {.self = &self, .up = on_up, .message = on_message};
    mp_rc_t rc = mpx_ask(&ask, endpoint, timeout_ms);
    if (rc == MP_OK)
        *out = self.out;
    else
        mp_tree_destroy(&self.out);
    return rc;
}

mp_rc_t mp_broker_stat(const char *endpoint, int timeout_ms, mp_tree_t **out)
{
    return inquire(endpoint, NULL, timeout_ms, out);
}

mp_rc_t mp_broker_why(const char *endpoint, const char *what, int timeout_ms, mp_tree_t **out)
{
    return inquire(endpoint, what ? what : "", timeout_ms, out);
}
