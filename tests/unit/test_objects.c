/* Containers of a manager: each method, with what Python does at the edges; limits, names, life,
 * and references. */
#include "objects_kit.h"

static kit_t kit;
static guest_t *ann, *bob;

static void setup(void)
{
    kit_open(&kit, (mpx_space_options_t){.max_bytes = 64 << 20});
    ann = kit_come(&kit, "ann");
    bob = kit_come(&kit, "bob");
}

static void teardown(void)
{
    kit_close(&kit);
}

/* ---- dicts --------------------------------------------------------------------------------- */

START_TEST(dict_keeps_the_order_of_keys)
{
    uint64_t dict = make(ann, MP_OBJECT_DICT, "{\"a\":1,\"b\":[2]}");
    DOES(bob, dict, MAP_SET, MP_OK, "si", "c", 3);
    DOES(bob, dict, MAP_SET, MP_OK, "si", "a", 4); /* in its old place */
    SAYS(ann, dict, MAP_KEYS, "[\"a\",\"b\",\"c\"]", "");
    SAYS(ann, dict, MAP_VALUES, "[4,[2],3]", "");
    SAYS(ann, dict, MAP_ITEMS, "[[\"a\",4],[\"b\",[2]],[\"c\",3]]", "");
    SAYS(ann, dict, MAP_COPY, "{\"a\":4,\"b\":[2],\"c\":3}", "");
    SAYS(ann, dict, LEN, "#3", "");
    DOES(ann, dict, MAP_DEL, MP_OK, "s", "a");
    DOES(ann, dict, MAP_DEL, MP_ENOTFOUND, "s", "a");
    DOES(ann, dict, MAP_SET, MP_OK, "si", "a", 5); /* now the last one */
    SAYS(ann, dict, MAP_KEYS, "[\"b\",\"c\",\"a\"]", "");
    SAYS(ann, dict, MAP_POPITEM, "\"a\" 5", "");
    SAYS(ann, dict, MAP_POPITEM, "\"c\" 3", "");
    SAYS(ann, dict, MAP_POP, "[2]", "s", "b");
    DOES(ann, dict, MAP_POP, MP_ENOTFOUND, "s", "b");
    DOES(ann, dict, MAP_POPITEM, MP_ENOTFOUND, "");
    SAYS(ann, dict, MAP_COPY, "{}", "");
}
END_TEST

START_TEST(keys_are_scalars_of_their_type)
{
    uint64_t dict = make(ann, MP_OBJECT_DICT, NULL);
    DOES(ann, dict, MAP_SET, MP_OK, "is", 1, "int");
    DOES(ann, dict, MAP_SET, MP_OK, "ds", 1.0, "float");
    DOES(ann, dict, MAP_SET, MP_OK, "ss", "1", "str");
    DOES(ann, dict, MAP_SET, MP_OK, "js", "true", "bool");
    DOES(ann, dict, MAP_SET, MP_OK, "js", "null", "null");
    SAYS(ann, dict, LEN, "#5", "");
    SAYS(ann, dict, MAP_CONTAINS, "#1", "i", 1);
    SAYS(ann, dict, MAP_CONTAINS, "#0", "i", 2);
    DOES(ann, dict, MAP_COPY, MP_EINVAL, "");
    DOES(ann, dict, MAP_SET, MP_EINVAL, "ji", "[1]", 1);
    DOES(ann, dict, MAP_SET, MP_EINVAL, "bi", "1", 1);
    DOES(ann, dict, MAP_SET, MP_EINVAL, "s", "no value");
    DOES(ann, dict, MAP_SET, MP_EINVAL, "");
    DOES(ann, dict, MAP_UPDATE, MP_EINVAL, "j", "[1]");
    DOES(ann, dict, MAP_SET, MP_OK, "sb", "raw", "bytes");
    SAYS(ann, dict, MAP_POP, "'bytes'", "s", "raw");
    SAYS(ann, dict, LEN, "#5", "");
    DOES(ann, dict, CLEAR, MP_OK, "");
    SAYS(ann, dict, LEN, "#0", "");
}
END_TEST

/* Encoded here or by tree/encode.c: the same key. */
START_TEST(keys_are_the_same_however_they_come)
{
    static const int64_t ints[] = {
        0,          1,          127,       128,         255,       256,        65535,  65536,
        -1,         -32,        -33,       -128,        -129,      -32768,     -32769, 2147483647,
        4294967295, 4294967296, INT64_MAX, -2147483648, INT64_MIN, -2147483649};
    uint64_t set = make(ann, MP_OBJECT_SET, NULL);
    char text[64];
    for (size_t i = 0; i < sizeof ints / sizeof *ints; i++) {
        snprintf(text, sizeof text, "%lld", (long long)ints[i]);
        SAYS(ann, set, SET_ADD, "#1", "I", ints[i]);
        SAYS(ann, set, SET_ADD, "#0", "j", text);
    }
    for (size_t size = 0; size < 70000; size = size * 3 + 15) {
        mpx_buf_t node = {0}, encoded = {0};
        char *string = malloc(size + 3);
        memset(string, 'x', size + 2);
        string[0] = string[size + 1] = '"';
        string[size + 2] = 0;
        json_node(string, &encoded);
        OK(mpx_node_add_str(&node, string + 1, size));
        ck_assert_uint_eq(node.size, encoded.size);
        ck_assert_mem_eq(node.data, encoded.data, node.size);
        mpx_buf_free(&node);
        mpx_buf_free(&encoded);
        free(string);
    }
}
END_TEST

START_TEST(setdefault_and_update_are_one_change)
{
    uint64_t dict =
        make_of(ann, (making_t){.type = MP_OBJECT_DICT, .max_items = 3, .initial = "{\"a\":1}"});
    SAYS(ann, dict, MAP_SETDEFAULT, "1", "si", "a", 2);
    SAYS(ann, dict, MAP_SETDEFAULT, "2", "si", "b", 2);
    char *before = dump(&kit, DUMP_ALL);
    DOES(ann, dict, MAP_UPDATE, MP_ELIMIT, "j", "{\"a\":9,\"c\":9,\"d\":9}");
    SAME_DUMP(before, dump(&kit, DUMP_ALL));
    DOES(ann, dict, MAP_UPDATE, MP_OK, "j", "{\"a\":9,\"c\":9}");
    SAYS(ann, dict, MAP_COPY, "{\"a\":9,\"b\":2,\"c\":9}", "");
    DOES(ann, dict, MAP_SET, MP_ELIMIT, "si", "d", 9);
    DOES(ann, dict, MAP_SET, MP_OK, "si", "a", 8);
}
END_TEST

