#include "connection.h"

#include "clock.h"
#include "fault.h"
#include "forkguard.h"
#include "hub.h"
#include "service.h"

#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/random.h>
#include <time.h>
#include <unistd.h>
#include <utlist.h>

enum { BACKLOG = 64, LINGER_MS = 1000, SLACK = 4096, AHEAD_SLACK = 4 << 20 };

/* A client that was let in, before accept. */
typedef struct arrival {
    struct arrival *prev, *next;
    mp_connection_t *connection;
    char address[64];
} arrival_t;

/* What accepted connections over ZeroMQ go on to need when the listener is gone. */
typedef struct hall {
    mpx_hub_t *hub;
    mpx_entry_t entry;
    mpx_key_t key;
    mp_listener_t *listener; /* NULL: closed */
    size_t guests;           /* over ZeroMQ */
    struct hall *prev, *next;
} hall_t;

/* Closed, with guests: looked at again when a listener is made or closed. */
static hall_t *leftover;
static uint64_t generation; /* whose it is */

struct mp_listener {
    hall_t *hall;
    uint64_t generation;
    size_t backlog;
    arrival_t *arrivals;
    size_t arrivals_count;
    size_t refused; /* with a wrong key, to be told by accept */
    pthread_cond_t changed;
    int wake; /* readable while there is something to accept */
    char address[MPX_ENDPOINT_MAX];
    char last_accepted[64];
};

/* ---- clients, as the service sees them
 * ------------------------------------------------------------------ */

static void tell(mp_listener_t *self)
{
    (void)!write(self->wake, &(uint64_t){1}, sizeof(uint64_t));
    pthread_cond_broadcast(&self->changed);
}

static mp_rc_t on_come(void *object, mpx_guest_t *guest, mpx_admit_t *out)
{
    hall_t *hall = object;
    (void)guest;
    (void)out;
    if (!hall->listener)
        return mpx_fault(MP_ECONNECT, "the listener is closed");
    if (hall->listener->arrivals_count >= hall->listener->backlog)
        return mpx_fault(MP_ELIMIT, "%s: %zu clients wait to be accepted already",
                         hall->listener->address, hall->listener->backlog);
    return MP_OK;
}

static mp_rc_t open_channel(hall_t *hall, mpx_guest_t *guest, mpx_stream_t *stream,
                            mpx_channel_t **out)
{
    mpx_link_t *link = NULL;
    if (strcmp(mpx_guest_carrier(guest), "lane") != 0) {
        mp_rc_t rc = mpx_channel_of_guest(guest, &mpx_stream_user, stream, out);
        if (rc == MP_OK) {
            mpx_guest_set(guest, *out);
            hall->guests++;
        }
        return rc;
    }
    mp_rc_t rc = mpx_guest_detach(guest, &link);
    if (rc == MP_OK)
        rc = mpx_channel_over(link, &mpx_stream_user, stream, out);
    if (rc != MP_OK)
        mpx_link_destroy(&link, 0);
    return rc;
}

static arrival_t *make_arrival(const mpx_guest_t *guest)
{
    arrival_t *arrival = calloc(1, sizeof *arrival);
    if (!arrival)
        return NULL;
    snprintf(arrival->address, sizeof arrival->address, "%s", mpx_guest_address(guest));
    arrival->connection = mpx_connection_make(true, true);
    if (!arrival->connection || mpx_stream_new(&arrival->connection->stream) != MP_OK) {
        free(arrival->connection);
        free(arrival);
        return NULL;
    }
    return arrival;
}

static void on_admitted(void *object, mpx_guest_t *guest)
{
    hall_t *hall = object;
    mpx_channel_t *channel = NULL;
    arrival_t *arrival = make_arrival(guest);
    if (!arrival) {
        mpx_guest_dismiss(guest, mpx_fault(MP_ENOMEM, "a connection"));
        return;
    }
    mp_connection_t *connection = arrival->connection;
    if (open_channel(hall, guest, connection->stream, &channel) != MP_OK) {
        mpx_stream_free(&connection->stream);
        free(connection);
        free(arrival);
        return;
    }
    mpx_stream_on(connection->stream, channel);
    mpx_connection_have(connection, connection->stream, channel);
    DL_APPEND(hall->listener->arrivals, arrival);
    hall->listener->arrivals_count++;
    tell(hall->listener);
}

