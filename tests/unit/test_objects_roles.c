/* What a client may do with objects whose key lets it only look. */
#include "objects_kit.h"

static kit_t kit;
static guest_t *ann, *eve;

static void setup(void)
{
    kit_open(&kit, (mpx_space_options_t){.lease_ns = 3 * MPX_S});
    ann = kit_come(&kit, "ann");
    eve = kit_come(&kit, "eve");
    mpx_tenant_restrict(eve->tenant, "eve");
}

static void teardown(void)
{
    kit_close(&kit);
}

START_TEST(looking_is_allowed_and_changing_is_not)
{
    uint64_t dict = make(ann, MP_OBJECT_DICT, "{\"a\":1}");
    uint64_t list = make(ann, MP_OBJECT_LIST, "[1,2]");
    DOES(eve, dict, MAP_GET, MP_OK, "s", "a");
    SAYS(eve, list, LEN, "#2", "");
    DOES(eve, dict, MAP_SET, MP_EPERM, "si", "a", 2);
    DOES(eve, list, CLEAR, MP_EPERM, "");
    DOES(eve, list, DELETE, MP_EPERM, "");
    SAYS(ann, list, LEN, "#2", "");
    uint64_t number = ask(eve, list, MPX_CLEAR, 0, "");
    const char *words = line_of(eve, number);
    ck_assert_msg(strstr(words, "'eve'") && strstr(words, "role write"), "%s", words);
    mpx_tenant_restrict(eve->tenant, NULL);
    DOES(eve, list, CLEAR, MP_OK, "");
    SAYS(ann, list, LEN, "#0", "");
}
END_TEST

START_TEST(a_name_can_be_opened_but_not_made)
{
    making_t making = {.type = MP_OBJECT_DICT, .name = "there", .value = 1};
    uint64_t dict = make_of(ann, making);
    ck_assert_uint_eq(make_of(eve, making), dict);
    making.name = "new";
    uint64_t number = try_make(eve, making);
    ck_assert_int_eq(rc_of(eve, number), MP_EPERM);
    mpx_space_counts_t counts;
    mpx_space_count(kit.space, &counts);
    ck_assert_uint_eq(counts.objects, 1);
}
END_TEST

/* An ATOMIC of one CLEAR. */
static void clear_as_one(guest_t *guest, uint64_t list)
{
    uint8_t head[MPX_OPERATION_HEAD], clear[MPX_OPERATION_HEAD];
    mpx_buf_t arguments = {0}, operation = {0};
    mpx_operation_head(clear, &(mpx_operation_t){.method = MPX_CLEAR, .object = list});
    OK(mpx_parcel_add(&arguments, MP_ITEM_BYTES, (mp_bytes_t){clear, sizeof clear}));
    mpx_operation_t one = {.method = MPX_ATOMIC, .arguments = mpx_buf_bytes(&arguments)};
    mpx_operation_head(head, &one);
    OK(mpx_buf_add(&operation, head, sizeof head));
    OK(mpx_buf_add(&operation, arguments.data, arguments.size));
    ck_assert_int_eq(rc_of(guest, guest_send(guest, &operation)), MP_OK);
    mpx_buf_free(&arguments);
}

START_TEST(nothing_hides_in_an_atomic)
{
    uint64_t list = make(ann, MP_OBJECT_LIST, "[1]");
    clear_as_one(eve, list);
    SAYS(ann, list, LEN, "#1", "");
    clear_as_one(ann, list);
    SAYS(ann, list, LEN, "#0", "");
}
END_TEST

/* The closed list of methods that change, hold and wake nothing: a new method is not on it. */
START_TEST(each_method_is_one_or_the_other)
{
    static const mpx_method_t harmless[] = {
        MPX_OPEN,         MPX_DROP,           MPX_STAT,          MPX_WATCH,        MPX_OBJECTS,
        MPX_SERVER,       MPX_ATOMIC,         MPX_CANCEL,        MPX_LEN,          MPX_MAP_GET,
        MPX_MAP_CONTAINS, MPX_MAP_KEYS,       MPX_MAP_VALUES,    MPX_MAP_ITEMS,    MPX_MAP_COPY,
        MPX_MAP_WAIT,     MPX_MAP_WATCH,      MPX_MAP_NEXT,      MPX_SET_COMBINE,  MPX_SET_COMPARE,
        MPX_LIST_GET,     MPX_LIST_GET_SLICE, MPX_LIST_INDEX,    MPX_LIST_COUNT,   MPX_VALUE_GET,
        MPX_QUEUE_JOIN,   MPX_QUEUE_RETURN,   MPX_QUEUE_FULL,    MPX_LOCK_RELEASE, MPX_LOCK_LOCKED,
        MPX_LOCK_TOKEN,   MPX_EVENT_IS_SET,   MPX_EVENT_WAIT,    MPX_BARRIER_STAT, MPX_MAP_UNION,
        MPX_MAP_REVERSED, MPX_LIST_CONCAT,    MPX_LIST_REPEATED, MPX_LIST_INDEX_IN};
    uint64_t objects[MP_OBJECT_BARRIER + 1] = {0};
    for (int type = MP_OBJECT_DICT; type <= MP_OBJECT_BARRIER; type++)
        objects[type] = make_of(ann, (making_t){.type = (mp_object_type_t)type,
                                                .value = 1,
                                                .initial = type == MP_OBJECT_ARRAY ? "[1]" : NULL,
                                                .typecode = type == MP_OBJECT_ARRAY ? 'i' : 0});
    for (unsigned method = 1; method < MPX_CUSTOM_CALL; method++) {
        bool is_harmless = method == MPX_MAKE; /* that is another test */
        bool refused = false;
        for (size_t i = 0; i < sizeof harmless / sizeof *harmless; i++)
            is_harmless = is_harmless || harmless[i] == method;
        if (strcmp(mpx_method_name(method), "?") == 0)
            continue;
        for (int type = 0; type <= MP_OBJECT_BARRIER; type++)
            refused = refused ||
                      rc_of(eve, ask(eve, objects[type], (mpx_method_t)method, 0, "")) == MP_EPERM;
        ck_assert_msg(refused != is_harmless, "%s", mpx_method_name(method));
    }
}
END_TEST

int main(void)
{
    const TTest *const tests[] = {looking_is_allowed_and_changing_is_not,
                                  a_name_can_be_opened_but_not_made, nothing_hides_in_an_atomic,
                                  each_method_is_one_or_the_other};
    Suite *suite = suite_create("objects roles");
    TCase *cases = tcase_create("roles");
    tcase_add_checked_fixture(cases, setup, teardown);
    tcase_set_timeout(cases, 30);
    for (size_t i = 0; i < sizeof tests / sizeof *tests; i++)
        tcase_add_test(cases, tests[i]);
    suite_add_tcase(suite, cases);
    return suite_end(suite);
}
