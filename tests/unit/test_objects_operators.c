/* Python's operators on containers, whose results are copies: what they say, and that they change
 * nothing; and fromkeys, which changes all or nothing. */
#include "objects_kit.h"

enum { OPEN_BOUND = 9 }; /* of bounds from -8 to 8 */

static kit_t kit;
static guest_t *ann;

static void setup(void)
{
    kit_open(&kit, (mpx_space_options_t){.max_bytes = 64 << 20, .durable = true});
    ann = kit_come(&kit, "ann");
}

static void teardown(void)
{
    kit_close(&kit);
}

/* ---- lists ---------------------------------------------------------------------------------- */

START_TEST(a_list_and_another_are_a_copy)
{
    uint64_t list = make(ann, MP_OBJECT_LIST, "[1,\"x\"]"), none = make(ann, MP_OBJECT_LIST, NULL);
    DOES(ann, list, LIST_APPEND, MP_OK, "b", "raw");
    char *before = dump(&kit, DUMP_ALL);
    SAYS(ann, none, LIST_CONCAT, "[]", "j", "[]");
    SAYS(ann, none, LIST_CONCAT, "[[1],2]", "j", "[[1],2]");
    DOES(ann, list, LIST_CONCAT, MP_OK, "j", "[2]");
    DOES(ann, list, LIST_CONCAT, MP_EINVAL, "j", "{\"a\":1}");
    DOES(ann, list, LIST_CONCAT, MP_EINVAL, "i", 1);
    DOES(ann, list, LIST_CONCAT, MP_EINVAL, "b", "[]");
    DOES(ann, list, LIST_CONCAT, MP_EINVAL, "");
    SAME_DUMP(before, dump(&kit, DUMP_ALL));
    DOES(ann, list, LIST_DEL, MP_OK, "n", -1);
    SAYS(ann, list, LIST_CONCAT, "[1,\"x\",1,[2],null]", "j", "[1,[2],null]");
    SAYS(ann, list, LIST_GET_SLICE, "[\"x\",1]", "NNn", INT64_MIN, INT64_MIN, -1); /* reversed */
    uint64_t array =
        make_of(ann, (making_t){.type = MP_OBJECT_ARRAY, .initial = "[1]", .typecode = 'i'});
    DOES(ann, array, LIST_CONCAT, MP_EINVAL, "j", "[1]"); /* as with array.array and a list */
}
END_TEST

START_TEST(a_list_many_times_is_a_copy)
{
    uint64_t list = make(ann, MP_OBJECT_LIST, "[1,\"x\"]"), none = make(ann, MP_OBJECT_LIST, NULL);
    char *before = dump(&kit, DUMP_ALL);
    SAYS(ann, list, LIST_REPEATED, "[]", "n", 0);
    SAYS(ann, list, LIST_REPEATED, "[]", "N", INT64_MIN);
    SAYS(ann, list, LIST_REPEATED, "[1,\"x\"]", "n", 1);
    SAYS(ann, list, LIST_REPEATED, "[1,\"x\",1,\"x\"]", "n", 2);
    SAYS(ann, list, LIST_REPEATED, "[1,\"x\",1,\"x\",1,\"x\",1,\"x\",1,\"x\"]", "n", 5);
    SAYS(ann, none, LIST_REPEATED, "[]", "N", INT64_MAX);
    DOES(ann, list, LIST_REPEATED, MP_EINVAL, "");
    DOES(ann, list, LIST_REPEATED, MP_EINVAL, "s", "2");
    SAME_DUMP(before, dump(&kit, DUMP_ALL));
}
END_TEST

