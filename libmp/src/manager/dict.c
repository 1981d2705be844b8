#include "fault.h"
#include "invoke.h"

#include <mp/dict.h>
#include <stdlib.h>

#define TREE(out)                                                                                  \
    {                                                                                              \
        MPX_TAKE_TREE, (out), 0, NULL                                                              \
    }

mp_rc_t mp_dict_set(mp_object_t *self, mp_key_t key, mp_tree_t *value, int timeout_ms)
{
    return MPX_INVOKE(self, MPX_MAP_SET, timeout_ms, MPX_ARGS(MPX_KEY(key), MPX_TREE(value)),
                      MPX_NO_TAKES);
}

mp_rc_t mp_dict_set_item(mp_object_t *self, mp_key_t key, mp_item_kind_t kind, const void *data,
                         size_t size, int timeout_ms)
{
    return MPX_INVOKE(self, MPX_MAP_SET, timeout_ms,
                      MPX_ARGS(MPX_KEY(key), MPX_ITEM(kind, data, size)), MPX_NO_TAKES);
}

mp_rc_t mp_dict_set_bytes(mp_object_t *self, mp_key_t key, const void *data, size_t size,
                          int timeout_ms)
{
    return mp_dict_set_item(self, key, MP_ITEM_BYTES, data, size, timeout_ms);
}

mp_rc_t mp_dict_get(mp_object_t *self, mp_key_t key, mp_tree_t **out, int timeout_ms)
{
    return mp_dict_get_version(self, key, out, NULL, timeout_ms);
}

mp_rc_t mp_dict_get_bytes(mp_object_t *self, mp_key_t key, void *buffer, size_t room, size_t *size,
                          int timeout_ms)
{
    if (!buffer && room)
        return mpx_fault(MP_EINVAL, "a buffer of %zu bytes at NULL", room);
    return MPX_INVOKE(self, MPX_MAP_GET, timeout_ms, MPX_ARGS(MPX_KEY(key)),
                      MPX_TAKES({MPX_TAKE_BUFFER, buffer, room, size}));
}

mp_rc_t mp_dict_get_item(mp_object_t *self, mp_key_t key, mp_item_t *out, int timeout_ms)
{
    return MPX_INVOKE(self, MPX_MAP_GET, timeout_ms, MPX_ARGS(MPX_KEY(key)),
                      MPX_TAKES({MPX_TAKE_ITEM, out, 0, NULL}));
}

mp_rc_t mp_dict_get_version(mp_object_t *self, mp_key_t key, mp_tree_t **out, uint64_t *version,
                            int timeout_ms)
{
    return MPX_INVOKE(self, MPX_MAP_GET, timeout_ms, MPX_ARGS(MPX_KEY(key)),
                      MPX_TAKES(TREE(out), {MPX_TAKE_NUMBER, version, 0, NULL}));
}

mp_rc_t mp_dict_del(mp_object_t *self, mp_key_t key, int timeout_ms)
{
    return MPX_INVOKE(self, MPX_MAP_DEL, timeout_ms, MPX_ARGS(MPX_KEY(key)), MPX_NO_TAKES);
}

mp_rc_t mp_dict_contains(mp_object_t *self, mp_key_t key, bool *out, int timeout_ms)
{
    return MPX_INVOKE(self, MPX_MAP_CONTAINS, timeout_ms, MPX_ARGS(MPX_KEY(key)),
                      MPX_TAKES({MPX_TAKE_BOOL, out, 0, NULL}));
}

mp_rc_t mp_dict_len(mp_object_t *self, size_t *out, int timeout_ms)
{
    mp_rc_t rc = mpx_object_is(self, MPX_T_MAP);
    if (rc != MP_OK)
        return rc;
    return MPX_INVOKE(self, MPX_LEN, timeout_ms, MPX_NO_ARGS,
                      MPX_TAKES({MPX_TAKE_SIZE, out, 0, NULL}));
}

mp_rc_t mp_dict_clear(mp_object_t *self, int timeout_ms)
{
    mp_rc_t rc = mpx_object_is(self, MPX_T_MAP);
    if (rc != MP_OK)
        return rc;
    return MPX_INVOKE(self, MPX_CLEAR, timeout_ms, MPX_NO_ARGS, MPX_NO_TAKES);
}

mp_rc_t mp_dict_pop(mp_object_t *self, mp_key_t key, mp_tree_t **out, int timeout_ms)
{
    return MPX_INVOKE(self, MPX_MAP_POP, timeout_ms, MPX_ARGS(MPX_KEY(key)), MPX_TAKES(TREE(out)));
}

mp_rc_t mp_dict_popitem(mp_object_t *self, mp_tree_t **key, mp_tree_t **value, int timeout_ms)
{
    return MPX_INVOKE(self, MPX_MAP_POPITEM, timeout_ms, MPX_NO_ARGS,
                      MPX_TAKES(TREE(key), TREE(value)));
}

