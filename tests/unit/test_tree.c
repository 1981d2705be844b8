/* Value trees: built, read, encoded, and what strangers send as one. */
#include "suite.h"

#include <locale.h>
#include <math.h>
#include <mp/tree.h>
#include <stdio.h>
#include <string.h>

static mp_tree_t *sample(void)
{
    static const mp_ref_t ref = {{1, 2, 3, 4, 5, UINT64_MAX}};
    mp_tree_t *tree = MP_DICT(
        {"null", mp_tree_null()}, {"yes", mp_tree_bool(true)}, {"small", MP_V(-7)},
        {"ints", MP_LIST(MP_V(INT64_MIN), MP_V(INT64_MAX), MP_V(127), MP_V(128), MP_V(-32),
                         MP_V(-33), MP_V(255), MP_V(65536), MP_V(-32769), MP_V(4294967296))},
        {"floats", MP_LIST(MP_V(0.1), MP_V(-1e300), MP_V(2.0), MP_V(NAN), MP_V(-INFINITY))},
        {"str", MP_V("\xc3\xa4 \"quoted\"\n")}, {"nul", mp_tree_str_n("a\0b", 3)},
        {"bytes", mp_tree_bytes("\0\xff\x80", 3)}, {"none", mp_tree_bytes(NULL, 0)},
        {"empty", mp_tree_list(NULL, 0)}, {"nothing", mp_tree_dict(NULL, 0)},
        {"deep", MP_LIST(MP_LIST(MP_DICT({"x", MP_LIST(MP_V(1))})))}, {"ref", mp_tree_ref(&ref)});
    ck_assert_ptr_nonnull(tree);
    return tree;
}

static mp_tree_t *there_and_back(const mp_tree_t *tree)
{
    void *data = NULL;
    size_t size = 0;
    mp_tree_t *back = NULL;
    ck_assert_int_eq(mp_tree_encode(tree, NULL, &data, &size), MP_OK);
    ck_assert_int_eq(mp_tree_decode(data, size, NULL, &back), MP_OK);
    free(data);
    return back;
}

START_TEST(built_and_read)
{
    mp_tree_t *tree = sample();
    int64_t number = 0;
    double real = 0;
    const char *text = NULL;
    mp_bytes_t bytes;
    ck_assert_int_eq(mp_tree_type(tree), MP_TREE_DICT);
    ck_assert_uint_eq(mp_tree_len(tree), 13);
    ck_assert_str_eq(mp_tree_key_at(tree, -1), "ref");
    ck_assert_int_eq(mp_tree_int_or(mp_tree_get(tree, "small"), 0), -7);
    ck_assert_int_eq(mp_tree_int_or(mp_tree_get(tree, "absent"), 5), 5);
    ck_assert_int_eq(mp_tree_int_or(mp_tree_get(tree, "str"), 5), 5);
    ck_assert(mp_tree_bool_or(mp_tree_get(tree, "yes"), false));
    ck_assert(mp_tree_float_or(mp_tree_get(tree, "small"), 0) == -7.0);
    ck_assert_int_eq(mp_tree_as_float(mp_tree_at(mp_tree_get(tree, "floats"), 0), &real), MP_OK);
    ck_assert(real == 0.1);
    const mp_tree_t *deep = mp_tree_at(mp_tree_at(mp_tree_get(tree, "deep"), 0), 0);
    ck_assert_int_eq(mp_tree_as_int(mp_tree_at(mp_tree_get(deep, "x"), -1), &number), MP_OK);
    ck_assert_int_eq(number, 1);
    ck_assert_int_eq(mp_tree_as_int(mp_tree_get(tree, "absent"), &number), MP_ENOTFOUND);
    ck_assert_int_eq(mp_tree_as_int(mp_tree_get(tree, "str"), &number), MP_EINVAL);
    ck_assert_int_eq(mp_tree_as_str(mp_tree_get(tree, "nul"), &text), MP_OK);
    ck_assert_mem_eq(text, "a\0b", 4);
    ck_assert_int_eq(mp_tree_as_bytes(mp_tree_get(tree, "bytes"), &bytes), MP_OK);
    ck_assert_uint_eq(bytes.size, 3);
    ck_assert_ptr_null(mp_tree_get(mp_tree_at(mp_tree_get(NULL, "a"), 3), "b"));
    ck_assert_str_eq(mp_tree_str_or(NULL, "else"), "else");
    mp_tree_destroy(&tree);
    ck_assert_ptr_null(tree);
    mp_tree_destroy(&tree);
}
END_TEST