START_TEST(numbers_are_added_in_one_step)
{
    uint64_t dict = make(ann, MP_OBJECT_DICT, "{\"text\":\"x\",\"most\":9223372036854775807}");
    SAYS(ann, dict, MAP_ADD, "5", "si", "n", 5);
    SAYS(bob, dict, MAP_ADD, "3", "si", "n", -2);
    SAYS(bob, dict, MAP_ADD, "3.5", "sd", "n", 0.5);
    SAYS(bob, dict, MAP_ADD, "4.5", "si", "n", 1);
    DOES(ann, dict, MAP_ADD, MP_ERANGE, "si", "most", 1);
    SAYS(ann, dict, MAP_ADD, "9223372036854775806", "si", "most", -1);
    DOES(ann, dict, MAP_ADD, MP_EINVAL, "si", "text", 1);
    DOES(ann, dict, MAP_ADD, MP_EINVAL, "ss", "n", "1");
    SAYS(ann, dict, MAP_APPEND, "#1", "si", "list", 1);
    SAYS(ann, dict, MAP_APPEND, "#2", "sj", "list", "[2]");
    SAYS(ann, dict, MAP_POP, "[1,[2]]", "s", "list");
    DOES(ann, dict, MAP_APPEND, MP_EINVAL, "si", "text", 1);
    for (int i = 1; i <= 40; i++) /* over the heads of 1 and 3 bytes */
        ck_assert_uint_eq(number_of(ann, ask(ann, dict, MPX_MAP_APPEND, 0, "ss", "long", "x"), 0),
                          i);
}
END_TEST

START_TEST(versions_guard_against_lost_updates)
{
    uint64_t dict = make(ann, MP_OBJECT_DICT, NULL);
    DOES(ann, dict, MAP_CAS, MP_ECHANGED, "sni", "a", 5, 1);
    DOES(ann, dict, MAP_CAS, MP_OK, "sni", "a", 0, 1);
    DOES(bob, dict, MAP_CAS, MP_ECHANGED, "sni", "a", 0, 2);
    uint64_t version = number_of(ann, ask(ann, dict, MPX_MAP_GET, 0, "s", "a"), 1);
    uint64_t swap = ask(ann, dict, MPX_MAP_CAS, 0, "sNi", "a", version, 2);
    ck_assert_uint_gt(number_of(ann, swap, 0), version);
    DOES(ann, dict, MAP_POP_IF, MP_ECHANGED, "sN", "a", version);
    SAYS(ann, dict, MAP_POP_IF, "2", "sN", "a", number_of(ann, swap, 0));
    DOES(ann, dict, MAP_POP_IF, MP_ENOTFOUND, "sn", "a", 0);
    uint64_t value = make(ann, MP_OBJECT_VALUE, "7");
    version = number_of(ann, ask(ann, value, MPX_VALUE_GET, 0, ""), 1);
    DOES(bob, value, VALUE_CAS, MP_OK, "Ni", version, 8);
    DOES(bob, value, VALUE_CAS, MP_ECHANGED, "Ni", version, 9);
    SAYS(bob, value, VALUE_ADD, "9", "i", 1);
}
END_TEST

START_TEST(a_cursor_survives_change)
{
    uint64_t dict = make(ann, MP_OBJECT_DICT, "{\"a\":1,\"b\":2,\"c\":3,\"d\":4}");
    uint64_t page = ask(ann, dict, MPX_MAP_NEXT, 0, "nn", 0, 2);
    uint64_t at = number_of(ann, page, 3);
    DOES(bob, dict, MAP_DEL, MP_OK, "s", "b"); /* where the cursor stands */
    DOES(bob, dict, MAP_DEL, MP_OK, "s", "c");
    DOES(bob, dict, MAP_SET, MP_OK, "si", "e", 5);
    page = ask(ann, dict, MPX_MAP_NEXT, 0, "Nn", at, 9);
    ck_assert_ptr_nonnull(strstr(line_of(ann, page), "\"d\" 4"));
    ck_assert_ptr_nonnull(strstr(line_of(ann, page), "\"e\" 5"));
    ck_assert_str_eq(
        line_of(ann, ask(ann, dict, MPX_MAP_NEXT, 0, "Nn", number_of(ann, page, 3), 9)), "");
    uint64_t set = make(ann, MP_OBJECT_SET, "[3]");
    ck_assert_ptr_nonnull(strstr(line_of(ann, ask(ann, set, MPX_MAP_NEXT, 0, "nn", 0, 9)), " 3 3"));
}
END_TEST

START_TEST(keys_are_waited_for_and_watched)
{
    uint64_t dict = make(ann, MP_OBJECT_DICT, NULL);
    uint64_t wait = ask(ann, dict, MPX_MAP_WAIT, -1, "s", "a");
    uint64_t watch = ask(ann, dict, MPX_MAP_WATCH, -1, "sn", "a", 0);
    uint64_t late = ask(ann, dict, MPX_MAP_WAIT, 50, "s", "z");
    uint64_t any =
        ask(ann, dict, MPX_WATCH, -1, "N", number_of(ann, ask(ann, dict, MPX_STAT, 0, ""), 1));
    DOES(ann, dict, MAP_WAIT, MP_ETIMEDOUT, "s", "a");
    ck_assert(!is_known(ann, wait) && !is_known(ann, any));
    DOES(bob, dict, MAP_SET, MP_OK, "si", "a", 1);
    ck_assert_int_eq(rc_of(ann, wait), MP_OK);
    ck_assert_uint_eq(number_of(ann, wait, 1), number_of(ann, watch, 0));
    ck_assert_int_eq(rc_of(ann, any), MP_OK);
    kit_pass(&kit, 51);
    ck_assert_int_eq(rc_of(ann, late), MP_ETIMEDOUT);
    watch = ask(ann, dict, MPX_MAP_WATCH, -1, "sN", "a", number_of(ann, watch, 0));
    DOES(bob, dict, MAP_DEL, MP_OK, "s", "a");
    ck_assert_uint_eq(number_of(ann, watch, 0), 0);
    wait = ask(ann, dict, MPX_MAP_WAIT, -1, "s", "b");
    DOES(bob, dict, DELETE, MP_OK, "");
    ck_assert_int_eq(rc_of(ann, wait), MP_ENOTFOUND);
    DOES(bob, dict, MAP_GET, MP_ENOTFOUND, "s", "a");
}
END_TEST

