/* party.c: one side of a queue or connection, for scripts that kill it, cut it off or feed it
 * nonsense.
 *
 *     party own ENDPOINT             own a queue; prints its address
 *     party listen ENDPOINT          own a listener, and send back what its clients send
 *     party produce ADDRESS NUMBER   put until SIGTERM, then flush
 *     party consume ADDRESS          get until SIGTERM
 *     party echo ADDRESS             send "hello" to a listener, and print what comes back
 *
 * The key is "party" where MP_PARTY_KEY is set. A producer prints "acknowledged N" when all up to
 * its item N are, and "again N" for each item that it puts a second time because its owner was
 * lost. A consumer prints "got PRODUCER N", with " again" behind one that is redelivered; each
 * line is one write, before the item is settled. */
#include <mp/mp.h>

#include <signal.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

enum { WAIT_MS = 200, LONG_MS = 20000, BURST = 64, PAUSE_US = 2000, LINE = 128, KEPT_MAX = 8192 };

static volatile sig_atomic_t ends;

typedef struct item {
    uint32_t producer;
    uint32_t number;
} item_t;

static void on_term(int signal)
{
    (void)signal;
    ends = 1;
}

static void say(const char *line, int size)
{
    if (write(STDOUT_FILENO, line, (size_t)size) != size)
        _exit(3);
}

static int broken(const char *what)
{
    fprintf(stderr, "%s: %s\n", what, mp_errmsg());
    return 1;
}

static const char *key(size_t *size)
{
    const char *key = getenv("MP_PARTY_KEY");
    *size = key ? strlen(key) : 0;
    return key;
}

static bool is_lost(mp_rc_t rc)
{
    return rc == MP_EPEERLOST || rc == MP_ECONNECT;
}

/* ---- owners ---------------------------------------------------------------------------------- */

static int own(const char *endpoint)
{
    char line[LINE];
    mp_queue_t *queue = NULL;
    mp_queue_stat_t stat;
    mp_queue_options_t options = {.endpoint = endpoint};
    options.key = key(&options.key_bytes);
    if (mp_queue_new(&options, &queue))
        return broken("own");
    say(line, snprintf(line, sizeof line, "%s\n", mp_queue_address(queue)));
    while (!ends)
        pause();
    if (mp_queue_stat(queue, &stat, LONG_MS))
        return broken("own");
    say(line, snprintf(line, sizeof line, "left %zu held %zu parked %zu\n", stat.size,
                       stat.prefetched, stat.waiting));
    mp_queue_destroy(&queue);
    return 0;
}

static void send_back(mp_connection_t *connection)
{
    void *data = NULL;
    size_t size = 0;
    while (mp_connection_recv_bytes(connection, 1 << 20, &data, &size, LONG_MS) == MP_OK) {
        mp_rc_t rc = mp_connection_send_bytes(connection, data, size, LONG_MS);
        free(data);
        if (rc != MP_OK)
            break;
    }
    mp_connection_destroy(&connection);
}

static int listen_there(const char *endpoint)
{
    char line[LINE];
    mp_listener_t *listener = NULL;
    mp_listener_options_t options = {0};
    options.key = key(&options.key_bytes);
    if (mp_listener_new(endpoint, &options, &listener))
        return broken("listen");
    say(line, snprintf(line, sizeof line, "%s\n", mp_listener_address(listener)));
    while (!ends) {
        mp_connection_t *connection = NULL;
        if (mp_listener_accept(listener, WAIT_MS, &connection) == MP_OK)
            send_back(connection);
    }
    mp_listener_destroy(&listener);
    return 0;
}

/* ---- producers --------------------------------------------------------------------------------
 */

typedef struct producer {
    const char *address;
    mp_queue_t *queue;
    item_t next;
    item_t kept[KEPT_MAX]; /* to be put again, in order */
    size_t kept_count;
} producer_t;

static mp_rc_t connect_to(const char *address, mp_queue_t **queue)
{
    size_t key_bytes;
    const char *secret = key(&key_bytes);
    return mp_queue_connect(address, secret, key_bytes, queue);
}

/* What the handle hands back was put before what is kept. */
static void take_back(producer_t *self)
{
    static item_t before[KEPT_MAX];
    size_t count = 0;
    mp_item_t lost;
    while (count < KEPT_MAX && mp_queue_unacknowledged(self->queue, &lost) == MP_OK) {
        memcpy(&before[count++], lost.data, sizeof *before);
        mp_item_clear(&lost);
    }
    if (count + self->kept_count > KEPT_MAX)
        _exit(4);
    memmove(self->kept + count, self->kept, self->kept_count * sizeof *before);
    memcpy(self->kept, before, count * sizeof *before);
    self->kept_count += count;
}

