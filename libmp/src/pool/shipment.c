#include "shipment.h"

#include "fault.h"

#include <errno.h>
#include <fcntl.h>
#include <sodium.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>
#include <utlist.h>

_Static_assert(MPX_HASH_BYTES == crypto_hash_sha256_BYTES, "a hash is a SHA-256");

static mp_rc_t hash_file(mpx_shipment_t *self, const char *path)
{
    unsigned char *piece = malloc(MPX_PIECE_BYTES);
    crypto_hash_sha256_state state;
    ssize_t n = 1;
    if (!piece)
        return mpx_fault(MP_ENOMEM, "%s", path);
    crypto_hash_sha256_init(&state);
    for (self->bytes = 0; n > 0; self->bytes += (uint64_t)n) {
        do
            n = pread(self->fd, piece, MPX_PIECE_BYTES, (off_t)self->bytes);
        while (n < 0 && errno == EINTR);
        if (n < 0)
            break;
        crypto_hash_sha256_update(&state, piece, (unsigned long long)n);
    }
    crypto_hash_sha256_final(&state, self->ship.hash);
    free(piece);
    if (n < 0)
        return mpx_fault(MP_EMODULE, "%s: %s", path, strerror(errno));
    return self->bytes ? MP_OK : mpx_fault(MP_EMODULE, "%s: the file is empty", path);
}

mp_rc_t mpx_shipment_new(const char *path, mpx_shipment_t **out)
{
    struct stat about;
    if (!path || !*path)
        return mpx_fault(MP_EINVAL, "a module needs a path");
    mpx_shipment_t *self = calloc(1, sizeof *self);
    if (!self)
        return mpx_fault(MP_ENOMEM, "%s", path);
    const char *slash = strrchr(path, '/');
    snprintf(self->ship.name, sizeof self->ship.name, "%s", slash ? slash + 1 : path);
    self->fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK);
    mp_rc_t rc = MP_OK;
    if (self->fd < 0 || fstat(self->fd, &about) != 0)
        rc = mpx_fault(MP_EMODULE, "%s: %s", path, strerror(errno));
    else if (!S_ISREG(about.st_mode))
        rc = mpx_fault(MP_EMODULE, "%s is no file", path);
    else
        rc = hash_file(self, path);
    if (rc != MP_OK) {
        mpx_shipment_free(self);
        return rc;
    }
    *out = self;
    return MP_OK;
}

void mpx_shipment_free(mpx_shipment_t *self)
{
    if (self->fd >= 0)
        close(self->fd);
    free(self);
}

mp_rc_t mpx_shipment_announce(const mpx_shipment_t *self, mpx_session_t *session)
{
    mpx_buf_t body = {0};
    mpx_header_t header = {.op = MPX_OP_SHIP, .nonce = self->nonce, .bytes = self->bytes};
    mp_rc_t rc = mpx_ship_pack(&body, &self->ship);
    if (rc == MP_OK)
        rc = mpx_session_send(session, &header, mpx_buf_bytes(&body));
    mpx_buf_free(&body);
    return rc;
}

/* A file that has changed since is noticed by its hash. */
static mp_rc_t on_fetch(const mpx_shipment_t *self, mpx_session_t *session,
                        const mpx_header_t *header)
{
    if (header->bytes == 0 || header->bytes > MPX_PIECE_BYTES || header->first >= self->bytes)
        return mpx_fault(MP_EPROTO, "a FETCH asks for what is not there, or too much at once");
    unsigned char *piece = malloc((size_t)header->bytes);
    if (!piece)
        return MP_ENOMEM;
    ssize_t n = pread(self->fd, piece, (size_t)header->bytes, (off_t)header->first);
    mpx_header_t answer = {.op = MPX_OP_PIECE,
                           .nonce = self->nonce,
                           .first = header->first,
                           .chunk = header->chunk,
                           .code = n > 0 ? MP_OK : MP_EMODULE};
    mp_rc_t rc = mpx_session_send(session, &answer, (mp_bytes_t){piece, n > 0 ? (size_t)n : 0});
    free(piece);
    return rc == MP_ENOMEM ? rc : MP_OK; /* a lost connection will be told of */
}

static mp_rc_t on_shipped(mpx_shipment_t *self, const mpx_header_t *header, mp_bytes_t payload)
{
    mpx_problem_t problem;
    void *arena = NULL;
    if (!payload.size) {
        self->over = true;
        self->have = header->count;
        return MP_OK;
    }
    mp_rc_t rc = mpx_problem_unpack(payload, &problem, &arena);
    if (rc != MP_OK)
        return rc;
    if (self->rc == MP_OK) {
        self->rc = header->code < 0 ? (mp_rc_t)header->code : MP_EPROTO;
        snprintf(self->problem, sizeof self->problem, "%s: %s", self->ship.name, problem.message);
    }
    free(arena);
    return MP_OK;
}

mp_rc_t mpx_shipments_message(mpx_shipment_t *list, mpx_session_t *session,
                              const mpx_header_t *header, mp_bytes_t payload)
{
    mpx_shipment_t *self;
    DL_FOREACH (list, self)
        if (self->nonce == header->nonce)
            break;
    if (!self)
        return MP_OK;
    return header->op == MPX_OP_FETCH ? on_fetch(self, session, header)
                                      : on_shipped(self, header, payload);
}
