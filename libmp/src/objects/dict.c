/* dict.c: what is done with dicts and namespaces, and what sets have in common with them. */
#include "space_private.h"

#include "clock.h"
#include "fault.h"

#include <stdlib.h>

/* The pair of the next argument, which must be there. */
static mp_rc_t find(mpx_act_t *act, mpx_pair_t **out)
{
    mp_bytes_t key;
    mp_rc_t rc = mpx_act_key(act, &key);
    if (rc != MP_OK)
        return rc;
    *out = mpx_map_find(act->object, key);
    return *out ? MP_OK : mpx_fault(MP_ENOTFOUND, "no such key");
}

/* The same at a version. */
static mp_rc_t find_version(mpx_act_t *act, mp_bytes_t *key, mpx_pair_t **out)
{
    uint64_t version;
    mp_rc_t rc = mpx_act_key(act, key);
    if (rc == MP_OK)
        rc = mpx_act_number(act, &version);
    if (rc != MP_OK)
        return rc;
    *out = mpx_map_find(act->object, *key);
    uint64_t now = *out ? (*out)->version : 0;
    return now == version ? MP_OK : mpx_fault(MP_ECHANGED, "the key has changed since");
}

static mp_rc_t answer_pair(mpx_act_t *act, const mpx_pair_t *pair)
{
    mp_rc_t rc = mpx_thing_add_to(pair->value, act->out);
    return rc == MP_OK ? mpx_act_add_number(act, pair->version) : rc;
}

int mpx_do_MAP_SET(mpx_act_t *act)
{
    mp_bytes_t key;
    mpx_thing_t *value = NULL;
    mp_rc_t rc = mpx_act_key(act, &key);
    if (rc == MP_OK)
        rc = mpx_act_thing(act, &value);
    return rc == MP_OK ? mpx_map_put(act->space, act->object, key, value, NULL) : rc;
}

int mpx_do_MAP_GET(mpx_act_t *act)
{
    mpx_pair_t *pair;
    mp_rc_t rc = find(act, &pair);
    return rc == MP_OK ? answer_pair(act, pair) : rc;
}

int mpx_do_MAP_DEL(mpx_act_t *act)
{
    mpx_pair_t *pair;
    mp_rc_t rc = find(act, &pair);
    return rc == MP_OK ? mpx_map_remove(act->space, act->object, pair) : rc;
}

int mpx_do_MAP_CONTAINS(mpx_act_t *act)
{
    mp_bytes_t key;
    mp_rc_t rc = mpx_act_key(act, &key);
    return rc == MP_OK ? mpx_act_add_number(act, mpx_map_find(act->object, key) != NULL) : rc;
}

int mpx_do_MAP_POP(mpx_act_t *act)
{
    mpx_pair_t *pair;
    mp_rc_t rc = find(act, &pair);
    if (rc == MP_OK)
        rc = mpx_thing_add_to(pair->value, act->out);
    return rc == MP_OK ? mpx_map_remove(act->space, act->object, pair) : rc;
}

/* The newest: uthash knows the tail of its list. */
static mpx_pair_t *newest(const mpx_object_t *self)
{
    return self->as.pairs ? ELMT_FROM_HH(self->as.pairs->hh.tbl, self->as.pairs->hh.tbl->tail)
                          : NULL;
}

int mpx_do_MAP_POPITEM(mpx_act_t *act)
{
    mpx_pair_t *pair = newest(act->object);
    if (!pair)
        return mpx_fault(MP_ENOTFOUND, "it is empty");
    mp_rc_t rc = mpx_act_add_tree(act, mpx_pair_key(pair));
    if (rc == MP_OK)
        rc = mpx_thing_add_to(pair->value, act->out);
    return rc == MP_OK ? mpx_map_remove(act->space, act->object, pair) : rc;
}

