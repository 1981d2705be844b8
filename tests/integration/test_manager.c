/* test_manager: every call on objects, by another process; and handles wherever they can go.
 * Usage: test_manager lane|ipc|tcp|broker */
#include "far_manager.h"

static void in_a_child(void (*run)(void *), void *arg)
{
    far_one_t other;
    far_start(&other, run, arg);
    far_join(&other);
}

/* ---- dicts ------------------------------------------------------------------------------------
 */

static void change_a_dict(void *arg)
{
    mp_object_t *dict = arg;
    mp_tree_t *out = NULL, *key = NULL;
    int64_t number = 0;
    double real = 0;
    size_t len = 0;
    OK(mp_dict_set(dict, MP_K("a"), MP_V(1), LONG_MS));
    OK(mp_dict_set_bytes(dict, MP_K("bytes"), "xyz", 3, LONG_MS));
    OK(mp_dict_set_item(dict, MP_K("message"), MP_ITEM_MESSAGE, "pb", 2, LONG_MS));
    OK(mp_dict_update(dict, MP_DICT({"b", MP_V(2)}, {"c", MP_V("three")}), LONG_MS));
    OK(mp_dict_setdefault(dict, MP_K("d"), MP_V(4), &out, LONG_MS));
    is_json(out, "4");
    OK(mp_dict_setdefault(dict, MP_K("d"), MP_V(5), &out, LONG_MS));
    is_json(out, "4");
    OK(mp_dict_add(dict, MP_K("hits"), 5, &number, LONG_MS));
    OK(mp_dict_add(dict, MP_K("hits"), 2, &number, LONG_MS));
    ck_assert_int_eq(number, 7);
    OK(mp_dict_add_float(dict, MP_K("mean"), 0.5, &real, LONG_MS));
    ck_assert_double_eq(real, 0.5);
    OK(mp_dict_append(dict, MP_K("row"), MP_V(1), NULL, LONG_MS));
    OK(mp_dict_append(dict, MP_K("row"), MP_V("x"), &len, LONG_MS));
    ck_assert_uint_eq(len, 2);
    OK(mp_dict_pop(dict, MP_K("c"), &out, LONG_MS));
    is_json(out, "\"three\"");
    OK(mp_dict_del(dict, MP_K("b"), LONG_MS));
    OK(mp_dict_set(dict, MP_K("last"), MP_LIST(MP_V(1), MP_V(2)), LONG_MS));
    OK(mp_dict_popitem(dict, &key, &out, LONG_MS));
    is_json(key, "\"last\"");
    is_json(out, "[1, 2]");
    OK(mp_dict_set(dict, MP_K(1), MP_V("int"), LONG_MS));
    OK(mp_dict_set(dict, MP_K(1.0), MP_V("float"), LONG_MS));
    OK(mp_dict_set(dict, mp_key_bool(true), MP_V("bool"), LONG_MS));
    OK(mp_dict_set(dict, mp_key_null(), MP_V("null"), LONG_MS));
    OK(mp_dict_set(dict, mp_key_bytes("1", 1), MP_V("bytes"), LONG_MS));
}

static void look_at_a_dict(mp_object_t *dict)
{
    mp_tree_t *out = NULL;
    mp_item_t item = {0};
    char buffer[4];
    size_t size = 0;
    bool is = false;
    OK(mp_dict_get_bytes(dict, MP_K("bytes"), buffer, sizeof buffer, &size, LONG_MS));
    ck_assert(size == 3 && memcmp(buffer, "xyz", 3) == 0);
    IS(mp_dict_get_bytes(dict, MP_K("bytes"), buffer, 2, &size, LONG_MS), MP_ERANGE);
    OK(mp_dict_get_item(dict, MP_K("message"), &item, LONG_MS));
    ck_assert(item.kind == MP_ITEM_MESSAGE && item.size == 2 && memcmp(item.data, "pb", 2) == 0);
    mp_item_clear(&item);
    OK(mp_dict_contains(dict, MP_K("a"), &is, LONG_MS));
    ck_assert(is);
    OK(mp_dict_contains(dict, MP_K("b"), &is, LONG_MS));
    ck_assert(!is);
    OK(mp_dict_len(dict, &size, LONG_MS));
    ck_assert_uint_eq(size, 12);
    IS(mp_dict_copy(dict, &out, LONG_MS), MP_EINVAL); /* it has keys that are no str */
    OK(mp_dict_keys(dict, &out, LONG_MS));
    ck_assert_uint_eq(mp_tree_len(out), 12);
    ck_assert_str_eq(mp_tree_str_or(mp_tree_at(out, 0), ""), "a");
    mp_tree_destroy(&out);
    OK(mp_dict_values(dict, &out, LONG_MS));
    ck_assert_int_eq(mp_tree_int_or(mp_tree_at(out, 0), 0), 1);
    mp_tree_destroy(&out);
    OK(mp_dict_get(dict, MP_K(1.0), &out, LONG_MS));
    is_json(out, "\"float\"");
    IS(mp_dict_get(dict, MP_K("nothing"), &out, LONG_MS), MP_ENOTFOUND);
}

