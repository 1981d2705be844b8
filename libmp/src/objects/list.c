/* list.c: what is done with lists and arrays. */
#include "space_private.h"

#include "fault.h"

#include <mp/value.h>
#include <stdlib.h>
#include <string.h>

static mpx_row_t *row_of(const mpx_act_t *act)
{
    return &act->object->as.row.row;
}

static mpx_thing_t *thing_at(const mpx_act_t *act, size_t index)
{
    return mpx_row_at(row_of(act), index)->thing;
}

/* The next argument as an index, from the end if it is negative. */
static mp_rc_t read_index(mpx_act_t *act, size_t *out)
{
    uint64_t number;
    mp_rc_t rc = mpx_act_number(act, &number);
    if (rc != MP_OK)
        return rc;
    int64_t index = (int64_t)number, count = (int64_t)row_of(act)->count;
    if (index < 0)
        index += count;
    if (index < 0 || index >= count)
        return mpx_fault(MP_ERANGE, "index %lld of %lld", (long long)number, (long long)count);
    *out = (size_t)index;
    return MP_OK;
}

/* An array takes what its type can hold, and nothing else. */
static mp_rc_t read_thing(mpx_act_t *act, mpx_thing_t **out)
{
    mp_rc_t rc = mpx_act_thing(act, out);
    if (rc != MP_OK)
        return rc;
    rc = mpx_typecode_check(act->object->typecode, *out);
    if (rc != MP_OK)
        mpx_thing_free(act->space, *out);
    return rc;
}

static mp_rc_t put_one(mpx_act_t *act, size_t at, size_t removed, mpx_thing_t *thing)
{
    return mpx_row_splice(act->space, act->object, at, removed, &thing, 1);
}

int mpx_do_LIST_APPEND(mpx_act_t *act)
{
    mpx_thing_t *thing = NULL;
    mp_rc_t rc = read_thing(act, &thing);
    return rc == MP_OK ? put_one(act, row_of(act)->count, 0, thing) : rc;
}

int mpx_do_LIST_INSERT(mpx_act_t *act)
{
    uint64_t number;
    mpx_thing_t *thing = NULL;
    mp_rc_t rc = mpx_act_number(act, &number);
    if (rc == MP_OK)
        rc = read_thing(act, &thing);
    if (rc != MP_OK)
        return rc;
    int64_t index = (int64_t)number, count = (int64_t)row_of(act)->count;
    if (index < 0)
        index = index + count < 0 ? 0 : index + count;
    return put_one(act, (size_t)(index < count ? index : count), 0, thing);
}

int mpx_do_LIST_GET(mpx_act_t *act)
{
    size_t index = 0;
    mp_rc_t rc = read_index(act, &index);
    return rc == MP_OK ? mpx_thing_add_to(thing_at(act, index), act->out) : rc;
}

int mpx_do_LIST_SET(mpx_act_t *act)
{
    size_t index = 0;
    mpx_thing_t *thing = NULL;
    mp_rc_t rc = read_index(act, &index);
    if (rc == MP_OK)
        rc = read_thing(act, &thing);
    return rc == MP_OK ? put_one(act, index, 1, thing) : rc;
}

int mpx_do_LIST_DEL(mpx_act_t *act)
{
    size_t index = 0;
    mp_rc_t rc = read_index(act, &index);
    return rc == MP_OK ? mpx_row_splice(act->space, act->object, index, 1, NULL, 0) : rc;
}

int mpx_do_LIST_POP(mpx_act_t *act)
{
    size_t index = 0;
    mp_rc_t rc = read_index(act, &index);
    if (rc == MP_OK)
        rc = mpx_thing_add_to(thing_at(act, index), act->out);
    return rc == MP_OK ? mpx_row_splice(act->space, act->object, index, 1, NULL, 0) : rc;
}

/* ---- many items
 * -------------------------------------------------------------------------------------- */