START_TEST(keys_and_objects_expire)
{
    uint64_t dict = make_of(ann, (making_t){.type = MP_OBJECT_DICT, .name = "d", .ttl_ms = 2000});
    DOES(ann, dict, MAP_SET, MP_OK, "si", "a", 1);
    DOES(ann, dict, MAP_SET, MP_OK, "si", "b", 1);
    DOES(ann, dict, MAP_SET, MP_OK, "si", "c", 1);
    DOES(ann, dict, MAP_EXPIRE, MP_OK, "sn", "a", 500);
    DOES(ann, dict, MAP_EXPIRE, MP_OK, "sn", "b", 500);
    DOES(ann, dict, MAP_EXPIRE, MP_OK, "sn", "c", 500);
    DOES(ann, dict, MAP_EXPIRE, MP_OK, "sn", "c", 0);
    DOES(ann, dict, MAP_EXPIRE, MP_ENOTFOUND, "sn", "z", 500);
    DOES(ann, dict, MAP_EXPIRE, MP_EINVAL, "sN", "c", INT64_MAX);
    DOES(ann, dict, MAP_SET, MP_OK, "si", "b", 2); /* set again: it stays */
    ck_assert_uint_eq(number_of(ann, ask(ann, dict, MPX_STAT, 0, ""), 8), 2000);
    kit_pass(&kit, 500);
    SAYS(ann, dict, MAP_KEYS, "[\"b\",\"c\"]", "");
    kit_pass(&kit, 1500);
    DOES(ann, dict, LEN, MP_ENOTFOUND, "");
    ck_assert_int_eq(rc_of(ann, try_make(ann, (making_t){.type = MP_OBJECT_DICT,
                                                         .name = "d",
                                                         .flags = MPX_MAKE_ONLY_OPEN})),
                     MP_ENOTFOUND);
    ck_assert_int_eq(
        rc_of(ann, try_make(ann, (making_t){.type = MP_OBJECT_DICT, .ttl_ms = INT64_MAX})),
        MP_EINVAL);
}
END_TEST

/* ---- sets ------------------------------------------------------------------------------------ */

START_TEST(sets_do_what_sets_do)
{
    uint64_t a = make(ann, MP_OBJECT_SET, "[1,2,3,2]"), b = make(ann, MP_OBJECT_SET, "[3,4]");
    SAYS(ann, a, LEN, "#3", "");
    SAYS(ann, a, SET_ADD, "#0", "i", 3);
    SAYS(ann, a, SET_COMBINE, "[1,2,3,4]", "Nn", b, MPX_SET_OR);
    SAYS(ann, a, SET_COMBINE, "[3]", "Nn", b, MPX_SET_AND);
    SAYS(ann, a, SET_COMBINE, "[1,2]", "Nn", b, MPX_SET_MINUS);
    SAYS(ann, a, SET_COMBINE, "[1,2,4]", "Nn", b, MPX_SET_XOR);
    SAYS(ann, a, SET_COMBINE, "[]", "Nn", a, MPX_SET_XOR);
    SAYS(ann, a, SET_COMPARE, "#0", "Nn", b, MPX_SET_DISJOINT);
    SAYS(ann, a, SET_COMPARE, "#0", "Nn", b, MPX_SET_SUBSET);
    SAYS(ann, a, SET_COMPARE, "#1", "Nn", a, MPX_SET_SUPERSET);
    DOES(ann, a, SET_COMPARE, MP_EINVAL, "Nn", b, 5);
    DOES(ann, a, SET_COMBINE, MP_EINVAL, "Nn", b, 4);
    DOES(ann, a, SET_MERGE, MP_ENOTFOUND, "nn", 12345, MPX_SET_OR);
    DOES(ann, a, SET_MERGE, MP_EINVAL, "Nn", make(ann, MP_OBJECT_LIST, NULL), MPX_SET_OR);
    DOES(ann, a, SET_MERGE, MP_OK, "Nn", b, MPX_SET_XOR);
    SAYS(ann, a, MAP_KEYS, "[1,2,4]", "");
    DOES(ann, a, SET_MERGE, MP_OK, "Nn", b, MPX_SET_OR);
    SAYS(ann, a, MAP_KEYS, "[1,2,4,3]", "");
    DOES(ann, a, SET_MERGE, MP_OK, "Nn", b, MPX_SET_AND);
    SAYS(ann, a, MAP_KEYS, "[4,3]", "");
    DOES(ann, a, SET_MERGE, MP_OK, "Nn", a, MPX_SET_AND);
    DOES(ann, a, SET_DISCARD, MP_OK, "i", 9);
    DOES(ann, a, MAP_DEL, MP_ENOTFOUND, "i", 9);
    SAYS(ann, a, SET_POP, "4", "");
    DOES(ann, a, SET_MERGE, MP_OK, "Nn", a, MPX_SET_XOR);
    DOES(ann, a, SET_POP, MP_ENOTFOUND, "");
    DOES(ann, a, SET_UPDATE, MP_EINVAL, "j", "[1,[2]]");
    SAYS(ann, a, LEN, "#0", ""); /* all or nothing */
    DOES(ann, a, MAP_GET, MP_EINVAL, "i", 1);
}
END_TEST

/* ---- lists ------------------------------------------------------------------------------------
 */

