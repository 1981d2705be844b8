/* server.h: a manager that this process knows: how to reach it, and the line there.
 *
 * One for each address and key in a process, shared by all handles of its objects, and gone with
 * the last of them. It works in a forked child: there it begins with a line of its own, and the
 * parent's is left alone.
 */
#ifndef MPX_SERVER_H
#define MPX_SERVER_H

#include "line.h"

#include <mp/ref.h>

typedef struct mpx_server mpx_server_t;

typedef struct mpx_server_options {
    const char *address;
    const void *key; /* NULL: none */
    size_t key_bytes;
    uint64_t secret;      /* of a reference */
    const char *key_file; /* a certificate to show to a broker; NULL: MP_KEY_FILE's, if any */
    bool no_lane;
} mpx_server_options_t;

/* A reference on the one of that address and key, made if need be. MP_OK; MP_EINVAL; MP_ENOMEM. */
mp_rc_t mpx_server_get(const mpx_server_options_t *options, mpx_server_t **out);
mpx_server_t *mpx_server_share(mpx_server_t *self);
/* NULL-safe. */
void mpx_server_put(mpx_server_t **self);
/* The one that a reference names: known here, or reachable by what the reference says.
 * MP_OK; MP_EINVAL; MP_ENOTFOUND; MP_ENOMEM. */
mp_rc_t mpx_server_of_ref(const mp_ref_t *ref, mpx_server_t **out);

const char *mpx_server_address(const mpx_server_t *self);
/* This process's line. MP_OK; MP_ENOMEM. */
mp_rc_t mpx_server_line(mpx_server_t *self, mpx_line_t **out);

/* Words 2 to 5 of a reference: the manager's number and where it is, as far as they have room.
 * MP_OK; and why it can't be reached to tell its number. */
mp_rc_t mpx_server_name(mpx_server_t *self, mp_ref_t *out);

#endif