/* Beyond what one answer may be, of whatever counts: with items of 1, 2 and many bytes. */
START_TEST(too_many_times_is_refused)
{
    static const uint64_t times[] = {64 << 20, 1 << 27, UINT64_C(1) << 40, INT64_MAX};
    char *text = malloc(1 << 20);
    memset(text, 'x', 1 << 20);
    text[(1 << 20) - 1] = 0;
    uint64_t list = make(ann, MP_OBJECT_LIST, "[1]");
    for (size_t i = 0; i < sizeof times / sizeof *times; i++)
        DOES(ann, list, LIST_REPEATED, MP_ETOOLARGE, "N", times[i]);
    DOES(ann, list, LIST_APPEND, MP_OK, "s", text);
    DOES(ann, list, LIST_REPEATED, MP_ETOOLARGE, "n", 64);
    DOES(ann, list, LIST_REPEATED, MP_OK, "n", 2);
    DOES(ann, list, LIST_REPEAT, MP_OK, "n", 40);
    mpx_buf_t other = {0};
    OK(mpx_node_add_list(&other, 30));
    for (int i = 0; i < 30; i++)
        OK(mpx_node_add_str(&other, text, strlen(text)));
    DOES(ann, list, LIST_CONCAT, MP_ETOOLARGE, "t", mpx_buf_bytes(&other));
    SAYS(ann, list, LEN, "#80", "");
    mpx_buf_free(&other);
    free(text);
}
END_TEST

/* Python's list.index, one index after another. */
static int64_t index_in(const int *items, int64_t count, int item, int64_t start, int64_t stop)
{
    start = start == INT64_MIN ? 0 : start < 0 ? start + count : start;
    stop = stop == INT64_MIN ? count : stop < 0 ? stop + count : stop;
    for (int64_t i = start < 0 ? 0 : start; i < stop && i < count; i++)
        if (items[i] == item)
            return i;
    return -1;
}

static int64_t bound(int number)
{
    static const int64_t far[] = {INT64_MIN, INT64_MIN + 1, INT64_MAX};
    return number < OPEN_BOUND ? number : far[number - OPEN_BOUND];
}

START_TEST(an_item_is_looked_for_within_bounds)
{
    static const int items[] = {7, 1, 7, 2, 7};
    uint64_t list = make(ann, MP_OBJECT_LIST, "[7,1,7,2,7]");
    for (int from = -8; from < OPEN_BOUND + 3; from++)
        for (int to = -8; to < OPEN_BOUND + 3; to++)
            for (int item = 1; item < 8; item += 6) {
                int64_t start = bound(from), stop = bound(to);
                int64_t found = index_in(items, 5, item, start, stop);
                uint64_t number = ask(ann, list, MPX_LIST_INDEX_IN, 0, "iNN", item, start, stop);
                ck_assert_int_eq(rc_of(ann, number), found < 0 ? MP_ENOTFOUND : MP_OK);
                ck_assert(found < 0 || number_of(ann, number, 0) == (uint64_t)found);
            }
    DOES(ann, list, LIST_INDEX_IN, MP_ENOTFOUND, "dnn", 7.0, 0, 5);
    DOES(ann, list, LIST_INDEX_IN, MP_ENOTFOUND, "jnn", "[7]", 0, 5);
    DOES(ann, list, LIST_INDEX_IN, MP_ENOTFOUND, "bnn", "7", 0, 5);
    DOES(ann, list, LIST_INDEX_IN, MP_EINVAL, "in", 7, 0);
    DOES(ann, list, LIST_INDEX_IN, MP_EINVAL, "isn", 7, "0", 5);
    uint64_t array =
        make_of(ann, (making_t){.type = MP_OBJECT_ARRAY, .initial = "[7,8]", .typecode = 'i'});
    SAYS(ann, array, LIST_INDEX_IN, "#1", "inN", 8, -1, INT64_MIN);
}
END_TEST

/* ---- dicts ---------------------------------------------------------------------------------- */

