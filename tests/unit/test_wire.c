#include "suite.h"
#include "wire.h"

#include "mp.pb-c.h"

#include <string.h>

static uint64_t any(unsigned *seed)
{
    uint64_t value = ((uint64_t)(unsigned)rand_r(seed) << 40) ^
                     ((uint64_t)(unsigned)rand_r(seed) << 20) ^ (unsigned)rand_r(seed);
    return value >> (unsigned)rand_r(seed) % 64;
}

/* There are gaps between the numbers. */
static mpx_op_t any_op(unsigned *seed)
{
    mpx_op_t op;
    do
        op = (mpx_op_t)((unsigned)rand_r(seed) % MPX_OP_END);
    while (strcmp(mpx_op_name(op), "?") == 0);
    return op;
}

static mpx_header_t any_header(unsigned *seed)
{
    return (mpx_header_t){
        .op = any_op(seed),
        .job = any(seed),
        .chunk = any(seed),
        .first = any(seed) >> 1,
        .count = (uint32_t)any(seed),
        .attempt = (uint32_t)any(seed),
        .item_bytes = (uint32_t)any(seed),
        .busy_ns = any(seed),
        .code = (int32_t)any(seed),
        .nonce = any(seed),
        .bytes = any(seed),
        .kind = (uint32_t)any(seed),
        .deadline_ms = (uint32_t)any(seed),
    };
}

static void check_equal(const mpx_header_t *a, const mpx_header_t *b)
{
    ck_assert_int_eq(a->op, b->op);
    ck_assert_uint_eq(a->job, b->job);
    ck_assert_uint_eq(a->chunk, b->chunk);
    ck_assert_uint_eq(a->first, b->first);
    ck_assert_uint_eq(a->count, b->count);
    ck_assert_uint_eq(a->attempt, b->attempt);
    ck_assert_uint_eq(a->item_bytes, b->item_bytes);
    ck_assert_uint_eq(a->busy_ns, b->busy_ns);
    ck_assert_int_eq(a->code, b->code);
    ck_assert_uint_eq(a->nonce, b->nonce);
    ck_assert_uint_eq(a->bytes, b->bytes);
    ck_assert_uint_eq(a->kind, b->kind);
}

static size_t pack_by_protobuf(const mpx_header_t *header, uint8_t *out)
{
    Mp__Header message;
    mp__header__init(&message);
    message.op = (Mp__Op)header->op;
    message.job = header->job;
    message.chunk = header->chunk;
    message.first = header->first;
    message.count = header->count;
    message.attempt = header->attempt;
    message.item_bytes = header->item_bytes;
    message.busy_ns = header->busy_ns;
    message.code = header->code;
    message.nonce = header->nonce;
    message.bytes = header->bytes;
    message.kind = header->kind;
    message.deadline_ms = header->deadline_ms;
    return mp__header__pack(&message, out);
}

START_TEST(headers_are_the_bytes_that_protobuf_makes)
{
    unsigned seed = 1;
    for (int i = 0; i < 20000; i++) {
        mpx_header_t header = any_header(&seed);
        uint8_t ours[MPX_HEAD_MAX], theirs[256];
        size_t size = mpx_head_pack(&header, false, ours);
        size_t length = pack_by_protobuf(&header, theirs);
        ck_assert_uint_eq(ours[2] | ours[3] << 8, length);
        ck_assert_int_eq(memcmp(ours + 4, theirs, length), 0);
        ck_assert_uint_eq(size % 16, 0);
        ck_assert_uint_lt(size - 4 - length, 16);

        mpx_header_t back;
        mp_bytes_t payload;
        bool apart = true;
        ck_assert_int_eq(mpx_head_unpack((mp_bytes_t){ours, size}, &back, &payload, &apart), MP_OK);
        check_equal(&header, &back);
        ck_assert(!apart);
        ck_assert_uint_eq(payload.size, 0);
    }
}
END_TEST

/* The example of PROTOCOL.md, to the byte. */
START_TEST(the_documented_example_is_true)
{
    static const uint8_t example[] = {0x01, 0x00, 0x0e, 0x00, 0x08, 0x07, 0x10, 0x03, 0x18, 0x05,
                                      0x20, 0x0a, 0x28, 0x02, 0x30, 0x01, 0x38, 0x04, 0x00, 0x00,
                                      0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00,
                                      0x00, 0x00, 0x07, 0x00, 0x00, 0x00, 0x08, 0x00, 0x00, 0x00};
    mpx_header_t header = {.op = MPX_OP_SUBMIT,
                           .job = 3,
                           .chunk = 5,
                           .first = 10,
                           .count = 2,
                           .attempt = 1,
                           .item_bytes = 4};
    uint8_t head[MPX_HEAD_MAX];
    size_t size = mpx_head_pack(&header, false, head);
    ck_assert_uint_eq(size, 32);
    ck_assert_int_eq(memcmp(head, example, size), 0);
    mpx_header_t back;
    mp_bytes_t payload;
    bool apart;
    ck_assert_int_eq(
        mpx_head_unpack((mp_bytes_t){example, sizeof example}, &back, &payload, &apart), MP_OK);
    check_equal(&header, &back);
    ck_assert_uint_eq(payload.size, 8);
    ck_assert_uint_eq(mpx_load_u32(payload.data), 7);
}
END_TEST

