#include "sentry.h"

#include "clock.h"
#include "pulse.h"

#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>

enum {
    STRANGER_BYTES = 128 * 1024, /* a greeting and a first message */
    HEARTBEAT_BYTES = 384,       /* a second; libzmq's own take half of it, if encrypted */
    BUSY_FACTOR = 4,             /* where what is missing may just not be handed out yet */
    FLOOD_MESSAGES = 5000,       /* in a step: more than any window holds beside a large item */
    FLOOD_STEPS = 3
};
static const int64_t stranger_step = 100 * MPX_MS;

typedef struct connection {
    bool used;
    bool trusted;
    bool was_trusted;
    bool fell_silent; /* and was shut down for it; of one that is used no longer */
    ino_t inode;
    int64_t since; /* it came */
    int64_t until; /* it must be trusted */
    int64_t next;  /* look at it */
    uint64_t taken;
    unsigned messages; /* taken since the last look */
    unsigned floods;   /* looks in a row at which it flooded us */
    mpx_pulse_t pulse;
} connection_t;

struct mpx_sentry {
    mpx_sentry_options_t options;
    connection_t *by_fd;
    size_t room;
    size_t strangers;
    int64_t next;
};

mpx_sentry_t *mpx_sentry_new(const mpx_sentry_options_t *options)
{
    mpx_sentry_t *self = calloc(1, sizeof *self);
    if (!self)
        return NULL;
    self->options = *options;
    self->next = MPX_NEVER;
    return self;
}

void mpx_sentry_free(mpx_sentry_t **self)
{
    if (*self)
        free((*self)->by_fd);
    free(*self);
    *self = NULL;
}

static bool inode_of(int fd, ino_t *out)
{
    struct stat info;
    if (fstat(fd, &info) != 0 || !S_ISSOCK(info.st_mode))
        return false;
    *out = info.st_ino;
    return true;
}

static void forget(mpx_sentry_t *self, connection_t *connection)
{
    if (connection->used && !connection->trusted)
        self->strangers--;
    connection->used = false;
}

static void shut(mpx_sentry_t *self, int fd)
{
    shutdown(fd, SHUT_RDWR);
    forget(self, &self->by_fd[fd]);
}

/* ---- who is there ---------------------------------------------------------------------------- */

static connection_t *place_of(mpx_sentry_t *self, int fd)
{
    size_t room = self->room ? self->room : 64;
    if (fd < 0)
        return NULL;
    while (room <= (size_t)fd)
        room *= 2;
    if (room > self->room) {
        connection_t *grown = realloc(self->by_fd, room * sizeof *grown);
        if (!grown)
            return NULL;
        memset(grown + self->room, 0, (room - self->room) * sizeof *grown);
        self->by_fd = grown;
        self->room = room;
    }
    return &self->by_fd[fd];
}

static void drop_oldest_stranger(mpx_sentry_t *self)
{
    size_t oldest = self->room;
    for (size_t fd = 0; fd < self->room; fd++) {
        const connection_t *one = &self->by_fd[fd];
        if (one->used && !one->trusted &&
            (oldest == self->room || one->until < self->by_fd[oldest].until))
            oldest = fd;
    }
    ino_t inode;
    if (oldest == self->room)
        return;
    if (inode_of((int)oldest, &inode) && inode == self->by_fd[oldest].inode)
        shut(self, (int)oldest);
    else
        forget(self, &self->by_fd[oldest]);
}

static connection_t *find(const mpx_sentry_t *self, int fd)
{
    return fd >= 0 && (size_t)fd < self->room && self->by_fd[fd].used ? &self->by_fd[fd] : NULL;
}