int mpx_do_MAP_SETDEFAULT(mpx_act_t *act)
{
    mp_bytes_t key;
    mpx_thing_t *value = NULL;
    mp_rc_t rc = mpx_act_key(act, &key);
    if (rc != MP_OK)
        return rc;
    mpx_pair_t *pair = mpx_map_find(act->object, key);
    if (!pair) {
        rc = mpx_act_thing(act, &value);
        if (rc == MP_OK)
            rc = mpx_map_put(act->space, act->object, key, value, &pair);
    }
    return rc == MP_OK ? mpx_thing_add_to(pair->value, act->out) : rc;
}

/* The next node of a tree, which is to be a key. */
static mp_rc_t next_key(mp_bytes_t *tree, mp_bytes_t *key)
{
    mp_rc_t rc = mpx_node_next(tree, key, NULL);
    if (rc == MP_OK && (!mpx_node_is_scalar(*key) || key->size > MPX_KEY_MAX))
        rc = mpx_fault(MP_EINVAL, "a key is a scalar of at most %d bytes", MPX_KEY_MAX);
    return rc;
}

/* All of it or nothing: a journal of its own undoes what was done before a failure. */
int mpx_do_MAP_UPDATE(mpx_act_t *act)
{
    mp_bytes_t tree, key, node;
    size_t count;
    mp_rc_t rc = mpx_act_tree(act, &tree);
    if (rc != MP_OK)
        return rc;
    if (!mpx_node_enter(&tree, MP_TREE_DICT, &count))
        return mpx_fault(MP_EINVAL, "a dict is updated with a dict");
    for (size_t i = 0; rc == MP_OK && i < count; i++) {
        mpx_thing_t *value = NULL;
        rc = next_key(&tree, &key);
        if (rc == MP_OK)
            rc = mpx_node_next(&tree, &node, NULL);
        if (rc == MP_OK)
            rc = mpx_thing_new(act->space, act->object, MP_ITEM_TREE, node, &value);
        if (rc == MP_OK)
            rc = mpx_map_put(act->space, act->object, key, value, NULL);
    }
    return rc;
}

/* A key that comes again is passed over: the journal would keep a value for each time. */
int mpx_do_MAP_FROMKEYS(mpx_act_t *act)
{
    const uint64_t before = act->space->counter;
    mp_bytes_t tree, key;
    size_t count = 0;
    mpx_thing_t *value = NULL, *own = NULL;
    mp_rc_t rc = mpx_act_tree(act, &tree);
    if (rc == MP_OK && !mpx_node_enter(&tree, MP_TREE_LIST, &count))
        rc = mpx_fault(MP_EINVAL, "the keys are a list");
    if (rc == MP_OK)
        rc = mpx_act_thing(act, &value);
    for (size_t i = 0; rc == MP_OK && i < count; i++) {
        rc = next_key(&tree, &key);
        const mpx_pair_t *pair = rc == MP_OK ? mpx_map_find(act->object, key) : NULL;
        if (pair && pair->version > before)
            continue;
        if (rc == MP_OK)
            rc = mpx_thing_copy(act->space, value, &own);
        if (rc == MP_OK)
            rc = mpx_map_put(act->space, act->object, key, own, NULL);
    }
    mpx_thing_free(act->space, value);
    return rc;
}

/* ---- all of it
 * --------------------------------------------------------------------------------------- */

typedef enum part { KEYS, VALUES, ITEMS, DICT } part_t;

static mp_rc_t add_part(const mpx_pair_t *pair, part_t part, mpx_buf_t *out)
{
    mp_rc_t rc = MP_OK;
    if (part == DICT && mpx_node_type(mpx_pair_key(pair)) != MP_TREE_STR)
        return mpx_fault(MP_EINVAL, "it has keys that are no str: get its items");
    if (part == ITEMS)
        rc = mpx_node_add_list(out, 2);
    if (rc == MP_OK && part != VALUES)
        rc = mpx_buf_add(out, pair->key, pair->key_size);
    if (rc == MP_OK && part != KEYS)
        rc = mpx_thing_add_node(pair->value, out);
    return rc;
}

