#include "server.h"

#include "clock.h"
#include "fault.h"
#include "forkguard.h"
#include "leave.h"
#include "link.h"
#include "reference.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <utlist.h>

enum { TEXT_BYTES = 3 * sizeof(uint64_t) };

struct mpx_server {
    size_t shares;
    mpx_key_t key;
    uint64_t secret;
    bool no_lane;
    char *key_file;
    uint64_t number; /* of its life, once known */
    uint64_t generation;
    mpx_line_t *line;
    char address[MPX_ENDPOINT_MAX];
    struct mpx_server *prev, *next;
};

static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static pthread_once_t once = PTHREAD_ONCE_INIT;
static mpx_server_t *all;

static void install(void)
{
    mpx_forkguard_hold(&lock);
}

static void enter(void)
{
    pthread_once(&once, install);
    pthread_mutex_lock(&lock);
}

static void leave(void)
{
    pthread_mutex_unlock(&lock);
}

/* ---- finding
 * ---------------------------------------------------------------------------------------------- */

static bool same(const char *a, const char *b)
{
    return a && b ? strcmp(a, b) == 0 : a == b;
}

static bool is_it(const mpx_server_t *self, const mpx_server_options_t *options)
{
    size_t size = options->key ? options->key_bytes : 0;
    return strcmp(self->address, options->address) == 0 && self->secret == options->secret &&
           self->no_lane == options->no_lane && same(self->key_file, options->key_file) &&
           (self->key.data != NULL) == (options->key != NULL) && self->key.size == size &&
           (!size || memcmp(self->key.data, options->key, size) == 0);
}

static mp_rc_t make(const mpx_server_options_t *options, mpx_server_t **out)
{
    mpx_server_t *self = calloc(1, sizeof *self);
    if (!self)
        return mpx_fault(MP_ENOMEM, "a manager");
    mp_rc_t rc = mpx_key_copy(&self->key, options->key, options->key_bytes);
    if (rc == MP_OK && options->key_file && !(self->key_file = strdup(options->key_file)))
        rc = mpx_fault(MP_ENOMEM, "a manager");
    if (rc != MP_OK) {
        mpx_key_free(&self->key);
        free(self);
        return rc;
    }
    self->secret = options->secret;
    self->no_lane = options->no_lane;
    self->shares = 1;
    snprintf(self->address, sizeof self->address, "%s", options->address);
    DL_APPEND(all, self);
    *out = self;
    return MP_OK;
}

mp_rc_t mpx_server_get(const mpx_server_options_t *options, mpx_server_t **out)
{
    mpx_server_t *self;
    mp_rc_t rc = mpx_endpoint_check(options->address, false);
    if (rc != MP_OK)
        return rc;
    enter();
    DL_FOREACH (all, self)
        if (is_it(self, options))
            break;
    if (self) {
        self->shares++;
        *out = self;
    } else {
        rc = make(options, out);
    }
    leave();
    return rc;
}

mpx_server_t *mpx_server_share(mpx_server_t *self)
{
    enter();
    self->shares++;
    leave();
    return self;
}

void mpx_server_put(mpx_server_t **self_p)
{
    mpx_server_t *self = *self_p;
    if (!self)
        return;
    *self_p = NULL;
    enter();
    bool last = --self->shares == 0;
    if (last)
        DL_DELETE(all, self);
    leave();
    if (!last)
        return;
    if (self->generation == mpx_fork_generation())
        mpx_line_destroy(&self->line);
    mpx_key_free(&self->key);
    free(self->key_file);
    free(self);
}

const char *mpx_server_address(const mpx_server_t *self)
{
    return self->address;
}

/* ---- the line
 * -------------------------------------------------------------------------------------------------
 */

/* The process ends: managers are told, so that what it got from queues is finished. */
static void say_goodbye(void)
{
    mpx_server_t *self;
    DL_FOREACH (all, self)
        if (self->line && self->generation == mpx_fork_generation())
            mpx_line_farewell(self->line);
}

static mpx_line_t *line_here(const mpx_server_t *self)
{
    return self->generation == mpx_fork_generation() ? self->line : NULL;
}