START_TEST(dicts_are_changed_by_others)
{
    mp_manager_t *manager = new_manager((mp_manager_options_t){0});
    mp_object_t *dict = NULL;
    mp_tree_t *out = NULL;
    size_t size = 9;
    OK(mp_manager_dict(manager, NULL, &dict));
    in_a_child(change_a_dict, dict);
    look_at_a_dict(dict);
    OK(mp_dict_clear(dict, LONG_MS));
    OK(mp_dict_len(dict, &size, LONG_MS));
    ck_assert_uint_eq(size, 0);
    OK(mp_dict_update(dict, MP_DICT({"a", MP_V(1)}, {"b", MP_LIST(MP_V(2))}), LONG_MS));
    OK(mp_dict_copy(dict, &out, LONG_MS));
    is_json(out, "{\"a\": 1, \"b\": [2]}");
    OK(mp_dict_items(dict, &out, LONG_MS));
    is_json(out, "[[\"a\", 1], [\"b\", [2]]]");
    mp_object_destroy(&dict);
    mp_manager_destroy(&manager);
}
END_TEST

static void set_if_unchanged(void *arg)
{
    mp_object_t *dict = arg;
    uint64_t version = 0, now = 0;
    mp_tree_t *out = NULL;
    OK(mp_dict_compare_and_set(dict, MP_K("x"), 0, MP_V(1), &now, LONG_MS));
    IS(mp_dict_compare_and_set(dict, MP_K("x"), 0, MP_V(2), &version, LONG_MS), MP_ECHANGED);
    OK(mp_dict_get_version(dict, MP_K("x"), &out, &version, LONG_MS));
    ck_assert_uint_eq(version, now);
    is_json(out, "1");
    OK(mp_dict_compare_and_set(dict, MP_K("x"), now, MP_V(3), &version, LONG_MS));
    ck_assert_uint_gt(version, now);
    IS(mp_dict_pop_if(dict, MP_K("x"), now, &out, LONG_MS), MP_ECHANGED);
    OK(mp_dict_pop_if(dict, MP_K("x"), version, &out, LONG_MS));
    is_json(out, "3");
    OK(mp_dict_set(dict, MP_K("short"), MP_V(1), LONG_MS));
    OK(mp_dict_expire(dict, MP_K("short"), 1, LONG_MS));
}

static bool has(mp_object_t *dict, const char *key)
{
    bool is = false;
    OK(mp_dict_contains(dict, MP_K(key), &is, LONG_MS));
    return is;
}

START_TEST(changes_are_made_only_if_nobody_was_faster)
{
    mp_manager_t *manager = new_manager((mp_manager_options_t){0});
    mp_object_t *dict = new_object(manager, MP_OBJECT_DICT);
    in_a_child(set_if_unchanged, dict);
    ck_assert(!has(dict, "x"));
    UNTIL(!has(dict, "short"));
    mp_object_destroy(&dict);
    mp_manager_destroy(&manager);
}
END_TEST

static void fill(void *arg)
{
    for (int i = 0; i < 250; i++)
        OK(mp_dict_set(arg, MP_K(i), MP_V(i * 2), LONG_MS));
}

START_TEST(a_dict_is_walked_in_its_order)
{
    mp_manager_t *manager = new_manager((mp_manager_options_t){0});
    mp_object_t *dict = new_object(manager, MP_OBJECT_DICT);
    mp_cursor_t *cursor = NULL;
    mp_tree_t *key = NULL, *value = NULL;
    IS(mp_dict_next(dict, &cursor, &key, &value, LONG_MS), MP_EOF);
    ck_assert_ptr_null(cursor);
    in_a_child(fill, dict);
    for (int i = 0; i < 250; i++) {
        OK(mp_dict_next(dict, &cursor, &key, i % 2 ? &value : NULL, LONG_MS));
        ck_assert_int_eq(is_int(key), i);
        ck_assert(i % 2 == 0 || is_int(value) == 2 * i);
    }
    IS(mp_dict_next(dict, &cursor, &key, &value, LONG_MS), MP_EOF);
    ck_assert_ptr_null(cursor);
    OK(mp_dict_next(dict, &cursor, NULL, NULL, LONG_MS));
    mp_cursor_destroy(&cursor);
    mp_cursor_destroy(&cursor);
    mp_object_destroy(&dict);
    mp_manager_destroy(&manager);
}
END_TEST

