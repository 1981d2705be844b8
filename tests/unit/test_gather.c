/* How many questions a commit waits for: a model of writers who ask again once they are answered.
 */

#include "gather.h"
#include "suite.h"

enum { COMMIT_NS = 500000 };

static void hear(mpx_gather_t *self, int count)
{
    for (int i = 0; i < count; i++)
        mpx_gather_hear(self);
}

/* One commit: questions come at these times after the last one's answers, in order. Returns how
 * many it has; *late: when it began. */
static uint64_t commit(mpx_gather_t *self, int64_t *now, const int64_t *times, uint64_t count,
                       int64_t *late)
{
    int64_t from = *now;
    uint64_t came = 0;
    while (came < count && (came == 0 || mpx_gather_wants(self, *now))) {
        int64_t next = from + times[came];
        if (came && next >= self->until) {
            *now = self->until;
            break;
        }
        if (next > *now)
            *now = next;
        mpx_gather_hear(self);
        came++;
    }
    while (mpx_gather_wants(self, *now))
        *now = self->until;
    *late = *now - from;
    *now += COMMIT_NS;
    mpx_gather_committed(self, *now, COMMIT_NS);
    return came;
}

START_TEST(one_writer_hardly_waits)
{
    mpx_gather_t gather = {0};
    const int64_t times[] = {1000};
    int64_t now = 0, late = 0, total = 0;
    for (int i = 0; i < 1000; i++) {
        ck_assert_uint_eq(commit(&gather, &now, times, 1, &late), 1);
        ck_assert_int_le(late, COMMIT_NS);
        total += late;
    }
    ck_assert_int_lt(total, 1000 * (int64_t)COMMIT_NS / 50);
}
END_TEST

/* All of them have come long before a commit's time is over, a few at a time. */
START_TEST(many_writers_come_together)
{
    enum { WRITERS = 64 };
    mpx_gather_t gather = {0};
    int64_t times[WRITERS], now = 0, late = 0;
    uint64_t last = 0, whole = 0;
    for (int i = 0; i < WRITERS; i++)
        times[i] = i * 2000;
    for (int i = 0; i < 1000; i++) {
        last = commit(&gather, &now, times, WRITERS, &late);
        ck_assert_int_le(late, COMMIT_NS);
        whole += last == WRITERS;
    }
    ck_assert_uint_gt(whole, 700);
}
END_TEST

/* 64 came once, and since then only one does. */
START_TEST(who_doesnt_come_is_given_up)
{
    mpx_gather_t gather = {0};
    const int64_t one[] = {0};
    int64_t now = COMMIT_NS, late = 0;
    int vain = 0;
    hear(&gather, 64);
    mpx_gather_committed(&gather, now, COMMIT_NS);
    do {
        ck_assert_uint_eq(commit(&gather, &now, one, 1, &late), 1);
        ck_assert_int_le(late, COMMIT_NS);
        vain += late > 0;
    } while (late > 0);
    ck_assert_int_gt(vain, 1);
    ck_assert_int_lt(vain, 30);
}
END_TEST

/* A few who are late now and then don't end it. */
START_TEST(who_is_late_once_is_waited_for_again)
{
    mpx_gather_t gather = {0};
    hear(&gather, 64);
    mpx_gather_committed(&gather, 0, COMMIT_NS);
    hear(&gather, 60);
    ck_assert(mpx_gather_wants(&gather, 1000));
    mpx_gather_committed(&gather, COMMIT_NS, COMMIT_NS);
    hear(&gather, 20);
    mpx_gather_committed(&gather, 2 * COMMIT_NS, COMMIT_NS);
    hear(&gather, 50);
    ck_assert(mpx_gather_wants(&gather, 2 * COMMIT_NS + 1000));
}
END_TEST

START_TEST(a_slow_disk_is_no_reason_to_wait_long)
{
    mpx_gather_t gather = {0};
    const int64_t second = INT64_C(1000000000);
    hear(&gather, 2);
    mpx_gather_committed(&gather, 0, second);
    mpx_gather_hear(&gather);
    ck_assert(mpx_gather_wants(&gather, second / 1000));
    ck_assert(!mpx_gather_wants(&gather, second / 100));
}
END_TEST

START_TEST(nobody_is_waited_for_after_a_pause)
{
    mpx_gather_t gather = {0};
    hear(&gather, 64);
    mpx_gather_committed(&gather, 0, COMMIT_NS);
    mpx_gather_hear(&gather);
    ck_assert(mpx_gather_wants(&gather, COMMIT_NS - 1));
    ck_assert(!mpx_gather_wants(&gather, COMMIT_NS));
}
END_TEST

int main(void)
{
    const TTest *const tests[] = {one_writer_hardly_waits,
                                  many_writers_come_together,
                                  who_doesnt_come_is_given_up,
                                  who_is_late_once_is_waited_for_again,
                                  a_slow_disk_is_no_reason_to_wait_long,
                                  nobody_is_waited_for_after_a_pause,
                                  NULL};
    return suite_run("gather", tests, 60);
}
