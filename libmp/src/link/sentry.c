#include "sentry.h"

#include "clock.h"

#include <linux/tcp.h>
#include <netinet/in.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <sys/stat.h>

enum {
    STRANGER_BYTES = 128 * 1024, /* a greeting and a first message */
    HEARTBEAT_BYTES = 192,       /* a second; libzmq's own take half of it, if encrypted */
    BUSY_FACTOR = 4,             /* where what is missing may just not be handed out yet */
    FLOOD_MESSAGES = 5000,       /* in a step: more than any window holds beside a large item */
    FLOOD_STEPS = 3
};
static const int64_t stranger_step = 100 * MPX_MS;
static const int64_t trusted_step = MPX_S;

typedef struct connection {
    bool used;
    bool trusted;
    bool was_trusted;
    ino_t inode;
    int64_t since; /* it came */
    int64_t until; /* it must be trusted */
    int64_t next;  /* look at it */
    uint64_t taken;
    unsigned messages; /* taken since the last look */
    unsigned floods;   /* looks in a row at which it flooded us */
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
        shutdown((int)oldest, SHUT_RDWR);
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

/* What came over tcp and is in libzmq's hands; 0 for other sockets. */
static uint64_t bytes_arrived(int fd)
{
    struct tcp_info info = {0};
    socklen_t size = sizeof info;
    int unread = 0;
    if (getsockopt(fd, IPPROTO_TCP, TCP_INFO, &info, &size) != 0 ||
        size < offsetof(struct tcp_info, tcpi_bytes_received) + sizeof info.tcpi_bytes_received)
        return 0;
    (void)ioctl(fd, FIONREAD, &unread);
    uint64_t waits = unread > 0 ? (uint64_t)unread : 0;
    return info.tcpi_bytes_received > waits ? info.tcpi_bytes_received - waits : 0;
}

/* Only what goes on for several looks: a large item and thousands of small ones may take turns. */
static bool floods(const mpx_sentry_t *self, connection_t *connection, uint64_t ahead, bool drained)
{
    bool now = !drained && self->options.flood_bytes && ahead > self->options.flood_bytes &&
               connection->messages > FLOOD_MESSAGES;
    connection->floods = now ? connection->floods + 1 : 0;
    connection->messages = 0;
    return connection->floods >= FLOOD_STEPS;
}

static bool holds_too_much(const mpx_sentry_t *self, int fd, connection_t *connection, bool drained,
                           int64_t now)
{
    uint64_t arrived = bytes_arrived(fd);
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
    connection->next = now + (connection->trusted && drained ? trusted_step : stranger_step);
    if (now < connection->until && !holds_too_much(self, fd, connection, drained, now))
        return;
    shutdown(fd, SHUT_RDWR);
    forget(self, connection);
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