START_TEST(changed)
{
    mp_tree_t *list = MP_LIST(MP_V(1), MP_V("two"), MP_V(3.0));
    mp_tree_t *dict = mp_tree_dict(NULL, 0);
    ck_assert_int_eq(mp_tree_append(list, MP_V(4)), MP_OK);
    ck_assert_int_eq(mp_tree_append(dict, MP_V(4)), MP_EINVAL);
    ck_assert_int_eq(mp_tree_set(list, "a", MP_V(4)), MP_EINVAL);
    ck_assert_int_eq(mp_tree_set(dict, "\xff", MP_V(4)), MP_EINVAL);
    ck_assert_int_eq(mp_tree_append(list, NULL), MP_EINVAL);
    mp_tree_t *two = mp_tree_pop(list, 1);
    ck_assert_str_eq(mp_tree_str_or(two, ""), "two");
    mp_tree_destroy(&two);
    ck_assert_uint_eq(mp_tree_len(list), 3);
    ck_assert_ptr_null(mp_tree_pop(list, 3));
    for (int i = 0; i < 5000; i++) { /* with an index, and without */
        char key[16];
        snprintf(key, sizeof key, "k%d", i);
        ck_assert_int_eq(mp_tree_set(dict, key, MP_V(i)), MP_OK);
        ck_assert_int_eq(mp_tree_set(dict, key, MP_V(i * 2)), MP_OK);
    }
    ck_assert_uint_eq(mp_tree_len(dict), 5000);
    mp_tree_t *gone = mp_tree_remove(dict, "k17");
    ck_assert_int_eq(mp_tree_int_or(gone, 0), 34);
    mp_tree_destroy(&gone);
    ck_assert_ptr_null(mp_tree_get(dict, "k17"));
    ck_assert_ptr_null(mp_tree_remove(dict, "k17"));
    ck_assert_int_eq(mp_tree_int_or(mp_tree_get(dict, "k4999"), 0), 9998);
    ck_assert_str_eq(mp_tree_key_at(dict, 17), "k18");
    mp_tree_t *nothing = MP_LIST(MP_V(1), mp_tree_str("\xff"), MP_V(2));
    ck_assert_ptr_null(nothing);
    mp_tree_destroy(&list);
    mp_tree_destroy(&dict);
}
END_TEST

START_TEST(equal_and_copied)
{
    mp_tree_t *a = sample();
    mp_tree_t *b = mp_tree_copy(a);
    mp_tree_t *turned = MP_DICT({"x", MP_V(1)}, {"y", MP_V(2)});
    mp_tree_t *other = MP_DICT({"y", MP_V(2)}, {"x", MP_V(1)});
    ck_assert(mp_tree_equal(a, b));
    ck_assert(mp_tree_equal(turned, other));
    ck_assert_int_eq(mp_tree_set(b, "small", MP_V(-7.0)), MP_OK);
    ck_assert(!mp_tree_equal(a, b));
    ck_assert(mp_tree_equal(NULL, NULL));
    ck_assert(!mp_tree_equal(a, NULL));
    mp_tree_destroy(&a);
    mp_tree_destroy(&b);
    mp_tree_destroy(&turned);
    mp_tree_destroy(&other);
}
END_TEST

START_TEST(encoded)
{
    mp_tree_t *tree = sample();
    mp_tree_t *back = there_and_back(tree);
    ck_assert(mp_tree_equal(tree, back));
    mp_tree_destroy(&back);
    mp_tree_destroy(&tree);
    static const size_t sizes[] = {0, 15, 16, 31, 32, 255, 256, 65535, 65536};
    for (size_t i = 0; i < sizeof sizes / sizeof *sizes; i++) {
        char *text = malloc(sizes[i] + 1);
        memset(text, 'x', sizes[i]);
        tree = MP_LIST(mp_tree_str_n(text, sizes[i]), mp_tree_bytes(text, sizes[i]),
                       mp_tree_list(NULL, 0));
        for (size_t j = 0; j < sizes[i]; j++)
            ck_assert_int_eq(mp_tree_append(mp_tree_at(tree, 2), MP_V((int)j)), MP_OK);
        back = there_and_back(tree);
        ck_assert(mp_tree_equal(tree, back));
        mp_tree_destroy(&back);
        mp_tree_destroy(&tree);
        free(text);
    }
}
END_TEST

