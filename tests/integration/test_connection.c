/* Pipes, connections, listeners and clients, on each backend. */
#include "far.h"

#include <dirent.h>
#include <errno.h>
#include <stdatomic.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/un.h>

/* ---- a connected pair: one end here, one over there
 * ---------------------------------------------------- */

typedef struct pair {
    mp_connection_t *ours;
    mp_connection_t *theirs;
    mp_listener_t *listener;
    char address[256];
    void *arg;
} pair_t;

static pair_t new_pair(void)
{
    pair_t pair = {.ours = NULL};
    mp_listener_options_t options = {.key = far_key, .key_bytes = KEY_BYTES};
    if (far_is("tcp")) {
        OK(mp_listener_new("tcp://127.0.0.1:0", &options, &pair.listener));
        snprintf(pair.address, sizeof pair.address, "%s", mp_listener_address(pair.listener));
    } else {
        OK(mp_pipe(&(mp_pipe_options_t){.no_lane = far_is("ipc")}, &pair.ours, &pair.theirs));
    }
    return pair;
}

static mp_connection_t *over_there(pair_t *pair)
{
    if (far_is("tcp"))
        OK(mp_client(pair->address, far_key, KEY_BYTES, LONG_MS, &pair->theirs));
    return pair->theirs;
}

static mp_connection_t *here(pair_t *pair)
{
    if (far_is("tcp"))
        OK(mp_listener_accept(pair->listener, LONG_MS, &pair->ours));
    return pair->ours;
}

static void end_pair(pair_t *pair)
{
    mp_connection_destroy(&pair->ours);
    mp_connection_destroy(&pair->theirs);
    mp_listener_destroy(&pair->listener);
}

static size_t receive(mp_connection_t *connection, void *buffer, size_t room)
{
    size_t size = SIZE_MAX;
    OK(mp_connection_recv_bytes_into(connection, buffer, room, &size, LONG_MS));
    return size;
}

/* ---- messages
 * -------------------------------------------------------------------------------------------- */

static const size_t sizes[] = {0, 1, 15, 16, 4096, 4097, 65536, 131072, 131073, 1000000, 9000001};
enum { SIZES = sizeof sizes / sizeof *sizes };

static void fill(unsigned char *bytes, size_t size, unsigned seed)
{
    for (size_t i = 0; i < size; i++)
        bytes[i] = (unsigned char)((i * 31 + seed) >> 3);
}

static void echo_all(void *arg)
{
    mp_connection_t *end = over_there(arg);
    for (;;) {
        mp_item_t item;
        mp_rc_t rc = mp_connection_recv_item(end, 0, &item, LONG_MS);
        if (rc == MP_EOF)
            break;
        OK(rc);
        OK(mp_connection_send_item(end, item.kind, item.data, item.size, LONG_MS));
        mp_item_clear(&item);
    }
    IS(mp_connection_send_bytes(end, "x", 1, LONG_MS), MP_EOF);
    if (!far_is("owner"))
        mp_connection_destroy(&end);
}

START_TEST(messages_of_every_size_come_back_whole)
{
    pair_t pair = new_pair();
    far_one_t other;
    far_start(&other, echo_all, &pair);
    mp_connection_t *end = here(&pair);
    unsigned char *out = malloc(sizes[SIZES - 1]);
    unsigned char *in = malloc(sizes[SIZES - 1]);
    for (unsigned i = 0; i < SIZES; i++) {
        fill(out, sizes[i], i);
        OK(mp_connection_send_bytes(end, out, sizes[i], LONG_MS));
        ck_assert_uint_eq(receive(end, in, sizes[SIZES - 1]), sizes[i]);
        ck_assert_int_eq(memcmp(in, out, sizes[i]), 0);
        OK(mp_connection_send_bytes(end, out, sizes[i], LONG_MS));
        void *data = NULL;
        size_t size = 0;
        OK(mp_connection_recv_bytes(end, 0, &data, &size, LONG_MS));
        ck_assert_uint_eq(size, sizes[i]);
        ck_assert_int_eq(memcmp(data, out, size), 0);
        free(data);
    }
    free(in);
    free(out);
    mp_connection_close(end);
    ck_assert(mp_connection_closed(end));
    IS(mp_connection_send_bytes(end, "x", 1, 0), MP_ECLOSED);
    IS(mp_connection_poll(end, 0), MP_ECLOSED);
    far_join(&other);
    end_pair(&pair);
}
END_TEST