static mp_rc_t put_again(producer_t *self)
{
    char line[LINE];
    size_t done = 0;
    mp_rc_t rc = MP_OK;
    for (; done < self->kept_count; done++) {
        say(line, snprintf(line, sizeof line, "again %u\n", self->kept[done].number));
        rc = mp_queue_put(self->queue, &self->kept[done], sizeof *self->kept, LONG_MS);
        if (rc != MP_OK)
            break;
    }
    self->kept_count -= done;
    memmove(self->kept, self->kept + done, self->kept_count * sizeof *self->kept);
    return rc;
}

static mp_rc_t put_burst(producer_t *self)
{
    char line[LINE];
    mp_rc_t rc = put_again(self);
    for (int i = 0; i < BURST && rc == MP_OK; i++) {
        rc = mp_queue_put(self->queue, &self->next, sizeof self->next, LONG_MS);
        if (rc != MP_OK) /* a put that fails leaves it with us */
            self->kept[self->kept_count++] = self->next;
        self->next.number++;
    }
    if (rc == MP_OK)
        rc = mp_queue_flush(self->queue, LONG_MS);
    if (rc == MP_OK)
        say(line, snprintf(line, sizeof line, "acknowledged %u\n", self->next.number - 1));
    return rc;
}

static int produce(const char *address, const char *number)
{
    static producer_t self;
    self.address = address;
    self.next.producer = (uint32_t)strtoul(number, NULL, 10);
    mp_rc_t rc = connect_to(address, &self.queue);
    while (rc == MP_OK && (!ends || self.kept_count)) {
        rc = put_burst(&self);
        usleep(PAUSE_US);
        if (is_lost(rc)) {
            take_back(&self);
            mp_queue_destroy(&self.queue);
            rc = connect_to(address, &self.queue);
        }
    }
    if (rc == MP_OK)
        rc = mp_queue_close(self.queue, LONG_MS);
    mp_queue_destroy(&self.queue);
    return rc == MP_OK ? 0 : broken("produce");
}

/* ---- consumers and clients ----------------------------------------------------------------------
 */

static mp_rc_t consume_one(mp_queue_t *queue)
{
    char line[LINE];
    item_t item;
    mp_item_t got;
    mp_rc_t rc = mp_queue_get_item(queue, &got, WAIT_MS);
    if (rc != MP_OK)
        return rc;
    memcpy(&item, got.data, sizeof item);
    say(line, snprintf(line, sizeof line, "got %u %u%s\n", item.producer, item.number,
                       got.redelivered ? " again" : ""));
    mp_item_clear(&got);
    return MP_OK;
}

static int consume(const char *address)
{
    mp_queue_t *queue = NULL;
    mp_rc_t rc = connect_to(address, &queue);
    while (!ends && rc == MP_OK) {
        rc = consume_one(queue);
        if (rc == MP_EEMPTY)
            rc = MP_OK;
        if (is_lost(rc)) {
            usleep(PAUSE_US);
            mp_queue_destroy(&queue);
            rc = connect_to(address, &queue);
        }
    }
    if (rc == MP_OK)
        rc = mp_queue_close(queue, LONG_MS);
    mp_queue_destroy(&queue);
    return rc == MP_OK || is_lost(rc) ? 0 : broken("consume");
}

static int echo(const char *address)
{
    char line[LINE];
    size_t size = 0;
    size_t key_bytes;
    const char *secret = key(&key_bytes);
    mp_connection_t *connection = NULL;
    if (mp_client(address, secret, key_bytes, LONG_MS, &connection) ||
        mp_connection_send_bytes(connection, "hello", 5, LONG_MS) ||
        mp_connection_recv_bytes_into(connection, line, sizeof line - 1, &size, LONG_MS))
        return broken("echo");
    line[size] = '\n';
    say(line, (int)size + 1);
    mp_connection_destroy(&connection);
    return 0;
}

int main(int argc, char **argv)
{
    struct sigaction action = {.sa_handler = on_term};
    sigaction(SIGTERM, &action, NULL);
    const char *role = argc > 2 ? argv[1] : "";
    if (strcmp(role, "own") == 0)
        return own(argv[2]);
    if (strcmp(role, "listen") == 0)
        return listen_there(argv[2]);
    if (strcmp(role, "produce") == 0 && argc == 4)
        return produce(argv[2], argv[3]);
    if (strcmp(role, "consume") == 0)
        return consume(argv[2]);
    if (strcmp(role, "echo") == 0)
        return echo(argv[2]);
    return 64;
}