mp_rc_t mp_dict_setdefault(mp_object_t *self, mp_key_t key, mp_tree_t *value, mp_tree_t **out,
                           int timeout_ms)
{
    return MPX_INVOKE(self, MPX_MAP_SETDEFAULT, timeout_ms, MPX_ARGS(MPX_KEY(key), MPX_TREE(value)),
                      MPX_TAKES(TREE(out)));
}

mp_rc_t mp_dict_update(mp_object_t *self, mp_tree_t *dict, int timeout_ms)
{
    return MPX_INVOKE(self, MPX_MAP_UPDATE, timeout_ms, MPX_ARGS(MPX_TREE(dict)), MPX_NO_TAKES);
}

mp_rc_t mp_dict_fromkeys(mp_object_t *self, mp_tree_t *keys, mp_tree_t *value, int timeout_ms)
{
    return MPX_INVOKE(self, MPX_MAP_FROMKEYS, timeout_ms, MPX_ARGS(MPX_TREE(keys), MPX_TREE(value)),
                      MPX_NO_TAKES);
}

mp_rc_t mp_dict_keys(mp_object_t *self, mp_tree_t **out, int timeout_ms)
{
    return MPX_INVOKE(self, MPX_MAP_KEYS, timeout_ms, MPX_NO_ARGS, MPX_TAKES(TREE(out)));
}

mp_rc_t mp_dict_values(mp_object_t *self, mp_tree_t **out, int timeout_ms)
{
    return MPX_INVOKE(self, MPX_MAP_VALUES, timeout_ms, MPX_NO_ARGS, MPX_TAKES(TREE(out)));
}

mp_rc_t mp_dict_items(mp_object_t *self, mp_tree_t **out, int timeout_ms)
{
    return MPX_INVOKE(self, MPX_MAP_ITEMS, timeout_ms, MPX_NO_ARGS, MPX_TAKES(TREE(out)));
}

mp_rc_t mp_dict_copy(mp_object_t *self, mp_tree_t **out, int timeout_ms)
{
    return MPX_INVOKE(self, MPX_MAP_COPY, timeout_ms, MPX_NO_ARGS, MPX_TAKES(TREE(out)));
}

mp_rc_t mp_dict_reversed(mp_object_t *self, mp_tree_t **out, int timeout_ms)
{
    return MPX_INVOKE(self, MPX_MAP_REVERSED, timeout_ms, MPX_NO_ARGS, MPX_TAKES(TREE(out)));
}

mp_rc_t mp_dict_union(mp_object_t *self, mp_tree_t *dict, mp_tree_t **out, int timeout_ms)
{
    return MPX_INVOKE(self, MPX_MAP_UNION, timeout_ms, MPX_ARGS(MPX_TREE(dict)),
                      MPX_TAKES(TREE(out)));
}

/* ---- in one step
 * ------------------------------------------------------------------------------------------------
 */

mp_rc_t mp_dict_add(mp_object_t *self, mp_key_t key, int64_t delta, int64_t *result, int timeout_ms)
{
    return MPX_INVOKE(self, MPX_MAP_ADD, timeout_ms,
                      MPX_ARGS(MPX_KEY(key), MPX_TREE(mp_tree_int(delta))),
                      MPX_TAKES({MPX_TAKE_INT, result, 0, NULL}));
}

mp_rc_t mp_dict_add_float(mp_object_t *self, mp_key_t key, double delta, double *result,
                          int timeout_ms)
{
    return MPX_INVOKE(self, MPX_MAP_ADD, timeout_ms,
                      MPX_ARGS(MPX_KEY(key), MPX_TREE(mp_tree_float(delta))),
                      MPX_TAKES({MPX_TAKE_FLOAT, result, 0, NULL}));
}

mp_rc_t mp_dict_append(mp_object_t *self, mp_key_t key, mp_tree_t *item, size_t *len,
                       int timeout_ms)
{
    return MPX_INVOKE(self, MPX_MAP_APPEND, timeout_ms, MPX_ARGS(MPX_KEY(key), MPX_TREE(item)),
                      MPX_TAKES({MPX_TAKE_SIZE, len, 0, NULL}));
}

mp_rc_t mp_dict_compare_and_set(mp_object_t *self, mp_key_t key, uint64_t version, mp_tree_t *value,
                                uint64_t *now, int timeout_ms)
{
    return MPX_INVOKE(self, MPX_MAP_CAS, timeout_ms,
                      MPX_ARGS(MPX_KEY(key), MPX_NUMBER(version), MPX_TREE(value)),
                      MPX_TAKES({MPX_TAKE_NUMBER, now, 0, NULL}));
}

mp_rc_t mp_dict_pop_if(mp_object_t *self, mp_key_t key, uint64_t version, mp_tree_t **out,
                       int timeout_ms)
{
    return MPX_INVOKE(self, MPX_MAP_POP_IF, timeout_ms, MPX_ARGS(MPX_KEY(key), MPX_NUMBER(version)),
                      MPX_TAKES(TREE(out)));
}

mp_rc_t mp_dict_wait(mp_object_t *self, mp_key_t key, mp_tree_t **out, int timeout_ms)
{
    return MPX_INVOKE(self, MPX_MAP_WAIT, timeout_ms, MPX_ARGS(MPX_KEY(key)), MPX_TAKES(TREE(out)));
}