static void send_kinds(void *arg)
{
    mp_connection_t *end = over_there(arg);
    mp_tree_t *tree = MP_LIST(MP_V(1), MP_V("two"), MP_V(3.0));
    OK(mp_connection_send_bytes(end, "four", 4, LONG_MS));
    OK(mp_connection_send_tree(end, tree, LONG_MS));
    OK(mp_connection_send_item(end, MP_ITEM_MESSAGE, "\x08\x01", 2, LONG_MS));
    OK(mp_connection_send_bytes(end, "end", 3, LONG_MS));
    mp_tree_destroy(&tree);
    mp_connection_destroy(&((pair_t *)arg)->theirs);
}

START_TEST(what_does_not_fit_stays)
{
    pair_t pair = new_pair();
    far_one_t other;
    far_start(&other, send_kinds, &pair);
    mp_connection_t *end = here(&pair);
    char text[8];
    size_t size = 0;
    void *data = NULL;
    mp_tree_t *tree = NULL;
    OK(mp_connection_poll(end, LONG_MS));
    IS(mp_connection_recv_bytes_into(end, text, 3, &size, LONG_MS), MP_ETOOLARGE);
    ck_assert_uint_eq(size, 4);
    IS(mp_connection_recv_bytes(end, 3, &data, &size, LONG_MS), MP_ETOOLARGE);
    IS(mp_connection_recv_tree(end, &tree, LONG_MS), MP_EINVAL);
    OK(mp_connection_recv_bytes(end, 4, &data, &size, LONG_MS));
    ck_assert_mem_eq(data, "four", 4);
    free(data);
    OK(mp_connection_recv_tree(end, &tree, LONG_MS));
    ck_assert_uint_eq(mp_tree_len(tree), 3);
    mp_tree_destroy(&tree);
    mp_item_t item;
    OK(mp_connection_recv_item(end, 0, &item, LONG_MS));
    ck_assert_int_eq(item.kind, MP_ITEM_MESSAGE);
    mp_item_clear(&item);
    ck_assert_uint_eq(receive(end, text, sizeof text), 3);
    OK(mp_connection_poll(end, LONG_MS)); /* the end is something too */
    IS(mp_connection_recv_bytes_into(end, text, sizeof text, &size, LONG_MS), MP_EOF);
    IS(mp_connection_recv_bytes_into(end, text, sizeof text, &size, 0), MP_EOF);
    far_join(&other);
    end_pair(&pair);
}
END_TEST

/* ---- deadlines
 * ------------------------------------------------------------------------------------------- */

static void be_slow(void *arg)
{
    pair_t *pair = arg;
    mp_connection_t *end = over_there(pair);
    char byte;
    ck_assert_uint_eq(receive(end, &byte, 1), 1); /* "g": the other side is done with waiting */
    unsigned char *in = malloc(3000000);
    size_t count = 0;
    for (;;) {
        size_t size = receive(end, in, 3000000);
        if (size == 1)
            break;
        ck_assert_uint_eq(size, 100000); /* never a part of the long one */
        count++;
    }
    ck_assert_uint_ge(count, 1);
    free(in);
}

