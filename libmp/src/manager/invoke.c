#include "invoke.h"

#include "clock.h"
#include "fault.h"
#include "node.h"
#include "noted.h"

#include <stdlib.h>
#include <string.h>

enum { ANSWER_MS = 2000 };

int64_t mpx_invoke_deadline(int timeout_ms)
{
    if (timeout_ms < 0)
        return MPX_NEVER;
    return mpx_now() + ((int64_t)timeout_ms + ANSWER_MS) * MPX_MS;
}

/* ---- arguments
 * ---------------------------------------------------------------------------------------------- */

static mp_rc_t add_key_node(const mp_key_t *key, mpx_buf_t *out)
{
    switch (key->type) {
    case MP_TREE_NULL:
        return mpx_node_add_null(out);
    case MP_TREE_BOOL:
        return mpx_node_add_bool(out, key->as.truth);
    case MP_TREE_INT:
        return mpx_node_add_int(out, key->as.integer);
    case MP_TREE_FLOAT:
        return mpx_node_add_float(out, key->as.real);
    case MP_TREE_STR:
        return mpx_node_add_str(out, key->data, key->as.size);
    case MP_TREE_BYTES:
        return mpx_node_add_bytes(out, key->data, key->as.size);
    default:
        return mpx_fault(MP_EINVAL, "a %s is no key", mp_tree_type_name(key->type));
    }
}

/* The node is written behind room for its head, which is filled in then. */
static mp_rc_t add_key(const mp_key_t *key, mpx_buf_t *out)
{
    size_t at = out->size;
    bool has_data = key->type == MP_TREE_STR || key->type == MP_TREE_BYTES;
    if (has_data && !key->data && (key->as.size || key->type == MP_TREE_STR))
        return mpx_fault(MP_EINVAL, "a key at NULL");
    if (!mpx_buf_reserve(out, MPX_PARCEL_HEAD + MPX_NODE_HEAD_MAX))
        return mpx_fault(MP_ENOMEM, "a key");
    out->size += MPX_PARCEL_HEAD;
    mp_rc_t rc = add_key_node(key, out);
    if (rc == MP_OK)
        mpx_parcel_head(out->data + at, MP_ITEM_TREE, out->size - at - MPX_PARCEL_HEAD);
    return rc;
}

static mp_rc_t add_tree(const mp_tree_t *tree, mpx_buf_t *out)
{
    void *data = NULL;
    size_t size = 0;
    if (!tree)
        return mpx_fault(MP_ENOMEM,
                         "a value is NULL: there was no memory for it, or it isn't UTF-8");
    mp_rc_t rc = mp_tree_encode(tree, NULL, &data, &size);
    if (rc == MP_OK)
        rc = mpx_parcel_add(out, MP_ITEM_TREE, (mp_bytes_t){data, size});
    free(data);
    return rc;
}

static mp_rc_t add_arg(const mpx_arg_t *arg, mpx_buf_t *out)
{
    switch (arg->kind) {
    case MPX_ARG_NUMBER:
        return mpx_parcel_add_number(out, arg->number);
    case MPX_ARG_KEY:
        return add_key(&arg->key, out);
    case MPX_ARG_TREE:
        return add_tree(arg->tree, out);
    case MPX_ARG_ITEM:
        break;
    }
    if ((!arg->item.data && arg->item.size) || arg->item_kind > MP_ITEM_MESSAGE)
        return mpx_fault(MP_EINVAL, "an item of %zu bytes at NULL, or of no kind", arg->item.size);
    if (arg->item.size > MP_VALUE_BYTES_MAX)
        return mpx_fault(MP_ETOOLARGE, "an item of %zu bytes", arg->item.size);
    return mpx_parcel_add(out, arg->item_kind, arg->item);
}

static void destroy_trees(mpx_arg_t *args, size_t count)
{
    for (size_t i = 0; i < count; i++)
        if (args[i].kind == MPX_ARG_TREE)
            mp_tree_destroy(&args[i].tree);
}

static mp_rc_t pack(uint64_t object, uint64_t guard, uint64_t token, mpx_method_t method,
                    int timeout_ms, mpx_arg_t *args, size_t count, mpx_buf_t *out)
{
    size_t begin = out->size;
    mp_rc_t rc = MP_OK;
    if (!mpx_buf_reserve(out, MPX_OPERATION_HEAD))
        rc = mpx_fault(MP_ENOMEM, "a call");
    else
        out->size += MPX_OPERATION_HEAD;
    if (rc == MP_OK && guard)
        rc = mpx_parcel_add_number(out, guard);
    if (rc == MP_OK && guard)
        rc = mpx_parcel_add_number(out, token);
    for (size_t i = 0; rc == MP_OK && i < count; i++)
        rc = add_arg(&args[i], out);
    destroy_trees(args, count);
    if (rc != MP_OK) {
        out->size = begin;
        return rc;
    }
    mpx_operation_t operation = {
        .method = (uint16_t)method,
        .flags = guard ? MPX_OPERATION_GUARDED : 0,
        .wait_ms = timeout_ms,
        .object = object,
        .arguments.size = out->size - begin - MPX_OPERATION_HEAD,
    };
    mpx_operation_head(out->data + begin, &operation);
    return MP_OK;
}