START_TEST(a_dict_and_another_are_a_copy)
{
    uint64_t dict = make(ann, MP_OBJECT_DICT, "{\"a\":1,\"b\":[2],\"c\":3}");
    uint64_t none = make(ann, MP_OBJECT_DICT, NULL);
    DOES(ann, dict, MAP_DEL, MP_OK, "s", "a");
    DOES(ann, dict, MAP_SET, MP_OK, "si", "a", 1);
    char *before = dump(&kit, DUMP_ALL);
    SAYS(ann, dict, MAP_UNION, "{\"b\":[2],\"c\":3,\"a\":1}", "j", "{}");
    SAYS(ann, dict, MAP_UNION, "{\"b\":0,\"c\":3,\"a\":[9],\"x\":8,\"d\":7}", "j",
         "{\"x\":8,\"a\":[9],\"d\":7,\"b\":0}");
    SAYS(ann, none, MAP_UNION, "{\"x\":1}", "j", "{\"x\":1}");
    SAYS(ann, none, MAP_UNION, "{}", "j", "{}");
    DOES(ann, dict, MAP_UNION, MP_EINVAL, "j", "[1]");
    DOES(ann, dict, MAP_UNION, MP_EINVAL, "b", "{}");
    DOES(ann, dict, MAP_UNION, MP_EINVAL, "");
    SAYS(ann, dict, MAP_REVERSED, "[\"a\",\"c\",\"b\"]", "");
    SAYS(ann, none, MAP_REVERSED, "[]", "");
    SAME_DUMP(before, dump(&kit, DUMP_ALL));
    DOES(ann, dict, MAP_SET, MP_OK, "ii", 5, 6);
    SAYS(ann, dict, MAP_REVERSED, "[5,\"a\",\"c\",\"b\"]", "");
    DOES(ann, dict, MAP_UNION, MP_EINVAL, "j", "{\"a\":2}"); /* 5 is no key of a tree */
}
END_TEST

/* Dicts that no tree can be: a key that is no str, and the same one several times. */
START_TEST(a_dict_that_is_none_is_refused)
{
    static const char *const wrong[] = {"\x81\x01\x02", "\x81\x90\x02",
                                        "\x82\xa1"
                                        "a\x01\xa1"
                                        "a\x02",
                                        "\x83\xa1"
                                        "a\x01\xa1"
                                        "b\x02\xa1"
                                        "a\x02"};
    uint64_t one = make(ann, MP_OBJECT_DICT, "{\"a\":1}");
    uint64_t two = make(ann, MP_OBJECT_DICT, "{\"a\":1,\"b\":2}");
    for (size_t i = 0; i < sizeof wrong / sizeof *wrong; i++) {
        mp_bytes_t tree = {wrong[i], strlen(wrong[i])};
        DOES(ann, one, MAP_UNION, MP_EINVAL, "t", tree);
        DOES(ann, two, MAP_UNION, MP_EINVAL, "t", tree);
    }
}
END_TEST

static uint64_t version_of(uint64_t dict, const char *key)
{
    return number_of(ann, ask(ann, dict, MPX_MAP_GET, 0, "s", key), 1);
}

START_TEST(keys_get_a_value_all_or_none)
{
    uint64_t dict =
        make_of(ann, (making_t){.type = MP_OBJECT_DICT, .max_items = 4, .initial = "{\"a\":1}"});
    char *before = dump(&kit, DUMP_ALL);
    DOES(ann, dict, MAP_FROMKEYS, MP_ELIMIT, "ji", "[\"a\",1,2,3,4]", 0);
    DOES(ann, dict, MAP_FROMKEYS, MP_EINVAL, "ji", "[\"a\",1,[2]]", 0);
    DOES(ann, dict, MAP_FROMKEYS, MP_EINVAL, "ji", "{\"a\":1}", 0);
    DOES(ann, dict, MAP_FROMKEYS, MP_EINVAL, "si", "ab", 0);
    DOES(ann, dict, MAP_FROMKEYS, MP_EINVAL, "bi", "ab", 0);
    DOES(ann, dict, MAP_FROMKEYS, MP_EINVAL, "j", "[\"a\"]");
    DOES(ann, dict, MAP_FROMKEYS, MP_EINVAL, "jo", "[\"x\"]", dict);
    SAME_DUMP(before, dump(&kit, DUMP_ALL));
    DOES(ann, dict, MAP_FROMKEYS, MP_OK, "jj", "[]", "null");
    DOES(ann, dict, MAP_FROMKEYS, MP_OK, "jj", "[\"b\",\"a\",null,\"b\"]", "[0]");
    SAYS(ann, dict, MAP_ITEMS, "[[\"a\",[0]],[\"b\",[0]],[null,[0]]]", "");
    ck_assert_uint_lt(version_of(dict, "b"), version_of(dict, "a")); /* set once */
    DOES(ann, dict, MAP_FROMKEYS, MP_OK, "jb", "[\"b\"]", "raw");
    SAYS(ann, dict, MAP_POP, "'raw'", "s", "b");
    SAYS(ann, dict, MAP_APPEND, "#2", "si", "a", 5); /* each has a value of its own */
    SAYS(ann, dict, MAP_ITEMS, "[[\"a\",[0,5]],[null,[0]]]", "");
}
END_TEST