START_TEST(a_send_ends_in_time_and_leaves_nothing_half)
{
    pair_t pair = new_pair();
    far_one_t other;
    far_start(&other, be_slow, &pair);
    mp_connection_t *end = here(&pair);
    unsigned char *out = calloc(1, 3000000);
    size_t size;
    char byte;
    int64_t begun = now_ms();
    IS(mp_connection_recv_bytes_into(end, &byte, 1, &size, 50), MP_ETIMEDOUT);
    IS(mp_connection_poll(end, 0), MP_ETIMEDOUT);
    ck_assert_int_ge(now_ms() - begun, 50);
    OK(mp_connection_send_bytes(end, "g", 1, LONG_MS));
    IS(mp_connection_send_bytes(end, out, 3000000, 0), MP_ETIMEDOUT);
    /* As many as the window takes without anybody receiving, or more if somebody does. */
    for (int i = 0; i < 20; i++)
        if (mp_connection_send_bytes(end, out, 100000, 0) != MP_OK)
            break;
    OK(mp_connection_send_bytes(end, out, 100000, LONG_MS));
    OK(mp_connection_send_bytes(end, "e", 1, LONG_MS));
    free(out);
    far_join(&other);
    end_pair(&pair);
}
END_TEST

static void stop_receiving(void *arg)
{
    pair_t *pair = arg;
    mp_connection_t *end = over_there(pair);
    char byte;
    ck_assert_uint_eq(receive(end, &byte, 1), 1);
    atomic_int *go = pair->arg;
    while (!atomic_load(go))
        usleep(1000);
    size_t size;
    mp_item_t item;
    for (;;) {
        OK(mp_connection_recv_item(end, 0, &item, LONG_MS));
        size = item.size;
        mp_item_clear(&item);
        ck_assert_uint_ne(size, 3000000);
        if (size == 1)
            break;
    }
}

/* A message that was begun is taken back: the other side never sees it. */
START_TEST(a_begun_message_is_taken_back)
{
    pair_t pair = new_pair();
    far_one_t other;
    atomic_int *go = shared(sizeof *go);
    pair.arg = go;
    far_start(&other, stop_receiving, &pair);
    mp_connection_t *end = here(&pair);
    unsigned char *out = calloc(1, 3000000);
    OK(mp_connection_send_bytes(end, "g", 1, LONG_MS));
    IS(mp_connection_send_bytes(end, out, 3000000, 100), MP_ETIMEDOUT);
    atomic_store(go, 1);
    OK(mp_connection_send_bytes(end, out, 1000, LONG_MS));
    OK(mp_connection_send_bytes(end, "e", 1, LONG_MS));
    free(out);
    far_join(&other);
    end_pair(&pair);
}
END_TEST

static void nothing(int signal)
{
    (void)signal;
}

START_TEST(signals_end_no_wait)
{
    pair_t pair = new_pair();
    far_one_t other;
    far_start(&other, echo_all, &pair);
    mp_connection_t *end = here(&pair);
    struct sigaction action = {.sa_handler = nothing}; /* without SA_RESTART */
    sigaction(SIGALRM, &action, NULL);
    timer_t timer;
    struct sigevent event = {.sigev_notify = SIGEV_SIGNAL, .sigev_signo = SIGALRM};
    struct itimerspec each = {{0, 1000000}, {0, 1000000}};
    ck_assert_int_eq(timer_create(CLOCK_MONOTONIC, &event, &timer), 0);
    ck_assert_int_eq(timer_settime(timer, 0, &each, NULL), 0);
    unsigned char *out = calloc(1, 3000000);
    char byte;
    size_t size;
    int64_t begun = now_ms();
    IS(mp_connection_recv_bytes_into(end, &byte, 1, &size, 100), MP_ETIMEDOUT);
    IS(mp_connection_poll(end, 100), MP_ETIMEDOUT);
    ck_assert_int_ge(now_ms() - begun, 200);
    OK(mp_connection_send_bytes(end, out, 400000, LONG_MS));
    ck_assert_uint_eq(receive(end, out, 3000000), 400000);
    timer_delete(timer);
    free(out);
    mp_connection_close(end);
    far_join(&other);
    end_pair(&pair);
}
END_TEST

/* ---- ends
 * -------------------------------------------------------------------------------------------------
 */

static void send_and_stay(void *arg)
{
    mp_connection_t *end = over_there(arg);
    OK(mp_connection_send_bytes(end, "last words", 10, LONG_MS));
    unsigned char *out = calloc(1, 3000000);
    (void)mp_connection_send_bytes(end, out, 3000000, LONG_MS); /* more than the window */
    for (;;)
        pause();
}

