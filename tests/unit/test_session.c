/* A session and a broker that is played: what it says when it is not known any more. */
#include "ok.h"
#include "suite.h"

#include "clock.h"
#include "link.h"
#include "session.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

enum { PATIENCE_MS = 20000 };

static mpx_link_t *hub;
static mpx_session_t *session;
static mpx_session_event_t last; /* of the session */
static bool got_event;

typedef struct visit {
    uint64_t peer;
    uint64_t number, kept, had; /* as the HELLO has them */
} visit_t;

/* Until the hub has a message, or `wants` an event of the session. */
static bool turn(mpx_link_event_t *event)
{
    int64_t until = mpx_now() + PATIENCE_MS * MPX_MS;
    got_event = false;
    while (mpx_now() < until) {
        if (mpx_link_next(hub, event) == MP_OK && event->kind == MPX_LINK_MESSAGE)
            return true;
        mp_rc_t rc = mpx_session_next(session, mpx_now(), &last);
        ck_assert(rc == MP_OK || rc == MP_EBUSY);
        got_event = rc == MP_OK;
        if (got_event)
            return false;
        usleep(500);
    }
    ck_abort_msg("nothing comes");
    return false;
}

static visit_t await_hello(void)
{
    mpx_link_event_t event;
    mpx_header_t header;
    mpx_hello_t hello;
    mp_bytes_t payload;
    bool apart;
    void *arena = NULL;
    do {
        while (!turn(&event))
            ;
        OK(mpx_head_unpack(event.frames[0], &header, &payload, &apart));
    } while (header.op != MPX_OP_HELLO);
    OK(mpx_hello_unpack(payload, &hello, &arena));
    visit_t visit = {event.peer, hello.session, hello.kept, hello.had};
    free(arena);
    return visit;
}

static void say(uint64_t peer, const mpx_header_t *header, mp_bytes_t body)
{
    uint8_t message[MPX_HEAD_MAX + 512];
    size_t size = mpx_head_pack(header, false, message);
    ck_assert_uint_le(body.size, 512);
    for (size_t i = 0; i < body.size; i++)
        message[size++] = ((const uint8_t *)body.data)[i];
    OK(mpx_link_send(hub, peer, (mp_bytes_t){message, size}, (mp_bytes_t){0}));
}

static void welcome(uint64_t peer, bool resumed)
{
    mpx_welcome_t answer = {.version = 1, .software = "a test", .durable = true};
    answer.resumed = resumed;
    mpx_buf_t body = {0};
    OK(mpx_welcome_pack(&answer, &body));
    say(peer, &(mpx_header_t){.op = MPX_OP_WELCOME}, mpx_buf_bytes(&body));
    mpx_buf_free(&body);
}

static void await_event(mpx_session_event_kind_t kind)
{
    mpx_link_event_t event;
    do {
        while (turn(&event))
            ;
    } while (last.kind == MPX_SESSION_MESSAGE && kind != MPX_SESSION_MESSAGE);
    ck_assert_int_eq(last.kind, kind);
}

/* The disk may still have an old state under it, which the broker after that would take for ours.
 */
START_TEST(a_session_that_is_not_known_any_more_comes_under_another_number)
{
    char endpoint[64];
    snprintf(endpoint, sizeof endpoint, "ipc:///tmp/mp-test-session-%d", (int)getpid());
    const char *endpoints[] = {endpoint};
    OK(mpx_link_listen(NULL, endpoints, 1, &(mpx_link_options_t){0}, &hub));
    mpx_hello_t hello = {.role = MPX_ROLE_CLIENT};
    mpx_session_options_t options = {
        .endpoint = endpoint, .hello = &hello, .give_up_ms = PATIENCE_MS, .keep = true};
    OK(mpx_session_new(&options, mpx_now(), &session));
    visit_t first = await_hello();
    welcome(first.peer, true);
    await_event(MPX_SESSION_UP);
    say(first.peer, &(mpx_header_t){.op = MPX_OP_RESULT, .chunk = 1, .count = 1, .code = -20},
        (mp_bytes_t){0});
    await_event(MPX_SESSION_MESSAGE);
    mpx_link_kick(hub, first.peer);
    await_event(MPX_SESSION_AWAY);

    visit_t second = await_hello();
    ck_assert_uint_eq(second.number, first.number);
    ck_assert_uint_eq(second.had, 1);
    welcome(second.peer, false);
    await_event(MPX_SESSION_LOST);
    ck_assert_int_eq(
        mpx_session_send(session, &(mpx_header_t){.op = MPX_OP_CLOSE, .job = 1}, (mp_bytes_t){0}),
        MP_ECLOSED);

    visit_t third = await_hello();
    ck_assert_uint_ne(third.number, first.number);
    ck_assert_uint_eq(third.had, 0);
    welcome(third.peer, true);
    await_event(MPX_SESSION_UP);
    mpx_session_destroy(&session);
    mpx_link_destroy(&hub, 0);
}
END_TEST

static void refuse(uint64_t peer, mp_rc_t code)
{
    mpx_problem_t problem = {.message = "the broker is shutting down"};
    mpx_buf_t body = {0};
    OK(mpx_problem_pack(&problem, &body));
    say(peer, &(mpx_header_t){.op = MPX_OP_ERROR, .code = code}, mpx_buf_bytes(&body));
    mpx_buf_free(&body);
}

/* Who was there before waits for that broker's successor. */
START_TEST(a_broker_that_drains_turns_away_only_who_is_new)
{
    char endpoint[64];
    snprintf(endpoint, sizeof endpoint, "ipc:///tmp/mp-test-drains-%d", (int)getpid());
    const char *endpoints[] = {endpoint};
    OK(mpx_link_listen(NULL, endpoints, 1, &(mpx_link_options_t){0}, &hub));
    mpx_hello_t hello = {.role = MPX_ROLE_CLIENT};
    mpx_session_options_t options = {
        .endpoint = endpoint, .hello = &hello, .give_up_ms = -1, .keep = true};
    OK(mpx_session_new(&options, mpx_now(), &session));
    refuse(await_hello().peer, MP_EDRAINING);
    await_event(MPX_SESSION_FAILED);
    ck_assert_int_eq(last.rc, MP_EDRAINING);
    ck_assert_ptr_nonnull(strstr(mpx_session_problem(session), "shutting down"));
    mpx_session_destroy(&session);

    OK(mpx_session_new(&options, mpx_now(), &session));
    visit_t first = await_hello();
    welcome(first.peer, false);
    await_event(MPX_SESSION_UP);
    mpx_link_kick(hub, first.peer);
    await_event(MPX_SESSION_AWAY);
    refuse(await_hello().peer, MP_EDRAINING);
    welcome(await_hello().peer, true); /* it came again */
    await_event(MPX_SESSION_BACK);
    mpx_session_destroy(&session);
    mpx_link_destroy(&hub, 0);
}
END_TEST

int main(void)
{
    const TTest *const tests[] = {
        a_broker_that_drains_turns_away_only_who_is_new,
        a_session_that_is_not_known_any_more_comes_under_another_number,
        NULL,
    };
    return suite_run("session", tests, 100);
}
