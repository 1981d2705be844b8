#include "watch.h"

#include "clock.h"
#include "fault.h"
#include "node.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

typedef struct asker {
    mpx_relay_t *relay;
    mpx_header_t header;
} asker_t;

static bool tell(void *arg, mp_bytes_t payload)
{
    const asker_t *self = arg;
    return mpx_relay_tell(self->relay, &self->header, payload);
}

/* No payload: everything. {"why": "name"}: why that doesn't run. What else may be in the dict is
 * for versions to come. */
static mp_rc_t read_question(mp_bytes_t question, bool *is_why, char *name, size_t size)
{
    mp_bytes_t key, node, text;
    size_t pairs = 0;
    *is_why = false;
    if (!question.size)
        return MP_OK;
    if (mpx_node_check(question, NULL) != MP_OK || !mpx_node_enter(&question, MP_TREE_DICT, &pairs))
        return mpx_fault(MP_EPROTO, "the payload of a STAT is no dict");
    for (; pairs > 0; pairs--) {
        if (mpx_node_next(&question, &key, NULL) != MP_OK ||
            mpx_node_next(&question, &node, NULL) != MP_OK || !mpx_node_text(key, &text))
            return mpx_fault(MP_EPROTO, "the payload of a STAT is malformed");
        if (text.size != 3 || memcmp(text.data, "why", 3) != 0)
            continue;
        if (!mpx_node_text(node, &text) || text.size >= size || memchr(text.data, 0, text.size))
            return mpx_fault(MP_EPROTO, "a STAT asks why of something that is no name");
        memcpy(name, text.data, text.size);
        name[text.size] = '\0';
        *is_why = true;
    }
    return MP_OK;
}

mp_rc_t mpx_watch_answer(const mpx_scene_t *scene, const mpx_peer_t *client, uint64_t nonce,
                         mp_bytes_t question)
{
    char name[MPX_WHY_NAME_MAX];
    bool is_why = false;
    mp_rc_t rc = read_question(question, &is_why, name, sizeof name);
    if (rc != MP_OK)
        return rc;
    asker_t asker = {.relay = client->account->relay,
                     .header = {.op = MPX_OP_FACTS, .nonce = nonce}};
    mpx_facts_t facts = {.arg = &asker, .tell = tell};
    if (mpx_relay_load(asker.relay).held)
        facts.rc = MP_ELIMIT; /* who doesn't listen costs us nothing */
    else if (is_why)
        rc = mpx_why_tell(&facts, scene, name);
    else
        mpx_facts_tell_all(&facts, scene);
    mp_rc_t told = mpx_facts_end(&facts);
    if (told == MP_ENOMEM)
        return told;
    asker.header.code = told != MP_OK ? told : rc;
    return client->account->send(client->account->peer, &asker.header, (mp_bytes_t){0});
}

/* ---- the loop turns ----------------------------------------------------------------------- */

bool mpx_watch_is_due(const mpx_watch_t *self, int64_t now)
{
    return self->http || mpx_notify_deadline(self->notify) <= now;
}

static void notify(const mpx_watch_t *self, const mpx_scene_t *scene)
{
    char text[160];
    mpx_sched_counts_t counts;
    mpx_engine_counts(scene->engine, &counts);
    snprintf(text, sizeof text, "%s%u workers, %u clients, %llu calls queued, %llu running",
             scene->draining ? "draining: " : "", scene->workers, scene->clients,
             (unsigned long long)counts.queued, (unsigned long long)counts.given);
    mpx_notify_beat(self->notify, scene->now, text);
}

static void publish(mpx_http_t *http, const mpx_scene_t *scene)
{
    mpx_exposition_t out = {0};
    mpx_scene_expose(scene, &out);
    if (out.rc == MP_OK)
        mpx_http_publish(http, out.text.data, out.text.size);
    mpx_buf_free(&out.text);
}

void mpx_watch_beat(const mpx_watch_t *self, const mpx_scene_t *scene)
{
    if (mpx_notify_deadline(self->notify) <= scene->now)
        notify(self, scene);
    if (!self->http)
        return;
    mpx_http_beat(self->http, scene->now, scene->draining ? "draining" : NULL);
    if (mpx_http_is_wanted(self->http))
        publish(self->http, scene);
}

int64_t mpx_watch_deadline(const mpx_watch_t *self, int64_t now)
{
    int64_t until = mpx_notify_deadline(self->notify);
    return self->http ? mpx_earlier(until, now + MPX_HTTP_BEAT_MS * MPX_MS) : until;
}

int mpx_watch_fd(const mpx_watch_t *self)
{
    return self->http ? mpx_http_fd(self->http) : -1;
}
