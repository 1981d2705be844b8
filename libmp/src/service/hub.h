/* hub.h: where visitors come to what this process owns.
 *
 * An object is reached through entries: one on the reception, where processes of this host come
 * by reference, and one on a hub of its own if it was bound to an endpoint. A visitor knocks and
 * says what it wants; who proves the entry's key, if it has one, is let in as a guest of the
 * object. What it sends then is the object's business.
 *
 * Everything here, and all functions of a class, run under the service's lock. The functions of
 * a class must not close entries or destroy hubs.
 */
#ifndef MPX_HUB_H
#define MPX_HUB_H

#include "greeting.h"
#include "link.h"
#include "wire.h"

/* The largest message that a visit can have: one item of a queue. */
#define MPX_VISIT_MESSAGE_MAX ((size_t)MPX_PARCEL_MAX + 4096)

typedef struct mpx_hub mpx_hub_t;
typedef struct mpx_guest mpx_guest_t;

typedef struct mpx_class {
    /* A visitor has shown its key: say what it needs to know. MP_OK, or why it is refused. */
    mp_rc_t (*come)(void *object, mpx_guest_t *guest, mpx_admit_t *out);
    /* Called once the ADMIT is sent; may be NULL. */
    void (*admitted)(void *object, mpx_guest_t *guest);
    /* MP_OK, or why it is sent away. */
    mp_rc_t (*message)(void *object, mpx_guest_t *guest, const mpx_header_t *header,
                       mp_bytes_t payload);
    /* It is gone, in whatever way; once for each that came. */
    void (*gone)(void *object, mpx_guest_t *guest);
    /* One had the wrong key; may be NULL. */
    void (*refused)(void *object, const char *address);
    /* All that was there has been taken; may be NULL. */
    void (*quiet)(void *object);
    /* Who says goodbye is hung up on, and so knows that it was heard. */
    bool hangs_up;
} mpx_class_t;

typedef struct mpx_entry {
    mpx_door_t door;
    uint64_t id;
    uint64_t secret;      /* who doesn't know it isn't let in; 0: by address */
    const mpx_key_t *key; /* with data NULL: none is asked for */
    const mpx_class_t *class;
    void *object;
    mpx_hub_t *hub; /* set by mpx_entry_open */
    bool touched;
    struct mpx_entry *prev, *next;
} mpx_entry_t;

/* Bind, and serve. only_lanes as in link.h. MP_OK; MP_EINVAL; MP_EEXIST; MP_ENOMEM; MP_ESYSTEM. */
mp_rc_t mpx_hub_new(const char *endpoint, const mpx_link_options_t *options, mpx_hub_t **out);
/* All its entries are closed. NULL-safe, idempotent. */
void mpx_hub_destroy(mpx_hub_t **self, int linger_ms);
const char *mpx_hub_endpoint(const mpx_hub_t *self);

/* One of its own, for visitors of this user on this host, over lanes alone; its name is made.
 * MP_OK; MP_ENOMEM; MP_ESYSTEM. */
mp_rc_t mpx_hub_new_local(const mpx_link_options_t *options, mpx_hub_t **out);
/* The process's own, for visitors of this user on this host: over lanes, or over ZeroMQ alone.
 * Made with the first call. MP_OK; MP_ENOMEM; MP_ESYSTEM. */
mp_rc_t mpx_reception(bool lanes, mpx_hub_t **out);

/* As mpx_link_lend; `find` is called under the service's lock. */
void mpx_hub_lend(mpx_hub_t *self, int (*find)(void *arg, uint64_t ticket, uint64_t secret),
                  void *arg);

/* From here on visitors may come. The entry is the caller's, and stays where it is. */
void mpx_entry_open(mpx_entry_t *self, mpx_hub_t *hub);
/* Its guests are told why, and gone. Harmless if not open. */
void mpx_entry_close(mpx_entry_t *self, mp_rc_t why);

/* Of a manager's door: who it says that it was before; 0: it is new. */
uint64_t mpx_guest_tenant(const mpx_guest_t *self, uint64_t *secret);
/* Of one that is gone: whether it said goodbye. */
bool mpx_guest_left(const mpx_guest_t *self);
/* "host:pid", as it says. */
const char *mpx_guest_name(const mpx_guest_t *self);

/* The object's own; NULL at first. */
void mpx_guest_set(mpx_guest_t *self, void *user);
void *mpx_guest_get(const mpx_guest_t *self);
/* "local:PID" or an IP address; "lane", "ipc" or "tcp", also of one that is gone. */
const char *mpx_guest_address(const mpx_guest_t *self);
const char *mpx_guest_carrier(const mpx_guest_t *self);
/* MP_OK; MP_ECLOSED it goes, or is gone; MP_ETOOLARGE; MP_ENOMEM. */
mp_rc_t mpx_guest_send(mpx_guest_t *self, const mpx_header_t *header, mp_bytes_t payload);
/* Its connection becomes the caller's, and the guest is gone without `gone` being called.
 * MP_OK; MP_ESTATE it isn't on a lane; MP_ENOMEM. */
mp_rc_t mpx_guest_detach(mpx_guest_t *self, mpx_link_t **out);
/* Tell it why and let it go. */
void mpx_guest_dismiss(mpx_guest_t *self, mp_rc_t why);

#endif