/* An answer has one item's size at most, as any other. */
static mp_rc_t answer_all(mpx_act_t *act, part_t part)
{
    size_t count = mpx_map_len(act->object);
    mpx_buf_t tree = {.max = MP_VALUE_BYTES_MAX};
    mp_rc_t rc = part == DICT ? mpx_node_add_dict(&tree, count) : mpx_node_add_list(&tree, count);
    for (const mpx_pair_t *pair = act->object->as.pairs; rc == MP_OK && pair; pair = pair->hh.next)
        rc = add_part(pair, part, &tree);
    return mpx_act_answer(act, &tree, rc, "go through it with a cursor");
}

int mpx_do_MAP_KEYS(mpx_act_t *act)
{
    return answer_all(act, KEYS);
}

int mpx_do_MAP_VALUES(mpx_act_t *act)
{
    return answer_all(act, VALUES);
}

int mpx_do_MAP_ITEMS(mpx_act_t *act)
{
    return answer_all(act, ITEMS);
}

int mpx_do_MAP_COPY(mpx_act_t *act)
{
    return answer_all(act, DICT);
}

int mpx_do_MAP_REVERSED(mpx_act_t *act)
{
    mpx_buf_t tree = {.max = MP_VALUE_BYTES_MAX};
    mp_rc_t rc = mpx_node_add_list(&tree, mpx_map_len(act->object));
    for (const mpx_pair_t *pair = newest(act->object); rc == MP_OK && pair; pair = pair->hh.prev)
        rc = add_part(pair, KEYS, &tree);
    return mpx_act_answer(act, &tree, rc, "go through it with a cursor");
}

/* ---- with another one
 * --------------------------------------------------------------------------------------------- */

typedef struct win {
    uint64_t order; /* of the object's pair */
    mp_bytes_t value;
} win_t;

/* A dict beside the object: what it has for keys of the object's, and the rest. */
typedef struct other {
    win_t *wins; /* at most as many as the object has pairs */
    size_t wins_count;
    mpx_buf_t rest; /* keys and values */
    size_t rest_count;
} other_t;

static int by_order(const void *left, const void *right)
{
    const win_t *a = left, *b = right;
    return (a->order > b->order) - (a->order < b->order);
}

static mp_rc_t twice(void)
{
    return mpx_fault(MP_EINVAL, "a key is twice in the dict");
}

static mp_rc_t sort_in(const mpx_object_t *object, mp_bytes_t tree, size_t count, other_t *out)
{
    mp_bytes_t key, value;
    mp_rc_t rc = MP_OK;
    for (size_t i = 0; rc == MP_OK && i < count; i++) {
        rc = mpx_node_next(&tree, &key, NULL);
        if (rc == MP_OK)
            rc = mpx_node_next(&tree, &value, NULL);
        if (rc == MP_OK && mpx_node_type(key) != MP_TREE_STR)
            rc = mpx_fault(MP_EINVAL, "a key of a dict tree is a str");
        if (rc != MP_OK)
            break;
        const mpx_pair_t *pair = mpx_map_find(object, key);
        if (pair && out->wins_count == mpx_map_len(object))
            return twice();
        if (pair) {
            out->wins[out->wins_count++] = (win_t){pair->order, value};
            continue;
        }
        rc = mpx_buf_add(&out->rest, key.data, key.size);
        if (rc == MP_OK)
            rc = mpx_buf_add(&out->rest, value.data, value.size);
        out->rest_count++;
    }
    if (out->wins_count)
        qsort(out->wins, out->wins_count, sizeof *out->wins, by_order);
    return rc;
}