START_TEST(indices_count_from_both_ends)
{
    uint64_t list = make(ann, MP_OBJECT_LIST, "[0,1,2]");
    SAYS(ann, list, LIST_GET, "2", "n", -1);
    SAYS(ann, list, LIST_GET, "0", "n", -3);
    DOES(ann, list, LIST_GET, MP_ERANGE, "n", -4);
    DOES(ann, list, LIST_GET, MP_ERANGE, "n", 3);
    DOES(ann, list, LIST_GET, MP_ERANGE, "N", INT64_MIN);
    DOES(ann, list, LIST_GET, MP_ERANGE, "N", INT64_MAX);
    DOES(ann, list, LIST_INSERT, MP_OK, "ni", -100, -1);
    DOES(ann, list, LIST_INSERT, MP_OK, "ni", 100, 3);
    DOES(ann, list, LIST_INSERT, MP_OK, "Ni", INT64_MIN, -2);
    DOES(ann, list, LIST_INSERT, MP_OK, "ni", -1, 25);
    SAYS(ann, list, LIST_GET_SLICE, "[-2,-1,0,1,2,25,3]", "NNN", INT64_MIN, INT64_MIN, INT64_MIN);
    DOES(ann, list, LIST_SET, MP_OK, "nj", -1, "[9]");
    DOES(ann, list, LIST_DEL, MP_OK, "n", 0);
    SAYS(ann, list, LIST_POP, "[9]", "n", -1);
    SAYS(ann, list, LIST_POP, "-1", "n", 0);
    SAYS(ann, list, LIST_INDEX, "#3", "i", 25);
    DOES(ann, list, LIST_INDEX, MP_ENOTFOUND, "d", 25.0);
    DOES(ann, list, LIST_EXTEND, MP_OK, "j", "[1,1,\"1\"]");
    SAYS(ann, list, LIST_COUNT, "#3", "i", 1);
    DOES(ann, list, LIST_REMOVE, MP_OK, "i", 1);
    DOES(ann, list, LIST_REMOVE, MP_ENOTFOUND, "i", 7);
    DOES(ann, list, LIST_REPEAT, MP_OK, "n", 2);
    SAYS(ann, list, LIST_GET_SLICE, "[0,2,25,1,1,\"1\",0,2,25,1,1,\"1\"]", "NNN", INT64_MIN,
         INT64_MIN, INT64_MIN);
    DOES(ann, list, LIST_REPEAT, MP_ELIMIT, "N", INT64_MAX);
    DOES(ann, list, LIST_REPEAT, MP_OK, "n", -1);
    DOES(ann, list, LIST_POP, MP_ERANGE, "n", -1);
    DOES(ann, list, LIST_EXTEND, MP_EINVAL, "j", "{\"a\":1}");
}
END_TEST

/* Python's slice.indices, and then one index after another. */
static size_t slice_indices(int64_t count, int64_t start, int64_t stop, int64_t step, int64_t *out)
{
    bool no_start = start == INT64_MIN, no_stop = stop == INT64_MIN;
    int64_t low = step < 0 ? -1 : 0, high = step < 0 ? count - 1 : count;
    start = no_start ? (step < 0 ? high : low) : start < 0 ? start + count : start;
    stop = no_stop ? (step < 0 ? low : high) : stop < 0 ? stop + count : stop;
    start = start < low ? low : start > high ? high : start;
    stop = stop < low ? low : stop > high ? high : stop;
    size_t found = 0;
    for (int64_t i = start; step > 0 ? i < stop : i > stop; i += step)
        out[found++] = i;
    return found;
}

static const char *ints_as_json(const int64_t *ints, size_t count)
{
    static char text[1024];
    size_t length = (size_t)snprintf(text, sizeof text, "[");
    for (size_t i = 0; i < count; i++)
        length += (size_t)snprintf(text + length, sizeof text - length, "%s%lld", i ? "," : "",
                                   (long long)ints[i]);
    snprintf(text + length, sizeof text - length, "]");
    return text;
}

static void check_slice(uint64_t list, int64_t count, int64_t start, int64_t stop, int64_t step)
{
    int64_t all[8], picked[8], left[16];
    size_t lefts = 0, found = slice_indices(count, start, stop, step, picked);
    for (int64_t i = 0; i < count; i++)
        all[i] = i;
    DOES(ann, list, CLEAR, MP_OK, "");
    DOES(ann, list, LIST_EXTEND, MP_OK, "j", ints_as_json(all, (size_t)count));
    SAYS(ann, list, LIST_GET_SLICE, ints_as_json(picked, found), "NNN", start, stop, step);
    int64_t news[8];
    for (size_t i = 0; i < found; i++) {
        news[i] = 100 + (int64_t)i;
        all[picked[i]] = news[i];
    }
    DOES(ann, list, LIST_SET_SLICE, MP_OK, "NNNj", start, stop, step, ints_as_json(news, found));
    SAYS(ann, list, LIST_GET_SLICE, ints_as_json(all, (size_t)count), "nnn", 0, 99, 1);
    if (step != 1)
        DOES(ann, list, LIST_SET_SLICE, MP_EINVAL, "NNNj", start, stop, step, found ? "[]" : "[1]");
    DOES(ann, list, LIST_DEL_SLICE, MP_OK, "NNN", start, stop, step);
    for (int64_t i = 0; i < count; i++)
        if (all[i] < 100)
            left[lefts++] = all[i];
    SAYS(ann, list, LIST_GET_SLICE, ints_as_json(left, lefts), "nnn", 0, 99, 1);
}

START_TEST(slices_are_those_of_python)
{
    static const int64_t bounds[] = {INT64_MIN, -9, -5, -4, -2, -1, 0, 1, 3, 4, 5, 9, INT64_MAX};
    static const int64_t steps[] = {1, 2, 3, 7, -1, -2, -3, -7};
    enum { BOUNDS = sizeof bounds / sizeof *bounds, STEPS = sizeof steps / sizeof *steps };
    uint64_t list = make(ann, MP_OBJECT_LIST, NULL);
    static const int64_t counts[] = {0, 1, 4, 5};
    int64_t count = counts[_i];
    for (int i = 0; i < BOUNDS; i++)
        for (int j = 0; j < BOUNDS; j++)
            for (int k = 0; k < STEPS; k++)
                check_slice(list, count, bounds[i], bounds[j], steps[k]);
    DOES(ann, list, LIST_GET_SLICE, MP_EINVAL, "nnn", 0, 1, 0);
    SAYS(ann, list, LIST_GET_SLICE, "[]", "nnN", 3, 1, INT64_MAX);
    DOES(ann, list, CLEAR, MP_OK, "");
    DOES(ann, list, LIST_EXTEND, MP_OK, "j", "[0,1,2,3]");
    DOES(ann, list, LIST_SET_SLICE, MP_OK, "nnnj", 3, 1, 1, "[7,8]"); /* as Python: before 3 */
    SAYS(ann, list, LIST_GET_SLICE, "[0,1,2,7,8,3]", "nnn", 0, 99, 1);
    DOES(ann, list, LIST_SET_SLICE, MP_OK, "nnNj", 1, -1, INT64_MIN, "[]");
    SAYS(ann, list, LIST_GET_SLICE, "[3,0]", "NNn", INT64_MIN, INT64_MIN, -1);
}
END_TEST