static void free_things(mpx_act_t *act, mpx_thing_t **things, size_t count)
{
    for (size_t i = 0; things && i < count; i++)
        mpx_thing_free(act->space, things[i]);
    free(things);
}

/* The next argument, a list, as things: an array of them, to be freed. */
static mp_rc_t read_things(mpx_act_t *act, mpx_thing_t ***out, size_t *count)
{
    mp_bytes_t tree, node;
    mp_rc_t rc = mpx_act_tree(act, &tree);
    if (rc != MP_OK)
        return rc;
    if (!mpx_node_enter(&tree, MP_TREE_LIST, count))
        return mpx_fault(MP_EINVAL, "a list is wanted");
    mpx_thing_t **things = malloc((*count + 1) * sizeof *things);
    if (!things)
        return mpx_fault(MP_ENOMEM, "%zu items", *count);
    size_t done = 0;
    for (; rc == MP_OK && done < *count; done += rc == MP_OK) {
        rc = mpx_node_next(&tree, &node, NULL);
        if (rc == MP_OK)
            rc = mpx_thing_new(act->space, act->object, MP_ITEM_TREE, node, &things[done]);
        if (rc == MP_OK) {
            rc = mpx_typecode_check(act->object->typecode, things[done]);
            if (rc != MP_OK)
                mpx_thing_free(act->space, things[done]);
        }
    }
    if (rc != MP_OK)
        free_things(act, things, done);
    else
        *out = things;
    return rc;
}

int mpx_do_LIST_EXTEND(mpx_act_t *act)
{
    mpx_thing_t **things = NULL;
    size_t count = 0;
    mp_rc_t rc = read_things(act, &things, &count);
    if (rc == MP_OK && count)
        rc = mpx_row_splice(act->space, act->object, row_of(act)->count, 0, things, count);
    free(things);
    return rc;
}

int mpx_do_LIST_REPEAT(mpx_act_t *act)
{
    uint64_t number;
    mp_rc_t rc = mpx_act_number(act, &number);
    size_t count = row_of(act)->count;
    if (rc != MP_OK)
        return rc;
    if ((int64_t)number <= 0)
        return mpx_do_CLEAR(act);
    /* Each item costs something, so there is no more than there is memory for. */
    if (count && number - 1 > act->space->options.max_bytes / MPX_ENTRY_COST / count)
        return mpx_fault(MP_ELIMIT, "%llu times %zu items", (unsigned long long)number, count);
    size_t more = count * (size_t)(number - 1), done = 0;
    rc = mpx_object_room(act->space, act->object, act->object->bytes,
                         act->object->bytes * (size_t)number, count + more);
    if (rc != MP_OK)
        return rc;
    mpx_thing_t **things = malloc((more + 1) * sizeof *things);
    if (!things)
        return mpx_fault(MP_ENOMEM, "%zu items", more);
    for (; rc == MP_OK && done < more; done += rc == MP_OK) {
        rc = mpx_thing_copy(act->space, thing_at(act, done % count), &things[done]);
    }
    if (rc != MP_OK) {
        free_things(act, things, done);
        return rc;
    }
    if (more)
        rc = mpx_row_splice(act->space, act->object, count, 0, things, more);
    free(things);
    return rc;
}

/* ---- slices
 * ------------------------------------------------------------------------------------------------
 */

typedef struct slice {
    int64_t start, step;
    size_t count;
} slice_t;

static int64_t clip(int64_t bound, int64_t low, int64_t high)
{
    return bound < low ? low : bound > high ? high : bound;
}

/* One bound as Python takes it; PTRDIFF_MIN is one that was left out. */
static int64_t bound_of(uint64_t number, int64_t count, int64_t step, bool is_start)
{
    int64_t bound = (int64_t)number;
    int64_t low = step < 0 ? -1 : 0, high = step < 0 ? count - 1 : count;
    if (bound == MP_SLICE_OPEN)
        return (step < 0) == is_start ? high : low;
    return clip(bound < 0 ? bound + count : bound, low, high);
}