mp_rc_t mp_dict_watch(mp_object_t *self, mp_key_t key, uint64_t *version, int timeout_ms)
{
    return MPX_INVOKE(self, MPX_MAP_WATCH, timeout_ms, MPX_ARGS(MPX_KEY(key), MPX_NUMBER(*version)),
                      MPX_TAKES({MPX_TAKE_NUMBER, version, 0, NULL}));
}

mp_rc_t mp_dict_expire(mp_object_t *self, mp_key_t key, int64_t ttl_ms, int timeout_ms)
{
    if (ttl_ms < 0)
        return mpx_fault(MP_EINVAL, "a time of %lld ms", (long long)ttl_ms);
    return MPX_INVOKE(self, MPX_MAP_EXPIRE, timeout_ms, MPX_ARGS(MPX_KEY(key), MPX_NUMBER(ttl_ms)),
                      MPX_NO_TAKES);
}

/* ---- one after another
 * ------------------------------------------------------------------------------------------- */

enum { PAGE = 100, RECORD = 3 /* results for each: order, key, value */ };

struct mp_cursor {
    uint64_t after; /* the order of the last one that was fetched */
    size_t next, count;
    struct {
        uint64_t order;
        mp_tree_t *key, *value;
    } pairs[PAGE];
};

void mp_cursor_destroy(mp_cursor_t **self_p)
{
    if (!self_p || !*self_p)
        return;
    mp_cursor_t *self = *self_p;
    *self_p = NULL;
    for (size_t i = self->next; i < self->count; i++) {
        mp_tree_destroy(&self->pairs[i].key);
        mp_tree_destroy(&self->pairs[i].value);
    }
    free(self);
}

/* The next page. It may be shorter than asked for, so what is missing at its end isn't missed. */
static mp_rc_t fetch(mp_object_t *object, mp_cursor_t *self, int timeout_ms)
{
    mpx_take_t takes[PAGE * RECORD];
    for (size_t i = 0; i < PAGE; i++) {
        self->pairs[i].order = 0;
        self->pairs[i].key = self->pairs[i].value = NULL;
        takes[RECORD * i] = (mpx_take_t){MPX_TAKE_NUMBER, &self->pairs[i].order, 0, NULL};
        takes[RECORD * i + 1] = (mpx_take_t)TREE(&self->pairs[i].key);
        takes[RECORD * i + 2] = (mpx_take_t)TREE(&self->pairs[i].value);
    }
    mp_rc_t rc =
        mpx_invoke(object, MPX_MAP_NEXT, timeout_ms,
                   MPX_ARGS(MPX_NUMBER(self->after), MPX_NUMBER(PAGE)), takes, PAGE * RECORD);
    self->next = self->count = 0;
    while (self->count < PAGE && self->pairs[self->count].value)
        self->count++;
    /* Fewer than a whole page: the takes behind them found nothing. */
    if (rc == MP_EPROTO && self->count < PAGE && !self->pairs[self->count].order)
        rc = MP_OK;
    if (rc == MP_OK && self->count == 0)
        return mpx_fault(MP_EOF, "the end");
    if (rc == MP_OK)
        self->after = self->pairs[self->count - 1].order;
    return rc;
}

mp_rc_t mp_dict_next(mp_object_t *self, mp_cursor_t **cursor, mp_tree_t **key, mp_tree_t **value,
                     int timeout_ms)
{
    if (self->pipeline)
        return mpx_fault(MP_EINVAL, "a cursor doesn't go into a pipeline");
    if (!*cursor && !(*cursor = calloc(1, sizeof **cursor)))
        return mpx_fault(MP_ENOMEM, "a cursor");
    mp_cursor_t *at = *cursor;
    mp_rc_t rc = at->next < at->count ? MP_OK : fetch(self, at, timeout_ms);
    if (rc != MP_OK) {
        if (rc == MP_EOF)
            mp_cursor_destroy(cursor);
        return rc;
    }
    size_t i = at->next++;
    if (key)
        *key = at->pairs[i].key;
    else
        mp_tree_destroy(&at->pairs[i].key);
    if (value)
        *value = at->pairs[i].value;
    else
        mp_tree_destroy(&at->pairs[i].value);
    return MP_OK;
}

/* ---- Namespace
 * ------------------------------------------------------------------------------------------------------
 */

mp_rc_t mp_namespace_set(mp_object_t *self, const char *name, mp_tree_t *value, int timeout_ms)
{
    return mp_dict_set(self, mp_key_str(name), value, timeout_ms);
}

mp_rc_t mp_namespace_get(mp_object_t *self, const char *name, mp_tree_t **out, int timeout_ms)
{
    return mp_dict_get(self, mp_key_str(name), out, timeout_ms);
}

mp_rc_t mp_namespace_del(mp_object_t *self, const char *name, int timeout_ms)
{
    return mp_dict_del(self, mp_key_str(name), timeout_ms);
}

mp_rc_t mp_namespace_copy(mp_object_t *self, mp_tree_t **out, int timeout_ms)
{
    return mp_dict_copy(self, out, timeout_ms);
}
