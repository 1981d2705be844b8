#include "http.h"

#include "clock.h"
#include "fault.h"
#include "forkguard.h"

#include <arpa/inet.h>
#include <errno.h>
#include <limits.h>
#include <microhttpd.h>
#include <netdb.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/socket.h>
#include <unistd.h>

enum {
    STALE_MS = 5000,    /* without a beat, the loop hangs */
    PATIENCE_MS = 2500, /* for the loop to publish */
    CONNECTIONS = 32,
    IDLE_S = 10, /* of a connection */
    MEMORY_BYTES = 16 * 1024,
    STACK_BYTES = 256 * 1024,
    ADDRESS_MAX = 80
};

struct mpx_http {
    struct MHD_Daemon *daemon;
    char address[ADDRESS_MAX];
    int listen_fd;
    bool listen_owned; /* by the daemon, which closes it */
    int wanted_fd;
    pthread_mutex_t lock; /* of what follows; nothing is taken under it */
    pthread_cond_t published;
    int64_t beat_at; /* 0: the loop hasn't begun */
    const char *unready;
    bool wanted;
    bool ending;
    uint64_t edition; /* counts what was published */
    char *text;
    size_t size;
};

/* ---- addresses ------------------------------------------------------------------------ */

static mp_rc_t bad_address(const char *address)
{
    return mpx_fault(MP_EINVAL,
                     "'%.60s' is no address for HTTP: PORT, or a numeric HOST:PORT as "
                     "127.0.0.1:9101, [::1]:9101 or *:9101",
                     address);
}

static mp_rc_t parse(const char *address, struct sockaddr_storage *out, socklen_t *size)
{
    char host[ADDRESS_MAX] = "127.0.0.1";
    const char *colon = strrchr(address, ':');
    const char *port = colon ? colon + 1 : address;
    size_t length = colon ? (size_t)(colon - address) : 0;
    if (length >= sizeof host || !*port || strspn(port, "0123456789") != strlen(port) ||
        strlen(port) > 5 || strtol(port, NULL, 10) > USHRT_MAX)
        return bad_address(address);
    if (length)
        snprintf(host, sizeof host, "%.*s", (int)length, address);
    if (strcmp(host, "*") == 0)
        snprintf(host, sizeof host, "0.0.0.0");
    bool six = host[0] == '[' && host[length - 1] == ']';
    if (six) {
        host[length - 1] = '\0';
        memmove(host, host + 1, length - 1);
    }
    struct addrinfo *found = NULL;
    const struct addrinfo hints = {.ai_family = six ? AF_INET6 : AF_INET,
                                   .ai_socktype = SOCK_STREAM,
                                   .ai_flags = AI_NUMERICHOST | AI_NUMERICSERV};
    if (getaddrinfo(host, port, &hints, &found) != 0)
        return bad_address(address);
    memcpy(out, found->ai_addr, found->ai_addrlen);
    *size = found->ai_addrlen;
    freeaddrinfo(found);
    return MP_OK;
}

mp_rc_t mpx_http_check(const char *address)
{
    struct sockaddr_storage parsed = {0};
    socklen_t size = 0;
    return parse(address, &parsed, &size);
}

bool mpx_http_is_local(const char *address)
{
    struct sockaddr_storage parsed = {0};
    socklen_t size;
    if (parse(address, &parsed, &size) != MP_OK)
        return false;
    if (parsed.ss_family == AF_INET6)
        return IN6_IS_ADDR_LOOPBACK(&((const struct sockaddr_in6 *)(void *)&parsed)->sin6_addr);
    const struct sockaddr_in *four = (const struct sockaddr_in *)(void *)&parsed;
    // What getaddrinfo fills in the analyzer doesn't see.
    // NOLINTNEXTLINE(clang-analyzer-core.CallAndMessage)
    return ntohl(four->sin_addr.s_addr) >> 24 == 127;
}

/* ---- answers, in threads of libmicrohttpd ---------------------------------------------- */

static enum MHD_Result answer(struct MHD_Connection *connection, unsigned status, const char *type,
                              const void *text, size_t size)
{
    struct MHD_Response *response =
        MHD_create_response_from_buffer(size, (void *)(uintptr_t)text, MHD_RESPMEM_MUST_COPY);
    if (!response)
        return MHD_NO;
    (void)MHD_add_response_header(response, MHD_HTTP_HEADER_CONTENT_TYPE, type);
    (void)MHD_add_response_header(response, MHD_HTTP_HEADER_CACHE_CONTROL, "no-store");
    if (status == MHD_HTTP_METHOD_NOT_ALLOWED)
        (void)MHD_add_response_header(response, MHD_HTTP_HEADER_ALLOW, "GET, HEAD");
    enum MHD_Result result = MHD_queue_response(connection, status, response);
    MHD_destroy_response(response);
    return result;
}

