/* Frames over ZeroMQ: who may listen, who is there, and who has gone. */
#include "child_kit.h"
#include "clock.h"
#include "link.h"

#include <errno.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

enum { WAIT_MS = 10000 };

static char folder[64];
static char path[96];
static char endpoint[104];

static void make_folder(void)
{
    snprintf(folder, sizeof folder, "/tmp/mp-link-XXXXXX");
    ck_assert_ptr_nonnull(mkdtemp(folder));
    snprintf(path, sizeof path, "%s/hub", folder);
    snprintf(endpoint, sizeof endpoint, "ipc://%s", path);
}

static mp_rc_t listen_at(const char *where, mpx_link_t **out)
{
    return mpx_link_listen(NULL, &where, 1, NULL, out);
}

static mpx_link_t *hub_at(const char *where)
{
    mpx_link_t *hub = NULL;
    ck_assert_int_eq(listen_at(where, &hub), MP_OK);
    return hub;
}

static mpx_link_t *dial_to(const char *where)
{
    mpx_link_t *dial = NULL;
    ck_assert_int_eq(mpx_link_dial(NULL, where, NULL, &dial), MP_OK);
    return dial;
}

/* The next event, waited for as the header says. */
static mpx_link_event_t wait_event(mpx_link_t *link)
{
    mpx_link_event_t event;
    struct pollfd fd = {mpx_link_fd(link), POLLIN, 0};
    mp_rc_t rc;
    while ((rc = mpx_link_next(link, &event)) == MP_EBUSY)
        if (!mpx_link_ready(link))
            ck_assert_int_eq(poll(&fd, 1, WAIT_MS), 1);
    ck_assert_int_eq(rc, MP_OK);
    return event;
}

static void say(mpx_link_t *link, uint64_t peer, const char *text)
{
    ck_assert_int_eq(mpx_link_send(link, peer, (mp_bytes_t){text, strlen(text)}, (mp_bytes_t){0}),
                     MP_OK);
}

static uint64_t hears(mpx_link_t *link, const char *text)
{
    mpx_link_event_t event = wait_event(link);
    ck_assert_int_eq(event.kind, MPX_LINK_MESSAGE);
    ck_assert_uint_eq(event.frames[0].size, strlen(text));
    ck_assert_mem_eq(event.frames[0].data, text, strlen(text));
    return event.peer;
}

static void hears_end(mpx_link_t *link, uint64_t peer, mp_rc_t rc)
{
    mpx_link_event_t event = wait_event(link);
    ck_assert_int_eq(event.kind, MPX_LINK_DOWN);
    ck_assert_uint_eq(event.peer, peer);
    ck_assert_int_eq(event.rc, rc);
}

static void is_up(mpx_link_t *dial)
{
    ck_assert_int_eq(wait_event(dial).kind, MPX_LINK_UP);
}

/* A process that dials, says "hi" and waits to be killed. */
static pid_t fork_peer(const char *where)
{
    pid_t pid = fork();
    ck_assert_int_ge(pid, 0);
    if (pid)
        return pid;
    mpx_link_t *dial = dial_to(where);
    is_up(dial);
    say(dial, 0, "hi");
    for (;;)
        wait_event(dial);
}

START_TEST(endpoints)
{
    static const char *const good[] = {"tcp://127.0.0.1:5555", "tcp://host.example:1",
                                       "tcp://[::1]:65535", "ipc:///run/mp/broker"};
    static const char *const for_hubs[] = {"tcp://*:*", "tcp://127.0.0.1:0", "tcp://[::]:0"};
    static const char *const bad[] = {"",          "127.0.0.1:5555",  "tcp://",
                                      "tcp://:1",  "tcp://host",      "tcp://host:65536",
                                      "ipc://rel", "tcp://host:12ab", "udp://127.0.0.1:1",
                                      "ipc://",    "tcp://[::1:5",    "inproc://name"};
    static const char *const local[] = {"tcp://127.9.9.9:1", "tcp://localhost:1", "tcp://[::1]:1",
                                        "ipc:///a"};
    static const char *const remote[] = {
        "tcp://*:1",    "tcp://0.0.0.0:1",           "tcp://10.0.0.1:1",
        "tcp://[::]:1", "tcp://localhost.example:1", "tcp://127.evil.example:1"};
    for (size_t i = 0; i < sizeof good / sizeof *good; i++) {
        ck_assert_int_eq(mpx_endpoint_check(good[i], false), MP_OK);
        ck_assert_int_eq(mpx_endpoint_check(good[i], true), MP_OK);
    }
    for (size_t i = 0; i < sizeof for_hubs / sizeof *for_hubs; i++) {
        ck_assert_int_eq(mpx_endpoint_check(for_hubs[i], true), MP_OK);
        ck_assert_int_eq(mpx_endpoint_check(for_hubs[i], false), MP_EINVAL);
    }
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++)
        ck_assert_msg(mpx_endpoint_check(bad[i], true) == MP_EINVAL, "%s", bad[i]);
    for (size_t i = 0; i < sizeof local / sizeof *local; i++)
        ck_assert_msg(mpx_endpoint_is_local(local[i]), "%s", local[i]);
    for (size_t i = 0; i < sizeof remote / sizeof *remote; i++)
        ck_assert_msg(!mpx_endpoint_is_local(remote[i]), "%s", remote[i]);
}
END_TEST

