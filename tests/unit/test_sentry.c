/* The sentry over real sockets and invented times: who is silent, holds on to bytes, floods, or
 * has another's number; and whether a connection has a pulse. */
#include "clock.h"
#include "pulse.h"
#include "sentry.h"
#include "suite.h"

#include <arpa/inet.h>
#include <netinet/in.h>
#include <poll.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

enum { ENDS = 8, PATIENCE_S = 5 };

static int ours[ENDS], theirs[ENDS];

static void connect_over_tcp(int i)
{
    struct sockaddr_in address = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    socklen_t size = sizeof address;
    int listener = socket(AF_INET, SOCK_STREAM, 0);
    ck_assert_int_eq(bind(listener, (struct sockaddr *)&address, size), 0);
    ck_assert_int_eq(listen(listener, 1), 0);
    ck_assert_int_eq(getsockname(listener, (struct sockaddr *)&address, &size), 0);
    theirs[i] = socket(AF_INET, SOCK_STREAM, 0);
    ck_assert_int_eq(connect(theirs[i], (struct sockaddr *)&address, size), 0);
    ours[i] = accept(listener, NULL, NULL);
    ck_assert_int_ge(ours[i], 0);
    close(listener);
}

static void connect_locally(int i)
{
    int pair[2];
    ck_assert_int_eq(socketpair(AF_UNIX, SOCK_STREAM, 0, pair), 0);
    ours[i] = pair[0];
    theirs[i] = pair[1];
}

static void end_both(int i)
{
    close(ours[i]);
    close(theirs[i]);
}

static bool is_shut(int i)
{
    struct pollfd end = {.fd = theirs[i], .events = POLLRDHUP};
    return poll(&end, 1, 0) == 1 && (end.revents & (POLLRDHUP | POLLHUP));
}

/* Bytes that came, and were read by somebody who tells nobody. */
static void pass(int i, size_t bytes)
{
    static char data[16384];
    while (bytes) {
        size_t part = bytes < sizeof data ? bytes : sizeof data;
        ck_assert_int_eq(send(theirs[i], data, part, 0), (ssize_t)part);
        ck_assert_int_eq(recv(ours[i], data, part, MSG_WAITALL), (ssize_t)part);
        bytes -= part;
    }
}

static mpx_sentry_t *post(size_t flood_bytes)
{
    mpx_sentry_options_t options = {.patience_ns = PATIENCE_S * MPX_S,
                                    .strangers = 3,
                                    .ahead_bytes = 1000000,
                                    .flood_bytes = flood_bytes,
                                    .beat_ns = MPX_S};
    mpx_sentry_t *sentry = mpx_sentry_new(&options);
    ck_assert_ptr_nonnull(sentry);
    return sentry;
}

START_TEST(silence_ends_with_patience)
{
    mpx_sentry_t *sentry = post(0);
    ck_assert_int_eq(mpx_sentry_patrol(sentry, true, 0), MPX_NEVER);
    for (int i = 0; i < 3; i++) {
        connect_locally(i);
        mpx_sentry_arrive(sentry, ours[i], 0);
    }
    ck_assert_int_lt(mpx_sentry_due(sentry), MPX_S);
    mpx_sentry_trust(sentry, ours[1], true, MPX_S);
    mpx_sentry_trust(sentry, ours[2], true, MPX_S);
    mpx_sentry_trust(sentry, ours[2], false, 3 * MPX_S); /* sent away, and stays */
    (void)mpx_sentry_patrol(sentry, true, PATIENCE_S * MPX_S - 1);
    ck_assert(!is_shut(0) && !is_shut(1) && !is_shut(2));
    (void)mpx_sentry_patrol(sentry, true, (PATIENCE_S + 1) * MPX_S);
    ck_assert(is_shut(0) && !is_shut(1) && !is_shut(2));
    (void)mpx_sentry_patrol(sentry, true, (PATIENCE_S + 4) * MPX_S);
    ck_assert(!is_shut(1) && is_shut(2));
    (void)mpx_sentry_patrol(sentry, true, 1000000 * MPX_S);
    ck_assert(!is_shut(1));
    for (int i = 0; i < 3; i++)
        end_both(i);
    ck_assert_int_eq(mpx_sentry_patrol(sentry, true, 2000000 * MPX_S), MPX_NEVER);
    mpx_sentry_free(&sentry);
}
END_TEST