static enum MHD_Result say(struct MHD_Connection *connection, unsigned status, const char *text)
{
    return answer(connection, status, "text/plain; charset=utf-8", text, strlen(text));
}

static enum MHD_Result on_healthz(mpx_http_t *self, struct MHD_Connection *connection)
{
    char text[96];
    pthread_mutex_lock(&self->lock);
    int64_t silent_ms = self->beat_at ? (mpx_now() - self->beat_at) / MPX_MS : 0;
    pthread_mutex_unlock(&self->lock);
    if (silent_ms < STALE_MS)
        return say(connection, MHD_HTTP_OK, "ok\n");
    snprintf(text, sizeof text, "the loop has not turned for %lld ms\n", (long long)silent_ms);
    return say(connection, MHD_HTTP_SERVICE_UNAVAILABLE, text);
}

static enum MHD_Result on_readyz(mpx_http_t *self, struct MHD_Connection *connection)
{
    char text[128];
    pthread_mutex_lock(&self->lock);
    bool stale = self->beat_at && mpx_now() - self->beat_at >= STALE_MS * MPX_MS;
    const char *unready = stale ? "the loop hangs" : self->unready;
    pthread_mutex_unlock(&self->lock);
    if (!unready)
        return say(connection, MHD_HTTP_OK, "ok\n");
    snprintf(text, sizeof text, "%s\n", unready);
    return say(connection, MHD_HTTP_SERVICE_UNAVAILABLE, text);
}

/* Under the lock: a text that is younger than the question. false: the loop made none. */
static bool await(mpx_http_t *self)
{
    struct timespec until;
    uint64_t edition = self->edition;
    clock_gettime(CLOCK_MONOTONIC, &until);
    until.tv_sec += PATIENCE_MS / 1000;
    until.tv_nsec += PATIENCE_MS % 1000 * MPX_MS;
    if (until.tv_nsec >= MPX_S) {
        until.tv_sec++;
        until.tv_nsec -= MPX_S;
    }
    self->wanted = true;
    (void)eventfd_write(self->wanted_fd, 1);
    int rc = 0;
    while (self->edition == edition && !self->ending && rc == 0)
        rc = pthread_cond_timedwait(&self->published, &self->lock, &until);
    return self->edition != edition;
}

static enum MHD_Result on_metrics(mpx_http_t *self, struct MHD_Connection *connection)
{
    enum MHD_Result result;
    pthread_mutex_lock(&self->lock);
    if (await(self))
        result = answer(connection, MHD_HTTP_OK, "text/plain; version=0.0.4; charset=utf-8",
                        self->text, self->size);
    else
        result = say(connection, MHD_HTTP_SERVICE_UNAVAILABLE, "the loop hangs\n");
    pthread_mutex_unlock(&self->lock);
    return result;
}

static const struct page {
    const char *path;
    enum MHD_Result (*serve)(mpx_http_t *self, struct MHD_Connection *connection);
} pages[] = {{"/healthz", on_healthz}, {"/readyz", on_readyz}, {"/metrics", on_metrics}};

static enum MHD_Result on_request(void *arg, struct MHD_Connection *connection, const char *path,
                                  const char *method, const char *version, const char *data,
                                  size_t *size, void **state)
{
    (void)version, (void)data, (void)state;
    if (*size)
        return MHD_NO; /* nothing here takes a body */
    if (strcmp(method, MHD_HTTP_METHOD_GET) != 0 && strcmp(method, MHD_HTTP_METHOD_HEAD) != 0)
        return say(connection, MHD_HTTP_METHOD_NOT_ALLOWED, "GET or HEAD\n");
    for (size_t i = 0; i < sizeof pages / sizeof *pages; i++)
        if (strcmp(path, pages[i].path) == 0)
            return pages[i].serve(arg, connection);
    return say(connection, MHD_HTTP_NOT_FOUND, "there is /healthz, /readyz and /metrics\n");
}

/* ---- life ------------------------------------------------------------------------------ */

/* Bound here, so that what is wrong can be told. */
static mp_rc_t bind_to(const char *address, int *out)
{
    struct sockaddr_storage parsed = {0};
    socklen_t size = 0;
    mp_rc_t rc = parse(address, &parsed, &size);
    if (rc != MP_OK)
        return rc;
    int yes = 1;
    int fd = socket(parsed.ss_family, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    if (fd < 0)
        return mpx_fault_errno("a socket for HTTP");
    (void)setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &yes, sizeof yes);
    if (bind(fd, (const struct sockaddr *)&parsed, size) != 0 || listen(fd, CONNECTIONS) != 0) {
        rc = errno == EADDRINUSE
                 ? mpx_fault(MP_EEXIST, "HTTP at %s: another process listens there", address)
                 : mpx_fault_errno("HTTP at %s", address);
        close(fd);
        return rc;
    }
    *out = fd;
    return MP_OK;
}