START_TEST(sorts_are_stable_and_exact)
{
    uint64_t list = make(ann, MP_OBJECT_LIST, "[3,1.5,-2,1,1.0,2]");
    DOES(ann, list, LIST_SORT, MP_OK, "n", 0);
    SAYS(ann, list, LIST_GET_SLICE, "[-2,1,1.0,1.5,2,3]", "nnn", 0, 9, 1);
    DOES(ann, list, LIST_SORT, MP_OK, "n", 1);
    SAYS(ann, list, LIST_GET_SLICE, "[3,2,1.5,1,1.0,-2]", "nnn", 0, 9, 1);
    DOES(ann, list, LIST_REVERSE, MP_OK, "");
    SAYS(ann, list, LIST_GET, "-2", "n", 0);
    uint64_t large = make(ann, MP_OBJECT_LIST,
                          "[9007199254740993,9007199254740992.0,9007199254740992,"
                          "9223372036854775807,9223372036854775808.0]");
    DOES(ann, large, LIST_SORT, MP_OK, "n", 0);
    SAYS(ann, large, LIST_GET, "9007199254740993", "n", 2);
    SAYS(ann, large, LIST_GET, "9223372036854775807", "n", 3);
    uint64_t texts = make(ann, MP_OBJECT_LIST, "[\"b\",\"ab\",\"\",\"a\"]");
    DOES(ann, texts, LIST_SORT, MP_OK, "n", 0);
    SAYS(ann, texts, LIST_GET_SLICE, "[\"\",\"a\",\"ab\",\"b\"]", "nnn", 0, 9, 1);
    DOES(ann, texts, LIST_APPEND, MP_OK, "i", 1);
    char *before = dump(&kit, DUMP_ALL);
    DOES(ann, texts, LIST_SORT, MP_EINVAL, "n", 0);
    SAME_DUMP(before, dump(&kit, DUMP_ALL));
    DOES(ann, make(ann, MP_OBJECT_LIST, "[[1]]"), LIST_SORT, MP_EINVAL, "n", 0);
    DOES(ann, make(ann, MP_OBJECT_LIST, NULL), LIST_SORT, MP_OK, "n", 0);
}
END_TEST

START_TEST(items_change_in_one_step)
{
    uint64_t list = make(ann, MP_OBJECT_LIST, "[1,[2],\"x\"]");
    SAYS(ann, list, LIST_ADD, "6", "ni", 0, 5);
    DOES(ann, list, LIST_ADD, MP_EINVAL, "ni", 1, 5);
    DOES(ann, list, LIST_ADD, MP_ERANGE, "ni", 9, 5);
    SAYS(ann, list, LIST_APPEND_AT, "#2", "ns", -2, "y");
    DOES(ann, list, LIST_APPEND_AT, MP_EINVAL, "ns", 2, "y");
    SAYS(ann, list, LIST_GET_SLICE, "[6,[2,\"y\"],\"x\"]", "nnn", 0, 9, 1);
}
END_TEST

START_TEST(arrays_and_values_have_types)
{
    uint64_t array =
        make_of(ann, (making_t){.type = MP_OBJECT_ARRAY, .typecode = 'B', .initial = "[0,255]"});
    DOES(ann, array, LIST_SET, MP_EINVAL, "ni", 0, 256);
    DOES(ann, array, LIST_SET, MP_EINVAL, "nd", 0, 1.0);
    DOES(ann, array, LIST_SET, MP_OK, "ni", 0, 7);
    DOES(ann, array, LIST_ADD, MP_EINVAL, "ni", 1, 1);
    SAYS(ann, array, LIST_ADD, "254", "ni", 1, -1);
    DOES(ann, array, LIST_APPEND, MP_EINVAL, "i", 1);
    DOES(ann, array, LIST_SET_SLICE, MP_EINVAL, "nnnj", 0, 2, 1, "[1]");
    DOES(ann, array, LIST_SET_SLICE, MP_EINVAL, "nnnj", 0, 2, 1, "[1,-1]");
    DOES(ann, array, LIST_SET_SLICE, MP_OK, "nnnj", 0, 2, 1, "[1,2]");
    SAYS(ann, array, LIST_GET_SLICE, "[2,1]", "NNn", INT64_MIN, INT64_MIN, -1);
    static const char *const bad[] = {"[1.5]", "{}", "[1,\"x\"]", NULL};
    for (size_t i = 0; i < 4; i++)
        ck_assert_int_eq(rc_of(ann, try_make(ann, (making_t){.type = MP_OBJECT_ARRAY,
                                                             .typecode = 'i',
                                                             .initial = bad[i]})),
                         MP_EINVAL);
    ck_assert_int_eq(rc_of(ann, try_make(ann, (making_t){.type = MP_OBJECT_ARRAY,
                                                         .typecode = 'x',
                                                         .initial = "[1]"})),
                     MP_EINVAL);
    uint64_t real = make_of(ann, (making_t){.type = MP_OBJECT_VALUE, .typecode = 'd'});
    SAYS(ann, real, VALUE_ADD, "1.5", "d", 1.5);
    DOES(ann, real, VALUE_SET, MP_EINVAL, "s", "x");
    uint64_t any = make(ann, MP_OBJECT_VALUE, NULL);
    ck_assert_ptr_nonnull(strstr(line_of(ann, ask(ann, any, MPX_VALUE_GET, 0, "")), "null #"));
    DOES(ann, any, VALUE_SET, MP_OK, "j", "{\"a\":[1]}");
    DOES(ann, any, VALUE_ADD, MP_EINVAL, "i", 1);
}
END_TEST

/* ---- limits, bad input ------------------------------------------------------------------------
 */

