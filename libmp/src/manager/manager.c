#include "manager_private.h"

#include "clock.h"
#include "fault.h"
#include "forkguard.h"
#include "invoke.h"
#include "link.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

enum { START_MS = 10000, KILL_MS = 1000 };

/* ---- the server's process
 * -------------------------------------------------------------------------------------- */

/* What it tells once: whether it serves, and where. */
typedef struct news {
    mp_rc_t rc;
    char text[512]; /* the address, or what is wrong */
} news_t;

typedef struct birth {
    const mp_manager_options_t *options;
    int tell; /* news go there */
    int stop;
} birth_t;

static void tell(int fd, mp_rc_t rc, const char *text)
{
    news_t news = {.rc = rc};
    strncpy(news.text, text, sizeof news.text - 1);
    (void)!write(fd, &news, sizeof news);
}

static void tell_ready(const char *address, void *arg)
{
    const birth_t *birth = arg;
    tell(birth->tell, MP_OK, address);
}

/* Ctrl-C is for the program, which may still need its objects to end in good order. */
static int be_server(void *arg)
{
    birth_t *birth = arg;
    (void)signal(SIGINT, SIG_IGN);
    mp_rc_t rc = mp_manager_serve(birth->options, tell_ready, birth, birth->stop);
    if (rc != MP_OK)
        tell(birth->tell, rc, mp_errmsg());
    return rc != MP_OK;
}

static mp_rc_t hear(int fd, news_t *news)
{
    struct pollfd ready = {.fd = fd, .events = POLLIN};
    int64_t deadline = mpx_deadline(mpx_now(), START_MS);
    int n;
    do
        n = poll(&ready, 1, mpx_poll_ms(mpx_now(), deadline));
    while (n < 0 && errno == EINTR);
    if (n == 0)
        return mpx_fault(MP_ETIMEDOUT, "the manager's process isn't ready after %d ms", START_MS);
    if (read(fd, news, sizeof *news) != sizeof *news)
        return mpx_fault(MP_ESYSTEM, "the manager's process ended before it was ready");
    news->text[sizeof news->text - 1] = 0;
    return news->rc == MP_OK ? MP_OK : mpx_fault(news->rc, "%s", news->text);
}

static mp_rc_t start(const mp_manager_options_t *options, mp_manager_t *self, news_t *news)
{
    int told[2] = {-1, -1}, stop[2] = {-1, -1};
    birth_t birth = {.options = options};
    mp_rc_t rc = MP_OK;
    if (pipe2(told, O_CLOEXEC) != 0 || pipe2(stop, O_CLOEXEC) != 0)
        rc = mpx_fault_errno("a manager's pipes");
    birth.tell = told[1];
    birth.stop = stop[0];
    /* No child must keep it open, nor the server itself: it ends when this process is gone. */
    self->stop = stop[1];
    if (rc == MP_OK)
        rc = mpx_forkguard_add(self->stop);
    mp_process_options_t process = {
        .target = be_server, .arg = &birth, .name = "Manager", .daemon = 1, .method = MP_FORK};
    if (rc == MP_OK)
        rc = mp_process_new(&process, &self->process);
    if (rc == MP_OK)
        rc = mp_process_start(self->process);
    if (told[1] >= 0)
        close(told[1]);
    if (rc == MP_OK)
        rc = hear(told[0], news);
    if (told[0] >= 0)
        close(told[0]);
    if (stop[0] >= 0)
        close(stop[0]);
    return rc;
}

/* ---- handles
 * ------------------------------------------------------------------------------------------------------
 */

static mp_manager_t *new_handle(void)
{
    mp_manager_t *self = calloc(1, sizeof *self);
    if (!self)
        return NULL;
    self->stop = -1;
    self->generation = mpx_fork_generation();
    return self;
}