/* Made without the lock: of two that are, one is used. */
static mp_rc_t make_line(mpx_server_t *self)
{
    mpx_line_t *line = NULL;
    mpx_line_options_t options = {.endpoint = self->address,
                                  .key = &self->key,
                                  .secret = self->secret,
                                  .key_file = self->key_file,
                                  .no_lane = self->no_lane};
    mp_rc_t rc = mpx_leave_add(MPX_STAGE_FLUSH, say_goodbye);
    if (rc == MP_OK)
        rc = mpx_line_new(&options, &line);
    if (rc != MP_OK)
        return rc;
    enter();
    if (!line_here(self)) {
        self->line = line;
        self->generation = mpx_fork_generation();
        line = NULL;
    }
    leave();
    mpx_line_destroy(&line);
    return MP_OK;
}

mp_rc_t mpx_server_line(mpx_server_t *self, mpx_line_t **out)
{
    mp_rc_t rc = MP_OK;
    enter();
    *out = line_here(self);
    leave();
    if (*out)
        return MP_OK;
    rc = make_line(self);
    enter();
    *out = line_here(self);
    leave();
    return rc;
}

/* ---- references
 * -------------------------------------------------------------------------------------------------
 */

/* 24 bytes: the address without what all have in common. The first byte says what that is. */
static bool shorten(const char *address, unsigned char out[TEXT_BYTES])
{
    unsigned long long life, random;
    memset(out, 0, TEXT_BYTES);
    if (sscanf(address, "ipc://@mp-%llx-%llx", &life, &random) == 2) { // NOLINT(cert-err34-c)
        out[0] = '@';
        memcpy(out + 8, &life, sizeof life);
        memcpy(out + 16, &random, sizeof random);
        return true;
    }
    const char *rest = strstr(address, "://");
    if (!rest || strlen(rest + 3) > TEXT_BYTES - 2)
        return false;
    out[0] = (unsigned char)address[0];
    memcpy(out + 1, rest + 3, strlen(rest + 3));
    return true;
}

static bool lengthen(const unsigned char text[TEXT_BYTES], char *out, size_t size)
{
    unsigned long long life, random;
    switch (text[0]) {
    case '@':
        memcpy(&life, text + 8, sizeof life);
        memcpy(&random, text + 16, sizeof random);
        snprintf(out, size, "ipc://@mp-%llx-%llx", life, random);
        return true;
    case 'i':
    case 't':
        snprintf(out, size, "%s://%.*s", text[0] == 'i' ? "ipc" : "tcp", TEXT_BYTES - 2,
                 (const char *)text + 1);
        return true;
    default:
        return false;
    }
}

mp_rc_t mpx_server_name(mpx_server_t *self, mp_ref_t *out)
{
    mpx_line_t *line = NULL;
    unsigned char text[TEXT_BYTES];
    mp_rc_t rc = mpx_server_line(self, &line);
    if (rc != MP_OK)
        return rc;
    uint64_t number = mpx_line_server(line);
    if (!number) {
        rc = mpx_line_reach(line, mpx_now() + 2 * MPX_S);
        number = mpx_line_server(line);
    }
    if (rc != MP_OK)
        return rc;
    enter();
    self->number = number;
    leave();
    (void)shorten(self->address, text);
    out->word[2] = number;
    memcpy(&out->word[3], text, sizeof text);
    return MP_OK;
}

/* Those whose number isn't known yet were never reached: the reference's address decides then. */
mp_rc_t mpx_server_of_ref(const mp_ref_t *ref, mpx_server_t **out)
{
    char address[MPX_ENDPOINT_MAX];
    mpx_server_t *self;
    if (!ref || ref->word[0] != mpx_reference_word(MPX_KIND_OBJECT) || !ref->word[1])
        return mpx_fault(MP_EINVAL, "not a reference to an object");
    bool has_address = lengthen((const unsigned char *)&ref->word[3], address, sizeof address);
    enter();
    DL_FOREACH (all, self)
        if (self->number == ref->word[2] ||
            (has_address && !self->secret && strcmp(self->address, address) == 0))
            break;
    if (self)
        self->shares++;
    leave();
    *out = self;
    if (self)
        return MP_OK;
    if (!has_address)
        return mpx_fault(MP_ENOTFOUND, "the reference doesn't say where its manager is: connect to "
                                       "it first");
    mpx_server_options_t options = {.address = address};
    /* On this host the reference itself is the key. */
    if (mpx_endpoint_is_local(address))
        options.secret = ref->word[2];
    mp_rc_t rc = mpx_server_get(&options, out);
    if (rc == MP_OK) {
        enter();
        (*out)->number = ref->word[2];
        leave();
    }
    return rc;
}