static mp_rc_t read_slice(mpx_act_t *act, slice_t *out)
{
    uint64_t start, stop, step;
    int64_t count = (int64_t)row_of(act)->count;
    mp_rc_t rc = mpx_act_number(act, &start);
    if (rc == MP_OK)
        rc = mpx_act_number(act, &stop);
    if (rc == MP_OK)
        rc = mpx_act_number(act, &step);
    if (rc != MP_OK)
        return rc;
    out->step = (int64_t)step == MP_SLICE_OPEN ? 1 : (int64_t)step;
    if (out->step == 0)
        return mpx_fault(MP_EINVAL, "a slice with step 0");
    out->start = bound_of(start, count, out->step, true);
    int64_t end = bound_of(stop, count, out->step, false);
    int64_t span = out->step > 0 ? end - out->start : out->start - end;
    uint64_t width = out->step > 0 ? (uint64_t)out->step : -(uint64_t)out->step;
    out->count = span > 0 ? (size_t)(((uint64_t)span - 1) / width + 1) : 0;
    return MP_OK;
}

static size_t index_in(const slice_t *slice, size_t i)
{
    return (size_t)(slice->start + (int64_t)i * slice->step);
}

static mp_rc_t add_nodes(const mpx_act_t *act, const slice_t *slice, mpx_buf_t *out)
{
    mp_rc_t rc = MP_OK;
    for (size_t i = 0; rc == MP_OK && i < slice->count; i++)
        rc = mpx_thing_add_node(thing_at(act, index_in(slice, i)), out);
    return rc;
}

int mpx_do_LIST_GET_SLICE(mpx_act_t *act)
{
    slice_t slice = {0};
    mp_rc_t rc = read_slice(act, &slice);
    if (rc != MP_OK)
        return rc;
    mpx_buf_t tree = {.max = MP_VALUE_BYTES_MAX};
    rc = mpx_node_add_list(&tree, slice.count);
    if (rc == MP_OK)
        rc = add_nodes(act, &slice, &tree);
    return mpx_act_answer(act, &tree, rc, "get it in slices");
}

/* One by one, where they are apart. What was put before a failure stays to be undone. */
static mp_rc_t set_each(mpx_act_t *act, const slice_t *slice, mpx_thing_t **things)
{
    mp_rc_t rc = MP_OK;
    for (size_t i = 0; i < slice->count; i++)
        if (rc == MP_OK)
            rc = put_one(act, index_in(slice, i), 1, things[i]);
        else
            mpx_thing_free(act->space, things[i]);
    return rc;
}

int mpx_do_LIST_SET_SLICE(mpx_act_t *act)
{
    slice_t slice = {0};
    mpx_thing_t **things = NULL;
    size_t count = 0;
    mp_rc_t rc = read_slice(act, &slice);
    if (rc == MP_OK)
        rc = read_things(act, &things, &count);
    if (rc != MP_OK)
        return rc;
    bool fixed = slice.step != 1 || act->object->type == MP_OBJECT_ARRAY;
    if (fixed && count != slice.count) {
        rc = mpx_fault(MP_EINVAL, "%zu items for a slice of %zu", count, slice.count);
        free_things(act, things, count);
        return rc;
    }
    rc = slice.step == 1 ? mpx_row_splice(act->space, act->object, (size_t)slice.start, slice.count,
                                          things, count)
                         : set_each(act, &slice, things);
    free(things);
    return rc;
}

int mpx_do_LIST_DEL_SLICE(mpx_act_t *act)
{
    slice_t slice = {0};
    mp_rc_t rc = read_slice(act, &slice);
    if (rc != MP_OK || slice.count == 0)
        return rc;
    if (slice.step == 1)
        return mpx_row_splice(act->space, act->object, (size_t)slice.start, slice.count, NULL, 0);
    /* From the back, so that the indices of the others stay. */
    for (size_t i = 0; rc == MP_OK && i < slice.count; i++) {
        size_t nth = slice.step > 0 ? slice.count - 1 - i : i;
        rc = mpx_row_splice(act->space, act->object, index_in(&slice, nth), 1, NULL, 0);
    }
    return rc;
}