static mp_rc_t add_union(const mpx_object_t *object, const other_t *other, mpx_buf_t *out)
{
    const win_t *win = other->wins, *end = win + other->wins_count;
    mp_rc_t rc = mpx_node_add_dict(out, mpx_map_len(object) + other->rest_count);
    for (const mpx_pair_t *pair = object->as.pairs; rc == MP_OK && pair; pair = pair->hh.next) {
        if (win == end || win->order != pair->order) {
            rc = add_part(pair, DICT, out);
            continue;
        }
        rc = mpx_buf_add(out, pair->key, pair->key_size);
        if (rc == MP_OK)
            rc = mpx_buf_add(out, win->value.data, win->value.size);
        win++;
    }
    if (rc == MP_OK && win != end)
        rc = twice();
    return rc == MP_OK ? mpx_buf_add(out, other->rest.data, other->rest.size) : rc;
}

int mpx_do_MAP_UNION(mpx_act_t *act)
{
    mp_bytes_t tree;
    size_t count;
    mp_rc_t rc = mpx_act_tree(act, &tree);
    if (rc != MP_OK)
        return rc;
    if (!mpx_node_enter(&tree, MP_TREE_DICT, &count))
        return mpx_fault(MP_EINVAL, "a dict is united with a dict");
    size_t most = mpx_map_len(act->object) < count ? mpx_map_len(act->object) : count;
    other_t other = {.wins = malloc((most + 1) * sizeof *other.wins),
                     .rest = {.max = MP_VALUE_BYTES_MAX}};
    mpx_buf_t both = {.max = MP_VALUE_BYTES_MAX};
    rc = other.wins ? sort_in(act->object, tree, count, &other)
                    : mpx_fault(MP_ENOMEM, "a dict of %zu keys", count);
    if (rc == MP_OK)
        rc = add_union(act->object, &other, &both);
    mpx_buf_free(&other.rest);
    free(other.wins);
    return mpx_act_answer(act, &both, rc, "go through the dict with a cursor, and make it there");
}

/* Some pairs behind the one of that order. Going through all of them looks at each pair as often
 * as there are pages: the pair of the last page is remembered by its key, not kept. */
int mpx_do_MAP_NEXT(mpx_act_t *act)
{
    enum { PAGE_BYTES = 256 * 1024 };
    uint64_t after, most;
    mp_rc_t rc = mpx_act_number(act, &after);
    if (rc == MP_OK)
        rc = mpx_act_number(act, &most);
    const mpx_pair_t *pair = act->object->as.pairs;
    while (rc == MP_OK && pair && pair->order <= after)
        pair = pair->hh.next;
    for (; rc == MP_OK && pair && most-- > 0 && act->out->size < PAGE_BYTES; pair = pair->hh.next) {
        rc = mpx_act_add_number(act, pair->order);
        if (rc == MP_OK)
            rc = mpx_act_add_tree(act, mpx_pair_key(pair));
        if (rc == MP_OK)
            rc = pair->value ? mpx_thing_add_to(pair->value, act->out)
                             : mpx_act_add_tree(act, mpx_pair_key(pair));
    }
    return rc;
}

/* ---- in one step
 * ------------------------------------------------------------------------------------------ */

int mpx_do_MAP_ADD(mpx_act_t *act)
{
    mp_bytes_t key, delta;
    mpx_thing_t *sum = NULL;
    mp_rc_t rc = mpx_act_key(act, &key);
    if (rc == MP_OK)
        rc = mpx_act_tree(act, &delta);
    if (rc != MP_OK)
        return rc;
    mpx_pair_t *pair = mpx_map_find(act->object, key);
    rc = mpx_thing_sum(act->space, act->object, pair ? pair->value : NULL, delta, &sum);
    if (rc == MP_OK)
        rc = mpx_map_put(act->space, act->object, key, sum, &pair);
    return rc == MP_OK ? mpx_thing_add_to(pair->value, act->out) : rc;
}

int mpx_do_MAP_APPEND(mpx_act_t *act)
{
    mp_bytes_t key, item;
    size_t len = 0;
    mpx_thing_t *longer = NULL;
    mp_rc_t rc = mpx_act_key(act, &key);
    if (rc == MP_OK)
        rc = mpx_act_tree(act, &item);
    if (rc != MP_OK)
        return rc;
    const mpx_pair_t *pair = mpx_map_find(act->object, key);
    rc = mpx_thing_longer(act->space, act->object, pair ? pair->value : NULL, item, &len, &longer);
    if (rc == MP_OK)
        rc = mpx_map_put(act->space, act->object, key, longer, NULL);
    return rc == MP_OK ? mpx_act_add_number(act, len) : rc;
}

