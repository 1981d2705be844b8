/* fuzz_facts: what a broker answers to STAT and SURVEY, as mp_broker_stat and mp_broker_why take
 * it: FACTS and CENSUS in any order, with any payloads, and connections that are lost in between.
 * What comes out of it must be what the two promise.
 *
 * The conversation with a broker (ask.h) is stood in for here, and sending. */
#include "ask.h"
#include "script.h"

#include <mp/broker.h>
#include <mp/tree.h>

#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

enum { FACTS, LAST_FACTS, CENSUS, LAST_CENSUS, OTHER_NONCE, LOSS, STEPS };

static script_t script;
static uint64_t asked, surveyed; /* by nonce; 0: not */

mp_rc_t mpx_session_send(mpx_session_t *self, const mpx_header_t *header, mp_bytes_t payload)
{
    mp_tree_t *question = NULL;
    (void)self;
    if (header->op == MPX_OP_STAT)
        asked = header->nonce;
    if (header->op == MPX_OP_SURVEY)
        surveyed = header->nonce;
    require(header->op == MPX_OP_STAT || header->op == MPX_OP_SURVEY || header->op == MPX_OP_ACK);
    if (header->op != MPX_OP_STAT || !payload.size)
        return MP_OK;
    require(mp_tree_decode(payload.data, payload.size, NULL, &question) == MP_OK);
    require(mp_tree_str_or(mp_tree_get(question, "why"), NULL) != NULL);
    mp_tree_destroy(&question);
    return MP_OK;
}

static mp_rc_t answer(const mpx_ask_t *ask, uint8_t what, bool *done)
{
    mpx_header_t header = {.op =
                               what == CENSUS || what == LAST_CENSUS ? MPX_OP_CENSUS : MPX_OP_FACTS,
                           .nonce = what == OTHER_NONCE ? 99 : asked};
    mp_bytes_t payload = {0};
    if (header.op == MPX_OP_CENSUS)
        header.nonce = surveyed ? surveyed : 2;
    if (what == LAST_FACTS || what == LAST_CENSUS)
        header.code = (int8_t)script_byte(&script);
    else
        payload = script_block(&script);
    return ask->message(ask->self, NULL, &header, payload, done);
}

mp_rc_t mpx_ask(const mpx_ask_t *self, const char *endpoint, int timeout_ms)
{
    bool done = false;
    (void)endpoint, (void)timeout_ms;
    mp_rc_t rc = self->up(self->self, NULL);
    while (rc == MP_OK && !done && script.rest.size) {
        uint8_t what = script_byte(&script) % STEPS;
        if (what == LOSS) {
            surveyed = 0;
            rc = self->up(self->self, NULL);
        } else {
            rc = answer(self, what, &done);
        }
    }
    return rc == MP_OK && !done ? MP_ECONNECT : rc;
}

static void check_everything(const mp_tree_t *tree)
{
    static const char *const lists[] = {"workers", "tasks", "clients", "jobs"};
    require(mp_tree_type(tree) == MP_TREE_DICT);
    for (size_t i = 0; i < sizeof lists / sizeof *lists; i++) {
        mp_tree_t *list = mp_tree_get(tree, lists[i]);
        require(list && mp_tree_type(list) == MP_TREE_LIST);
        for (ptrdiff_t at = 0; at < (ptrdiff_t)mp_tree_len(list); at++)
            require(!mp_tree_get(mp_tree_at(list, at), "fact"));
    }
}

static void check_why(const mp_tree_t *tree)
{
    require(mp_tree_type(tree) == MP_TREE_LIST);
    for (ptrdiff_t at = 0; at < (ptrdiff_t)mp_tree_len(tree); at++)
        require(mp_tree_type(mp_tree_get(mp_tree_at(tree, at), "reasons")) == MP_TREE_LIST);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    mp_tree_t *tree = NULL;
    char *text = NULL;
    script = (script_t){{data, size}};
    asked = surveyed = 0;
    bool why = script_byte(&script) & 1;
    mp_rc_t rc = why ? mp_broker_why("it", "1/2", 0, &tree) : mp_broker_stat("it", 0, &tree);
    require((rc == MP_OK) == (tree != NULL));
    if (!tree)
        return 0;
    if (why)
        check_why(tree);
    else
        check_everything(tree);
    require(mp_tree_to_json(tree, 0, &text) == MP_OK); /* as mp stat --json does */
    free(text);
    mp_tree_destroy(&tree);
    return 0;
}