START_TEST(broken_heads_are_refused)
{
    static const struct {
        const char *bytes;
        size_t size;
        mp_rc_t rc;
    } rows[] = {
#define ROW(literal, rc) {literal, sizeof literal - 1, rc}
        ROW("", MP_EPROTO),
        ROW("\1\0\0", MP_EPROTO),
        ROW("\2\0\2\0\10\7\0\0\0\0\0\0\0\0\0\0", MP_EVERSION),
        ROW("\1\4\2\0\10\7\0\0\0\0\0\0\0\0\0\0", MP_EPROTO),             /* flag */
        ROW("\1\0\2\0\10\7\0\0\0\0\0\0\0\0\0", MP_EPROTO),               /* short */
        ROW("\1\0\2\0\10\0\0\0\0\0\0\0\0\0\0\0", MP_EPROTO),             /* op 0 */
        ROW("\1\0\2\0\10\176\0\0\0\0\0\0\0\0\0\0", MP_EPROTO),           /* op 126 */
        ROW("\1\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0", MP_EPROTO),              /* no op */
        ROW("\1\0\3\0\10\7\0\0\0\0\0\0\0\0\0\0", MP_EPROTO),             /* tag 0 */
        ROW("\1\0\3\0\10\7\20\0\0\0\0\0\0\0\0\0", MP_EPROTO),            /* cut varint */
        ROW("\1\0\5\0\10\7\21\0\0\0\0\0\0\0\0\0", MP_EPROTO),            /* wire type */
        ROW("\1\1\2\0\10\7\0\0\0\0\0\0\0\0\0\0x", MP_EPROTO),            /* both */
        ROW("\1\0\10\0\10\7\50\377\377\377\377\177\0\0\0\0", MP_EPROTO), /* count > 32 bits */
        ROW("\1\0\11\0\10\7\342\1\4abcd\0\0\0\0", MP_OK),                /* unknown field */
#undef ROW
    };
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        mpx_header_t header;
        mp_bytes_t payload;
        bool apart;
        mp_rc_t rc =
            mpx_head_unpack((mp_bytes_t){rows[i].bytes, rows[i].size}, &header, &payload, &apart);
        ck_assert_msg(rc == rows[i].rc, "row %zu: %s", i, mp_errname(rc));
    }
}
END_TEST

/* first + count may not wrap around: whoever reads a range adds them. */
START_TEST(numbers_out_of_range_are_refused)
{
    static const struct {
        uint64_t first;
        uint32_t count;
        mp_rc_t rc;
    } rows[] = {
        {UINT64_MAX, 0, MP_OK},
        {UINT64_MAX - 1, 1, MP_OK},
        {UINT64_MAX, 1, MP_EPROTO},
        {UINT64_MAX - UINT32_MAX + 1, UINT32_MAX, MP_EPROTO},
        {UINT64_MAX - UINT32_MAX, UINT32_MAX, MP_OK},
    };
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        mpx_header_t header = {.op = MPX_OP_SUBMIT, .first = rows[i].first, .count = rows[i].count};
        uint8_t head[MPX_HEAD_MAX];
        size_t size = mpx_head_pack(&header, false, head);
        mp_bytes_t payload;
        bool apart;
        mp_rc_t rc = mpx_head_unpack((mp_bytes_t){head, size}, &header, &payload, &apart);
        ck_assert_msg(rc == rows[i].rc, "row %zu: %s", i, mp_errname(rc));
    }
}
END_TEST

/* Ten bytes are a varint's most, and its last one has one bit. */
START_TEST(overlong_varints_are_refused)
{
    uint8_t head[16 + 16] = {1, 0, 13, 0, 8, 7, 2 << 3};
    memset(head + 7, 0xff, 9);
    mpx_header_t header;
    mp_bytes_t payload;
    bool apart;
    for (unsigned last = 0; last < 256; last++) {
        head[16] = (uint8_t)last;
        mp_rc_t rc = mpx_head_unpack((mp_bytes_t){head, 32}, &header, &payload, &apart);
        ck_assert_msg(rc == (last <= 1 ? MP_OK : MP_EPROTO), "%u: %s", last, mp_errname(rc));
    }
    head[2] = 129; /* more than a header may have */
    uint8_t long_head[256] = {0};
    memcpy(long_head, head, sizeof head);
    ck_assert_int_eq(
        mpx_head_unpack((mp_bytes_t){long_head, sizeof long_head}, &header, &payload, &apart),
        MP_EPROTO);
}
END_TEST