/* As another implementation of MessagePack writes it. */
START_TEST(encoding_is_the_standard_s)
{
    static const unsigned char wanted[] = {0x82, 0xa7, 'c', 'o', 'm', 'p', 'a', 'c', 't',
                                           0xc3, 0xa6, 's', 'c', 'h', 'e', 'm', 'a', 0x00};
    static const unsigned char floats[] = {0x92, 0xca, 0x3f, 0x80, 0, 0, 0xcd, 0x01, 0x00};
    void *data = NULL;
    size_t size = 0;
    mp_tree_t *tree = MP_DICT({"compact", mp_tree_bool(true)}, {"schema", MP_V(0)});
    ck_assert_int_eq(mp_tree_encode(tree, NULL, &data, &size), MP_OK);
    ck_assert_uint_eq(size, sizeof wanted);
    ck_assert_mem_eq(data, wanted, size);
    free(data);
    mp_tree_destroy(&tree);
    ck_assert_int_eq(mp_tree_decode(floats, sizeof floats, NULL, &tree), MP_OK);
    ck_assert(mp_tree_float_or(mp_tree_at(tree, 0), 0) == 1.0);
    ck_assert_int_eq(mp_tree_int_or(mp_tree_at(tree, 1), 0), 256);
    mp_tree_destroy(&tree);
}
END_TEST

static mp_rc_t decode(const void *data, size_t size)
{
    mp_tree_t *tree = NULL;
    mp_rc_t rc = mp_tree_decode(data, size, NULL, &tree);
    ck_assert((rc == MP_OK) == (tree != NULL));
    mp_tree_destroy(&tree);
    return rc;
}

START_TEST(what_is_no_tree)
{
    static const struct {
        const char *bytes;
        size_t size;
    } bad[] = {{"", 0},
               {"\xc1", 1},                 /* never used */
               {"\x01\x01", 2},             /* something behind */
               {"\xdd\xff\xff\xff\xff", 5}, /* four billion items */
               {"\xdf\xff\xff\xff\xff", 5},
               {"\xc6\xff\xff\xff\xff", 5},
               {"\xdc\x00\x05\x01", 4},
               {"\x91", 1},
               {"\xa2x", 2},
               {"\xa1\xff", 2},     /* no UTF-8 */
               {"\x81\x01\x01", 3}, /* a key that is no str */
               {"\x81\xa3"
                "a\0b\x01",
                6},                                         /* a key with a NUL */
               {"\xcf\xff\xff\xff\xff\xff\xff\xff\xff", 9}, /* no int64 */
               {"\xd4\x01x", 3},                            /* extensions that are no ref */
               {"\xc7\x30\x02", 3},
               {"\xc7\x30\x01x", 4}};
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++)
        ck_assert_msg(decode(bad[i].bytes, bad[i].size) == MP_EPROTO, "%zu", i);
}
END_TEST

START_TEST(limits)
{
    static unsigned char deep[100000];
    memset(deep, 0x91, sizeof deep);
    deep[sizeof deep - 1] = 0xc0;
    ck_assert_int_eq(decode(deep, sizeof deep), MP_ETOOLARGE);
    ck_assert_int_eq(decode(deep + sizeof deep - 65, 65), MP_OK);
    ck_assert_int_eq(decode(deep + sizeof deep - 66, 66), MP_ETOOLARGE);
    mp_tree_limits_t few = {.nodes = 3, .bytes = 100};
    mp_tree_t *tree = MP_LIST(MP_V(1), MP_V(2), MP_V(3));
    mp_tree_t *none = NULL;
    void *data = NULL;
    size_t size = 0;
    ck_assert_int_eq(mp_tree_encode(tree, &few, &data, &size), MP_ETOOLARGE);
    ck_assert_int_eq(mp_tree_decode("\x93\1\2\3", 4, &few, &none), MP_ETOOLARGE);
    ck_assert_int_eq(mp_tree_decode("\x92\1\2", 3, &few, &none), MP_OK);
    mp_tree_destroy(&none);
    ck_assert_int_eq(mp_tree_decode(deep, 101, &few, &none), MP_ETOOLARGE);
    mp_tree_destroy(&tree);
    for (int i = 0; i < 200000; i++) { /* built deeper than any encoding, and taken apart */
        tree = tree ? MP_LIST(tree) : mp_tree_null();
        ck_assert_ptr_nonnull(tree);
    }
    ck_assert_int_eq(mp_tree_encode(tree, NULL, &data, &size), MP_ETOOLARGE);
    mp_tree_destroy(&tree);
}
END_TEST

