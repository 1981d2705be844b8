/* Links with keys: who gets through, who doesn't, and what he is told. */
#include "clock.h"
#include "link.h"
#include "ok.h"
#include "suite.h"

#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <zmq.h>

enum { WAIT_MS = 10000 };

static mpx_curve_t server, friend, stranger;
static mpx_link_t *hub;
static unsigned asked;

/* Only the friend's key is known. */
static bool admit(void *arg, const char *key, const char *address)
{
    (void)arg;
    asked++;
    ck_assert_str_eq(address, "127.0.0.1");
    return strcmp(key, friend.public_key) == 0;
}

static void setup(void)
{
    const char *where = "tcp://127.0.0.1:*";
    mpx_link_options_t options = {.curve = &server, .admit = admit};
    OK(mpx_curve_make(&server));
    OK(mpx_curve_make(&friend));
    OK(mpx_curve_make(&stranger));
    memcpy(friend.server_key, server.public_key, sizeof server.public_key);
    memcpy(stranger.server_key, server.public_key, sizeof server.public_key);
    OK(mpx_link_listen(NULL, &where, 1, &options, &hub));
}

static mpx_link_t *dial(const mpx_curve_t *curve)
{
    mpx_link_t *link = NULL;
    mpx_link_options_t options = {.curve = curve};
    OK(mpx_link_dial(NULL, mpx_link_endpoint(hub, 0), &options, &link));
    return link;
}

/* The next event of one of two links; the other is looked after meanwhile. */
static mpx_link_event_t event_of(mpx_link_t *wanted, mpx_link_t *other)
{
    mpx_link_event_t event;
    int64_t until = mpx_now() + WAIT_MS * MPX_MS;
    while (mpx_now() < until) {
        mp_rc_t rc = mpx_link_next(wanted, &event);
        if (rc == MP_OK)
            return event;
        ck_assert_int_eq(rc, MP_EBUSY);
        (void)mpx_link_patrol(hub, mpx_now());
        if (other && mpx_link_next(other, &event) == MP_OK)
            ck_assert_msg(event.kind != MPX_LINK_MESSAGE, "a message at the wrong place");
        struct pollfd fds[2] = {{mpx_link_fd(wanted), POLLIN, 0},
                                {other ? mpx_link_fd(other) : -1, POLLIN, 0}};
        if (!mpx_link_ready(wanted) && (!other || !mpx_link_ready(other)))
            (void)poll(fds, 2, 100);
    }
    ck_abort_msg("nothing happened");
    return event;
}

static void is_down(mpx_link_t *link, mp_rc_t rc, mpx_link_trouble_t trouble)
{
    mpx_link_event_t event = event_of(link, hub);
    ck_assert_int_eq(event.kind, MPX_LINK_DOWN);
    ck_assert_int_eq(event.rc, rc);
    ck_assert_int_eq(event.trouble, trouble);
}

static void say(mpx_link_t *link, uint64_t peer, const char *text)
{
    OK(mpx_link_send(link, peer, (mp_bytes_t){text, strlen(text)}, (mp_bytes_t){0}));
}

START_TEST(keys_are_told_from_other_text)
{
    ck_assert(mpx_curve_is_key(server.public_key));
    ck_assert(mpx_curve_is_pair(&server));
    mpx_curve_t mixed = server;
    memcpy(mixed.secret_key, friend.secret_key, sizeof mixed.secret_key);
    ck_assert(!mpx_curve_is_pair(&mixed));
    ck_assert(!mpx_curve_is_key(""));
    ck_assert(!mpx_curve_is_key("0123456789"));
    ck_assert(!mpx_curve_is_key("\"123456789012345678901234567890123456789"));
    ck_assert(!mpx_curve_is_key("########################################"));
    mpx_curve_wipe(&mixed);
    for (size_t i = 0; i < sizeof mixed; i++)
        ck_assert_int_eq(((const char *)&mixed)[i], 0);
}
END_TEST