START_TEST(cut_heads_are_refused_and_leave_the_outputs_alone)
{
    unsigned seed = 2;
    for (int i = 0; i < 200; i++) {
        mpx_header_t header = any_header(&seed);
        uint8_t head[MPX_HEAD_MAX];
        size_t size = mpx_head_pack(&header, i % 2, head);
        for (size_t cut = 0; cut < size; cut++) {
            mpx_header_t back = {.job = 99};
            mp_bytes_t payload = {.size = 99};
            bool apart = false;
            uint8_t *copy = malloc(cut + 1); /* so that a sanitizer sees what is read */
            memcpy(copy, head, cut);
            ck_assert_int_eq(mpx_head_unpack((mp_bytes_t){copy, cut}, &back, &payload, &apart),
                             MP_EPROTO);
            ck_assert_uint_eq(back.job, 99);
            ck_assert_uint_eq(payload.size, 99);
            ck_assert(*mp_errmsg());
            free(copy);
        }
    }
}
END_TEST

START_TEST(bit_flips_give_a_code_or_a_message)
{
    unsigned seed = 3;
    for (int i = 0; i < 200; i++) {
        mpx_header_t header = any_header(&seed);
        uint8_t head[MPX_HEAD_MAX];
        size_t size = mpx_head_pack(&header, false, head);
        for (size_t bit = 0; bit < size * 8; bit++) {
            mpx_header_t back;
            mp_bytes_t payload;
            bool apart;
            head[bit / 8] ^= (uint8_t)(1u << bit % 8);
            mp_rc_t rc = mpx_head_unpack((mp_bytes_t){head, size}, &back, &payload, &apart);
            ck_assert(rc == MP_OK || rc == MP_EPROTO || rc == MP_EVERSION);
            head[bit / 8] ^= (uint8_t)(1u << bit % 8);
        }
    }
}
END_TEST

START_TEST(items_are_taken_apart)
{
    mpx_buf_t buf = {0};
    ck_assert_int_eq(mpx_item_add(&buf, (mp_bytes_t){"abc", 3}), MP_OK);
    ck_assert_int_eq(mpx_item_add(&buf, (mp_bytes_t){NULL, 0}), MP_OK);
    mp_bytes_t rest = mpx_buf_bytes(&buf), item;
    ck_assert(mpx_items_valid(rest, 0, 2));
    ck_assert(!mpx_items_valid(rest, 0, 1));
    ck_assert(!mpx_items_valid(rest, 0, 3));
    ck_assert(!mpx_items_valid((mp_bytes_t){rest.data, rest.size - 1}, 0, 2));
    ck_assert_int_eq(mpx_item_next(&rest, 0, &item), MP_OK);
    ck_assert_uint_eq(item.size, 3);
    ck_assert_int_eq(mpx_item_next(&rest, 0, &item), MP_OK);
    ck_assert_uint_eq(item.size, 0);
    ck_assert_int_eq(mpx_item_next(&rest, 0, &item), MP_EOF);
    ck_assert(mpx_items_valid((mp_bytes_t){"12345678", 8}, 4, 2));
    ck_assert(!mpx_items_valid((mp_bytes_t){"12345678", 8}, UINT32_MAX, UINT32_MAX));
    mpx_buf_free(&buf);
}
END_TEST

START_TEST(records_are_taken_apart)
{
    mpx_buf_t buf = {0};
    mpx_record_t ok = {.rc = MP_OK, .value = {"value", 5}};
    mpx_record_t bad = {.rc = MP_EFAILED, .detail = {"why", 3}, .value = {"part", 4}};
    mpx_record_t out;
    ck_assert_int_eq(mpx_record_add(&buf, &ok), MP_OK);
    ck_assert_int_eq(mpx_record_add(&buf, &bad), MP_OK);
    mp_bytes_t rest = mpx_buf_bytes(&buf);
    ck_assert(mpx_records_valid(rest, 2));
    ck_assert(!mpx_records_valid(rest, 1));
    for (size_t size = 1; size < rest.size; size++)
        ck_assert(!mpx_records_valid((mp_bytes_t){rest.data, size}, 2));
    ck_assert_int_eq(mpx_record_next(&rest, &out), MP_OK);
    ck_assert_uint_eq(out.value.size, 5);
    ck_assert_int_eq(mpx_record_next(&rest, &out), MP_OK);
    ck_assert_int_eq(out.rc, MP_EFAILED);
    ck_assert_uint_eq(out.detail.size, 3);
    ck_assert_int_eq(memcmp(out.value.data, "part", 4), 0);
    buf.data[3] = 0x7f; /* a positive code */
    rest = mpx_buf_bytes(&buf);
    buf.data[0] = 1;
    ck_assert_int_eq(mpx_record_next(&rest, &out), MP_EPROTO);
    mpx_buf_free(&buf);
}
END_TEST