START_TEST(a_killed_side_is_an_end)
{
    if (far_is("owner"))
        return; /* a thread isn't killed alone */
    pair_t pair = new_pair();
    far_one_t other;
    far_start(&other, send_and_stay, &pair);
    mp_connection_t *end = here(&pair);
    char text[16];
    ck_assert_uint_eq(receive(end, text, sizeof text), 10);
    far_kill(&other);
    int64_t begun = now_ms();
    mp_item_t item;
    IS(mp_connection_recv_item(end, 0, &item, LONG_MS), MP_EOF); /* not half a message */
    ck_assert_int_lt(now_ms() - begun, 5000);
    IS(mp_connection_send_bytes(end, "x", 1, LONG_MS), MP_EOF);
    end_pair(&pair);
}
END_TEST

static void use_first(void *arg)
{
    pair_t *pair = arg;
    OK(mp_connection_send_bytes(pair->theirs, "mine", 4, LONG_MS));
    char byte;
    (void)receive(pair->theirs, &byte, 1);
}

START_TEST(an_end_is_its_first_users)
{
    if (far_is("tcp") || far_is("owner"))
        return; /* pipes alone are inherited */
    pair_t pair = new_pair();
    far_one_t other;
    far_start(&other, use_first, &pair);
    char text[8];
    size_t size;
    ck_assert_uint_eq(receive(pair.ours, text, sizeof text), 4);
    IS(mp_connection_send_bytes(pair.theirs, "x", 1, 0), MP_EBUSY);
    IS(mp_connection_recv_bytes_into(pair.theirs, text, 8, &size, 0), MP_EBUSY);
    OK(mp_connection_send_bytes(pair.ours, "e", 1, LONG_MS));
    far_join(&other);
    IS(mp_connection_recv_bytes_into(pair.ours, text, 8, &size, LONG_MS), MP_EOF);
    end_pair(&pair);
}
END_TEST

static void do_nothing(void *arg)
{
    (void)arg;
}

/* Nobody has used it, and nobody is left who could. */
START_TEST(an_end_without_owners_is_an_end)
{
    if (far_is("tcp"))
        return;
    pair_t pair = new_pair();
    far_one_t other;
    char byte;
    size_t size;
    far_start(&other, do_nothing, NULL);
    far_join(&other);
    IS(mp_connection_recv_bytes_into(pair.ours, &byte, 1, &size, 50), MP_ETIMEDOUT);
    mp_connection_destroy(&pair.theirs);
    IS(mp_connection_recv_bytes_into(pair.ours, &byte, 1, &size, LONG_MS), MP_EOF);
    end_pair(&pair);
}
END_TEST

START_TEST(one_way_pipes_know_their_direction)
{
    mp_connection_t *reader = NULL, *writer = NULL;
    OK(mp_pipe(&(mp_pipe_options_t){.one_way = true, .no_lane = far_is("ipc")}, &reader, &writer));
    ck_assert(mp_connection_readable(reader) && !mp_connection_writable(reader));
    ck_assert(!mp_connection_readable(writer) && mp_connection_writable(writer));
    char byte;
    size_t size;
    IS(mp_connection_send_bytes(reader, "x", 1, 0), MP_EPERM);
    IS(mp_connection_recv_bytes_into(writer, &byte, 1, &size, 0), MP_EPERM);
    IS(mp_connection_poll(writer, 0), MP_EPERM);
    mp_connection_destroy(&reader);
    mp_connection_destroy(&writer);
    mp_connection_destroy(&writer);
}
END_TEST

/* ---- handing on
 * ---------------------------------------------------------------------------------------------- */