/* ---- what it would be with other items
 * -----------------------------------------------------------------------------------------------
 */

int mpx_do_LIST_CONCAT(mpx_act_t *act)
{
    const slice_t all = {.step = 1, .count = row_of(act)->count};
    mp_bytes_t more;
    size_t count;
    mp_rc_t rc = mpx_act_tree(act, &more);
    if (rc != MP_OK)
        return rc;
    if (!mpx_node_enter(&more, MP_TREE_LIST, &count))
        return mpx_fault(MP_EINVAL, "a list is wanted");
    mpx_buf_t tree = {.max = MP_VALUE_BYTES_MAX};
    rc = mpx_node_add_list(&tree, all.count + count);
    if (rc == MP_OK)
        rc = add_nodes(act, &all, &tree);
    if (rc == MP_OK)
        rc = mpx_buf_add(&tree, more.data, more.size);
    return mpx_act_answer(act, &tree, rc, "get the list in slices, and make it there");
}

/* What is in `out` from `from` on, so many times as it is to be then; at least once. */
static mp_rc_t multiply(mpx_buf_t *out, size_t from, uint64_t times)
{
    size_t size = out->size - from;
    if (times > (out->max - from) / size)
        return MP_ETOOLARGE;
    size_t whole = size * (size_t)times;
    if (!mpx_buf_reserve(out, whole - size))
        return mpx_fault(MP_ENOMEM, "a list of %zu bytes", whole);
    for (size_t chunk; size < whole; size += chunk) {
        chunk = size < whole - size ? size : whole - size;
        memcpy(out->data + from + size, out->data + from, chunk);
    }
    out->size = from + whole;
    return MP_OK;
}

int mpx_do_LIST_REPEATED(mpx_act_t *act)
{
    uint64_t times;
    slice_t all = {.step = 1, .count = row_of(act)->count};
    mp_rc_t rc = mpx_act_number(act, &times);
    if (rc != MP_OK)
        return rc;
    if ((int64_t)times <= 0)
        all.count = 0;
    mpx_buf_t tree = {.max = MP_VALUE_BYTES_MAX};
    /* Each item has a byte at least. */
    if (all.count && times > tree.max / all.count)
        rc = MP_ETOOLARGE;
    else
        rc = mpx_node_add_list(&tree, all.count * (size_t)times);
    size_t head = tree.size;
    if (rc == MP_OK)
        rc = add_nodes(act, &all, &tree);
    if (rc == MP_OK && all.count)
        rc = multiply(&tree, head, times);
    return mpx_act_answer(act, &tree, rc, "get the list in slices, and make it there");
}

/* ---- order
 * ---------------------------------------------------------------------------------------------------
 */

static mp_rc_t permute(mpx_act_t *act, size_t *order)
{
    if (!order)
        return mpx_fault(MP_ENOMEM, "a list of %zu", row_of(act)->count);
    mp_rc_t rc = mpx_row_permute(act->space, act->object, order);
    free(order);
    return rc;
}

int mpx_do_LIST_REVERSE(mpx_act_t *act)
{
    size_t count = row_of(act)->count;
    size_t *order = malloc((count + 1) * sizeof *order);
    for (size_t i = 0; order && i < count; i++)
        order[i] = count - 1 - i;
    return permute(act, order);
}

/* What an item is sorted by. */
typedef struct rank {
    size_t index;
    bool is_number, is_int;
    int64_t integer;
    double real;
    mp_bytes_t text;
} rank_t;