START_TEST(a_hello_survives_the_journey)
{
    static const mpx_offer_t tasks[] = {{"square", "int[4,4] -> int[4,4] little"}, {"a", "b"}};
    static const char *const refused[] = {"mp.exec"};
    mpx_hello_t hello = {
        .role = MPX_ROLE_WORKER,
        .version_min = 1,
        .version_max = 2,
        .software = "test",
        .host = "h\303\266st\nname",
        .pid = 77,
        .name = "",
        .slots = 4,
        .tasks = tasks,
        .tasks_count = 2,
        .refused = refused,
        .refused_count = 1,
    };
    mpx_buf_t buf = {0};
    mpx_hello_t back;
    void *arena = NULL;
    ck_assert_int_eq(mpx_hello_pack(&hello, &buf), MP_OK);
    ck_assert_int_eq(mpx_hello_unpack(mpx_buf_bytes(&buf), &back, &arena), MP_OK);
    ck_assert_int_eq(back.role, MPX_ROLE_WORKER);
    ck_assert_uint_eq(back.version_max, 2);
    ck_assert_str_eq(back.host, "h\303\266st?name");
    ck_assert_uint_eq(back.pid, 77);
    ck_assert_uint_eq(back.tasks_count, 2);
    ck_assert_str_eq(back.tasks[0].signature, tasks[0].signature);
    ck_assert_str_eq(back.refused[0], "mp.exec");
    free(arena);
    for (size_t size = 0; size < buf.size; size++) {
        arena = NULL;
        mp_rc_t rc = mpx_hello_unpack((mp_bytes_t){buf.data, size}, &back, &arena);
        ck_assert(rc == MP_OK || rc == MP_EPROTO);
        free(arena);
    }
    mpx_buf_free(&buf);
}
END_TEST

START_TEST(the_other_bodies_survive_it_too)
{
    mpx_buf_t buf = {0};
    void *arena = NULL;
    mpx_welcome_t welcome = {.version = 1, .software = "s", .session = 9, .submit_bytes = 5};
    mpx_welcome_t welcome_back;
    ck_assert_int_eq(mpx_welcome_pack(&welcome, &buf), MP_OK);
    ck_assert_int_eq(mpx_welcome_unpack(mpx_buf_bytes(&buf), &welcome_back, &arena), MP_OK);
    ck_assert_uint_eq(welcome_back.session, 9);
    ck_assert_uint_eq(welcome_back.submit_bytes, 5);
    free(arena);

    mpx_buf_clear(&buf);
    mpx_open_t open = {.task = "t", .signature = "s", .call_limit_ms = 5, .wait_ms = 6}, open_back;
    ck_assert_int_eq(mpx_open_pack(&open, &buf), MP_OK);
    ck_assert_int_eq(mpx_open_unpack(mpx_buf_bytes(&buf), &open_back, &arena), MP_OK);
    ck_assert_str_eq(open_back.task, "t");
    ck_assert_uint_eq(open_back.wait_ms, 6);
    free(arena);

    mpx_buf_clear(&buf);
    mpx_failure_t failure = {.message = "m", .host = "h", .pid = 3, .code = -7, .signal = 11};
    mpx_failure_t failure_back;
    ck_assert_int_eq(mpx_failure_pack(&failure, &buf), MP_OK);
    ck_assert_int_eq(mpx_failure_unpack(mpx_buf_bytes(&buf), &failure_back, &arena), MP_OK);
    ck_assert_int_eq(failure_back.code, -7);
    ck_assert_uint_eq(failure_back.signal, 11);
    free(arena);

    mpx_buf_clear(&buf);
    mpx_status_t status = {.software = "s", .executors = 4, .calls_queued = 1u << 31}, status_back;
    ck_assert_int_eq(mpx_status_pack(&status, &buf), MP_OK);
    ck_assert_int_eq(mpx_status_unpack(mpx_buf_bytes(&buf), &status_back, &arena), MP_OK);
    ck_assert_uint_eq(status_back.calls_queued, 1u << 31);
    free(arena);
    mpx_buf_free(&buf);
}
END_TEST