START_TEST(socket_file_is_private_and_goes_with_its_hub)
{
    struct stat info;
    make_folder();
    umask(0);
    mpx_link_t *hub = hub_at(endpoint);
    ck_assert_int_eq(stat(path, &info), 0);
    ck_assert_uint_eq(info.st_mode & 0777, 0600);
    mpx_link_destroy(&hub, 0);
    ck_assert_int_eq(rmdir(folder), 0); /* nothing is left in it */
}
END_TEST

START_TEST(live_owner_keeps_its_path)
{
    mpx_link_t *second = NULL;
    make_folder();
    mpx_link_t *hub = hub_at(endpoint);
    ck_assert_int_eq(listen_at(endpoint, &second), MP_EEXIST);
    ck_assert_ptr_null(second);
    mpx_link_t *dial = dial_to(endpoint);
    is_up(dial);
    say(dial, 0, "still yours");
    hears(hub, "still yours");
    mpx_link_destroy(&dial, 0);
    mpx_link_destroy(&hub, 0);
    ck_assert_int_eq(rmdir(folder), 0);
}
END_TEST

START_TEST(dead_owner_s_path_is_taken_over)
{
    make_folder();
    pid_t pid = fork();
    if (pid == 0) {
        hub_at(endpoint);
        kill(getpid(), SIGKILL);
    }
    ck_assert_int_eq(waitpid(pid, NULL, 0), pid);
    ck_assert_int_eq(access(path, F_OK), 0);
    mpx_link_t *hub = hub_at(endpoint);
    mpx_link_destroy(&hub, 0);
    ck_assert_int_eq(rmdir(folder), 0);
}
END_TEST

START_TEST(file_that_is_no_socket_stays)
{
    mpx_link_t *hub = NULL;
    make_folder();
    FILE *file = fopen(path, "w");
    ck_assert_ptr_nonnull(file);
    fclose(file);
    ck_assert_int_eq(listen_at(endpoint, &hub), MP_EEXIST);
    ck_assert_int_eq(unlink(path), 0);
}
END_TEST

START_TEST(frames_come_whole_and_in_order)
{
    mpx_link_t *hub = hub_at("tcp://127.0.0.1:*");
    mpx_link_t *dial = dial_to(mpx_link_endpoint(hub, 0));
    static unsigned char big[300000];
    is_up(dial);
    memset(big, 'b', sizeof big);
    ck_assert_int_eq(mpx_link_send(dial, 0, (mp_bytes_t){"head", 4}, (mp_bytes_t){big, sizeof big}),
                     MP_OK);
    for (int i = 0; i < 1000; i++)
        ck_assert_int_eq(mpx_link_send(dial, 0, (mp_bytes_t){&i, sizeof i}, (mp_bytes_t){0}),
                         MP_OK);
    mpx_link_event_t event = wait_event(hub);
    ck_assert_uint_eq(event.frames_count, 2);
    ck_assert_str_eq(event.address, "127.0.0.1");
    ck_assert_uint_eq(event.frames[1].size, sizeof big);
    ck_assert_mem_eq(event.frames[1].data, big, sizeof big);
    uint64_t peer = event.peer;
    for (int i = 0; i < 1000; i++) {
        event = wait_event(hub);
        ck_assert_uint_eq(event.peer, peer);
        ck_assert_uint_eq(event.frames_count, 1);
        ck_assert_mem_eq(event.frames[0].data, &i, sizeof i);
    }
    say(hub, peer, "answer");
    hears(dial, "answer");
    ck_assert_uint_eq(mpx_link_peers(hub), 1);
    mpx_link_destroy(&dial, 0);
    hears_end(hub, peer, MP_EOF);
    ck_assert_uint_eq(mpx_link_peers(hub), 0);
    mpx_link_destroy(&hub, 0);
}
END_TEST