static void use_a_namespace(void *arg)
{
    mp_tree_t *out = NULL;
    OK(mp_namespace_set(arg, "x", MP_V(10), LONG_MS));
    OK(mp_namespace_set(arg, "y", MP_V("hello"), LONG_MS));
    OK(mp_namespace_set(arg, "z", MP_V(1.5), LONG_MS));
    OK(mp_namespace_del(arg, "z", LONG_MS));
    IS(mp_namespace_get(arg, "z", &out, LONG_MS), MP_ENOTFOUND);
}

START_TEST(namespaces_have_names)
{
    mp_manager_t *manager = new_manager((mp_manager_options_t){0});
    mp_object_t *names = NULL;
    mp_tree_t *out = NULL;
    OK(mp_manager_namespace(manager, NULL, &names));
    in_a_child(use_a_namespace, names);
    OK(mp_namespace_get(names, "x", &out, LONG_MS));
    is_json(out, "10");
    OK(mp_namespace_copy(names, &out, LONG_MS));
    is_json(out, "{\"x\": 10, \"y\": \"hello\"}");
    mp_object_destroy(&names);
    mp_manager_destroy(&manager);
}
END_TEST

/* ---- lists, sets -------------------------------------------------------------------------------
 */

static void change_a_list(void *arg)
{
    mp_object_t *list = arg;
    mp_tree_t *out = NULL;
    int64_t number = 0;
    size_t len = 0;
    OK(mp_list_append(list, MP_V(3), LONG_MS));
    OK(mp_list_extend(list, MP_LIST(MP_V(1), MP_V(2), MP_V(9)), LONG_MS));
    OK(mp_list_insert(list, 0, MP_V(7), LONG_MS));
    OK(mp_list_insert(list, 100, MP_V(8), LONG_MS));
    OK(mp_list_set(list, -1, MP_V(5), LONG_MS));
    OK(mp_list_del(list, -2, LONG_MS));
    OK(mp_list_sort(list, false, LONG_MS));
    OK(mp_list_get_slice(list, 0, MP_SLICE_OPEN, 1, &out, LONG_MS));
    is_json(out, "[1, 2, 3, 5, 7]");
    OK(mp_list_pop(list, 0, &out, LONG_MS));
    is_json(out, "1");
    OK(mp_list_reverse(list, LONG_MS));
    OK(mp_list_add(list, 0, 10, &number, LONG_MS));
    ck_assert_int_eq(number, 17);
    OK(mp_list_set_slice(list, 1, 3, 1, MP_LIST(MP_V("a"), MP_V("b"), MP_V("c")), LONG_MS));
    OK(mp_list_del_slice(list, 1, 2, 1, LONG_MS));
    OK(mp_list_append(list, MP_LIST(MP_V(1)), LONG_MS));
    OK(mp_list_append_at(list, -1, MP_V(2), &len, LONG_MS));
    ck_assert_uint_eq(len, 2);
    OK(mp_list_append_bytes(list, "raw", 3, LONG_MS));
    OK(mp_list_append_item(list, MP_ITEM_MESSAGE, "pb", 2, LONG_MS));
}

static void look_at_a_list(mp_object_t *list)
{
    mp_tree_t *out = NULL;
    mp_item_t item = {0};
    size_t size = 0;
    bool is = false;
    OK(mp_list_get_slice(list, 0, 5, 1, &out, LONG_MS));
    is_json(out, "[17, \"b\", \"c\", 2, [1, 2]]");
    OK(mp_list_get_item(list, -1, &item, LONG_MS));
    ck_assert(item.kind == MP_ITEM_MESSAGE && item.size == 2);
    mp_item_clear(&item);
    OK(mp_list_get(list, 1, &out, LONG_MS));
    is_json(out, "\"b\"");
    IS(mp_list_get(list, 7, &out, LONG_MS), MP_ERANGE);
    OK(mp_list_len(list, &size, LONG_MS));
    ck_assert_uint_eq(size, 7);
    OK(mp_list_index(list, MP_V("c"), &size, LONG_MS));
    ck_assert_uint_eq(size, 2);
    IS(mp_list_index(list, MP_V(2.0), &size, LONG_MS), MP_ENOTFOUND);
    OK(mp_list_remove(list, MP_V("c"), LONG_MS));
    OK(mp_list_count(list, MP_V(2), &size, LONG_MS));
    ck_assert_uint_eq(size, 1);
    OK(mp_list_contains(list, MP_LIST(MP_V(1), MP_V(2)), &is, LONG_MS));
    ck_assert(is);
    IS(mp_list_sort(list, false, LONG_MS), MP_EINVAL);
}