START_TEST(bodies_are_bounded)
{
    mpx_buf_t buf = {0};
    mpx_problem_t problem, back;
    void *arena = NULL;
    char *text = malloc(100001);
    memset(text, 'x', 100000);
    text[100000] = '\0';
    problem.message = text;
    ck_assert_int_eq(mpx_problem_pack(&problem, &buf), MP_OK); /* cut */
    ck_assert_int_eq(mpx_problem_unpack(mpx_buf_bytes(&buf), &back, &arena), MP_OK);
    ck_assert_uint_eq(strlen(back.message), MPX_STRING_MAX);
    free(arena);

    mpx_buf_clear(&buf);
    mpx_open_t open = {.task = text, .signature = "s"};
    ck_assert_int_eq(mpx_open_pack(&open, &buf), MP_ETOOLARGE);

    /* 30 000 empty tasks in 60 KB: more than MPX_TASKS_MAX. */
    mpx_hello_t hello;
    for (int i = 0; i < 30000; i++)
        ck_assert_int_eq(mpx_buf_add(&buf, "\112\0", 2), MP_OK);
    ck_assert_int_eq(mpx_hello_unpack(mpx_buf_bytes(&buf), &hello, &arena), MP_EPROTO);
    /* A length that claims more than there is. */
    ck_assert_int_eq(mpx_hello_unpack((mp_bytes_t){"\42\377\377\377\377\7x", 7}, &hello, &arena),
                     MP_EPROTO);
    mpx_buf_free(&buf);
    free(text);
}
END_TEST

/* ---- strings ---------------------------------------------------------------------------- */

START_TEST(strings_come_out_fit_to_be_shown)
{
    static const struct {
        const char *in;
        const char *out;
    } rows[] = {
        {"", ""},
        {"plain", "plain"},
        {"tab\there\r\n\033[31m\177", "tab?here???[31m?"},
        {"\302\205\302\233\302\240", "????\302\240"}, /* C1, and the first behind */
        {"\303\266\342\202\254\360\237\230\200", "\303\266\342\202\254\360\237\230\200"},
        {"\300\257", "??"},                /* overlong */
        {"\340\200\257", "???"},           /* overlong */
        {"\355\240\200", "???"},           /* a surrogate */
        {"\364\220\200\200", "????"},      /* behind the last one */
        {"\370\210\200\200\200", "?????"}, /* five bytes */
        {"cut\342\202", "cut??"},
        {"cut\360\237\230", "cut???"},
        {"\200", "?"},
    };
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        mpx_buf_t buf = {0};
        mpx_problem_t problem = {.message = rows[i].in}, back;
        void *arena = NULL;
        size_t length = strlen(rows[i].in);
        ck_assert_int_eq(mpx_problem_pack(&problem, &buf), MP_OK);
        if (length) /* readers in other languages see UTF-8 as well */
            ck_assert_msg(memcmp(buf.data + 2, rows[i].out, length) == 0, "row %zu, packed", i);
        if (length)
            memcpy(buf.data + 2, rows[i].in, length); /* a careless sender */
        ck_assert_int_eq(mpx_problem_unpack(mpx_buf_bytes(&buf), &back, &arena), MP_OK);
        ck_assert_str_eq(back.message, rows[i].out);
        free(arena);
        mpx_buf_free(&buf);
    }
}
END_TEST

START_TEST(a_nul_in_a_string_is_refused)
{
    mpx_hello_t hello;
    mpx_open_t open;
    void *arena = NULL;
    ck_assert_int_eq(mpx_open_unpack((mp_bytes_t){"\12\3a\0b", 5}, &open, &arena), MP_EPROTO);
    ck_assert_int_eq(mpx_open_unpack((mp_bytes_t){"\12\3abc", 5}, &open, &arena), MP_OK);
    free(arena);
    /* In a task of a Hello. */
    ck_assert_int_eq(mpx_hello_unpack((mp_bytes_t){"\112\5\12\3a\0b", 7}, &hello, &arena),
                     MP_EPROTO);
    ck_assert_int_eq(mpx_hello_unpack((mp_bytes_t){"\112\5\12\3abc", 7}, &hello, &arena), MP_OK);
    ck_assert_str_eq(hello.tasks[0].name, "abc");
    free(arena);
}
END_TEST

static mp_rc_t unpack_of(size_t length)
{
    mpx_buf_t buf = {0};
    uint8_t head[] = {10, (uint8_t)(length | 0x80), (uint8_t)(length >> 7)};
    mpx_problem_t back;
    void *arena = NULL;
    ck_assert_int_eq(mpx_buf_add(&buf, head, sizeof head), MP_OK);
    memset(mpx_buf_reserve(&buf, length), 'x', length);
    buf.size += length;
    mp_rc_t rc = mpx_problem_unpack(mpx_buf_bytes(&buf), &back, &arena);
    free(arena);
    mpx_buf_free(&buf);
    return rc;
}