mp_rc_t mp_manager_start(const mp_manager_options_t *given, mp_manager_t **out)
{
    mp_manager_options_t options = given ? *given : (mp_manager_options_t){0};
    news_t news = {.rc = MP_OK};
    mp_manager_t *self = new_handle();
    if (!self)
        return mpx_fault(MP_ENOMEM, "a manager");
    mp_rc_t rc = start(&options, self, &news);
    mpx_server_options_t server = {.address = news.text,
                                   .key = options.key,
                                   .key_bytes = options.key_bytes,
                                   .no_lane = options.no_lane};
    if (rc == MP_OK)
        rc = mpx_server_get(&server, &self->server);
    if (rc != MP_OK)
        mp_manager_destroy(&self);
    else
        *out = self;
    return rc;
}

mp_rc_t mp_manager_connect(const char *address, const void *key, size_t key_bytes, int timeout_ms,
                           mp_manager_t **out)
{
    mp_connect_options_t options = {.key = key, .key_bytes = key_bytes};
    return mp_manager_connect_with(address, &options, timeout_ms, out);
}

mp_rc_t mp_manager_connect_with(const char *address, const mp_connect_options_t *given,
                                int timeout_ms, mp_manager_t **out)
{
    mp_connect_options_t options = given ? *given : (mp_connect_options_t){0};
    mpx_line_t *line = NULL;
    if (!address)
        address = getenv("MP_BROKER");
    if (!address || strcmp(address, "local") == 0)
        return mpx_fault(MP_EINVAL, "no address is given, and MP_BROKER has none");
    if (!options.key && options.key_bytes)
        return mpx_fault(MP_EINVAL, "a key of %zu bytes at NULL", options.key_bytes);
    mp_manager_t *self = new_handle();
    if (!self)
        return mpx_fault(MP_ENOMEM, "a manager");
    mpx_server_options_t server = {.address = address,
                                   .key = options.key,
                                   .key_bytes = options.key_bytes,
                                   .key_file = options.key_file,
                                   .no_lane = options.no_lane};
    mp_rc_t rc = mpx_server_get(&server, &self->server);
    if (rc == MP_OK)
        rc = mpx_server_line(self->server, &line);
    if (rc == MP_OK)
        rc = mpx_line_reach(line, mpx_deadline(mpx_now(), timeout_ms));
    if (rc == MP_OK) /* so that references to it are known here */
        rc = mpx_server_name(self->server, &(mp_ref_t){{0}});
    if (rc != MP_OK)
        mp_manager_destroy(&self);
    else
        *out = self;
    return rc;
}

const char *mp_manager_address(const mp_manager_t *self)
{
    return mpx_server_address(self->server);
}

int mp_manager_pid(const mp_manager_t *self)
{
    return self->process && self->generation == mpx_fork_generation()
               ? (int)mp_process_pid(self->process)
               : 0;
}

mp_rc_t mp_manager_shutdown(mp_manager_t *self, int timeout_ms)
{
    if (!self->process || self->generation != mpx_fork_generation())
        return mpx_fault(MP_ESTATE, "this process didn't start the manager");
    if (self->stop >= 0) {
        mpx_forkguard_remove(self->stop);
        close(self->stop);
        self->stop = -1;
    }
    mp_rc_t rc = mp_process_join(self->process, timeout_ms);
    if (rc == MP_ETIMEDOUT) {
        (void)mp_process_kill(self->process);
        rc = mp_process_join(self->process, -1);
    }
    mp_process_destroy(&self->process);
    return rc;
}

void mp_manager_destroy(mp_manager_t **self_p)
{
    if (!self_p || !*self_p)
        return;
    mp_manager_t *self = *self_p;
    *self_p = NULL;
    bool ours = self->generation == mpx_fork_generation();
    if (self->process && ours && mp_process_pid(self->process) > 0)
        (void)mp_manager_shutdown(self, KILL_MS);
    if (self->stop >= 0 && ours) {
        mpx_forkguard_remove(self->stop);
        close(self->stop);
    }
    mp_process_destroy(&self->process);
    mpx_server_put(&self->server);
    free(self);
}