static mp_rc_t on_message(void *object, mpx_guest_t *guest, const mpx_header_t *header,
                          mp_bytes_t payload)
{
    (void)object;
    mpx_channel_t *channel = mpx_guest_get(guest);
    return channel ? mpx_channel_guest_message(channel, header, payload) : MP_OK;
}

static void on_gone(void *object, mpx_guest_t *guest)
{
    hall_t *hall = object;
    mpx_channel_t *channel = mpx_guest_get(guest);
    if (!channel)
        return;
    hall->guests--;
    mpx_guest_set(guest, NULL);
    mpx_channel_guest_gone(channel);
}

static void on_refused(void *object, const char *address)
{
    hall_t *hall = object;
    (void)address;
    if (!hall->listener || hall->listener->refused >= BACKLOG)
        return;
    hall->listener->refused++;
    tell(hall->listener);
}

static const mpx_class_t class = {.come = on_come,
                                  .admitted = on_admitted,
                                  .message = on_message,
                                  .gone = on_gone,
                                  .refused = on_refused};

/* ---- life
 * --------------------------------------------------------------------------------------------------
 */

static void free_hall(hall_t *hall)
{
    mpx_entry_close(&hall->entry, MP_ECLOSED);
    mpx_hub_destroy(&hall->hub, LINGER_MS);
    mpx_key_free(&hall->key);
    free(hall);
}

static void sweep(void)
{
    hall_t *hall, *next;
    if (generation != mpx_fork_generation())
        leftover = NULL; /* the parent's */
    generation = mpx_fork_generation();
    DL_FOREACH_SAFE (leftover, hall, next)
        if (!hall->guests) {
            DL_DELETE(leftover, hall);
            free_hall(hall);
        }
}

static mp_rc_t check_address(const char *address, const mp_listener_options_t *options)
{
    mp_rc_t rc = mpx_endpoint_check(address, true);
    if (rc == MP_OK && !options->key && !mpx_endpoint_is_local(address))
        rc = mpx_fault(MP_EPERM, "%s: a listener that others than this host can reach needs a key",
                       address);
    return rc;
}

static mp_rc_t own_address(char out[MPX_ENDPOINT_MAX])
{
    uint64_t random[2];
    if (getrandom(random, sizeof random, 0) != sizeof random)
        return mpx_fault_errno("random bytes");
    snprintf(out, MPX_ENDPOINT_MAX, "ipc://@mp-listener-%016llx%016llx",
             (unsigned long long)random[0], (unsigned long long)random[1]);
    return MP_OK;
}

/* Under the service's lock. */
static mp_rc_t open_hall(mp_listener_t *self, const char *address,
                         const mp_listener_options_t *options)
{
    hall_t *hall = self->hall;
    mpx_link_options_t link = {.no_lane = options->no_lane,
                               .max_message_bytes = MPX_STREAM_PART + SLACK,
                               .max_ahead_bytes = MPX_STREAM_WINDOW + AHEAD_SLACK};
    mp_rc_t rc = mpx_hub_new(address, &link, &hall->hub);
    if (rc != MP_OK)
        return rc;
    hall->listener = self;
    hall->entry = (mpx_entry_t){
        .door = MPX_DOOR_LISTENER, .key = &hall->key, .class = &class, .object = hall};
    mpx_entry_open(&hall->entry, hall->hub);
    snprintf(self->address, sizeof self->address, "%s", mpx_hub_endpoint(hall->hub));
    return MP_OK;
}

static mp_listener_t *make_listener(const mp_listener_options_t *options)
{
    mp_listener_t *self = calloc(1, sizeof *self);
    hall_t *hall = calloc(1, sizeof *hall);
    if (!self || !hall || mpx_key_copy(&hall->key, options->key, options->key_bytes) != MP_OK) {
        free(self);
        free(hall);
        return NULL;
    }
    self->hall = hall;
    self->generation = mpx_fork_generation();
    self->backlog = options->backlog ? options->backlog : BACKLOG;
    self->wake = -1;
    mpx_condition_init(&self->changed);
    return self;
}