START_TEST(lists_are_changed_by_others)
{
    mp_manager_t *manager = new_manager((mp_manager_options_t){0});
    mp_object_t *list = NULL;
    mp_tree_t *out = NULL;
    int64_t i = 0;
    OK(mp_manager_list(manager, NULL, &list));
    in_a_child(change_a_list, list);
    look_at_a_list(list);
    OK(mp_list_clear(list, LONG_MS));
    OK(mp_list_extend(list, MP_LIST(MP_V(0), MP_V(1)), LONG_MS));
    OK(mp_list_repeat(list, 2, LONG_MS));
    for (; mp_list_next(list, &i, &out, LONG_MS) == MP_OK; mp_tree_destroy(&out))
        ck_assert_int_eq(mp_tree_int_or(out, -1), (i - 1) % 2);
    ck_assert_int_eq(i, 4);
    IS(mp_list_next(list, &i, &out, LONG_MS), MP_EOF);
    OK(mp_list_copy(list, &out, LONG_MS));
    is_json(out, "[0, 1, 0, 1]");
    mp_object_destroy(&list);
    mp_manager_destroy(&manager);
}
END_TEST

static void give_copies_of_a_list(void *arg)
{
    mp_object_t *list = arg;
    mp_tree_t *out = NULL;
    size_t index = 9;
    OK(mp_list_concat(list, MP_LIST(MP_V("x"), MP_LIST(MP_V(3))), &out, LONG_MS));
    is_json(out, "[1, 2, 1, \"x\", [3]]");
    OK(mp_list_repeated(list, 2, &out, LONG_MS));
    is_json(out, "[1, 2, 1, 1, 2, 1]");
    OK(mp_list_repeated(list, -1, &out, LONG_MS));
    is_json(out, "[]");
    OK(mp_list_pop(list, 0, NULL, LONG_MS));
    OK(mp_list_reversed(list, &out, LONG_MS));
    is_json(out, "[1, 2]");
    OK(mp_list_index_in(list, MP_V(1), 1, MP_SLICE_OPEN, &index, LONG_MS));
    ck_assert_uint_eq(index, 1);
    OK(mp_list_index_in(list, MP_V(2), -9, -1, &index, LONG_MS));
    ck_assert_uint_eq(index, 0);
    IS(mp_list_index_in(list, MP_V(2), 1, 9, &index, LONG_MS), MP_ENOTFOUND);
    IS(mp_list_concat(list, MP_V(1), &out, LONG_MS), MP_EINVAL);
    IS(mp_list_concat(list, NULL, &out, LONG_MS), MP_ENOMEM);
    IS(mp_list_repeated(list, INT64_MAX, &out, LONG_MS), MP_ETOOLARGE);
}

static void give_copies_of_a_dict(void *arg)
{
    mp_object_t *dict = arg;
    mp_tree_t *out = NULL;
    OK(mp_dict_fromkeys(dict, MP_LIST(MP_V("b"), MP_V("a")), MP_V(0), LONG_MS));
    OK(mp_dict_union(dict, MP_DICT({"c", MP_V(3)}, {"b", MP_V(2)}), &out, LONG_MS));
    is_json(out, "{\"b\": 2, \"a\": 0, \"c\": 3}");
    OK(mp_dict_reversed(dict, &out, LONG_MS));
    is_json(out, "[\"a\", \"b\"]");
    IS(mp_dict_union(dict, MP_LIST(MP_V(1)), &out, LONG_MS), MP_EINVAL);
    IS(mp_dict_fromkeys(dict, MP_LIST(MP_V("x"), MP_LIST(MP_V(1))), MP_V(0), LONG_MS), MP_EINVAL);
    IS(mp_dict_fromkeys(dict, MP_V("x"), MP_V(0), LONG_MS), MP_EINVAL);
    IS(mp_dict_fromkeys(dict, MP_LIST(MP_V("x")), NULL, LONG_MS), MP_ENOMEM);
}