static int compare_texts(mp_bytes_t a, mp_bytes_t b)
{
    size_t size = a.size < b.size ? a.size : b.size;
    int sign = size ? memcmp(a.data, b.data, size) : 0;
    return sign ? sign : (a.size > b.size) - (a.size < b.size);
}

/* Exactly, though not each int is a double. */
static int compare_mixed(int64_t integer, double real)
{
    const double beyond = 9223372036854775808.0;
    if (real >= beyond)
        return -1;
    if (real < -beyond)
        return 1;
    int64_t whole = (int64_t)real;
    double rest = real - (double)whole;
    return integer != whole ? (integer > whole) - (integer < whole) : (rest < 0) - (rest > 0);
}

static int compare_numbers(const rank_t *a, const rank_t *b)
{
    if (a->is_int && b->is_int)
        return (a->integer > b->integer) - (a->integer < b->integer);
    if (a->is_int)
        return compare_mixed(a->integer, b->real);
    if (b->is_int)
        return -compare_mixed(b->integer, a->real);
    return (a->real > b->real) - (a->real < b->real);
}

/* Equal ones stay in their order. */
static int compare(const void *left, const void *right)
{
    const rank_t *a = left, *b = right;
    int sign = a->is_number ? compare_numbers(a, b) : compare_texts(a->text, b->text);
    return sign ? sign : (a->index > b->index) - (a->index < b->index);
}

static int compare_reversed(const void *left, const void *right)
{
    rank_t a = *(const rank_t *)left, b = *(const rank_t *)right;
    size_t first = a.index;
    a.index = b.index; /* so that equal ones stay in their order */
    b.index = first;
    return -compare(&a, &b);
}

static mp_rc_t rank_of(const mpx_thing_t *thing, size_t index, rank_t *out)
{
    mp_bytes_t bytes = mpx_thing_bytes(thing);
    *out = (rank_t){.index = index, .text = bytes};
    if (thing->kind != MP_ITEM_TREE)
        return MP_OK;
    out->is_int = mpx_node_int(bytes, &out->integer);
    out->is_number = mpx_node_float(bytes, &out->real);
    if (out->is_number && out->real == out->real)
        return MP_OK;
    return !out->is_number && mpx_node_text(bytes, &out->text)
               ? MP_OK
               : mpx_fault(MP_EINVAL, "item %zu, a %s, can't be sorted", index,
                           mp_tree_type_name(mpx_node_type(bytes)));
}

int mpx_do_LIST_SORT(mpx_act_t *act)
{
    uint64_t reverse;
    size_t count = row_of(act)->count;
    mp_rc_t rc = mpx_act_number(act, &reverse);
    if (rc != MP_OK)
        return rc;
    rank_t *ranks = malloc((count + 1) * sizeof *ranks);
    size_t *order = malloc((count + 1) * sizeof *order);
    if (!ranks || !order)
        rc = mpx_fault(MP_ENOMEM, "a list of %zu", count);
    for (size_t i = 0; rc == MP_OK && i < count; i++) {
        rc = rank_of(thing_at(act, i), i, &ranks[i]);
        if (rc == MP_OK && ranks[i].is_number != ranks[0].is_number)
            rc = mpx_fault(MP_EINVAL, "numbers and texts can't be sorted together");
    }
    if (rc == MP_OK && count)
        qsort(ranks, count, sizeof *ranks, reverse ? compare_reversed : compare);
    for (size_t i = 0; rc == MP_OK && i < count; i++)
        order[i] = ranks[i].index;
    free(ranks);
    if (rc == MP_OK)
        return permute(act, order);
    free(order);
    return rc;
}

/* ---- by value
 * --------------------------------------------------------------------------------------------------
 */

/* The first index from `from` on and before `to`; else not before `to`. */
static size_t find(const mpx_act_t *act, uint32_t kind, mp_bytes_t item, size_t from, size_t to)
{
    for (; from < to; from++) {
        const mpx_thing_t *thing = thing_at(act, from);
        if (thing->kind == kind && thing->size == item.size &&
            memcmp(thing->bytes, item.data, item.size) == 0)
            break;
    }
    return from;
}