/* A hub and its dial in one thread: neither may wait for the other to send. */
static void passes(mpx_link_t *from, uint64_t peer, mpx_link_t *to, size_t size)
{
    unsigned char *bytes = malloc(size);
    for (size_t i = 0; i < size; i++)
        bytes[i] = (unsigned char)(i * 7 >> 5);
    ck_assert_int_eq(mpx_link_send(from, peer, (mp_bytes_t){"head", 4}, (mp_bytes_t){bytes, size}),
                     MP_OK);
    mpx_link_event_t event = wait_event(to);
    ck_assert_int_eq(event.kind, MPX_LINK_MESSAGE);
    ck_assert_uint_eq(event.frames_count, 2);
    ck_assert_uint_eq(event.frames[0].size, 4);
    ck_assert_uint_eq(event.frames[1].size, size);
    ck_assert_mem_eq(event.frames[1].data, bytes, size);
    free(bytes);
}

START_TEST(large_payloads_come_whole)
{
    static const size_t sizes[] = {1, 255, 256, 8191, 8193, 5 << 20, (5 << 20) + 17};
    mpx_link_t *hub = hub_at("tcp://127.0.0.1:*");
    mpx_link_t *dial = dial_to(mpx_link_endpoint(hub, 0));
    is_up(dial);
    say(dial, 0, "hello");
    mpx_link_event_t event = wait_event(hub);
    uint64_t peer = event.peer;
    for (size_t i = 0; i < sizeof sizes / sizeof *sizes; i++) {
        passes(dial, 0, hub, sizes[i]);
        passes(hub, peer, dial, sizes[i]);
    }
    mpx_link_destroy(&dial, 0);
    mpx_link_destroy(&hub, 0);
}
END_TEST

/* Who was heard isn't forgotten while another one has something at every look. */
START_TEST(a_busy_one_keeps_nobody_waiting)
{
    enum { MANY = 100000 };
    make_folder();
    mpx_link_t *hub = hub_at(endpoint), *busy = dial_to(endpoint), *quiet = dial_to(endpoint);
    mpx_link_event_t event;
    int before = 0;
    is_up(busy);
    is_up(quiet);
    say(quiet, 0, "hi");
    uint64_t peer = hears(hub, "hi");
    say(busy, 0, "more");
    (void)hears(hub, "more");
    say(quiet, 0, "hi");
    say(busy, 0, "more");
    while ((event = wait_event(hub)).peer != peer)
        say(busy, 0, "more");
    say(busy, 0, "more"); /* so there always is more of it */
    say(busy, 0, "more");
    for (int i = 0; i < 5; i++) {
        (void)hears(hub, "more");
        say(busy, 0, "more");
    }
    say(quiet, 0, "there");
    for (event.peer = 0; before < MANY && event.peer != peer; before++) {
        say(busy, 0, "more");
        (void)mpx_link_next(hub, &event);
    }
    ck_assert_int_lt(before, MANY);
    mpx_link_destroy(&busy, 0);
    mpx_link_destroy(&quiet, 0);
    mpx_link_destroy(&hub, 0);
    ck_assert_int_eq(rmdir(folder), 0);
}
END_TEST

START_TEST(nobody_there)
{
    make_folder();
    mpx_link_t *dial = dial_to(endpoint);
    hears_end(dial, 0, MP_ECONNECT);
    ck_assert_int_eq(mpx_link_send(dial, 0, (mp_bytes_t){"x", 1}, (mp_bytes_t){0}), MP_ECLOSED);
    mpx_link_destroy(&dial, 0);
    rmdir(folder);
}
END_TEST

