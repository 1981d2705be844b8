/* office.h: a space of objects behind the door of a hub: what a manager's process does.
 *
 * Everything happens under the service's lock, by its thread: messages are carried out as they
 * come, and answered when what was there has been read.
 */
#ifndef MPX_OFFICE_H
#define MPX_OFFICE_H

#include "hub.h"
#include "space.h"

typedef struct mpx_office mpx_office_t;

typedef struct mpx_office_options {
    mpx_space_options_t space;
    const char *address;  /* NULL: one that is made, for this user on this host */
    const mpx_key_t *key; /* stays where it is; with data NULL: none */
    bool no_lane;
} mpx_office_options_t;

/* Without the lock. MP_OK; MP_EINVAL; MP_EEXIST; MP_ENOMEM; MP_ESYSTEM. */
mp_rc_t mpx_office_open(const mpx_office_options_t *options, mpx_office_t **out);
const char *mpx_office_address(const mpx_office_t *self);
void mpx_office_close(mpx_office_t **self);

#endif