static void free_listener(mp_listener_t *self)
{
    if (self->wake >= 0)
        close(self->wake);
    pthread_cond_destroy(&self->changed);
    free(self);
}

mp_rc_t mp_listener_new(const char *address, const mp_listener_options_t *given,
                        mp_listener_t **out)
{
    static const mp_listener_options_t defaults;
    const mp_listener_options_t *options = given ? given : &defaults;
    char own[MPX_ENDPOINT_MAX];
    mp_rc_t rc = address ? check_address(address, options) : own_address(own);
    if (rc != MP_OK)
        return rc;
    if (!options->key && options->key_bytes)
        return mpx_fault(MP_EINVAL, "a key of %zu bytes at NULL", options->key_bytes);
    mp_listener_t *self = make_listener(options);
    if (!self)
        return mpx_fault(MP_ENOMEM, "a listener");
    self->wake = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
    if (self->wake < 0)
        rc = mpx_fault_errno("a listener");
    if (rc == MP_OK) {
        mpx_service_enter();
        sweep();
        rc = open_hall(self, address ? address : own, options);
        mpx_service_leave();
    }
    if (rc != MP_OK) {
        mpx_key_free(&self->hall->key);
        free(self->hall);
        free_listener(self);
        return rc;
    }
    *out = self;
    return MP_OK;
}

const char *mp_listener_address(const mp_listener_t *self)
{
    return self->address;
}

const char *mp_listener_last_accepted(const mp_listener_t *self)
{
    return self->last_accepted;
}

/* Accepted connections over ZeroMQ go on: their hall stays as long as they do. */
static void leave_hall(mp_listener_t *self)
{
    hall_t *hall = self->hall;
    self->hall = NULL;
    hall->listener = NULL;
    sweep();
    DL_APPEND(leftover, hall);
    sweep();
}

void mpx_listener_sweep(void)
{
    mpx_service_enter();
    sweep();
    mpx_service_leave();
}

void mp_listener_close(mp_listener_t *self)
{
    if (!self || self->generation != mpx_fork_generation())
        return;
    arrival_t *arrivals = NULL;
    mpx_service_enter();
    if (self->hall) {
        arrivals = self->arrivals;
        self->arrivals = NULL;
        self->arrivals_count = 0;
        leave_hall(self);
        tell(self);
    }
    mpx_service_leave();
    arrival_t *arrival, *next;
    DL_FOREACH_SAFE (arrivals, arrival, next) {
        mp_connection_destroy(&arrival->connection);
        free(arrival);
    }
    mpx_listener_sweep();
}

void mp_listener_destroy(mp_listener_t **self)
{
    if (!self || !*self)
        return;
    mp_listener_close(*self);
    free_listener(*self);
    *self = NULL;
}

/* ---- accepting
 * -----------------------------------------------------------------------------------------------
 */

static mp_rc_t take_arrival(mp_listener_t *self, mp_connection_t **out)
{
    arrival_t *arrival = self->arrivals;
    DL_DELETE(self->arrivals, arrival);
    self->arrivals_count--;
    *out = arrival->connection;
    snprintf(self->last_accepted, sizeof self->last_accepted, "%s", arrival->address);
    free(arrival);
    return MP_OK;
}

static void clear_wake(mp_listener_t *self)
{
    uint64_t count;
    if (!self->arrivals && !self->refused)
        (void)!read(self->wake, &count, sizeof count);
}

static mp_rc_t accept_locked(mp_listener_t *self, int64_t deadline, mp_connection_t **out)
{
    for (;;) {
        if (!self->hall)
            return mpx_fault(MP_ECLOSED, "the listener is closed");
        if (self->arrivals)
            return take_arrival(self, out);
        if (self->refused) {
            self->refused--;
            return mpx_fault(MP_EAUTH, "%s: a client had another key, or none", self->address);
        }
        if (mpx_service_wait(&self->changed, deadline) == MP_ETIMEDOUT)
            return mpx_fault(MP_ETIMEDOUT, "%s: nobody came", self->address);
    }
}