/* A label has at most 63 letters, so that no server is asked for this one. */
START_TEST(a_host_without_an_address_is_told_of_at_once)
{
    static const char nowhere[] =
        "tcp://"
        "xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx.invalid:5555";
    mpx_link_t *dial = dial_to(nowhere);
    mpx_link_event_t event = wait_event(dial);
    ck_assert_int_eq(event.kind, MPX_LINK_DOWN);
    ck_assert_int_eq(event.rc, MP_ECONNECT);
    ck_assert_int_eq(event.trouble, MPX_TROUBLE_NO_HOST);
    mpx_link_destroy(&dial, 0);
    dial = dial_to("tcp://127.0.0.1:1");
    event = wait_event(dial);
    ck_assert_int_eq(event.kind, MPX_LINK_DOWN);
    ck_assert_int_eq(event.trouble, MPX_TROUBLE_NONE);
    mpx_link_destroy(&dial, 0);
}
END_TEST

START_TEST(a_hub_listens_on_localhost_and_on_no_other_name)
{
    mpx_link_t *hub = hub_at("tcp://localhost:*");
    ck_assert_int_eq(strncmp(mpx_link_endpoint(hub, 0), "tcp://127.0.0.1:", 16), 0);
    mpx_link_destroy(&hub, 0);
    ck_assert_int_eq(listen_at("tcp://localhost.example:*", &hub), MP_ESYSTEM);
    ck_assert_ptr_nonnull(strstr(mp_errmsg(), "localhost.example"));
    ck_assert_ptr_nonnull(strstr(mp_errmsg(), "numeric address"));
}
END_TEST

START_TEST(killed_peers_are_told_of)
{
    make_folder();
    mpx_link_t *hub = hub_at(endpoint);
    pid_t first = fork_peer(endpoint);
    uint64_t one = hears(hub, "hi");
    pid_t second = fork_peer(endpoint);
    uint64_t two = hears(hub, "hi");
    ck_assert_uint_ne(one, two);
    kill_child(first);
    hears_end(hub, one, MP_EOF);
    ck_assert_int_eq(mpx_link_send(hub, one, (mp_bytes_t){"x", 1}, (mp_bytes_t){0}), MP_ECLOSED);
    say(hub, two, "you still get this");
    kill_child(second);
    hears_end(hub, two, MP_EOF);
    mpx_link_destroy(&hub, 0);
    ck_assert_int_eq(rmdir(folder), 0);
}
END_TEST

/* A hub that says on `told` where it listens, and answers whoever comes. */
static pid_t fork_hub(int told)
{
    pid_t pid = fork();
    ck_assert_int_ge(pid, 0);
    if (pid)
        return pid;
    mpx_link_t *hub = hub_at("tcp://127.0.0.1:*");
    char where[MPX_ENDPOINT_MAX] = "";
    snprintf(where, sizeof where, "%s", mpx_link_endpoint(hub, 0));
    ck_assert_int_eq(write(told, where, sizeof where), sizeof where);
    for (;;)
        say(hub, wait_event(hub).peer, "hello");
}

static void ends_silently(mpx_link_t *link, uint64_t peer)
{
    mpx_link_event_t event = wait_event(link);
    ck_assert_int_eq(event.kind, MPX_LINK_DOWN);
    ck_assert_uint_eq(event.peer, peer);
    ck_assert_int_eq(event.rc, MP_EOF);
    ck_assert(event.silent);
}

START_TEST(a_hub_that_stops_is_given_up_by_those_who_wait)
{
    int told[2];
    char where[MPX_ENDPOINT_MAX];
    ck_assert_int_eq(pipe(told), 0);
    pid_t pid = fork_hub(told[1]);
    ck_assert_int_eq(read(told[0], where, sizeof where), sizeof where);
    mpx_link_t *dial = dial_to(where);
    is_up(dial);
    say(dial, 0, "hi");
    hears(dial, "hello");
    ck_assert_int_eq(kill(pid, SIGSTOP), 0);
    ends_silently(dial, 0);
    kill_child(pid);
    mpx_link_destroy(&dial, 0);
}
END_TEST