int mpx_do_MAP_CAS(mpx_act_t *act)
{
    mp_bytes_t key;
    mpx_pair_t *pair;
    mpx_thing_t *value = NULL;
    mp_rc_t rc = find_version(act, &key, &pair);
    if (rc == MP_OK)
        rc = mpx_act_thing(act, &value);
    if (rc == MP_OK)
        rc = mpx_map_put(act->space, act->object, key, value, &pair);
    return rc == MP_OK ? mpx_act_add_number(act, pair->version) : rc;
}

int mpx_do_MAP_POP_IF(mpx_act_t *act)
{
    mp_bytes_t key;
    mpx_pair_t *pair;
    mp_rc_t rc = find_version(act, &key, &pair);
    if (rc == MP_OK && !pair)
        rc = mpx_fault(MP_ENOTFOUND, "no such key");
    if (rc == MP_OK)
        rc = mpx_thing_add_to(pair->value, act->out);
    return rc == MP_OK ? mpx_map_remove(act->space, act->object, pair) : rc;
}

int mpx_do_MAP_WAIT(mpx_act_t *act)
{
    mp_bytes_t key;
    int rc = mpx_act_key(act, &key);
    if (rc != MP_OK)
        return rc;
    const mpx_pair_t *pair = mpx_map_find(act->object, key);
    if (pair)
        return answer_pair(act, pair);
    (void)mpx_wait_new(act, act->object, MPX_MAP_WAIT, key, &rc);
    return rc;
}

int mpx_do_MAP_WATCH(mpx_act_t *act)
{
    mp_bytes_t key;
    uint64_t version;
    int rc = mpx_act_key(act, &key);
    if (rc == MP_OK)
        rc = mpx_act_number(act, &version);
    if (rc != MP_OK)
        return rc;
    const mpx_pair_t *pair = mpx_map_find(act->object, key);
    uint64_t now = pair ? pair->version : 0;
    if (now != version)
        return mpx_act_add_number(act, now);
    mpx_wait_t *wait = mpx_wait_new(act, act->object, MPX_MAP_WATCH, key, &rc);
    if (wait)
        wait->version = version;
    return rc;
}

int mpx_do_MAP_EXPIRE(mpx_act_t *act)
{
    mpx_pair_t *pair;
    uint64_t ttl_ms;
    mp_rc_t rc = find(act, &pair);
    if (rc == MP_OK)
        rc = mpx_act_number(act, &ttl_ms);
    if (rc == MP_OK && ttl_ms > MPX_TTL_MS_MAX)
        rc = mpx_fault(MP_EINVAL, "a time of %llu ms", (unsigned long long)ttl_ms);
    if (rc == MP_OK)
        rc = mpx_journal_room(act->space);
    if (rc != MP_OK)
        return rc;
    /* Undone as a value is, so the journal gets one of its own. */
    mpx_thing_t *same = NULL;
    if (pair->value)
        rc = mpx_thing_copy(act->space, pair->value, &same);
    if (rc != MP_OK)
        return rc;
    int64_t at = ttl_ms ? act->space->now + (int64_t)ttl_ms * MPX_MS : 0;
    int64_t was = pair->expiry ? pair->expiry->node.at : 0;
    rc = mpx_map_expire(act->space, act->object, pair, at);
    mpx_undo_t undo = {MPX_UNDO_PAIR_VALUE, .object = act->object,    .pair = pair,
                       .thing = same,       .version = pair->version, .at = was};
    if (rc == MP_OK)
        mpx_journal_note(act->space, &undo);
    else
        mpx_thing_free(act->space, same);
    return rc;
}