START_TEST(limits_are_kept)
{
    uint64_t list = make_of(ann, (making_t){.type = MP_OBJECT_LIST, .max_items = 2});
    DOES(ann, list, LIST_EXTEND, MP_ELIMIT, "j", "[1,2,3]");
    DOES(ann, list, LIST_EXTEND, MP_OK, "j", "[1,2]");
    DOES(ann, list, LIST_APPEND, MP_ELIMIT, "i", 3);
    DOES(ann, list, LIST_SET_SLICE, MP_ELIMIT, "nnnj", 0, 1, 1, "[1,2]");
    DOES(ann, list, LIST_SET_SLICE, MP_OK, "nnnj", 0, 2, 1, "[5,6]");
    uint64_t dict = make_of(ann, (making_t){.type = MP_OBJECT_DICT, .max_bytes = 200});
    DOES(ann, dict, MAP_SET, MP_OK, "ss", "k", "0123456789");
    DOES(ann, dict, MAP_SET, MP_ELIMIT, "sb", "k",
         "0123456789012345678901234567890123456789012345678901234567890123456789"
         "0123456789012345678901234567890123456789012345678901234567890123456789");
    SAYS(ann, dict, MAP_POP, "\"0123456789\"", "s", "k");
    ck_assert_uint_eq(number_of(ann, ask(ann, dict, MPX_STAT, 0, ""), 3), 0);
    uint64_t large = make(ann, MP_OBJECT_LIST, "[\"0123456789\"]");
    DOES(ann, large, LIST_REPEAT, MP_ELIMIT, "n", 1 << 20); /* of the manager: 64 MiB */
    DOES(ann, large, LIST_REPEAT, MP_OK, "n", 1000);
}
END_TEST

START_TEST(nonsense_is_refused)
{
    uint64_t list = make(ann, MP_OBJECT_LIST, "[1]");
    char *before = dump(&kit, DUMP_ALL);
    for (unsigned method = 0; method < 200; method++) {
        unsigned traits = mpx_method_traits(method);
        uint64_t number = ask(bob, list, method, 0, "");
        if (traits & MPX_CHANGES && method != MPX_CLEAR && method != MPX_LIST_REVERSE &&
            method != MPX_DELETE)
            ck_assert_int_ne(rc_of(bob, number), MP_OK);
        ck_assert(is_known(bob, number));
        ck_assert_int_ne(rc_of(bob, ask(bob, 999999, method, 0, "")), MP_OK);
        if (method == MPX_DELETE || method == MPX_CLEAR || method == MPX_OPEN)
            continue;
        if (strcmp(mpx_method_name(method), "?") == 0)
            ck_assert_int_eq(rc_of(bob, number), MP_EINVAL);
    }
    free(before);
    for (int type = -1; type < MP_OBJECT_TYPES + 3; type++)
        (void)try_make(bob, (making_t){.type = (mp_object_type_t)type,
                                       .value = UINT64_MAX,
                                       .lock = 1,
                                       .typecode = 'q'});
    ck_assert_int_eq(rc_of(bob, try_make(bob, (making_t){.type = 99})), MP_EINVAL);
    ck_assert_int_eq(rc_of(bob, try_make(bob, (making_t){.type = MP_OBJECT_LOCK, .initial = "[]"})),
                     MP_EINVAL);
    ck_assert_int_eq(
        rc_of(bob, try_make(bob, (making_t){.type = MP_OBJECT_CUSTOM, .custom = "none"})),
        MP_ENOTFOUND);
}
END_TEST

/* ---- life, names -------------------------------------------------------------------------------
 */

START_TEST(names_stay_and_anonymous_ones_go)
{
    uint64_t named = make_of(ann, (making_t){.type = MP_OBJECT_LIST, .name = "jobs"});
    ck_assert_uint_eq(make_of(bob, (making_t){.type = MP_OBJECT_LIST, .name = "jobs"}), named);
    ck_assert_int_eq(rc_of(bob, try_make(bob, (making_t){.type = MP_OBJECT_LIST,
                                                         .name = "jobs",
                                                         .flags = MPX_MAKE_ONLY_NEW})),
                     MP_EEXIST);
    ck_assert_int_eq(rc_of(bob, try_make(bob, (making_t){.type = MP_OBJECT_DICT, .name = "jobs"})),
                     MP_EINVAL);
    uint64_t anonymous = make(ann, MP_OBJECT_LIST, "[1]");
    SAYS(bob, anonymous, OPEN, "#2 ''", "");
    DOES(ann, anonymous, DROP, MP_OK, "");
    DOES(ann, anonymous, DROP, MP_OK, ""); /* twice is once */
    kit_pass(&kit, 11000);
    SAYS(bob, anonymous, LEN, "#1", "");
    DOES(bob, anonymous, DROP, MP_OK, "");
    kit_pass(&kit, 9000);
    SAYS(bob, anonymous, OPEN, "#2 ''", ""); /* in time */
    kit_pass(&kit, 9000);
    guest_go(bob, true);
    kit_pass(&kit, 9999);
    SAYS(ann, anonymous, LEN, "#1", "");
    kit_pass(&kit, 1);
    DOES(ann, anonymous, LEN, MP_ENOTFOUND, "");
    DOES(ann, named, DROP, MP_OK, "");
    kit_pass(&kit, 60000);
    SAYS(ann, named, LEN, "#0", "");
    DOES(ann, named, DELETE, MP_OK, "");
    ck_assert_uint_ne(make_of(ann, (making_t){.type = MP_OBJECT_DICT, .name = "jobs"}), named);
}
END_TEST

START_TEST(handles_on_what_is_gone_can_be_dropped)
{
    kit_close(&kit);
    kit_open(&kit, (mpx_space_options_t){.max_handles = 3});
    ann = kit_come(&kit, "ann");
    for (int i = 0; i < 10; i++) {
        uint64_t list = make(ann, MP_OBJECT_LIST, NULL);
        DOES(ann, list, DELETE, MP_OK, "");
        DOES(ann, list, DROP, MP_ENOTFOUND, "");
    }
    for (int i = 0; i < 3; i++)
        make(ann, MP_OBJECT_LIST, NULL);
    ck_assert_int_eq(rc_of(ann, try_make(ann, (making_t){.type = MP_OBJECT_LIST})), MP_ELIMIT);
    ck_assert_int_eq(rc_of(ann, try_make(ann, (making_t){.type = MP_OBJECT_CONDITION})),
                     MP_ELIMIT); /* with the lock that it was given */
    mpx_space_counts_t counts;
    mpx_space_count(kit.space, &counts);
    ck_assert_uint_eq(counts.objects, 3);
}
END_TEST

/* ---- references -------------------------------------------------------------------------------
 */