START_TEST(operators_give_copies)
{
    mp_manager_t *manager = new_manager((mp_manager_options_t){0});
    mp_object_t *list = new_object(manager, MP_OBJECT_LIST);
    mp_object_t *dict = new_object(manager, MP_OBJECT_DICT);
    mp_tree_t *out = NULL;
    OK(mp_list_extend(list, MP_LIST(MP_V(1), MP_V(2), MP_V(1)), LONG_MS));
    in_a_child(give_copies_of_a_list, list);
    in_a_child(give_copies_of_a_dict, dict);
    OK(mp_list_copy(list, &out, LONG_MS));
    is_json(out, "[2, 1]");
    OK(mp_dict_copy(dict, &out, LONG_MS));
    is_json(out, "{\"b\": 0, \"a\": 0}");
    mp_object_destroy(&dict);
    mp_object_destroy(&list);
    mp_manager_destroy(&manager);
}
END_TEST

static void change_sets(void *arg)
{
    mp_object_t **sets = arg;
    bool added = false;
    OK(mp_set_add(sets[0], MP_K(1), &added, LONG_MS));
    ck_assert(added);
    OK(mp_set_add(sets[0], MP_K(1), &added, LONG_MS));
    ck_assert(!added);
    OK(mp_set_update(sets[0], MP_LIST(MP_V(2), MP_V(3), MP_V("x"), MP_V(4)), LONG_MS));
    OK(mp_set_discard(sets[0], MP_K("y"), LONG_MS));
    OK(mp_set_discard(sets[0], MP_K("x"), LONG_MS));
    OK(mp_set_remove(sets[0], MP_K(4), LONG_MS));
    IS(mp_set_remove(sets[0], MP_K(4), LONG_MS), MP_ENOTFOUND);
    OK(mp_set_update(sets[1], MP_LIST(MP_V(3), MP_V(4)), LONG_MS));
}

static void compare_sets(mp_object_t *one, mp_object_t *two)
{
    bool is = true;
    OK(mp_set_isdisjoint(one, two, &is, LONG_MS));
    ck_assert(!is);
    OK(mp_set_issubset(one, two, &is, LONG_MS));
    ck_assert(!is);
    OK(mp_set_issuperset(one, one, &is, LONG_MS));
    ck_assert(is);
    OK(mp_set_is_proper_superset(one, one, &is, LONG_MS));
    ck_assert(!is);
    OK(mp_set_contains(one, MP_K(1), &is, LONG_MS));
    ck_assert(is);
}

START_TEST(sets_are_combined_in_one_step)
{
    mp_manager_t *manager = new_manager((mp_manager_options_t){0});
    mp_object_t *sets[2] = {NULL};
    mp_tree_t *out = NULL;
    size_t size = 0;
    bool is = false;
    for (int i = 0; i < 2; i++)
        OK(mp_manager_set(manager, NULL, &sets[i]));
    in_a_child(change_sets, sets);
    compare_sets(sets[0], sets[1]);
    OK(mp_set_union(sets[0], sets[1], &out, LONG_MS));
    is_json(out, "[1, 2, 3, 4]");
    OK(mp_set_intersection(sets[0], sets[1], &out, LONG_MS));
    is_json(out, "[3]");
    OK(mp_set_difference(sets[0], sets[1], &out, LONG_MS));
    is_json(out, "[1, 2]");
    OK(mp_set_symmetric_difference(sets[0], sets[1], &out, LONG_MS));
    is_json(out, "[1, 2, 4]");
    OK(mp_set_symmetric_difference_update(sets[0], sets[1], LONG_MS));
    OK(mp_set_difference_update(sets[0], sets[1], LONG_MS));
    OK(mp_set_copy(sets[0], &out, LONG_MS));
    is_json(out, "[1, 2]");
    OK(mp_set_update(sets[1], MP_LIST(MP_V(1), MP_V(2)), LONG_MS));
    OK(mp_set_is_proper_subset(sets[0], sets[1], &is, LONG_MS));
    ck_assert(is);
    OK(mp_set_is_proper_superset(sets[1], sets[0], &is, LONG_MS));
    ck_assert(is);
    OK(mp_set_remove(sets[1], MP_K(1), LONG_MS));
    OK(mp_set_remove(sets[1], MP_K(2), LONG_MS));
    OK(mp_set_union_update(sets[0], sets[1], LONG_MS));
    OK(mp_set_intersection_update(sets[0], sets[1], LONG_MS));
    OK(mp_set_pop(sets[0], &out, LONG_MS));
    is_json(out, "3");
    OK(mp_set_len(sets[0], &size, LONG_MS));
    ck_assert_uint_eq(size, 1);
    OK(mp_set_clear(sets[0], LONG_MS));
    IS(mp_set_pop(sets[0], &out, LONG_MS), MP_ENOTFOUND);
    for (int i = 0; i < 2; i++)
        mp_object_destroy(&sets[i]);
    mp_manager_destroy(&manager);
}
END_TEST