/* A value that refers counts once for each key; a full disk leaves nothing of it. */
START_TEST(such_keys_are_stored_and_undone)
{
    uint64_t dict = make_of(ann, (making_t){.type = MP_OBJECT_DICT, .name = "d"});
    uint64_t list = make_of(ann, (making_t){.type = MP_OBJECT_LIST, .name = "l"});
    DOES(ann, dict, MAP_SET, MP_OK, "si", "a", 1);
    char *before = dump(&kit, DUMP_STORED);
    kit.store.fail_after = 1;
    DOES(ann, dict, MAP_FROMKEYS, MP_ENOSPACE, "jo", "[\"a\",\"b\"]", list);
    SAME_DUMP(before, dump(&kit, DUMP_STORED));
    kit.store.fail_after = -1;
    kit_pass(&kit, 2000);
    DOES(ann, dict, MAP_FROMKEYS, MP_OK, "jo", "[\"a\",\"b\"]", list);
    ck_assert_uint_eq(mpx_object_find(kit.space, list)->inside, 2);
    char *stored = dump(&kit, DUMP_STORED);
    kit_restart(&kit, 0);
    SAME_DUMP(stored, dump(&kit, DUMP_STORED));
    ann = kit_come(&kit, "ann");
    SAYS(ann, dict, MAP_KEYS, "[\"a\",\"b\"]", "");
}
END_TEST

/* ---- sets ----------------------------------------------------------------------------------- */

START_TEST(proper_ones_are_not_the_same)
{
    uint64_t few = make(ann, MP_OBJECT_SET, "[1,2]"), many = make(ann, MP_OBJECT_SET, "[3,2,1]");
    uint64_t same = make(ann, MP_OBJECT_SET, "[2,1]"), apart = make(ann, MP_OBJECT_SET, "[4]");
    SAYS(ann, few, SET_COMPARE, "#1", "Nn", many, MPX_SET_PROPER_SUBSET);
    SAYS(ann, many, SET_COMPARE, "#0", "Nn", few, MPX_SET_PROPER_SUBSET);
    SAYS(ann, many, SET_COMPARE, "#1", "Nn", few, MPX_SET_PROPER_SUPERSET);
    SAYS(ann, few, SET_COMPARE, "#0", "Nn", many, MPX_SET_PROPER_SUPERSET);
    SAYS(ann, few, SET_COMPARE, "#1", "Nn", same, MPX_SET_SUBSET);
    SAYS(ann, few, SET_COMPARE, "#0", "Nn", same, MPX_SET_PROPER_SUBSET);
    SAYS(ann, few, SET_COMPARE, "#0", "Nn", same, MPX_SET_PROPER_SUPERSET);
    SAYS(ann, few, SET_COMPARE, "#0", "Nn", few, MPX_SET_PROPER_SUBSET);
    SAYS(ann, apart, SET_COMPARE, "#0", "Nn", many, MPX_SET_PROPER_SUBSET);
    SAYS(ann, many, SET_COMPARE, "#0", "Nn", apart, MPX_SET_PROPER_SUPERSET);
    DOES(ann, few, SET_COMPARE, MP_EINVAL, "Nn", many, MPX_SET_PROPER_SUPERSET + 1);
}
END_TEST

int main(void)
{
    const TTest *const tests[] = {
        a_list_and_another_are_a_copy, a_list_many_times_is_a_copy,
        too_many_times_is_refused,     an_item_is_looked_for_within_bounds,
        a_dict_and_another_are_a_copy, a_dict_that_is_none_is_refused,
        keys_get_a_value_all_or_none,  such_keys_are_stored_and_undone,
        proper_ones_are_not_the_same};
    Suite *suite = suite_create("objects operators");
    TCase *cases = tcase_create("operators");
    tcase_add_checked_fixture(cases, setup, teardown);
    tcase_set_timeout(cases, 60);
    for (size_t i = 0; i < sizeof tests / sizeof *tests; i++)
        tcase_add_test(cases, tests[i]);
    suite_add_tcase(suite, cases);
    return suite_end(suite);
}