START_TEST(references_keep_alive_and_let_go)
{
    uint64_t outer = make_of(ann, (making_t){.type = MP_OBJECT_DICT, .name = "outer"});
    uint64_t middle = make(ann, MP_OBJECT_LIST, NULL), inner = make(ann, MP_OBJECT_DICT, NULL);
    DOES(ann, middle, LIST_APPEND, MP_OK, "o", inner);
    DOES(ann, outer, MAP_SET, MP_OK, "so", "m", middle);
    DOES(ann, middle, DROP, MP_OK, "");
    DOES(ann, inner, DROP, MP_OK, "");
    kit_pass(&kit, 60000);
    DOES(bob, inner, MAP_SET, MP_OK, "si", "live", 1);
    DOES(ann, outer, MAP_SET, MP_OK, "si", "m", 1);
    kit_pass(&kit, 10000);
    DOES(bob, middle, LEN, MP_ENOTFOUND, "");
    kit_pass(&kit, 10000);
    DOES(bob, inner, LEN, MP_ENOTFOUND, "");
    DOES(ann, outer, MAP_SET, MP_ENOTFOUND, "so", "m", middle);
}
END_TEST

START_TEST(nothing_contains_itself)
{
    uint64_t a = make(ann, MP_OBJECT_DICT, NULL), b = make(ann, MP_OBJECT_LIST, NULL);
    uint64_t c = make(ann, MP_OBJECT_VALUE, NULL), d = make(ann, MP_OBJECT_QUEUE, NULL);
    DOES(ann, a, MAP_SET, MP_EINVAL, "so", "me", a);
    DOES(ann, b, LIST_APPEND, MP_EINVAL, "o", b);
    DOES(ann, a, MAP_SET, MP_OK, "so", "b", b);
    DOES(ann, b, LIST_APPEND, MP_OK, "o", c);
    DOES(ann, c, VALUE_SET, MP_OK, "o", d);
    DOES(ann, d, QUEUE_PUT, MP_EINVAL, "o", a);
    DOES(ann, d, QUEUE_PUT, MP_EINVAL, "o", b);
    DOES(ann, d, QUEUE_PUT, MP_EINVAL, "o", d);
    uint64_t e = make(ann, MP_OBJECT_LIST, NULL);
    DOES(ann, d, QUEUE_PUT, MP_OK, "o", e);
    DOES(bob, d, QUEUE_GET, MP_OK, "n", 1); /* somebody has it: it may come back */
    DOES(ann, e, LIST_APPEND, MP_EINVAL, "o", a);
    guest_go(bob, false);
    DOES(ann, e, LIST_APPEND, MP_EINVAL, "o", a);
    DOES(ann, c, VALUE_SET, MP_OK, "i", 0);
    DOES(ann, e, LIST_APPEND, MP_OK, "o", a);
    DOES(ann, a, MAP_SET, MP_EINVAL, "so", "e", e);
    DOES(ann, a, MAP_APPEND, MP_EINVAL, "so", "e", e);
}
END_TEST

/* Two ways at each step, and very deep: looked at once each, without a stack. */
START_TEST(graphs_are_walked_once)
{
    enum { DEEP = 20000 };
    uint64_t last = make(ann, MP_OBJECT_LIST, NULL), first = last;
    for (int i = 0; i < DEEP; i++) {
        uint64_t next = make(ann, MP_OBJECT_LIST, NULL);
        DOES(ann, next, LIST_APPEND, MP_OK, "o", first);
        if (i < 60)
            DOES(ann, next, LIST_APPEND, MP_OK, "o", first);
        first = next;
        if (i >= 60) /* it would look at all of them each time */
            break;
    }
    DOES(ann, last, LIST_APPEND, MP_EINVAL, "o", first);
}
END_TEST

START_TEST(what_is_gone_may_stay_referred_to)
{
    uint64_t list = make(ann, MP_OBJECT_LIST, NULL), gone = make(ann, MP_OBJECT_DICT, NULL);
    uint64_t dict = make(ann, MP_OBJECT_DICT, NULL);
    DOES(ann, list, LIST_APPEND, MP_OK, "o", gone);
    DOES(ann, dict, MAP_SET, MP_OK, "so", "k", gone);
    DOES(ann, dict, MAP_APPEND, MP_OK, "so", "l", gone);
    DOES(ann, gone, DELETE, MP_OK, "");
    DOES(ann, list, LIST_REPEAT, MP_OK, "n", 2);
    DOES(ann, dict, MAP_EXPIRE, MP_OK, "sn", "k", 5000);
    DOES(ann, dict, MAP_APPEND, MP_OK, "si", "l", 1);
    DOES(ann, dict, MAP_APPEND, MP_ENOTFOUND, "so", "l", gone);
    DOES(ann, list, LIST_POP, MP_OK, "n", 0);
}
END_TEST

/* ---- atomic ------------------------------------------------------------------------------------
 */

static mp_rc_t atomic(guest_t *guest, mpx_buf_t *operations, uint64_t *number)
{
    mpx_buf_t arguments = {0}, operation = {0};
    uint8_t head[MPX_OPERATION_HEAD];
    OK(mpx_parcel_add(&arguments, MP_ITEM_BYTES, mpx_buf_bytes(operations)));
    mpx_operation_t one = {.method = MPX_ATOMIC, .arguments = mpx_buf_bytes(&arguments)};
    mpx_operation_head(head, &one);
    OK(mpx_buf_add(&operation, head, sizeof head));
    OK(mpx_buf_add(&operation, arguments.data, arguments.size));
    *number = guest_send(guest, &operation);
    mpx_buf_free(&arguments);
    mpx_buf_free(operations);
    return rc_of(guest, *number);
}

static void check_inner(guest_t *guest, uint64_t number, const mp_rc_t *codes, size_t count)
{
    mp_bytes_t rest = mpx_buf_bytes(&guest->answers[number].bytes), answers;
    uint32_t kind;
    mpx_answer_t answer;
    OK(mpx_parcel_next(&rest, &kind, &answers));
    for (size_t i = 0; i < count; i++) {
        OK(mpx_answer_next(&answers, &answer));
        ck_assert_int_eq(answer.rc, codes[i]);
    }
    ck_assert_uint_eq(answers.size, 0);
}