START_TEST(a_number_is_anothers_by_now)
{
    mpx_sentry_t *sentry = post(0);
    connect_locally(0);
    mpx_sentry_arrive(sentry, ours[0], 0);
    int number = ours[0];
    end_both(0);
    connect_locally(1);
    if (ours[1] != number) {
        ck_assert_int_eq(dup2(ours[1], number), number);
        close(ours[1]);
        ours[1] = number;
    }
    (void)mpx_sentry_patrol(sentry, true, 9 * MPX_S); /* the first one's time is over */
    ck_assert(!is_shut(1));
    mpx_sentry_arrive(sentry, ours[1], 9 * MPX_S);
    (void)mpx_sentry_patrol(sentry, true, 10 * MPX_S);
    ck_assert(!is_shut(1));
    (void)mpx_sentry_patrol(sentry, true, 15 * MPX_S);
    ck_assert(is_shut(1));
    end_both(1);
    mpx_sentry_free(&sentry);
}
END_TEST

START_TEST(the_oldest_stranger_makes_room)
{
    mpx_sentry_t *sentry = post(0);
    for (int i = 0; i < 4; i++) {
        connect_locally(i);
        mpx_sentry_arrive(sentry, ours[i], i);
        if (i == 0)
            mpx_sentry_trust(sentry, ours[0], true, i);
    }
    ck_assert(!is_shut(0) && !is_shut(1));
    connect_locally(4);
    mpx_sentry_arrive(sentry, ours[4], 4);
    ck_assert(!is_shut(0) && is_shut(1) && !is_shut(2) && !is_shut(3) && !is_shut(4));
    for (int i = 0; i < 5; i++)
        end_both(i);
    mpx_sentry_free(&sentry);
}
END_TEST

START_TEST(what_is_kept_back_is_bounded)
{
    mpx_sentry_t *sentry = post(0);
    for (int i = 0; i < 3; i++) {
        connect_over_tcp(i);
        mpx_sentry_arrive(sentry, ours[i], 0);
    }
    mpx_sentry_trust(sentry, ours[1], true, 0);
    mpx_sentry_trust(sentry, ours[2], true, 0);
    pass(0, 300000); /* a stranger has less */
    pass(1, 900000);
    pass(2, 5000000);
    ck_assert(mpx_sentry_took(sentry, ours[2], 4900000));
    ck_assert(!mpx_sentry_took(sentry, 9999, 1));
    (void)mpx_sentry_patrol(sentry, true, MPX_S);
    ck_assert(is_shut(0) && !is_shut(1) && !is_shut(2));
    pass(1, 200000);
    (void)mpx_sentry_patrol(sentry, false, 2 * MPX_S); /* it may be complete */
    ck_assert(!is_shut(1));
    (void)mpx_sentry_patrol(sentry, true, 3 * MPX_S);
    ck_assert(is_shut(1) && !is_shut(2));
    for (int i = 0; i < 3; i++)
        end_both(i);
    mpx_sentry_free(&sentry);
}
END_TEST

START_TEST(floods_are_ended_and_bursts_are_not)
{
    mpx_sentry_t *sentry = post(10000);
    for (int i = 0; i < 2; i++) {
        connect_over_tcp(i);
        mpx_sentry_arrive(sentry, ours[i], 0);
        mpx_sentry_trust(sentry, ours[i], true, 0);
        pass(i, 20000);
    }
    for (int64_t step = 1; step <= 5; step++) {
        ck_assert(!is_shut(0) || step > 3);
        for (int k = 0; k < 6000; k++) {
            (void)mpx_sentry_took(sentry, ours[0], 0);
            if (step != 3) /* it is quiet for a moment */
                (void)mpx_sentry_took(sentry, ours[1], 0);
        }
        (void)mpx_sentry_patrol(sentry, false, step * MPX_S);
    }
    ck_assert(is_shut(0) && !is_shut(1));
    for (int i = 0; i < 2; i++)
        end_both(i);
    mpx_sentry_free(&sentry);
}
END_TEST

START_TEST(a_pulse_is_what_the_kernel_received)
{
    mpx_received_t received;
    connect_locally(0);
    connect_over_tcp(1);
    ck_assert(!mpx_pulse_ask(ours[0], &received));
    ck_assert(!mpx_pulse_ask(-1, &received));
    ck_assert_int_eq(send(theirs[1], "12345", 5, 0), 5);
    struct pollfd came = {.fd = ours[1], .events = POLLIN};
    ck_assert_int_eq(poll(&came, 1, 10000), 1);
    ck_assert(mpx_pulse_ask(ours[1], &received));
    ck_assert_uint_eq(received.bytes, 5);
    ck_assert_uint_eq(received.unread, 5);
    ck_assert_int_eq(recv(ours[1], (char[5]){0}, 5, 0), 5);
    ck_assert(mpx_pulse_ask(ours[1], &received));
    ck_assert_uint_eq(received.unread, 0);
    end_both(0);
    end_both(1);
}
END_TEST