static mp_rc_t read_found(mpx_act_t *act, size_t *out)
{
    uint32_t kind;
    mp_bytes_t item;
    size_t count = row_of(act)->count;
    mp_rc_t rc = mpx_act_item(act, &kind, &item);
    if (rc != MP_OK)
        return rc;
    *out = find(act, kind, item, 0, count);
    return *out < count ? MP_OK : mpx_fault(MP_ENOTFOUND, "no such item");
}

int mpx_do_LIST_INDEX(mpx_act_t *act)
{
    size_t index = 0;
    mp_rc_t rc = read_found(act, &index);
    return rc == MP_OK ? mpx_act_add_number(act, index) : rc;
}

int mpx_do_LIST_INDEX_IN(mpx_act_t *act)
{
    uint32_t kind;
    mp_bytes_t item;
    uint64_t start, stop;
    int64_t count = (int64_t)row_of(act)->count;
    mp_rc_t rc = mpx_act_item(act, &kind, &item);
    if (rc == MP_OK)
        rc = mpx_act_number(act, &start);
    if (rc == MP_OK)
        rc = mpx_act_number(act, &stop);
    if (rc != MP_OK)
        return rc;
    size_t from = (size_t)bound_of(start, count, 1, true);
    size_t to = (size_t)bound_of(stop, count, 1, false);
    size_t index = find(act, kind, item, from, to);
    return index < to ? mpx_act_add_number(act, index) : mpx_fault(MP_ENOTFOUND, "no such item");
}

int mpx_do_LIST_REMOVE(mpx_act_t *act)
{
    size_t index = 0;
    mp_rc_t rc = read_found(act, &index);
    return rc == MP_OK ? mpx_row_splice(act->space, act->object, index, 1, NULL, 0) : rc;
}

int mpx_do_LIST_COUNT(mpx_act_t *act)
{
    uint32_t kind;
    mp_bytes_t item;
    size_t found = 0, count = row_of(act)->count;
    mp_rc_t rc = mpx_act_item(act, &kind, &item);
    if (rc != MP_OK)
        return rc;
    for (size_t at = find(act, kind, item, 0, count); at < count;
         at = find(act, kind, item, at + 1, count))
        found++;
    return mpx_act_add_number(act, found);
}

/* ---- in one step
 * --------------------------------------------------------------------------------------------------
 */

int mpx_do_LIST_ADD(mpx_act_t *act)
{
    size_t index = 0;
    mp_bytes_t delta;
    mpx_thing_t *sum = NULL;
    mp_rc_t rc = read_index(act, &index);
    if (rc == MP_OK)
        rc = mpx_act_tree(act, &delta);
    if (rc == MP_OK)
        rc = mpx_thing_sum(act->space, act->object, thing_at(act, index), delta, &sum);
    if (rc == MP_OK) {
        rc = mpx_typecode_check(act->object->typecode, sum);
        if (rc != MP_OK)
            mpx_thing_free(act->space, sum);
    }
    if (rc == MP_OK)
        rc = put_one(act, index, 1, sum);
    return rc == MP_OK ? mpx_thing_add_to(thing_at(act, index), act->out) : rc;
}

int mpx_do_LIST_APPEND_AT(mpx_act_t *act)
{
    size_t index = 0, len = 0;
    mp_bytes_t item;
    mpx_thing_t *longer = NULL;
    mp_rc_t rc = read_index(act, &index);
    if (rc == MP_OK)
        rc = mpx_act_tree(act, &item);
    if (rc == MP_OK)
        rc = mpx_thing_longer(act->space, act->object, thing_at(act, index), item, &len, &longer);
    if (rc == MP_OK)
        rc = put_one(act, index, 1, longer);
    return rc == MP_OK ? mpx_act_add_number(act, len) : rc;
}