/* ---- values, arrays, queues --------------------------------------------------------------------
 */

static void change_numbers(void *arg)
{
    mp_object_t **both = arg;
    int64_t sum = 0;
    double real = 0;
    uint64_t version = 0;
    mp_tree_t *out = NULL;
    OK(mp_managed_value_add(both[0], 5, &sum, LONG_MS));
    ck_assert_int_eq(sum, 6);
    OK(mp_managed_value_get(both[0], &out, &version, LONG_MS));
    is_json(out, "6");
    OK(mp_managed_value_compare_and_set(both[0], version, MP_V(8), NULL, LONG_MS));
    IS(mp_managed_value_compare_and_set(both[0], version, MP_V(9), NULL, LONG_MS), MP_ECHANGED);
    OK(mp_managed_value_add_float(both[0], 0.5, &real, LONG_MS));
    ck_assert_double_eq(real, 8.5);
    OK(mp_managed_array_set(both[1], 0, MP_V(7), LONG_MS));
    IS(mp_managed_array_set(both[1], 3, MP_V(7), LONG_MS), MP_ERANGE);
    IS(mp_managed_array_set(both[1], 0, MP_V(128), LONG_MS), MP_EINVAL);
    OK(mp_managed_array_add(both[1], -1, 4, &sum, LONG_MS));
    ck_assert_int_eq(sum, 7);
    IS(mp_managed_array_set_slice(both[1], 0, 2, 1, MP_LIST(MP_V(1)), LONG_MS), MP_EINVAL);
    OK(mp_managed_array_set_slice(both[1], 1, 2, 1, MP_LIST(MP_V(-1)), LONG_MS));
}

START_TEST(numbers_are_changed_in_one_step)
{
    mp_manager_t *manager = new_manager((mp_manager_options_t){0});
    mp_object_t *both[2] = {NULL};
    mp_tree_t *out = NULL;
    size_t len = 0;
    OK(mp_manager_value(manager, NULL, MP_V(1), &both[0]));
    OK(mp_manager_array(manager, NULL, 'b', MP_LIST(MP_V(1), MP_V(2), MP_V(3)), &both[1]));
    in_a_child(change_numbers, both);
    OK(mp_managed_value_get(both[0], &out, NULL, LONG_MS));
    is_json(out, "8.5");
    OK(mp_managed_value_set(both[0], MP_V("text"), LONG_MS));
    IS(mp_managed_value_add(both[0], 1, NULL, LONG_MS), MP_EINVAL);
    OK(mp_managed_array_get_slice(both[1], 0, 3, 1, &out, LONG_MS));
    is_json(out, "[7, -1, 7]");
    OK(mp_managed_array_get(both[1], 0, &out, LONG_MS));
    is_json(out, "7");
    OK(mp_managed_array_len(both[1], &len, LONG_MS));
    ck_assert_uint_eq(len, 3);
    IS(mp_list_append(both[1], MP_V(1), LONG_MS), MP_EINVAL);
    mp_object_destroy(&both[0]);
    mp_object_destroy(&both[1]);
    mp_manager_destroy(&manager);
}
END_TEST

static void consume(void *arg)
{
    mp_object_t **both = arg;
    mp_tree_t *out = NULL;
    for (int i = 0; i < 100; i++) {
        OK(mp_managed_queue_get(both[0], &out, LONG_MS));
        ck_assert_int_eq(is_int(out), i);
        OK(mp_managed_queue_task_done(both[0], LONG_MS));
        OK(mp_managed_queue_put(both[1], MP_V(i), LONG_MS));
    }
    IS(mp_managed_queue_task_done(both[0], LONG_MS), MP_ESTATE);
}

static void look_at_a_queue(mp_object_t *queue)
{
    mp_item_t item = {0};
    bool is = false;
    size_t size = 0;
    for (int i = 0; i < 4; i++)
        OK(mp_managed_queue_put_bytes(queue, "ab", 2, 0));
    IS(mp_managed_queue_put(queue, MP_V(1), 0), MP_EFULL);
    IS(mp_managed_queue_put(queue, MP_V(1), 20), MP_EFULL);
    OK(mp_managed_queue_full(queue, &is, LONG_MS));
    ck_assert(is);
    OK(mp_managed_queue_qsize(queue, &size, LONG_MS));
    ck_assert_uint_eq(size, 4);
    OK(mp_managed_queue_get_item(queue, &item, LONG_MS));
    ck_assert(item.kind == MP_ITEM_BYTES && item.size == 2 && !item.redelivered);
    mp_item_clear(&item);
    OK(mp_managed_queue_full(queue, &is, LONG_MS));
    ck_assert(!is);
    OK(mp_managed_queue_empty(queue, &is, LONG_MS));
    ck_assert(!is);
}