/* Looks come each second, but the one that a pause of ours makes late counts no more than others.
 */
START_TEST(only_looks_count_for_silence)
{
    mpx_pulse_t pulse = {0};
    mpx_received_t same = {.bytes = 100};
    mpx_received_t more = {.bytes = 101};
    mpx_received_t unread = {.bytes = 101, .unread = 1};
    int64_t now = 50 * MPX_S;
    ck_assert(!mpx_pulse_look(&pulse, &same, MPX_S, now));
    for (int i = 1; i < MPX_PULSE_MISSED; i++)
        ck_assert(!mpx_pulse_look(&pulse, &same, MPX_S, now += MPX_S));
    ck_assert(!mpx_pulse_look(&pulse, &more, MPX_S, now += MPX_S)); /* just in time */
    for (int i = 1; i < MPX_PULSE_MISSED; i++)
        ck_assert(!mpx_pulse_look(&pulse, &more, MPX_S, now += 1000 * MPX_S));
    ck_assert(!mpx_pulse_look(&pulse, &unread, MPX_S, now += MPX_S)); /* it is us who are late */
    for (int i = 1; i < 2 * MPX_PULSE_MISSED; i++) /* looks come twice as often */
        ck_assert(!mpx_pulse_look(&pulse, &more, MPX_S, now += MPX_S / 2));
    ck_assert(mpx_pulse_look(&pulse, &more, MPX_S, now += MPX_S / 2));
}
END_TEST

START_TEST(who_sends_no_heartbeats_any_more_is_shut_down)
{
    enum { STRANGER, SILENT, ALIVE, LOCAL };
    mpx_sentry_t *sentry = post(0);
    for (int i = STRANGER; i <= LOCAL; i++) {
        if (i == LOCAL)
            connect_locally(i);
        else
            connect_over_tcp(i);
        mpx_sentry_arrive(sentry, ours[i], MPX_S);
        if (i != STRANGER)
            mpx_sentry_trust(sentry, ours[i], true, MPX_S);
    }
    for (int64_t beat = 2; beat < 2 + MPX_PULSE_MISSED; beat++) {
        ck_assert(!is_shut(SILENT));
        pass(ALIVE, 2);
        (void)mpx_sentry_patrol(sentry, true, beat * MPX_S);
    }
    ck_assert(!is_shut(SILENT) && !is_shut(ALIVE) && !is_shut(LOCAL));
    pass(ALIVE, 2);
    (void)mpx_sentry_patrol(sentry, true, (2 + MPX_PULSE_MISSED) * MPX_S);
    ck_assert(is_shut(SILENT) && !is_shut(ALIVE) && !is_shut(LOCAL));
    ck_assert(mpx_sentry_fell_silent(sentry, ours[SILENT]));
    ck_assert(!mpx_sentry_fell_silent(sentry, ours[SILENT]));   /* it was told */
    ck_assert(!mpx_sentry_fell_silent(sentry, ours[STRANGER])); /* its patience ended */
    ck_assert(!mpx_sentry_fell_silent(sentry, ours[ALIVE]));
    ck_assert(!mpx_sentry_fell_silent(sentry, 9999));
    (void)mpx_sentry_patrol(sentry, true, 1000 * MPX_S);
    ck_assert(!is_shut(ALIVE)); /* one look, however late */
    for (int i = STRANGER; i <= LOCAL; i++)
        end_both(i);
    mpx_sentry_free(&sentry);
}
END_TEST

int main(void)
{
    const TTest *const tests[] = {silence_ends_with_patience,
                                  a_number_is_anothers_by_now,
                                  the_oldest_stranger_makes_room,
                                  what_is_kept_back_is_bounded,
                                  floods_are_ended_and_bursts_are_not,
                                  a_pulse_is_what_the_kernel_received,
                                  only_looks_count_for_silence,
                                  who_sends_no_heartbeats_any_more_is_shut_down,
                                  NULL};
    return suite_run_with(NULL, "sentry", tests, 30);
}