static void take_over(void *arg)
{
    mp_connection_t *letters = arg;
    mp_tree_t *letter = NULL;
    mp_ref_t ref;
    mp_connection_t *end = NULL;
    OK(mp_connection_recv_tree(letters, &letter, LONG_MS));
    OK(mp_tree_as_ref(letter, &ref));
    OK(mp_connection_open(&ref, &end));
    mp_tree_destroy(&letter);
    char text[16];
    ck_assert_uint_eq(receive(end, text, sizeof text), 7);
    ck_assert_mem_eq(text, "waiting", 7);
    OK(mp_connection_send_bytes(end, "taken over", 10, LONG_MS));
    mp_connection_destroy(&end);
    IS(mp_connection_open(&ref, &end), MP_ENOTFOUND); /* once */
}

START_TEST(ends_are_handed_on)
{
    if (!far_is("lane"))
        return;
    mp_connection_t *ours, *theirs, *one, *two;
    OK(mp_pipe(NULL, &ours, &theirs));
    far_one_t other;
    OK(mp_pipe(NULL, &one, &two));
    far_start(&other, take_over, theirs);
    char text[16];
    if (_i) { /* also after it was used here */
        OK(mp_connection_send_bytes(two, "hi", 2, LONG_MS));
        ck_assert_uint_eq(receive(one, text, sizeof text), 2);
    }
    OK(mp_connection_send_bytes(one, "waiting", 7, LONG_MS));
    mp_ref_t ref;
    OK(mp_connection_ref(two, &ref));
    mp_tree_t *letter = mp_tree_ref(&ref);
    OK(mp_connection_send_tree(ours, letter, LONG_MS));
    mp_tree_destroy(&letter);
    ck_assert_uint_eq(receive(one, text, sizeof text), 10);
    size_t size;
    IS(mp_connection_recv_bytes_into(one, text, sizeof text, &size, LONG_MS), MP_EOF);
    far_join(&other);
    IS(mp_connection_send_bytes(two, "x", 1, 0), MP_EBUSY);
    mp_connection_destroy(&ours);
    mp_connection_destroy(&theirs);
    mp_connection_destroy(&one);
    mp_connection_destroy(&two);
}
END_TEST

/* ---- waiting
 * -------------------------------------------------------------------------------------------------
 */

START_TEST(connections_are_waited_for)
{
    pair_t pair = new_pair();
    far_one_t other;
    far_start(&other, send_kinds, &pair);
    mp_connection_t *end = here(&pair);
    int pipe_fds[2];
    ck_assert_int_eq(pipe(pipe_fds), 0);
    char text[8];
    for (int i = 0; i < 4; i++) {
        mp_waitable_t things[] = {{.fd = pipe_fds[0]}, {.connection = end}};
        size_t ready = 0;
        OK(mp_wait(things, 2, LONG_MS, &ready));
        ck_assert(ready == 1 && things[1].ready && !things[0].ready);
        mp_item_t item;
        OK(mp_connection_recv_item(end, 0, &item, 0));
        mp_item_clear(&item);
    }
    ck_assert_int_eq(write(pipe_fds[1], "x", 1), 1);
    far_join(&other);
    OK(mp_connection_poll(end, LONG_MS));
    mp_waitable_t both[] = {{.fd = pipe_fds[0]}, {.connection = end}};
    OK(mp_wait(both, 2, LONG_MS, NULL));
    ck_assert(both[0].ready && both[1].ready);
    size_t size;
    IS(mp_connection_recv_bytes_into(end, text, sizeof text, &size, 0), MP_EOF);
    close(pipe_fds[0]);
    close(pipe_fds[1]);
    end_pair(&pair);
}
END_TEST

/* ---- listeners
 * -------------------------------------------------------------------------------------------------
 */

static const char *listen_at(char path[64])
{
    if (far_is("tcp"))
        return "tcp://127.0.0.1:0";
    if (far_is("owner"))
        return NULL;
    char folder[] = "/tmp/mp-far-XXXXXX";
    ck_assert_ptr_nonnull(mkdtemp(folder));
    snprintf(path, 64, "ipc://%s/it", folder);
    return path;
}

static void forget_path(const char *address)
{
    char folder[64];
    if (strncmp(address, "ipc:///", 7) != 0)
        return;
    snprintf(folder, sizeof folder, "%s", address + 6);
    *strrchr(folder, '/') = 0;
    ck_assert_int_eq(rmdir(folder), 0); /* so it is empty: nothing was left in it */
}