START_TEST(atomic_is_all_or_nothing)
{
    uint64_t dict = make(ann, MP_OBJECT_DICT, "{\"n\":1}"), list = make(ann, MP_OBJECT_LIST, "[1]");
    uint64_t value = make(ann, MP_OBJECT_VALUE, "1"), number;
    uint64_t watch =
        ask(bob, value, MPX_WATCH, -1, "N", number_of(ann, ask(ann, value, MPX_STAT, 0, ""), 1));
    char *before = dump(&kit, DUMP_ALL);
    mpx_buf_t ops = {0};
    add_operation(&ops, dict, MPX_MAP_ADD, 0, "sI", "n", (int64_t)4);
    add_operation(&ops, value, MPX_VALUE_SET, 0, "I", (int64_t)9);
    add_operation(&ops, list, MPX_LIST_SORT, 0, "N", (int64_t)1);
    add_operation(&ops, list, MPX_LIST_GET, 0, "N", (int64_t)7);
    add_operation(&ops, list, MPX_LIST_APPEND, 0, "I", (int64_t)7);
    OK(atomic(ann, &ops, &number));
    check_inner(ann, number, (mp_rc_t[]){MP_OK, MP_OK, MP_OK, MP_ERANGE, MP_ECANCELLED}, 5);
    SAME_DUMP(before, dump(&kit, DUMP_ALL));
    ck_assert(!is_known(bob, watch));
    add_operation(&ops, dict, MPX_MAP_ADD, 0, "sI", "n", (int64_t)4);
    add_operation(&ops, value, MPX_VALUE_SET, 0, "I", (int64_t)9);
    add_operation(&ops, list, MPX_LIST_APPEND, 0, "I", (int64_t)7);
    OK(atomic(ann, &ops, &number));
    check_inner(ann, number, (mp_rc_t[]){MP_OK, MP_OK, MP_OK}, 3);
    ck_assert(is_known(bob, watch));
    SAYS(ann, dict, MAP_COPY, "{\"n\":5}", "");
    SAYS(ann, list, LIST_GET_SLICE, "[1,7]", "nnn", 0, 9, 1);
}
END_TEST

START_TEST(atomic_takes_only_what_can_be_undone)
{
    static const struct {
        mp_object_type_t type;
        unsigned method;
        const char *letters;
    } wrong[] = {{MP_OBJECT_LOCK, MPX_LOCK_ACQUIRE, "n"},
                 {MP_OBJECT_QUEUE, MPX_QUEUE_PUT, "i"},
                 {MP_OBJECT_QUEUE, MPX_QUEUE_GET, "n"},
                 {MP_OBJECT_EVENT, MPX_EVENT_SET, ""},
                 {MP_OBJECT_BARRIER, MPX_BARRIER_WAIT, ""},
                 {MP_OBJECT_BARRIER, MPX_BARRIER_ABORT, ""},
                 {MP_OBJECT_SEMAPHORE, MPX_UNIT_ACQUIRE, ""},
                 {MP_OBJECT_LIST, MPX_DELETE, ""},
                 {MP_OBJECT_LIST, MPX_OPEN, ""},
                 {MP_OBJECT_LIST, MPX_DROP, ""}};
    uint64_t dict = make(ann, MP_OBJECT_DICT, NULL), number;
    for (size_t i = 0; i < sizeof wrong / sizeof *wrong; i++) {
        uint64_t object = make(ann, wrong[i].type, NULL);
        char *before = dump(&kit, DUMP_ALL);
        mpx_buf_t ops = {0};
        add_operation(&ops, dict, MPX_MAP_SET, 0, "sI", "a", (int64_t)1);
        add_operation(&ops, object, wrong[i].method, 0, wrong[i].letters, (int64_t)1);
        OK(atomic(ann, &ops, &number));
        check_inner(ann, number, (mp_rc_t[]){MP_OK, MP_EINVAL}, 2);
        SAME_DUMP(before, dump(&kit, DUMP_ALL));
    }
    mpx_buf_t ops = {0};
    add_operation(&ops, dict, MPX_MAP_SET, 0, "sI", "a", (int64_t)1);
    OK(mpx_buf_add(&ops, "cut", 3));
    ck_assert_int_eq(atomic(ann, &ops, &number), MP_EINVAL);
    SAYS(ann, dict, LEN, "#0", "");
}
END_TEST

START_TEST(the_manager_tells_what_it_keeps)
{
    uint64_t lock = make_of(ann, (making_t){.type = MP_OBJECT_LOCK, .name = "L"});
    DOES(ann, lock, LOCK_ACQUIRE, MP_OK, "n", 1);
    uint64_t wait = ask(bob, lock, MPX_LOCK_ACQUIRE, -1, "n", 1);
    const char *text = line_of(ann, ask(ann, 0, MPX_OBJECTS, 0, ""));
    ck_assert_ptr_nonnull(strstr(text, "\"waiting\":[\"bob\"]"));
    ck_assert_ptr_nonnull(strstr(text, "\"client\":\"ann\""));
    ck_assert_ptr_nonnull(strstr(line_of(ann, ask(ann, 0, MPX_SERVER, 0, "")), "\"clients\":2"));
    DOES(bob, 0, CANCEL, MP_OK, "N", wait);
    ck_assert_int_eq(rc_of(bob, wait), MP_ETIMEDOUT);
    DOES(bob, 0, CANCEL, MP_OK, "N", wait);
}
END_TEST

static void add_all(TCase *cases, const TTest *const *tests)
{
    for (; *tests; tests++)
        tcase_add_test(cases, *tests);
}

int main(void)
{
    static const TTest *tests[64];
    const TTest *const all[] = {dict_keeps_the_order_of_keys,
                                keys_are_scalars_of_their_type,
                                keys_are_the_same_however_they_come,
                                setdefault_and_update_are_one_change,
                                numbers_are_added_in_one_step,
                                versions_guard_against_lost_updates,
                                a_cursor_survives_change,
                                keys_are_waited_for_and_watched,
                                keys_and_objects_expire,
                                sets_do_what_sets_do,
                                indices_count_from_both_ends,
                                sorts_are_stable_and_exact,
                                items_change_in_one_step,
                                arrays_and_values_have_types,
                                limits_are_kept,
                                nonsense_is_refused,
                                names_stay_and_anonymous_ones_go,
                                handles_on_what_is_gone_can_be_dropped,
                                references_keep_alive_and_let_go,
                                nothing_contains_itself,
                                graphs_are_walked_once,
                                what_is_gone_may_stay_referred_to,
                                atomic_is_all_or_nothing,
                                atomic_takes_only_what_can_be_undone,
                                the_manager_tells_what_it_keeps};
    memcpy(tests, all, sizeof all);
    Suite *suite = suite_create("objects");
    TCase *cases = tcase_create("containers");
    tcase_add_checked_fixture(cases, setup, teardown);
    tcase_set_timeout(cases, 60);
    add_all(cases, tests);
    tcase_add_loop_test(cases, slices_are_those_of_python, 0, 4);
    suite_add_tcase(suite, cases);
    return suite_end(suite);
}
