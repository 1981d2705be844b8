/* test_notes: what a session keeps until it is on the broker's disk. */
#include "notes.h"
#include "ok.h"
#include "suite.h"

#include <string.h>

static void add(mpx_notes_t *notes, uint64_t chunk, const char *payload)
{
    mpx_header_t header = {.op = MPX_OP_SUBMIT, .chunk = chunk};
    OK(mpx_notes_add(notes, &header, (mp_bytes_t){payload, strlen(payload)}));
}

static uint64_t first_of(const mpx_notes_t *notes)
{
    const mpx_note_t *note = mpx_notes_first(notes);
    return note ? note->header.chunk : 0;
}

START_TEST(what_is_kept_goes_and_the_rest_stays_in_order)
{
    mpx_notes_t *notes = NULL;
    OK(mpx_notes_new(&notes));
    ck_assert_uint_eq(first_of(notes), 0);
    add(notes, 7, "seven");
    add(notes, 8, "");
    add(notes, 9, "nine");
    OK(mpx_notes_keep(notes, 1));
    ck_assert_uint_eq(mpx_notes_kept(notes), 1);
    ck_assert_uint_eq(first_of(notes), 8);
    ck_assert_uint_eq(mpx_notes_first(notes)->size, 0);
    ck_assert_uint_eq(mpx_notes_first(notes)->next->header.chunk, 9);
    ck_assert_int_eq(memcmp(mpx_notes_first(notes)->next->payload, "nine", 4), 0);
    OK(mpx_notes_keep(notes, 1)); /* it may come late */
    OK(mpx_notes_keep(notes, 3));
    ck_assert_uint_eq(first_of(notes), 0);
    add(notes, 10, "ten");
    ck_assert_uint_eq(first_of(notes), 10);
    mpx_notes_free(&notes);
    mpx_notes_free(&notes);
}
END_TEST

START_TEST(more_than_there_were_is_a_mistake_and_changes_nothing)
{
    mpx_notes_t *notes = NULL;
    OK(mpx_notes_new(&notes));
    add(notes, 1, "a");
    ck_assert_int_eq(mpx_notes_keep(notes, 2), MP_EPROTO);
    ck_assert_uint_eq(first_of(notes), 1);
    mpx_notes_clear(notes);
    ck_assert_int_eq(mpx_notes_keep(notes, 1), MP_EPROTO);
    ck_assert_uint_eq(mpx_notes_kept(notes), 0);
    mpx_notes_free(&notes);
}
END_TEST

START_TEST(only_what_changes_jobs_is_noted)
{
    for (int op = 1; op < MPX_OP_END; op++)
        ck_assert_int_eq(mpx_notes_has((mpx_op_t)op), op == MPX_OP_OPEN || op == MPX_OP_SUBMIT ||
                                                          op == MPX_OP_CANCEL ||
                                                          op == MPX_OP_CLOSE);
}
END_TEST

int main(void)
{
    const TTest *const tests[] = {
        what_is_kept_goes_and_the_rest_stays_in_order,
        more_than_there_were_is_a_mistake_and_changes_nothing,
        only_what_changes_jobs_is_noted,
        NULL,
    };
    return suite_run("notes", tests, 10);
}