void mpx_sentry_arrive(mpx_sentry_t *self, int fd, int64_t now)
{
    ino_t inode;
    connection_t *place = place_of(self, fd);
    if (!place || !inode_of(fd, &inode) || (place->used && place->inode == inode))
        return;
    forget(self, place);
    if (self->strangers >= self->options.strangers)
        drop_oldest_stranger(self);
    *place = (connection_t){
        .used = true,
        .inode = inode,
        .since = now,
        .until = now + self->options.patience_ns,
        .next = now + stranger_step,
    };
    self->strangers++;
    self->next = mpx_earlier(self->next, place->next);
}

bool mpx_sentry_took(mpx_sentry_t *self, int fd, size_t bytes)
{
    connection_t *connection = find(self, fd);
    if (!connection)
        return false;
    connection->taken += bytes;
    connection->messages++;
    return true;
}

bool mpx_sentry_fell_silent(mpx_sentry_t *self, int fd)
{
    if (fd < 0 || (size_t)fd >= self->room)
        return false;
    bool fell_silent = self->by_fd[fd].fell_silent;
    self->by_fd[fd].fell_silent = false;
    return fell_silent;
}

void mpx_sentry_trust(mpx_sentry_t *self, int fd, bool trusted, int64_t now)
{
    connection_t *connection = find(self, fd);
    if (!connection || connection->trusted == trusted)
        return;
    connection->trusted = trusted;
    connection->was_trusted = true;
    connection->until = trusted ? MPX_NEVER : now + self->options.patience_ns;
    self->strangers += trusted ? -1 : 1;
}

/* ---- patrol ------------------------------------------------------------------------------------
 */

/* Only what goes on for several looks: a large item and thousands of small ones may take turns. */
static bool floods(const mpx_sentry_t *self, connection_t *connection, uint64_t ahead, bool drained)
{
    bool now = !drained && self->options.flood_bytes && ahead > self->options.flood_bytes &&
               connection->messages > FLOOD_MESSAGES;
    connection->floods = now ? connection->floods + 1 : 0;
    connection->messages = 0;
    return connection->floods >= FLOOD_STEPS;
}

static bool holds_too_much(const mpx_sentry_t *self, connection_t *connection,
                           const mpx_received_t *received, bool drained, int64_t now)
{
    uint64_t arrived = received->bytes > received->unread ? received->bytes - received->unread : 0;
    uint64_t allowed = connection->was_trusted ? self->options.ahead_bytes : STRANGER_BYTES;
    if (!drained)
        allowed *= BUSY_FACTOR;
    allowed += (uint64_t)((now - connection->since) / MPX_S) * HEARTBEAT_BYTES;
    uint64_t ahead = arrived > connection->taken ? arrived - connection->taken : 0;
    return floods(self, connection, ahead, drained) || ahead > allowed;
}

static void look_at(mpx_sentry_t *self, int fd, bool drained, int64_t now)
{
    connection_t *connection = &self->by_fd[fd];
    ino_t inode;
    if (!inode_of(fd, &inode) || inode != connection->inode) {
        forget(self, connection);
        return;
    }
    mpx_received_t received = {0};
    bool is_tcp = mpx_pulse_ask(fd, &received);
    bool is_silent = is_tcp && connection->trusted &&
                     mpx_pulse_look(&connection->pulse, &received, self->options.beat_ns, now);
    connection->next =
        now + (connection->trusted && drained ? self->options.beat_ns : stranger_step);
    if (now < connection->until && !is_silent &&
        !(is_tcp && holds_too_much(self, connection, &received, drained, now)))
        return;
    shut(self, fd);
    connection->fell_silent = is_silent;
}

int64_t mpx_sentry_due(const mpx_sentry_t *self)
{
    return self->next;
}

int64_t mpx_sentry_patrol(mpx_sentry_t *self, bool drained, int64_t now)
{
    self->next = MPX_NEVER;
    for (size_t fd = 0; fd < self->room; fd++) {
        if (self->by_fd[fd].used && now >= self->by_fd[fd].next)
            look_at(self, (int)fd, drained, now);
        if (self->by_fd[fd].used)
            self->next = mpx_earlier(self->next, self->by_fd[fd].next);
    }
    return self->next;
}