START_TEST(a_listed_key_gets_through_and_is_the_user)
{
    mpx_link_t *link = dial(&friend);
    ck_assert_int_eq(event_of(link, hub).kind, MPX_LINK_UP);
    say(link, 0, "hello");
    mpx_link_event_t event = event_of(hub, link);
    ck_assert_int_eq(event.kind, MPX_LINK_MESSAGE);
    ck_assert_ptr_nonnull(event.user);
    ck_assert_str_eq(event.user, friend.public_key);
    ck_assert_uint_eq(asked, 1);
    say(hub, event.peer, "good day");
    event = event_of(link, NULL);
    ck_assert_int_eq(event.kind, MPX_LINK_MESSAGE);
    ck_assert_uint_eq(mpx_link_failed_handshakes(hub), 0);
    mpx_link_destroy(&link, 0);
}
END_TEST

static void passes(mpx_link_t *from, uint64_t peer, mpx_link_t *to, size_t size)
{
    unsigned char *bytes = malloc(size);
    for (size_t i = 0; i < size; i++)
        bytes[i] = (unsigned char)(i * 7 >> 5);
    OK(mpx_link_send(from, peer, (mp_bytes_t){"head", 4}, (mp_bytes_t){bytes, size}));
    mpx_link_event_t event = event_of(to, from);
    ck_assert_int_eq(event.kind, MPX_LINK_MESSAGE);
    ck_assert_uint_eq(event.frames_count, 2);
    ck_assert_uint_eq(event.frames[0].size, 4);
    ck_assert_uint_eq(event.frames[1].size, size);
    ck_assert_mem_eq(event.frames[1].data, bytes, size);
    free(bytes);
}

START_TEST(large_payloads_go_in_pieces_and_come_whole)
{
    enum { PIECE = 128 << 10 };
    static const size_t sizes[] = {1,         PIECE - 1,     PIECE,      PIECE + 1,
                                   2 * PIECE, 3 * PIECE - 1, 40 * PIECE, 40 * PIECE + 17};
    mpx_link_t *link = dial(&friend);
    ck_assert_int_eq(event_of(link, hub).kind, MPX_LINK_UP);
    say(link, 0, "hello");
    uint64_t peer = event_of(hub, link).peer;
    mpx_link_trust(hub, peer, true);
    for (size_t i = 0; i < sizeof sizes / sizeof *sizes; i++) {
        passes(link, 0, hub, sizes[i]);
        passes(hub, peer, link, sizes[i]);
    }
    mpx_link_destroy(&link, 0);
}
END_TEST

START_TEST(an_unlisted_key_is_refused_and_told_so)
{
    mpx_link_t *link = dial(&stranger);
    is_down(link, MP_EAUTH, MPX_TROUBLE_REFUSED_KEY);
    ck_assert_uint_eq(asked, 1);
    mpx_link_destroy(&link, 0);
}
END_TEST

START_TEST(no_key_is_refused_and_told_so)
{
    mpx_link_t *link = dial(NULL);
    is_down(link, MP_EAUTH, MPX_TROUBLE_NO_KEY);
    ck_assert_uint_eq(asked, 0);
    mpx_link_destroy(&link, 0);
}
END_TEST

START_TEST(another_server_s_key_is_noticed)
{
    mpx_curve_t wrong = friend;
    memcpy(wrong.server_key, stranger.public_key, sizeof wrong.server_key);
    mpx_link_t *link = dial(&wrong);
    is_down(link, MP_ECONNECT, MPX_TROUBLE_HANDSHAKE);
    ck_assert_uint_eq(asked, 0);
    mpx_link_destroy(&link, 0);
}
END_TEST

START_TEST(a_key_for_a_hub_without_is_refused_here)
{
    const char *where = "tcp://127.0.0.1:*";
    mpx_link_t *plain = NULL, *link = NULL;
    mpx_link_options_t options = {.curve = &friend};
    OK(mpx_link_listen(NULL, &where, 1, NULL, &plain));
    OK(mpx_link_dial(NULL, mpx_link_endpoint(plain, 0), &options, &link));
    mpx_link_event_t event = event_of(link, plain);
    ck_assert_int_eq(event.kind, MPX_LINK_DOWN);
    ck_assert_int_eq(event.rc, MP_EAUTH);
    ck_assert_int_eq(event.trouble, MPX_TROUBLE_UNASKED_KEY);
    mpx_link_destroy(&link, 0);
    mpx_link_destroy(&plain, 0);
}
END_TEST