START_TEST(long_strings_are_refused)
{
    ck_assert_int_eq(unpack_of(MPX_STRING_MAX), MP_OK);
    ck_assert_int_eq(unpack_of(MPX_STRING_MAX + 1), MP_EPROTO);

    /* What a reader would refuse isn't sent. */
    char name[MPX_STRING_MAX + 2];
    memset(name, 'n', sizeof name);
    name[MPX_STRING_MAX] = '\0';
    mpx_buf_t buf = {0};
    mpx_open_t open = {.task = name, .signature = ""};
    ck_assert_int_eq(mpx_open_pack(&open, &buf), MP_OK);
    mpx_buf_clear(&buf);
    name[MPX_STRING_MAX] = 'n';
    name[MPX_STRING_MAX + 1] = '\0';
    ck_assert_int_eq(mpx_open_pack(&open, &buf), MP_ETOOLARGE);
    ck_assert_uint_eq(buf.size, 0);
    ck_assert(*mp_errmsg());
    buf.max = 10;
    name[100] = '\0';
    ck_assert_int_eq(mpx_open_pack(&open, &buf), MP_ETOOLARGE);
    mpx_buf_free(&buf);
}
END_TEST

/* `count` times the two bytes of an empty string or message. */
static mp_rc_t hello_of(const char *pair, size_t count)
{
    mpx_buf_t buf = {0};
    mpx_hello_t hello;
    void *arena = NULL;
    for (size_t i = 0; i < count; i++)
        ck_assert_int_eq(mpx_buf_add(&buf, pair, 2), MP_OK);
    mp_rc_t rc = mpx_hello_unpack(mpx_buf_bytes(&buf), &hello, &arena);
    if (rc == MP_OK)
        ck_assert_uint_eq(hello.tasks_count + hello.refused_count, count);
    free(arena);
    mpx_buf_free(&buf);
    return rc;
}

START_TEST(a_crowd_of_tiny_values_is_refused)
{
    static const char *const pairs[] = {"\112\0", "\122\0"}; /* tasks, refused */
    for (size_t i = 0; i < 2; i++) {
        ck_assert_int_eq(hello_of(pairs[i], MPX_TASKS_MAX), MP_OK);
        ck_assert_int_eq(hello_of(pairs[i], MPX_TASKS_MAX + 1), MP_EPROTO);
        ck_assert_int_eq(hello_of(pairs[i], MPX_BODY_MAX / 2), MP_EPROTO);
        ck_assert_int_eq(hello_of(pairs[i], 1000000), MP_EPROTO);
    }
}
END_TEST

/* ---- every body, broken everywhere -------------------------------------------------------- */

typedef mp_rc_t try_t(mp_bytes_t body);

#define TRY(type)                                                                                  \
    static mp_rc_t try_##type(mp_bytes_t body)                                                     \
    {                                                                                              \
        mpx_##type##_t out;                                                                        \
        void *arena = NULL;                                                                        \
        mp_rc_t rc = mpx_##type##_unpack(body, &out, &arena);                                      \
        ck_assert((rc == MP_OK) == (arena != NULL));                                               \
        free(arena);                                                                               \
        return rc;                                                                                 \
    }
TRY(hello)
TRY(welcome)
TRY(problem)
TRY(open)
TRY(failure)
TRY(status)
TRY(progress)
TRY(executor_stat)

static void break_everywhere(mpx_buf_t *buf, try_t *attempt)
{
    ck_assert_int_eq(attempt(mpx_buf_bytes(buf)), MP_OK);
    for (size_t bit = 0; bit < buf->size * 8; bit++) {
        buf->data[bit / 8] ^= (uint8_t)(1u << bit % 8);
        mp_rc_t rc = attempt(mpx_buf_bytes(buf));
        ck_assert(rc == MP_OK || rc == MP_EPROTO);
        buf->data[bit / 8] ^= (uint8_t)(1u << bit % 8);
    }
    for (size_t size = 0; size < buf->size; size++) {
        uint8_t *copy = malloc(size + 1);
        memcpy(copy, buf->data, size);
        mp_rc_t rc = attempt((mp_bytes_t){copy, size});
        ck_assert(rc == MP_OK || rc == MP_EPROTO);
        free(copy);
    }
    mpx_buf_clear(buf);
}

