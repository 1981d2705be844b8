/* test_plain: payloads that are plain bytes. */
#include "suite.h"
#include "wire.h"

#include <string.h>

START_TEST(output_survives_the_journey)
{
    mpx_buf_t buf = {0};
    char host[MPX_HOST_MAX];
    mp_bytes_t written;
    ck_assert_int_eq(mpx_output_pack(&buf, "web-1", (mp_bytes_t){"a\0\xff\n", 4}), MP_OK);
    ck_assert_int_eq(mpx_output_unpack(mpx_buf_bytes(&buf), host, &written), MP_OK);
    ck_assert_str_eq(host, "web-1");
    ck_assert_uint_eq(written.size, 4);
    ck_assert_mem_eq(written.data, "a\0\xff\n", 4);
    mpx_buf_clear(&buf);
    ck_assert_int_eq(mpx_output_pack(&buf, "", (mp_bytes_t){0}), MP_OK);
    ck_assert_int_eq(mpx_output_unpack(mpx_buf_bytes(&buf), host, &written), MP_OK);
    ck_assert_uint_eq(written.size, 0);
    mpx_buf_free(&buf);
}
END_TEST

START_TEST(broken_output_is_refused)
{
    static char much[MPX_HOST_MAX + MPX_OUTPUT_MAX + 1] = "h";
    char host[MPX_HOST_MAX];
    mp_bytes_t written;
    ck_assert_int_eq(mpx_output_unpack((mp_bytes_t){0}, host, &written), MP_EPROTO);
    ck_assert_int_eq(mpx_output_unpack((mp_bytes_t){"host", 4}, host, &written), MP_EPROTO);
    ck_assert_int_eq(mpx_output_unpack((mp_bytes_t){much, sizeof much}, host, &written), MP_EPROTO);
    memset(much, 'h', sizeof much); /* no NUL where a host may have one */
    ck_assert_int_eq(mpx_output_unpack((mp_bytes_t){much, 1000}, host, &written), MP_EPROTO);
    ck_assert_int_eq(mpx_output_unpack((mp_bytes_t){"a\033b\0x", 5}, host, &written), MP_OK);
    ck_assert_str_eq(host, "a?b"); /* fit to be shown */
}
END_TEST

START_TEST(a_module_is_announced_by_hash_and_name)
{
    mpx_ship_t ship = {.name = "libtasks.so"};
    mpx_ship_t back;
    mpx_buf_t buf = {0};
    memset(ship.hash, 7, sizeof ship.hash);
    ck_assert_int_eq(mpx_ship_pack(&buf, &ship), MP_OK);
    ck_assert_int_eq(mpx_ship_unpack(mpx_buf_bytes(&buf), &back), MP_OK);
    ck_assert_mem_eq(back.hash, ship.hash, sizeof ship.hash);
    ck_assert_str_eq(back.name, "libtasks.so");
    mp_bytes_t cut = {buf.data, MPX_HASH_BYTES - 1};
    ck_assert_int_eq(mpx_ship_unpack(cut, &back), MP_EPROTO);
    char much[MPX_HASH_BYTES + sizeof ship.name] = "";
    ck_assert_int_eq(mpx_ship_unpack((mp_bytes_t){much, sizeof much}, &back), MP_EPROTO);
    ck_assert_int_eq(mpx_ship_unpack((mp_bytes_t){much, sizeof much - 1}, &back), MP_OK);
    mpx_buf_free(&buf);
}
END_TEST

START_TEST(what_jobs_and_workers_say_of_it_arrives)
{
    mpx_open_t open = {.task = "t", .signature = "s", .output_bytes = 77, .nested = true}, opened;
    mpx_hello_t hello = {.role = MPX_ROLE_WORKER, .looks = true, .module_bytes = 1234567}, heard;
    mpx_buf_t buf = {0};
    void *arena = NULL;
    ck_assert_int_eq(mpx_open_pack(&open, &buf), MP_OK);
    ck_assert_int_eq(mpx_open_unpack(mpx_buf_bytes(&buf), &opened, &arena), MP_OK);
    ck_assert_uint_eq(opened.output_bytes, 77);
    ck_assert(opened.nested);
    free(arena);
    mpx_buf_clear(&buf);
    ck_assert_int_eq(mpx_hello_pack(&hello, &buf), MP_OK);
    ck_assert_int_eq(mpx_hello_unpack(mpx_buf_bytes(&buf), &heard, &arena), MP_OK);
    ck_assert_uint_eq(heard.module_bytes, 1234567);
    ck_assert(heard.looks);
    free(arena);
    mpx_buf_free(&buf);
}
END_TEST

int main(void)
{
    const TTest *const tests[] = {
        output_survives_the_journey,
        broken_output_is_refused,
        a_module_is_announced_by_hash_and_name,
        what_jobs_and_workers_say_of_it_arrives,
        NULL,
    };
    return suite_run("plain", tests, 20);
}