/* As wait_event, and on patrol as a hub's owner has to be. */
START_TEST(a_peer_that_stops_is_given_up_on_patrol)
{
    mpx_link_t *hub = hub_at("tcp://127.0.0.1:*");
    mpx_link_event_t event;
    pid_t pid = fork_peer(mpx_link_endpoint(hub, 0));
    uint64_t peer = hears(hub, "hi");
    mpx_link_trust(hub, peer, true);
    ck_assert_int_eq(kill(pid, SIGSTOP), 0);
    struct pollfd fd = {mpx_link_fd(hub), POLLIN, 0};
    mp_rc_t rc;
    while ((rc = mpx_link_next(hub, &event)) == MP_EBUSY) {
        int64_t due = mpx_link_patrol(hub, mpx_now());
        if (!mpx_link_ready(hub))
            ck_assert_int_ge(poll(&fd, 1, mpx_poll_ms(mpx_now(), due)), 0);
    }
    ck_assert_int_eq(rc, MP_OK);
    ck_assert_int_eq(event.kind, MPX_LINK_DOWN);
    ck_assert_uint_eq(event.peer, peer);
    ck_assert(event.silent);
    kill_child(pid);
    mpx_link_destroy(&hub, 0);
}
END_TEST

/* A heartbeat of the dial's, which looks at the hub, and the hub's look at the dial. */
static void feel_both(mpx_link_t *dial, mpx_link_t *hub)
{
    mpx_link_event_t event;
    struct pollfd fd = {mpx_link_fd(dial), POLLIN, 0};
    ck_assert_int_eq(poll(&fd, 1, WAIT_MS), 1);
    ck_assert_int_eq(mpx_link_next(dial, &event), MP_EBUSY);
    (void)mpx_link_patrol(hub, mpx_now());
}

/* Both sides of a connection stand still for longer than a silent peer is borne with, as on a host
 * that is suspended: they go on as if nothing had been. */
START_TEST(a_pause_of_all_ends_nothing)
{
    mpx_link_t *hub = hub_at("tcp://127.0.0.1:*");
    mpx_link_t *dial = dial_to(mpx_link_endpoint(hub, 0));
    is_up(dial);
    say(dial, 0, "hi");
    uint64_t peer = hears(hub, "hi");
    mpx_link_trust(hub, peer, true);
    for (int beats = 0; beats < 3; beats++) /* both sides have looked before */
        feel_both(dial, hub);
    pid_t self = getpid();
    pid_t waker = fork();
    ck_assert_int_ge(waker, 0);
    if (waker == 0) {
        nanosleep(&(struct timespec){.tv_sec = 4}, NULL);
        kill(self, SIGCONT);
        _exit(0);
    }
    ck_assert_int_eq(raise(SIGSTOP), 0);
    ck_assert_int_eq(waitpid(waker, NULL, 0), waker);
    for (int looks = 0; looks < 3; looks++) {
        feel_both(dial, hub);
        say(dial, 0, "still here");
        hears(hub, "still here");
        say(hub, peer, "so am I");
        hears(dial, "so am I");
    }
    mpx_link_destroy(&dial, 0);
    mpx_link_destroy(&hub, 0);
}
END_TEST

/* The dialling process forks; the child lives on with what it inherited. */
static pid_t fork_peer_with_child(const char *where, int told)
{
    pid_t pid = fork();
    ck_assert_int_ge(pid, 0);
    if (pid)
        return pid;
    mpx_link_t *dial = dial_to(where);
    is_up(dial);
    pid_t child = fork();
    if (child == 0)
        for (;;)
            pause();
    ck_assert_int_eq(write(told, &child, sizeof child), sizeof child);
    say(dial, 0, "hi");
    for (;;)
        wait_event(dial);
}

START_TEST(a_forked_child_does_not_hide_its_parent_s_death)
{
    int told[2];
    pid_t child;
    mpx_link_t *hub = hub_at("tcp://127.0.0.1:*");
    ck_assert_int_eq(pipe(told), 0);
    pid_t parent = fork_peer_with_child(mpx_link_endpoint(hub, 0), told[1]);
    ck_assert_int_eq(read(told[0], &child, sizeof child), sizeof child);
    uint64_t peer = hears(hub, "hi");
    kill_child(parent);
    hears_end(hub, peer, MP_EOF);
    ck_assert_int_eq(kill(child, SIGKILL), 0);
    mpx_link_destroy(&hub, 0);
}
END_TEST