START_TEST(queues_pass_items_on)
{
    mp_manager_t *manager = new_manager((mp_manager_options_t){0});
    mp_object_t *both[2] = {NULL};
    mp_tree_t *out = NULL;
    far_one_t other;
    OK(mp_manager_joinable_queue(manager, NULL, 4, &both[0]));
    OK(mp_manager_queue(manager, NULL, 0, &both[1]));
    IS(mp_managed_queue_get(both[1], &out, 0), MP_EEMPTY);
    IS(mp_managed_queue_get(both[1], &out, 20), MP_EEMPTY);
    far_start(&other, consume, both);
    for (int i = 0; i < 100; i++)
        OK(mp_managed_queue_put(both[0], MP_V(i), LONG_MS));
    OK(mp_managed_queue_join(both[0], LONG_MS));
    for (int i = 0; i < 100; i++) {
        OK(mp_managed_queue_get(both[1], &out, LONG_MS));
        ck_assert_int_eq(is_int(out), i);
    }
    far_join(&other);
    look_at_a_queue(both[0]);
    IS(mp_managed_queue_join(both[0], 10), MP_ETIMEDOUT);
    IS(mp_managed_queue_task_done(both[1], LONG_MS), MP_ESTATE);
    IS(mp_managed_queue_join(both[1], LONG_MS), MP_ESTATE);
    mp_object_destroy(&both[0]);
    mp_object_destroy(&both[1]);
    mp_manager_destroy(&manager);
}
END_TEST

/* ---- where handles go --------------------------------------------------------------------------
 */

typedef struct errand {
    mp_ref_t ref;
    int64_t delta;
} errand_t;

MP_TASK(add_by_reference, errand_t, int64_t)
{
    mp_object_t *dict = NULL;
    mp_rc_t rc = mp_object_open(&in->ref, &dict);
    if (rc == MP_OK)
        rc = mp_dict_add(dict, MP_K("sum"), in->delta, out, LONG_MS);
    mp_object_destroy(&dict);
    return rc == MP_OK ? MP_OK : mp_call_fail(call, rc, "%s", mp_errmsg());
}

START_TEST(tasks_open_references)
{
    mp_manager_t *manager = new_manager((mp_manager_options_t){0});
    mp_object_t *dict = new_object(manager, MP_OBJECT_DICT);
    mp_pool_t *pool = NULL;
    errand_t errands[20];
    int64_t sums[20];
    for (int i = 0; i < 20; i++) {
        errands[i].delta = i;
        OK(mp_object_ref(dict, &errands[i].ref));
    }
    OK(mp_pool_new(&(mp_pool_options_t){.processes = 2}, &pool));
    OK(mp_pool_map(pool, &add_by_reference, errands, 20, sums, LONG_MS));
    ck_assert_int_eq(number_at(dict, "sum"), 190);
    mp_pool_destroy(&pool);
    mp_object_destroy(&dict);
    mp_manager_destroy(&manager);
}
END_TEST

static void take_from_a_queue(void *arg)
{
    mp_queue_t *queue = arg;
    mp_ref_t ref;
    size_t size = 0;
    mp_object_t *dict = NULL, *list = NULL, *copy = NULL;
    mp_tree_t *item = NULL;
    OK(mp_queue_get(queue, &ref, sizeof ref, &size, LONG_MS));
    OK(mp_object_open(&ref, &dict));
    ck_assert_int_eq(mp_object_type(dict), MP_OBJECT_DICT);
    ck_assert_str_eq(mp_object_name(dict), "");
    OK(mp_dict_get(dict, MP_K("list"), &item, LONG_MS));
    OK(mp_tree_as_ref(item, &ref));
    mp_tree_destroy(&item);
    OK(mp_object_open(&ref, &list));
    OK(mp_object_copy(list, &copy));
    mp_object_destroy(&list);
    OK(mp_list_append(copy, MP_V("here"), LONG_MS));
    mp_object_destroy(&copy);
    mp_object_destroy(&dict);
}