typedef struct visit {
    char address[256];
    const char *key;
    size_t key_bytes;
    mp_rc_t expected;
} visit_t;

static void visit(void *arg)
{
    const visit_t *call = arg;
    mp_connection_t *end = NULL;
    char text[8];
    IS(mp_client(call->address, call->key, call->key_bytes, LONG_MS, &end), call->expected);
    if (!end)
        return;
    OK(mp_connection_send_bytes(end, "hello", 5, LONG_MS));
    ck_assert_uint_eq(receive(end, text, sizeof text), 7);
    mp_connection_destroy(&end);
}

START_TEST(listeners_check_keys_and_say_who_came)
{
    char path[64];
    mp_listener_t *listener = NULL;
    mp_listener_options_t options = {
        .key = far_key, .key_bytes = KEY_BYTES, .no_lane = far_is("ipc")};
    OK(mp_listener_new(listen_at(path), &options, &listener));
    static const struct {
        const char *key;
        size_t bytes;
        mp_rc_t rc;
    } rows[] = {{far_key, KEY_BYTES, MP_OK},
                {"wrong!", KEY_BYTES, MP_EAUTH},
                {NULL, 0, MP_EAUTH},
                {"", 0, MP_EAUTH},
                {far_key, KEY_BYTES, MP_OK}};
    mp_connection_t *end = NULL;
    IS(mp_listener_accept(listener, 20, &end), MP_ETIMEDOUT);
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        visit_t call = {.key = rows[i].key, .key_bytes = rows[i].bytes, .expected = rows[i].rc};
        snprintf(call.address, sizeof call.address, "%s", mp_listener_address(listener));
        far_one_t other;
        far_start(&other, visit, &call);
        mp_waitable_t thing = {.listener = listener};
        OK(mp_wait(&thing, 1, LONG_MS, NULL));
        IS(mp_listener_accept(listener, LONG_MS, &end), rows[i].rc);
        if (rows[i].rc == MP_OK) {
            char text[8];
            ck_assert_str_ne(mp_listener_last_accepted(listener), "");
            ck_assert_uint_eq(receive(end, text, sizeof text), 5);
            OK(mp_connection_send_bytes(end, "welcome", 7, LONG_MS));
            size_t size;
            IS(mp_connection_recv_bytes_into(end, text, sizeof text, &size, LONG_MS), MP_EOF);
            mp_connection_destroy(&end);
        }
        far_join(&other);
    }
    mp_listener_destroy(&listener);
    forget_path(path);
}
END_TEST

START_TEST(listeners_refuse_what_they_must)
{
    mp_listener_t *listener = NULL, *second = NULL;
    mp_connection_t *end = NULL, *one = NULL, *two = NULL;
    IS(mp_listener_new("tcp://0.0.0.0:0", NULL, &listener), MP_EPERM);
    IS(mp_listener_new("tcp://nowhere", NULL, &listener), MP_EINVAL);
    char path[200] = "ipc:///";
    memset(path + 7, 'x', 150);
    IS(mp_listener_new(path, NULL, &listener), MP_EINVAL);
    IS(mp_client(path, NULL, 0, 0, &end), MP_EINVAL);
    IS(mp_client("tcp://127.0.0.1:1", NULL, 0, 5000, &end), MP_ECONNECT);
    char address[64];
    OK(mp_listener_new(listen_at(address),
                       &(mp_listener_options_t){.backlog = 1, .no_lane = far_is("ipc")},
                       &listener));
    IS(mp_listener_new(mp_listener_address(listener), NULL, &second), MP_EEXIST);
    IS(mp_client(mp_listener_address(listener), "key", 3, 2000, &end), MP_EAUTH);
    mp_waitable_t thing = {.listener = listener};
    if (mp_wait(&thing, 1, LONG_MS, NULL) == MP_OK) { /* one with a key came to one without */
        mp_rc_t rc = mp_listener_accept(listener, LONG_MS, &end);
        ck_assert(rc == MP_OK || rc == MP_EAUTH);
        mp_connection_destroy(&end);
    }
    OK(mp_client(mp_listener_address(listener), NULL, 0, 2000, &one));
    IS(mp_client(mp_listener_address(listener), NULL, 0, 2000, &two), MP_ELIMIT);
    char byte;
    size_t size;
    mp_listener_close(listener);
    IS(mp_connection_recv_bytes_into(one, &byte, 1, &size, LONG_MS), MP_EOF);
    IS(mp_listener_accept(listener, 0, &end), MP_ECLOSED);
    mp_connection_destroy(&one);
    mp_listener_destroy(&listener);
    forget_path(address);
}
END_TEST