START_TEST(broken_bodies_give_a_code_or_a_body)
{
    static const mpx_offer_t tasks[] = {{"square", "int[4,4] -> int[4,4] little"}, {"a", "b"}};
    static const char *const refused[] = {"mp.exec", "other"};
    mpx_hello_t hello = {.role = MPX_ROLE_WORKER,
                         .version_min = 1,
                         .version_max = 300,
                         .software = "some 1",
                         .host = "here",
                         .pid = 1u << 31,
                         .name = "w",
                         .slots = 4,
                         .tasks = tasks,
                         .tasks_count = 2,
                         .refused = refused,
                         .refused_count = 2,
                         .session = UINT64_MAX,
                         .session_secret = 1,
                         .kept = 300,
                         .had = 1};
    mpx_welcome_t welcome = {1, "s", UINT64_MAX, 80u << 20, 1u << 28,  1u << 28,
                             3, 12,  true,       true,      UINT64_MAX};
    mpx_problem_t problem = {"what \303\266 what"};
    mpx_open_t open = {.task = "square",
                       .signature = "int[4,4] -> int[4,4] little",
                       .call_limit_ms = 1000,
                       .wait_ms = UINT32_MAX,
                       .soft_limit_ms = 500,
                       .grace_ms = 100,
                       .priority = INT32_MIN,
                       .label = "label",
                       .weight = 7,
                       .needs = "gpu=1",
                       .output_bytes = 99,
                       .nested = true};
    mpx_failure_t failure = {"m", "h", 77, 2, INT32_MIN, 11, 255, "said\n", "f\ng\n"};
    mpx_progress_t progress = {UINT64_MAX, 3, "half"};
    mpx_status_t status = {
        "s", 1u << 20, 1, 2, 3, UINT64_MAX, 5, {6, 7, 8, 9, 10, UINT64_MAX}, true, 1, UINT64_MAX};
    mpx_executor_stat_t stat = {1, 2, 3, UINT64_MAX, 5, 6, 7, 8, 9, "h", "w", 1u << 31};
    mpx_buf_t buf = {0};
    ck_assert_int_eq(mpx_executor_stat_pack(&stat, &buf), MP_OK);
    break_everywhere(&buf, try_executor_stat);
    ck_assert_int_eq(mpx_hello_pack(&hello, &buf), MP_OK);
    break_everywhere(&buf, try_hello);
    ck_assert_int_eq(mpx_welcome_pack(&welcome, &buf), MP_OK);
    break_everywhere(&buf, try_welcome);
    ck_assert_int_eq(mpx_problem_pack(&problem, &buf), MP_OK);
    break_everywhere(&buf, try_problem);
    ck_assert_int_eq(mpx_open_pack(&open, &buf), MP_OK);
    break_everywhere(&buf, try_open);
    ck_assert_int_eq(mpx_failure_pack(&failure, &buf), MP_OK);
    break_everywhere(&buf, try_failure);
    ck_assert_int_eq(mpx_progress_pack(&progress, &buf), MP_OK);
    break_everywhere(&buf, try_progress);
    ck_assert_int_eq(mpx_status_pack(&status, &buf), MP_OK);
    break_everywhere(&buf, try_status);
    mpx_buf_free(&buf);
}
END_TEST

