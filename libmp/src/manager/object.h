/* object.h (of this layer): a handle, as the files of this layer see it; mp/object.h is the public
 * one. */
#ifndef MPX_OBJECT_H
#define MPX_OBJECT_H

#include "server.h"

#include <mp/object.h>

struct mp_object {
    mpx_server_t *server;
    uint64_t id;
    mp_object_type_t type;
    char *name;                   /* "" if it has none */
    uint64_t generation;          /* of forks: the process that has this handle with its line */
    uint64_t lapses;              /* of the line, as far as this handle was told */
    uint64_t life;                /* of the manager, in which `id` is its number */
    uint64_t guard, token;        /* lock and hold; 0: not guarded */
    struct mp_pipeline *pipeline; /* calls are noted there */
    /* of a named one: how it is made, to open it again when its manager lost all */
    void *making;
    size_t making_size;
};

/* The line that a call on it uses; a handle that a fork has brought here is opened first.
 * MP_OK; MP_EPEERLOST; MP_ENOMEM. */
mp_rc_t mpx_object_line(mp_object_t *self, mpx_line_t **out);

/* MP_OK; MP_EINVAL it is of none of these types (MPX_T): for methods that other types have too. */
mp_rc_t mpx_object_is(const mp_object_t *self, unsigned types);

/* Takes its own share of the server. MP_OK; MP_ENOMEM. */
mp_rc_t mpx_object_handle(mpx_server_t *server, uint64_t id, mp_object_type_t type,
                          const char *name, size_t name_size, mp_object_t **out);

#endif