START_TEST(a_list_in_a_dict_is_live)
{
    mp_manager_t *manager = new_manager((mp_manager_options_t){0});
    mp_object_t *dict = new_object(manager, MP_OBJECT_DICT);
    mp_object_t *list = new_object(manager, MP_OBJECT_LIST);
    mp_queue_t *queue = NULL;
    mp_ref_t ref;
    mp_tree_t *out = NULL;
    uint64_t id = mp_object_id(list);
    far_one_t other;
    OK(mp_dict_set(dict, MP_K("list"), mp_object_node(list), LONG_MS));
    ck_assert_uint_eq(stat_of(list).handles, 2);
    OK(mp_queue_new(NULL, &queue));
    far_start(&other, take_from_a_queue, queue);
    OK(mp_object_ref(dict, &ref));
    OK(mp_queue_put(queue, &ref, sizeof ref, LONG_MS));
    far_join(&other);
    OK(mp_list_copy(list, &out, LONG_MS));
    is_json(out, "[\"here\"]");
    /* The dict keeps it. */
    mp_object_destroy(&list);
    ck_assert(is_seen(manager, id));
    OK(mp_dict_get(dict, MP_K("list"), &out, LONG_MS));
    OK(mp_tree_as_ref(out, &ref));
    mp_tree_destroy(&out);
    OK(mp_object_open(&ref, &list));
    IS(mp_list_append(list, mp_object_node(dict), LONG_MS), MP_EINVAL); /* they'd keep each other */
    mp_object_destroy(&list);
    mp_queue_destroy(&queue);
    mp_object_destroy(&dict);
    mp_manager_destroy(&manager);
}
END_TEST

typedef struct visit {
    char address[128];
    char broker_key[16];
    size_t key_bytes;
    mp_ref_t ref;
} visit_t;

MP_TARGET(visits, visit_t)
{
    mp_manager_t *manager = NULL;
    mp_object_t *dict = NULL, *named = NULL;
    if (mp_manager_connect(self->address, self->key_bytes ? self->broker_key : NULL,
                           self->key_bytes, LONG_MS, &manager))
        return 1;
    if (mp_object_open(&self->ref, &dict) || mp_dict_set(dict, MP_K("by ref"), MP_V(1), LONG_MS))
        return 2;
    if (mp_manager_object(manager, MP_OBJECT_DICT,
                          &(mp_object_options_t){.name = "test_manager.visits", .only_open = true},
                          &named) ||
        mp_dict_set(named, MP_K("by name"), MP_V(1), LONG_MS))
        return 3;
    mp_object_destroy(&dict);
    mp_object_destroy(&named);
    mp_manager_destroy(&manager);
    return 0;
}

START_TEST(spawned_children_come_by_reference_and_name)
{
    mp_manager_t *manager = new_manager((mp_manager_options_t){0});
    mp_object_t *dict = new_object(manager, MP_OBJECT_DICT), *named = NULL;
    mp_process_t *process = NULL;
    visit_t visit = {.key_bytes = far_is("tcp") ? KEY_BYTES : 0};
    int code = -1;
    OK(mp_manager_dict(manager, "test_manager.visits", &named));
    ck_assert_str_eq(mp_object_name(named), "test_manager.visits");
    snprintf(visit.address, sizeof visit.address, "%s", mp_manager_address(manager));
    snprintf(visit.broker_key, sizeof visit.broker_key, "%s", far_key);
    OK(mp_object_ref(dict, &visit.ref));
    OK(mp_process_new(
        &(mp_process_options_t){.registered = &visits, .item = &visit, .method = MP_SPAWN},
        &process));
    OK(mp_process_start(process));
    OK(mp_process_join(process, LONG_MS));
    OK(mp_process_exitcode(process, &code));
    ck_assert_int_eq(code, 0);
    ck_assert_int_eq(number_at(dict, "by ref"), 1);
    ck_assert_int_eq(number_at(named, "by name"), 1);
    mp_process_destroy(&process);
    OK(mp_object_delete(named, LONG_MS));
    mp_object_destroy(&named);
    mp_object_destroy(&dict);
    mp_manager_destroy(&manager);
}
END_TEST

int main(int argc, char **argv)
{
    MP_MAIN(argc, argv);
    const TTest *const tests[] = {dicts_are_changed_by_others,
                                  changes_are_made_only_if_nobody_was_faster,
                                  a_dict_is_walked_in_its_order,
                                  namespaces_have_names,
                                  lists_are_changed_by_others,
                                  operators_give_copies,
                                  sets_are_combined_in_one_step,
                                  numbers_are_changed_in_one_step,
                                  queues_pass_items_on,
                                  tasks_open_references,
                                  a_list_in_a_dict_is_live,
                                  spawned_children_come_by_reference_and_name,
                                  NULL};
    return far_main(argc, argv, NULL, tests, 60);
}