mp_rc_t mp_listener_accept(mp_listener_t *self, int timeout_ms, mp_connection_t **out)
{
    if (self->generation != mpx_fork_generation())
        return mpx_fault(MP_EFORKED, "%s: the listener is the parent's", self->address);
    int64_t deadline = timeout_ms ? mpx_deadline(mpx_now(), timeout_ms) : 0;
    mpx_service_enter();
    mp_rc_t rc = accept_locked(self, deadline, out);
    clear_wake(self);
    mpx_service_leave();
    return rc;
}

mp_rc_t mpx_listener_watch(mp_listener_t *self, bool *ready, int *fd)
{
    if (self->generation != mpx_fork_generation())
        return mpx_fault(MP_EFORKED, "%s: the listener is the parent's", self->address);
    mpx_service_enter();
    *ready = self->arrivals || self->refused || !self->hall;
    *fd = self->wake;
    mpx_service_leave();
    return MP_OK;
}

/* ---- clients
 * ----------------------------------------------------------------------------------------------------
 */

static mp_rc_t greet(mpx_channel_t *channel, int64_t deadline)
{
    mp_rc_t rc = MP_OK;
    mpx_channel_lock(channel);
    while (rc == MP_OK && !mpx_channel_is_admitted(channel)) {
        rc = mpx_channel_rc(channel);
        if (rc != MP_OK)
            rc = mpx_channel_fault(channel, rc == MP_EOF || rc == MP_ENOTFOUND ? MP_ECONNECT : rc,
                                   "the listener");
        else
            rc = mpx_channel_wait(channel, deadline);
    }
    mpx_channel_unlock(channel);
    return rc;
}

static mp_rc_t try_once(const char *address, const mpx_key_t *key, int64_t deadline,
                        mp_connection_t **out)
{
    mpx_stream_t *stream = NULL;
    mpx_channel_t *channel = NULL;
    mp_connection_t *self = mpx_connection_make(true, true);
    mp_rc_t rc = self ? mpx_stream_new(&stream) : mpx_fault(MP_ENOMEM, "a connection");
    mpx_channel_options_t options = {.endpoint = address,
                                     .door = MPX_DOOR_LISTENER,
                                     .key = key,
                                     .user = &mpx_stream_user,
                                     .arg = stream};
    if (rc == MP_OK)
        rc = mpx_channel_open(&options, &channel);
    if (rc == MP_OK) {
        mpx_stream_on(stream, channel);
        rc = greet(channel, deadline);
    }
    if (rc != MP_OK) {
        mpx_channel_close(&channel, LINGER_MS);
        mpx_stream_free(&stream);
        free(self);
        return rc;
    }
    mpx_connection_have(self, stream, channel);
    *out = self;
    return MP_OK;
}

/* A listener that isn't there yet is tried again, with pauses. */
mp_rc_t mp_client(const char *address, const void *key, size_t key_bytes, int timeout_ms,
                  mp_connection_t **out)
{
    enum { FIRST_PAUSE_MS = 5, LAST_PAUSE_MS = 200 };
    int64_t deadline = mpx_deadline(mpx_now(), timeout_ms);
    int64_t pause = FIRST_PAUSE_MS * MPX_MS;
    bool refused = false;
    mpx_key_t own;
    if (!address)
        return mpx_fault(MP_EINVAL, "no address");
    mp_rc_t rc = mpx_key_copy(&own, key, key_bytes);
    while (rc == MP_OK && (rc = try_once(address, &own, deadline, out)) == MP_ECONNECT) {
        int64_t left = deadline - mpx_now();
        refused = true;
        if (left <= 0)
            break;
        int64_t step = left < pause ? left : pause;
        (void)nanosleep(&(struct timespec){step / MPX_S, step % MPX_S}, NULL);
        pause = pause * 2 < LAST_PAUSE_MS * MPX_MS ? pause * 2 : LAST_PAUSE_MS * MPX_MS;
        rc = MP_OK;
    }
    if (rc == MP_ETIMEDOUT && refused) /* in the middle of one more try */
        rc = mpx_fault(MP_ECONNECT, "%s: nobody answers there", address);
    mpx_key_free(&own);
    return rc == MP_ETIMEDOUT ? mpx_fault(MP_ETIMEDOUT, "%s doesn't answer", address) : rc;
}
