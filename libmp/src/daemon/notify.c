#include "notify.h"

#include "clock.h"
#include "fault.h"

#include <errno.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/time.h>
#include <unistd.h>

enum {
    IDLE_MS = 10000, /* between beats that only bring a status */
    TEXT_MAX = 512
};

static mp_rc_t read_address(mpx_notify_t *self, const char *name)
{
    size_t size = strlen(name);
    if ((*name != '/' && *name != '@') || size < 2 || size >= sizeof self->address.sun_path)
        return mpx_fault(MP_EINVAL,
                         "$NOTIFY_SOCKET: '%.120s' is neither an absolute path nor an "
                         "abstract name, or too long",
                         name);
    self->address.sun_family = AF_UNIX;
    memcpy(self->address.sun_path, name, size);
    if (*name == '@')
        self->address.sun_path[0] = '\0';
    self->address_size =
        (socklen_t)(offsetof(struct sockaddr_un, sun_path) + size + (*name == '/'));
    return MP_OK;
}

/* Half of what it may take, so that one late beat does no harm. */
static mp_rc_t read_watchdog(mpx_notify_t *self, const char *usec, const char *pid)
{
    char *end = NULL;
    if (pid && strtoll(pid, NULL, 10) != getpid())
        return MP_OK; /* another's */
    errno = 0;
    long long period = strtoll(usec, &end, 10);
    if (errno || end == usec || *end || period <= 0 || period > INT64_MAX / 1000)
        return mpx_fault(MP_EINVAL, "$WATCHDOG_USEC: '%.60s' is no number of microseconds", usec);
    self->is_watched = true;
    self->every_ns = period * 1000 / 2;
    return MP_OK;
}

mp_rc_t mpx_notify_init(mpx_notify_t *self)
{
    *self = (mpx_notify_t){.every_ns = IDLE_MS * MPX_MS};
    const char *name = getenv("NOTIFY_SOCKET");
    const char *usec = getenv("WATCHDOG_USEC");
    mp_rc_t rc = name && *name ? read_address(self, name) : MP_OK;
    if (rc == MP_OK && self->address_size && usec && *usec)
        rc = read_watchdog(self, usec, getenv("WATCHDOG_PID"));
    if (rc != MP_OK)
        self->address_size = 0;
    (void)unsetenv("NOTIFY_SOCKET");
    (void)unsetenv("WATCHDOG_USEC");
    (void)unsetenv("WATCHDOG_PID");
    return rc;
}

/* Nobody can be told of a failure. */
static void send_text(const mpx_notify_t *self, const char *text, int flags)
{
    int fd = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0);
    if (fd < 0)
        return;
    struct timeval patience = {.tv_sec = 1};
    (void)setsockopt(fd, SOL_SOCKET, SO_SNDTIMEO, &patience, sizeof patience);
    (void)sendto(fd, text, strlen(text), MSG_NOSIGNAL | flags,
                 (const struct sockaddr *)&self->address, self->address_size);
    close(fd);
}

void mpx_notify_say(const mpx_notify_t *self, const char *state, const char *format, ...)
{
    if (!self || !self->address_size)
        return;
    char text[TEXT_MAX];
    int size = snprintf(text, sizeof text, "%s\nSTATUS=", state);
    va_list args;
    va_start(args, format);
    if (size > 0 && (size_t)size < sizeof text)
        vsnprintf(text + size, sizeof text - (size_t)size, format, args);
    va_end(args);
    send_text(self, text, 0);
}

int64_t mpx_notify_deadline(const mpx_notify_t *self)
{
    return self && self->address_size ? self->next_at : MPX_NEVER;
}

void mpx_notify_beat(mpx_notify_t *self, int64_t now, const char *status)
{
    if (!self->address_size || now < self->next_at)
        return;
    self->next_at = now + self->every_ns;
    char text[TEXT_MAX];
    snprintf(text, sizeof text, "%sSTATUS=%s", self->is_watched ? "WATCHDOG=1\n" : "", status);
    send_text(self, text, MSG_DONTWAIT);
}