START_TEST(links_of_the_parent_are_dead_weight_in_a_child_that_makes_its_own)
{
    int status = 0;
    mpx_link_t *hub = hub_at("tcp://127.0.0.1:*");
    mpx_link_t *dial = dial_to(mpx_link_endpoint(hub, 0));
    is_up(dial);
    pid_t pid = fork();
    if (pid == 0) {
        mpx_link_t *own = dial_to(mpx_link_endpoint(hub, 0));
        mpx_link_destroy(&dial, 0);
        is_up(own);
        say(own, 0, "from the child");
        mpx_link_destroy(&own, 1000);
        _exit(0);
    }
    uint64_t peer = hears(hub, "from the child");
    hears_end(hub, peer, MP_EOF);
    ck_assert_int_eq(waitpid(pid, &status, 0), pid);
    ck_assert_int_eq(status, 0);
    say(dial, 0, "from the parent");
    hears(hub, "from the parent");
    mpx_link_destroy(&dial, 0);
    mpx_link_destroy(&hub, 0);
}
END_TEST

START_TEST(kicked_and_too_many)
{
    static const mpx_link_options_t options = {.max_peers = 1};
    const char *where = "tcp://127.0.0.1:*";
    mpx_link_t *hub = NULL;
    ck_assert_int_eq(mpx_link_listen(NULL, &where, 1, &options, &hub), MP_OK);
    mpx_link_t *first = dial_to(mpx_link_endpoint(hub, 0));
    is_up(first);
    say(first, 0, "hi");
    uint64_t peer = hears(hub, "hi");
    mpx_link_t *second = dial_to(mpx_link_endpoint(hub, 0));
    is_up(second);
    say(second, 0, "me too");
    mpx_link_event_t event;
    while (mpx_link_next(second, &event) == MP_EBUSY) {
        ck_assert_int_eq(mpx_link_next(hub, &event), MP_EBUSY);
        struct pollfd fds[] = {{mpx_link_fd(hub), POLLIN, 0}, {mpx_link_fd(second), POLLIN, 0}};
        if (!mpx_link_ready(hub) && !mpx_link_ready(second))
            ck_assert_int_ge(poll(fds, 2, WAIT_MS), 1);
    }
    ck_assert_int_eq(event.kind, MPX_LINK_DOWN);
    mpx_link_kick(hub, peer);
    hears_end(hub, peer, MP_EPROTO);
    hears_end(first, 0, MP_EOF);
    mpx_link_destroy(&first, 0);
    mpx_link_destroy(&second, 0);
    mpx_link_destroy(&hub, 0);
}
END_TEST

START_TEST(too_large_is_refused_where_it_is_sent)
{
    static const mpx_link_options_t options = {.max_message_bytes = 100};
    const char *where = "tcp://127.0.0.1:*";
    static const char text[101];
    mpx_link_t *hub = hub_at(where);
    mpx_link_t *dial = NULL;
    ck_assert_int_eq(mpx_link_dial(NULL, mpx_link_endpoint(hub, 0), &options, &dial), MP_OK);
    is_up(dial);
    ck_assert_int_eq(mpx_link_send(dial, 0, (mp_bytes_t){text, 101}, (mp_bytes_t){0}),
                     MP_ETOOLARGE);
    ck_assert_int_eq(mpx_link_send(dial, 0, (mp_bytes_t){"h", 1}, (mp_bytes_t){text, 101}),
                     MP_ETOOLARGE);
    say(dial, 0, "fits");
    hears(hub, "fits");
    mpx_link_destroy(&dial, 0);
    mpx_link_destroy(&hub, 0);
}
END_TEST

int main(void)
{
    const TTest *const tests[] = {endpoints,
                                  socket_file_is_private_and_goes_with_its_hub,
                                  live_owner_keeps_its_path,
                                  dead_owner_s_path_is_taken_over,
                                  file_that_is_no_socket_stays,
                                  frames_come_whole_and_in_order,
                                  large_payloads_come_whole,
                                  a_hub_that_stops_is_given_up_by_those_who_wait,
                                  a_peer_that_stops_is_given_up_on_patrol,
                                  a_pause_of_all_ends_nothing,
                                  nobody_there,
                                  a_host_without_an_address_is_told_of_at_once,
                                  a_hub_listens_on_localhost_and_on_no_other_name,
                                  a_busy_one_keeps_nobody_waiting,
                                  killed_peers_are_told_of,
                                  a_forked_child_does_not_hide_its_parent_s_death,
                                  links_of_the_parent_are_dead_weight_in_a_child_that_makes_its_own,
                                  kicked_and_too_many,
                                  too_large_is_refused_where_it_is_sent,
                                  NULL};
    return suite_run("link", tests, 30);
}