/* Any bytes: an answer; and what is a tree comes back as itself. */
START_TEST(garbage)
{
    unsigned seed = 11;
    mp_tree_t *tree = sample();
    void *data = NULL;
    size_t size = 0;
    ck_assert_int_eq(mp_tree_encode(tree, NULL, &data, &size), MP_OK);
    unsigned char *copy = malloc(size);
    for (int i = 0; i < 20000; i++) {
        memcpy(copy, data, size);
        for (int j = rand_r(&seed) % 4; j >= 0; j--)
            copy[(size_t)rand_r(&seed) % size] = (unsigned char)rand_r(&seed);
        mp_tree_t *read = NULL;
        if (mp_tree_decode(copy, (size_t)rand_r(&seed) % 3 ? size : (size_t)rand_r(&seed) % size,
                           NULL, &read) != MP_OK)
            continue;
        mp_tree_t *again = there_and_back(read);
        ck_assert(mp_tree_equal(read, again));
        mp_tree_destroy(&again);
        mp_tree_destroy(&read);
    }
    free(copy);
    free(data);
    mp_tree_destroy(&tree);
}
END_TEST

START_TEST(json)
{
    char *text = NULL;
    mp_tree_t *tree = sample();
    mp_tree_t *back = NULL;
    for (int indent = 0; indent <= 2; indent++) {
        ck_assert_int_eq(mp_tree_to_json(tree, indent, &text), MP_OK);
        ck_assert_msg(mp_tree_from_json(text, strlen(text), NULL, &back) == MP_OK, "%s",
                      mp_errmsg());
        ck_assert(mp_tree_equal(tree, back));
        mp_tree_destroy(&back);
        free(text);
    }
    mp_tree_destroy(&tree);
    tree = MP_DICT({"a", MP_LIST(MP_V(1), MP_V(0.1), MP_V(1e22), MP_V("\x01\"\\"))},
                   {"b", mp_tree_bytes("any", 3)}, {"c", mp_tree_dict(NULL, 0)});
    (void)setlocale(LC_ALL, "");
    ck_assert_int_eq(mp_tree_to_json(tree, 0, &text), MP_OK);
    ck_assert_str_eq(text, "{\"a\": [1, 0.1, 1e+22, \"\\u0001\\\"\\\\\"], "
                           "\"b\": {\"$bytes\": \"YW55\"}, \"c\": {}}");
    free(text);
    mp_tree_destroy(&tree);
    ck_assert_int_eq(mp_tree_from_json("[1, 2", 5, NULL, &back), MP_EINVAL);
    ck_assert_ptr_nonnull(strstr(mp_errmsg(), "line 1"));
    ck_assert_int_eq(mp_tree_from_json("{\"$bytes\": \"not base64!\"}", 25, NULL, &back), MP_OK);
    ck_assert_int_eq(mp_tree_type(back), MP_TREE_DICT); /* just a dict */
    mp_tree_destroy(&back);
    mp_tree_limits_t shallow = {.depth = 2};
    ck_assert_int_eq(mp_tree_from_json("[[[1]]]", 7, &shallow, &back), MP_ETOOLARGE);
    ck_assert_int_eq(mp_tree_from_json("[[1]]", 5, &shallow, &back), MP_OK);
    mp_tree_destroy(&back);
    ck_assert_int_eq(mp_tree_to_json(NULL, 0, &text), MP_EINVAL);
}
END_TEST

int main(void)
{
    const TTest *const tests[] = {
        built_and_read,  changed, equal_and_copied, encoded, encoding_is_the_standard_s,
        what_is_no_tree, limits,  garbage,          json,    NULL};
    return suite_run("tree", tests, 60);
}