mp_rc_t mpx_invoke_pack(const mp_object_t *self, mpx_method_t method, int timeout_ms,
                        mpx_arg_t *args, size_t count, mpx_buf_t *out)
{
    return pack(self->id, self->guard, self->token, method, timeout_ms, args, count, out);
}

/* ---- results
 * --------------------------------------------------------------------------------------------------
 */

static mp_rc_t bad_answer(void)
{
    return mpx_fault(MP_EPROTO, "an answer isn't what was asked for");
}

static mp_rc_t take_tree(mp_tree_t **out, uint32_t kind, mp_bytes_t item)
{
    if (kind == MP_ITEM_TREE)
        return mp_tree_decode(item.data, item.size, NULL, out);
    *out = mp_tree_bytes(item.data, item.size);
    return *out ? MP_OK : mpx_fault(MP_ENOMEM, "an item");
}

static mp_rc_t take_item(mp_item_t *out, uint32_t kind, mp_bytes_t item)
{
    void *data = malloc(item.size ? item.size : 1);
    if (!data)
        return mpx_fault(MP_ENOMEM, "an item of %zu bytes", item.size);
    if (item.size)
        memcpy(data, item.data, item.size);
    *out = (mp_item_t){.kind = (mp_item_kind_t)kind, .data = data, .size = item.size};
    return MP_OK;
}

static mp_rc_t take_buffer(const mpx_take_t *take, mp_bytes_t item)
{
    if (take->size)
        *take->size = item.size;
    if (item.size > take->room)
        return mpx_fault(MP_ERANGE, "%zu bytes, and room for %zu", item.size, take->room);
    if (item.size && take->out)
        memcpy(take->out, item.data, item.size);
    return MP_OK;
}

static mp_rc_t take_number(const mpx_take_t *take, mp_bytes_t *rest)
{
    uint64_t number;
    if (mpx_parcel_next_number(rest, &number) != MP_OK)
        return bad_answer();
    if (!take->out)
        return MP_OK;
    if (take->kind == MPX_TAKE_NUMBER)
        *(uint64_t *)take->out = number;
    else if (take->kind == MPX_TAKE_SIZE)
        *(size_t *)take->out = (size_t)number;
    else if (take->kind == MPX_TAKE_BOOL)
        *(bool *)take->out = number != 0;
    else
        ((mp_item_t *)take->out)->redelivered = number != 0;
    return MP_OK;
}

static mp_rc_t take(const mpx_take_t *take, mp_bytes_t *rest)
{
    uint32_t kind;
    mp_bytes_t item;
    if (take->kind == MPX_TAKE_NUMBER || take->kind == MPX_TAKE_SIZE ||
        take->kind == MPX_TAKE_BOOL || take->kind == MPX_TAKE_AGAIN)
        return take_number(take, rest);
    if (take->kind == MPX_TAKE_REST && rest->size == 0)
        return MP_OK;
    if (mpx_parcel_next(rest, &kind, &item) != MP_OK)
        return bad_answer();
    if (!take->out && take->kind != MPX_TAKE_BUFFER)
        return MP_OK;
    switch (take->kind) {
    case MPX_TAKE_TREE:
        return take_tree(take->out, kind, item);
    case MPX_TAKE_ITEM:
    case MPX_TAKE_REST:
        return take_item(take->out, kind, item);
    case MPX_TAKE_BUFFER:
        return take_buffer(take, item);
    case MPX_TAKE_INT:
        return mpx_node_int(item, take->out) ? MP_OK
                                             : mpx_fault(MP_EINVAL, "the number is a float");
    case MPX_TAKE_FLOAT:
        return mpx_node_float(item, take->out) ? MP_OK : bad_answer();
    default:
        return bad_answer();
    }
}

static mp_rc_t take_failure(const mpx_answer_t *answer)
{
    uint32_t kind;
    mp_bytes_t rest = answer->results, words = {"", 0};
    if (rest.size && mpx_parcel_next(&rest, &kind, &words) != MP_OK)
        words = (mp_bytes_t){"", 0};
    if (!words.size)
        return mpx_fault(answer->rc, "%s", mp_strerror(answer->rc));
    return mpx_fault(answer->rc, "%.*s", (int)(words.size < 400 ? words.size : 400),
                     (const char *)words.data);
}

mp_rc_t mpx_invoke_unpack(const mpx_answer_t *answer, const mpx_take_t *takes, size_t count)
{
    mp_bytes_t rest = answer->results;
    if (answer->rc != MP_OK && answer->rc != MP_EOWNERDEAD)
        return take_failure(answer);
    for (size_t i = 0; i < count; i++) {
        mp_rc_t rc = take(&takes[i], &rest);
        if (rc != MP_OK)
            return rc;
    }
    return answer->rc == MP_OK ? MP_OK
                               : mpx_fault(answer->rc, "the last holder died, or lost its lease");
}