/* ---- what is left behind
 * ------------------------------------------------------------------------------------------ */

static int count_descriptors(void)
{
    DIR *folder = opendir("/proc/self/fd");
    int count = -3;
    while (readdir(folder))
        count++;
    closedir(folder);
    return count;
}

START_TEST(pairs_leave_no_descriptors)
{
    int before = 0;
    for (int i = 0; i < 30; i++) {
        pair_t pair = new_pair();
        far_one_t other;
        far_start(&other, echo_all, &pair);
        mp_connection_t *end = here(&pair);
        OK(mp_connection_send_bytes(end, "x", 1, LONG_MS));
        char byte;
        (void)receive(end, &byte, 1);
        mp_connection_close(end);
        far_join(&other);
        end_pair(&pair);
        if (i == 9)
            before = count_descriptors();
    }
    /* What the last ones over ZeroMQ used is closed with the next one. */
    ck_assert_int_le(count_descriptors(), before + (far_is("lane") || far_is("owner") ? 0 : 12));
}
END_TEST

START_TEST(without_descriptors_there_is_a_code)
{
    struct rlimit few = {(rlim_t)count_descriptors() + 8, 0};
    few.rlim_max = few.rlim_cur;
    ck_assert_int_eq(setrlimit(RLIMIT_NOFILE, &few), 0);
    mp_connection_t *ends[40] = {NULL};
    mp_rc_t rc = MP_OK;
    int made = 0;
    for (; made < 40 && rc == MP_OK; made += 2)
        rc = mp_pipe(&(mp_pipe_options_t){.no_lane = far_is("ipc")}, &ends[made], &ends[made + 1]);
    ck_assert_int_eq(rc, MP_ESYSTEM);
    for (int i = 0; i < made; i++)
        mp_connection_destroy(&ends[i]);
    mp_connection_t *one = NULL, *two = NULL;
    OK(mp_pipe(&(mp_pipe_options_t){.no_lane = far_is("ipc")}, &one, &two));
    mp_connection_destroy(&one);
    mp_connection_destroy(&two);
}
END_TEST

int main(int argc, char **argv)
{
    if (argc == 2)
        far = argv[1];
    Suite *suite = suite_create(far);
    TCase *all = tcase_create(far);
    tcase_set_timeout(all, 60);
    tcase_add_test(all, messages_of_every_size_come_back_whole);
    tcase_add_test(all, what_does_not_fit_stays);
    tcase_add_test(all, a_send_ends_in_time_and_leaves_nothing_half);
    tcase_add_test(all, a_begun_message_is_taken_back);
    tcase_add_test(all, signals_end_no_wait);
    tcase_add_test(all, a_killed_side_is_an_end);
    tcase_add_test(all, an_end_is_its_first_users);
    tcase_add_test(all, an_end_without_owners_is_an_end);
    tcase_add_test(all, one_way_pipes_know_their_direction);
    tcase_add_loop_test(all, ends_are_handed_on, 0, 2);
    tcase_add_test(all, connections_are_waited_for);
    tcase_add_test(all, listeners_check_keys_and_say_who_came);
    tcase_add_test(all, listeners_refuse_what_they_must);
    tcase_add_test(all, pairs_leave_no_descriptors);
    tcase_add_test(all, without_descriptors_there_is_a_code);
    suite_add_tcase(suite, all);
    return suite_end(suite);
}