/* Each refused connection counts once, whatever libzmq tells of it. */
START_TEST(failed_handshakes_are_counted)
{
    const mpx_curve_t *const who[] = {&stranger, NULL, &stranger};
    for (size_t i = 0; i < 3; i++) {
        mpx_link_t *link = dial(who[i]);
        ck_assert_int_eq(event_of(link, hub).kind, MPX_LINK_DOWN);
        mpx_link_destroy(&link, 0);
    }
    int64_t until = mpx_now() + WAIT_MS * MPX_MS;
    mpx_link_event_t event;
    while (mpx_link_failed_handshakes(hub) < 3 && mpx_now() < until) {
        struct pollfd fd = {mpx_link_fd(hub), POLLIN, 0};
        ck_assert_int_eq(mpx_link_next(hub, &event), MP_EBUSY);
        (void)poll(&fd, 1, 10);
    }
    ck_assert_int_eq(mpx_link_next(hub, &event), MP_EBUSY);
    ck_assert_uint_eq(mpx_link_failed_handshakes(hub), 3);
    ck_assert_uint_eq(mpx_link_peers(hub), 0);
}
END_TEST

/* Nobody's answers are needed from a second hub: that there can't be one is said. */
START_TEST(a_context_has_one_hub_with_keys)
{
    const char *where = "tcp://127.0.0.1:*";
    mpx_link_options_t options = {.curve = &server, .admit = admit};
    mpx_link_t *second = NULL;
    IS(mpx_link_listen(NULL, &where, 1, &options, &second), MP_EEXIST);
    void *context = zmq_ctx_new();
    OK(mpx_link_listen(context, &where, 1, &options, &second));
    mpx_link_destroy(&second, 0);
    zmq_ctx_term(context);
}
END_TEST

/* What an encrypted connection adds to its messages isn't held against it. */
START_TEST(many_small_messages_are_no_flood)
{
    enum { MESSAGES = 40000 };
    mpx_link_t *link = dial(&friend);
    ck_assert_int_eq(event_of(link, hub).kind, MPX_LINK_UP);
    for (int i = 0; i < MESSAGES; i++) {
        say(link, 0, "");
        if (i == 0 || i % 500 == 499)
            for (int n = i ? 500 - (i == 499) : 1; n > 0; n--) {
                mpx_link_event_t event = event_of(hub, link);
                ck_assert_int_eq(event.kind, MPX_LINK_MESSAGE);
                if (i == 0)
                    mpx_link_trust(hub, event.peer, true);
            }
    }
    struct pollfd fd = {mpx_link_fd(hub), POLLIN, 0};
    mpx_link_event_t event;
    for (int64_t until = mpx_now() + 1500 * MPX_MS; mpx_now() < until;) {
        (void)mpx_link_patrol(hub, mpx_now());
        ck_assert_msg(mpx_link_next(hub, &event) == MP_EBUSY, "it was cut off");
        ck_assert_msg(mpx_link_next(link, &event) == MP_EBUSY, "it was cut off");
        (void)poll(&fd, 1, 50);
    }
    mpx_link_destroy(&link, 0);
}
END_TEST

int main(void)
{
    const TTest *const tests[] = {keys_are_told_from_other_text,
                                  a_listed_key_gets_through_and_is_the_user,
                                  large_payloads_go_in_pieces_and_come_whole,
                                  an_unlisted_key_is_refused_and_told_so,
                                  no_key_is_refused_and_told_so,
                                  another_server_s_key_is_noticed,
                                  a_key_for_a_hub_without_is_refused_here,
                                  failed_handshakes_are_counted,
                                  a_context_has_one_hub_with_keys,
                                  many_small_messages_are_no_flood,
                                  NULL};
    return suite_run_with(setup, "curve", tests, 60);
}
