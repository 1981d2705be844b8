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

static mpx_header_t any_header(unsigned *seed)
{
    return (mpx_header_t){
        .op = (mpx_op_t)(1 + (unsigned)rand_r(seed) % (MPX_OP_END - 1)),
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
        ROW("\1\0\2\0\10\17\0\0\0\0\0\0\0\0\0\0", MP_EPROTO),            /* op 15 */
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

int main(void)
{
    const TTest *const tests[] = {
        headers_are_the_bytes_that_protobuf_makes,
        the_documented_example_is_true,
        broken_heads_are_refused,
        bit_flips_give_a_code_or_a_message,
        items_are_taken_apart,
        records_are_taken_apart,
        a_hello_survives_the_journey,
        the_other_bodies_survive_it_too,
        bodies_are_bounded,
        NULL,
    };
    return suite_run("wire", tests, 60);
}