START_TEST(every_field_of_a_body_arrives)
{
    mpx_buf_t buf = {0};
    void *arena = NULL;
    mpx_welcome_t w = {1, "soft", 2, 3, 4, 5, 6, 7, true, true, 8}, w2;
    ck_assert_int_eq(mpx_welcome_pack(&w, &buf), MP_OK);
    ck_assert_int_eq(mpx_welcome_unpack(mpx_buf_bytes(&buf), &w2, &arena), MP_OK);
    ck_assert(w2.version == 1 && w2.session == 2 && w2.max_message_bytes == 3);
    ck_assert(w2.submit_bytes == 4 && w2.result_bytes == 5 && w2.workers == 6 && w2.executors == 7);
    ck_assert_str_eq(w2.software, "soft");
    ck_assert(w2.durable && w2.resumed && w2.kept == 8);
    free(arena);
    mpx_buf_clear(&buf);
    mpx_hello_t h = {.role = MPX_ROLE_CLIENT,
                     .session = 2,
                     .session_secret = 3,
                     .kept = 4,
                     .had = 5,
                     .have = "ssd",
                     .returns = true};
    mpx_hello_t h2;
    ck_assert_int_eq(mpx_hello_pack(&h, &buf), MP_OK);
    ck_assert_int_eq(mpx_hello_unpack(mpx_buf_bytes(&buf), &h2, &arena), MP_OK);
    ck_assert(h2.session == 2 && h2.session_secret == 3 && h2.kept == 4 && h2.had == 5);
    ck_assert(h2.returns);
    ck_assert_str_eq(h2.have, "ssd");
    free(arena);
    mpx_buf_clear(&buf);
    mpx_open_t o = {.task = "t",
                    .signature = "s",
                    .call_limit_ms = 1,
                    .wait_ms = 2,
                    .soft_limit_ms = 3,
                    .grace_ms = 4,
                    .priority = -5,
                    .label = "l",
                    .weight = 6,
                    .needs = "gpu=1",
                    .output_bytes = 7,
                    .nested = true};
    mpx_open_t o2;
    ck_assert_int_eq(mpx_open_pack(&o, &buf), MP_OK);
    ck_assert_int_eq(mpx_open_unpack(mpx_buf_bytes(&buf), &o2, &arena), MP_OK);
    ck_assert(o2.call_limit_ms == 1 && o2.wait_ms == 2 && o2.soft_limit_ms == 3);
    ck_assert(o2.grace_ms == 4 && o2.priority == -5 && o2.output_bytes == 7 && o2.nested);
    ck_assert_str_eq(o2.label, "l");
    ck_assert_uint_eq(o2.weight, 6);
    ck_assert_str_eq(o2.needs, "gpu=1");
    ck_assert_str_eq(o2.signature, "s");
    free(arena);
    mpx_buf_clear(&buf);
    mpx_failure_t f = {"m", "h", 1, 2, INT32_MIN, 4, 5, "a\tb\nc\33\n", "at \303\266\n"}, f2;
    ck_assert_int_eq(mpx_failure_pack(&f, &buf), MP_OK);
    ck_assert_int_eq(mpx_failure_unpack(mpx_buf_bytes(&buf), &f2, &arena), MP_OK);
    ck_assert(f2.pid == 1 && f2.attempt == 2 && f2.code == INT32_MIN);
    ck_assert(f2.signal == 4 && f2.exit_status == 5);
    ck_assert_str_eq(f2.message, "m");
    ck_assert_str_eq(f2.error_output, "a\tb\nc?\n");
    ck_assert_str_eq(f2.backtrace, "at \303\266\n");
    ck_assert_str_eq(f2.host, "h");
    free(arena);
    mpx_buf_clear(&buf);
    mpx_progress_t p = {1, 2, "p"}, p2;
    ck_assert_int_eq(mpx_progress_pack(&p, &buf), MP_OK);
    ck_assert_int_eq(mpx_progress_unpack(mpx_buf_bytes(&buf), &p2, &arena), MP_OK);
    ck_assert(p2.done == 1 && p2.total == 2);
    ck_assert_str_eq(p2.text, "p");
    free(arena);
    mpx_buf_clear(&buf);
    mpx_executor_stat_t e = {1, 2, 3, 4, 5, 6, 7, 8, 9, "h", "w", 10}, e2;
    ck_assert_int_eq(mpx_executor_stat_pack(&e, &buf), MP_OK);
    ck_assert_int_eq(mpx_executor_stat_unpack(mpx_buf_bytes(&buf), &e2, &arena), MP_OK);
    ck_assert(e2.id == 1 && e2.pid == 2 && e2.given == 3 && e2.calls == 4 && e2.start_ns == 5);
    ck_assert(e2.init_ns == 6 && e2.working_ns == 7 && e2.waiting_ns == 8 && e2.session == 10);
    ck_assert_uint_eq(e2.memory_bytes, 9);
    ck_assert_str_eq(e2.host, "h");
    ck_assert_str_eq(e2.worker, "w");
    free(arena);
    mpx_buf_clear(&buf);
    mpx_status_t s = {"s", 1, 2, 3, 4, 5, 6, {7, 8, 9, 10, 11, 12}, true, 13, 14}, s2;
    ck_assert_int_eq(mpx_status_pack(&s, &buf), MP_OK);
    ck_assert_int_eq(mpx_status_unpack(mpx_buf_bytes(&buf), &s2, &arena), MP_OK);
    ck_assert(s2.uptime_ms == 1 && s2.workers == 2 && s2.executors == 3 && s2.clients == 4);
    ck_assert(s2.calls_queued == 5 && s2.calls_running == 6);
    ck_assert(s2.draining && s2.open_jobs == 13 && s2.drain_ms == 14);
    ck_assert_mem_eq(&s2.turnover, &s.turnover, sizeof s.turnover);
    free(arena);
    mpx_buf_free(&buf);
}
END_TEST

START_TEST(codes_of_newer_peers_are_kept)
{
    mpx_buf_t buf = {0};
    mpx_record_t record = {.rc = (mp_rc_t)-1000}, back;
    ck_assert_int_eq(mpx_record_add(&buf, &record), MP_OK);
    mp_bytes_t rest = mpx_buf_bytes(&buf);
    ck_assert_int_eq(mpx_record_next(&rest, &back), MP_OK);
    ck_assert_int_eq((int)back.rc, -1000);
    ck_assert_int_eq(mpx_record_next(&rest, &back), MP_EOF);
    mpx_buf_free(&buf);
}
END_TEST

int main(void)
{
    const TTest *const tests[] = {
        headers_are_the_bytes_that_protobuf_makes,
        the_documented_example_is_true,
        broken_heads_are_refused,
        numbers_out_of_range_are_refused,
        overlong_varints_are_refused,
        cut_heads_are_refused_and_leave_the_outputs_alone,
        bit_flips_give_a_code_or_a_message,
        items_are_taken_apart,
        records_are_taken_apart,
        a_hello_survives_the_journey,
        the_other_bodies_survive_it_too,
        bodies_are_bounded,
        strings_come_out_fit_to_be_shown,
        a_nul_in_a_string_is_refused,
        long_strings_are_refused,
        a_crowd_of_tiny_values_is_refused,
        broken_bodies_give_a_code_or_a_body,
        every_field_of_a_body_arrives,
        codes_of_newer_peers_are_kept,
        NULL,
    };
    return suite_run("wire", tests, 60);
}