static void name_address(mpx_http_t *self, int fd)
{
    struct sockaddr_storage bound = {0};
    socklen_t size = sizeof bound;
    char host[64] = "?", port[8] = "?";
    (void)getsockname(fd, (struct sockaddr *)&bound, &size);
    (void)getnameinfo((const struct sockaddr *)&bound, size, host, sizeof host, port, sizeof port,
                      NI_NUMERICHOST | NI_NUMERICSERV);
    snprintf(self->address, sizeof self->address, bound.ss_family == AF_INET6 ? "[%s]:%s" : "%s:%s",
             host, port);
}

mp_rc_t mpx_http_new(const char *address, mpx_http_t **out)
{
    int fd = -1;
    mp_rc_t rc = bind_to(address, &fd);
    if (rc != MP_OK)
        return rc;
    mpx_http_t *self = calloc(1, sizeof *self);
    if (!self) {
        close(fd);
        return mpx_fault(MP_ENOMEM, "a server for HTTP");
    }
    pthread_condattr_t monotonic;
    pthread_condattr_init(&monotonic);
    pthread_condattr_setclock(&monotonic, CLOCK_MONOTONIC);
    pthread_cond_init(&self->published, &monotonic);
    pthread_condattr_destroy(&monotonic);
    pthread_mutex_init(&self->lock, NULL);
    self->listen_fd = fd;
    self->unready = "starting";
    self->wanted_fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
    if (self->wanted_fd < 0)
        rc = mpx_fault_errno("a descriptor for HTTP");
    /* Whoever outlives us must not hold the port. */
    else if (mpx_forkguard_add(self->listen_fd) != MP_OK ||
             mpx_forkguard_add(self->wanted_fd) != MP_OK)
        rc = mpx_fault(MP_ENOMEM, "a server for HTTP");
    if (rc != MP_OK) {
        mpx_http_destroy(&self);
        return rc;
    }
    name_address(self, fd);
    *out = self;
    return MP_OK;
}

mp_rc_t mpx_http_start(mpx_http_t *self)
{
    self->daemon = MHD_start_daemon(
        MHD_USE_INTERNAL_POLLING_THREAD | MHD_USE_THREAD_PER_CONNECTION | MHD_USE_POLL, 0, NULL,
        NULL, on_request, self, MHD_OPTION_LISTEN_SOCKET, self->listen_fd,
        MHD_OPTION_CONNECTION_LIMIT, (unsigned)CONNECTIONS, MHD_OPTION_CONNECTION_TIMEOUT,
        (unsigned)IDLE_S, MHD_OPTION_CONNECTION_MEMORY_LIMIT, (size_t)MEMORY_BYTES,
        MHD_OPTION_THREAD_STACK_SIZE, (size_t)STACK_BYTES, MHD_OPTION_END);
    if (!self->daemon)
        return mpx_fault_errno("threads for HTTP at %s", self->address);
    self->listen_owned = true;
    return MP_OK;
}

void mpx_http_destroy(mpx_http_t **self_p)
{
    mpx_http_t *self = *self_p;
    if (!self)
        return;
    pthread_mutex_lock(&self->lock);
    self->ending = true;
    pthread_cond_broadcast(&self->published);
    pthread_mutex_unlock(&self->lock);
    mpx_forkguard_remove(self->listen_fd);
    mpx_forkguard_remove(self->wanted_fd);
    if (self->daemon)
        MHD_stop_daemon(self->daemon);
    if (!self->listen_owned)
        close(self->listen_fd);
    if (self->wanted_fd >= 0)
        close(self->wanted_fd);
    pthread_cond_destroy(&self->published);
    pthread_mutex_destroy(&self->lock);
    free(self->text);
    free(self);
    *self_p = NULL;
}

const char *mpx_http_address(const mpx_http_t *self)
{
    return self->address;
}

/* ---- the loop's side --------------------------------------------------------------------- */

void mpx_http_beat(mpx_http_t *self, int64_t now, const char *unready)
{
    pthread_mutex_lock(&self->lock);
    self->beat_at = now;
    self->unready = unready;
    pthread_mutex_unlock(&self->lock);
}

int mpx_http_fd(const mpx_http_t *self)
{
    return self->wanted_fd;
}

bool mpx_http_is_wanted(mpx_http_t *self)
{
    eventfd_t count;
    pthread_mutex_lock(&self->lock);
    bool wanted = self->wanted;
    pthread_mutex_unlock(&self->lock);
    if (wanted)
        (void)eventfd_read(self->wanted_fd, &count);
    return wanted;
}

void mpx_http_publish(mpx_http_t *self, const void *text, size_t size)
{
    char *copy = malloc(size ? size : 1);
    if (!copy)
        return; /* who waits is told that we didn't manage */
    memcpy(copy, text, size);
    pthread_mutex_lock(&self->lock);
    free(self->text);
    self->text = copy;
    self->size = size;
    self->edition++;
    self->wanted = false;
    pthread_cond_broadcast(&self->published);
    pthread_mutex_unlock(&self->lock);
}