/* ---- a call
 * ------------------------------------------------------------------------------------------------------
 */

typedef struct call {
    uint64_t lapses;
    const mpx_take_t *takes;
    size_t takes_count;
    mp_rc_t rc;
    char words[512]; /* of a failure: it may be another thread that hears it */
} call_t;

static void on_answer(void *arg, uint32_t index, const mpx_answer_t *answer)
{
    call_t *call = arg;
    (void)index;
    call->rc = mpx_invoke_unpack(answer, call->takes, call->takes_count);
    if (call->rc == MP_OK)
        return;
    strncpy(call->words, mp_errmsg(), sizeof call->words - 1);
    call->words[sizeof call->words - 1] = 0;
}

static mp_rc_t run(mpx_server_t *server, uint64_t object, mpx_method_t method, int timeout_ms,
                   const mpx_buf_t *operation, call_t *call)
{
    mpx_line_t *line = NULL;
    mp_rc_t rc = mpx_server_line(server, &line);
    if (rc != MP_OK)
        return rc;
    mpx_errand_t errand = {
        .operations = mpx_buf_bytes(operation),
        .count = 1,
        .answer = on_answer,
        .arg = call,
        .holds = mpx_method_traits(method) & MPX_HOLDS ? (int)method : 0,
        .object = object,
        .lapses = call->lapses,
    };
    rc = mpx_line_run(line, &errand, mpx_invoke_deadline(timeout_ms));
    if (rc != MP_OK)
        return rc;
    if (call->rc == MP_OK)
        return MP_OK;
    return mpx_fault(call->rc, "%s (the manager at %s)", call->words, mpx_server_address(server));
}

mp_rc_t mpx_invoke_packed(mpx_server_t *server, mpx_method_t method, int timeout_ms,
                          const mpx_buf_t *operation, const mpx_take_t *takes, size_t takes_count)
{
    call_t call = {.lapses = UINT64_MAX, .takes = takes, .takes_count = takes_count};
    return run(server, 0, method, timeout_ms, operation, &call);
}

mp_rc_t mpx_invoke_server(mpx_server_t *server, mpx_method_t method, int timeout_ms,
                          mpx_arg_t *args, size_t args_count, const mpx_take_t *takes,
                          size_t takes_count)
{
    mpx_buf_t operation = {0};
    call_t call = {.lapses = UINT64_MAX, .takes = takes, .takes_count = takes_count};
    mp_rc_t rc = pack(0, 0, 0, method, timeout_ms, args, args_count, &operation);
    if (rc == MP_OK)
        rc = run(server, 0, method, timeout_ms, &operation, &call);
    mpx_buf_free(&operation);
    return rc;
}

/* Told once by each handle. */
static void note_lapse(mp_object_t *self)
{
    mpx_line_t *line = NULL;
    if (mpx_server_line(self->server, &line) == MP_OK)
        self->lapses = mpx_line_lapses(line);
}

/* A manager that came back without what it kept: a named object is opened, or made, again. */
static bool reopen(mp_object_t *self)
{
    mpx_line_t *line = NULL;
    uint64_t id = 0;
    mpx_take_t takes[] = {{MPX_TAKE_NUMBER, &id, 0, NULL}};
    call_t call = {.lapses = UINT64_MAX, .takes = takes, .takes_count = 1};
    if (!self->making || mpx_server_line(self->server, &line) != MP_OK ||
        mpx_line_server(line) == self->life)
        return false;
    mpx_buf_t operation = {.data = self->making, .size = self->making_size};
    if (run(self->server, 0, MPX_MAKE, 0, &operation, &call) != MP_OK || !id)
        return false;
    mpx_line_drop(line, self->id);
    self->id = id;
    self->life = mpx_line_server(line);
    return mpx_line_hold(line, id, true) == MP_OK;
}

mp_rc_t mpx_invoke(mp_object_t *self, mpx_method_t method, int timeout_ms, mpx_arg_t *args,
                   size_t args_count, const mpx_take_t *takes, size_t takes_count)
{
    if (self->pipeline)
        return mpx_noted_add(self->pipeline, self, method, args, args_count, takes, takes_count);
    mpx_buf_t operation = {0};
    mpx_line_t *line = NULL;
    mp_rc_t rc = mpx_object_line(self, &line);
    if (rc != MP_OK) {
        destroy_trees(args, args_count);
        return rc;
    }
    call_t call = {.lapses = self->lapses, .takes = takes, .takes_count = takes_count};
    rc = mpx_invoke_pack(self, method, timeout_ms, args, args_count, &operation);
    if (rc == MP_OK)
        rc = run(self->server, self->id, method, timeout_ms, &operation, &call);
    if (rc == MP_ENOTFOUND && reopen(self)) {
        for (int i = 0; i < 8; i++) /* where the operation names its object */
            operation.data[8 + i] = (unsigned char)(self->id >> 8 * i);
        rc = run(self->server, self->id, method, timeout_ms, &operation, &call);
    }
    if (rc == MP_ELEASE)
        note_lapse(self);
    mpx_buf_free(&operation);
    return rc;
}
