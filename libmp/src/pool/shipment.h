/* shipment.h: modules that a client has shipped to a broker's workers. See broker/foreman.h.
 *
 * The file stays open as long as the pool lives: workers that join later fetch it as well.
 */
#ifndef MPX_SHIPMENT_H
#define MPX_SHIPMENT_H

#include "session.h"
#include "wire.h"

typedef struct mpx_shipment {
    uint64_t nonce;
    int fd;
    uint64_t bytes;
    mpx_ship_t ship;
    bool over;     /* the last answer has come */
    mp_rc_t rc;    /* the first problem */
    uint32_t have; /* workers that have it */
    char problem[1024];
    struct mpx_shipment *prev, *next;
} mpx_shipment_t;

/* Open the module and hash it. Reads all of the file.
 * MP_OK; MP_EINVAL, MP_EMODULE it can't be read; MP_ESYSTEM; MP_ENOMEM. */
mp_rc_t mpx_shipment_new(const char *path, mpx_shipment_t **out);
void mpx_shipment_free(mpx_shipment_t *self);

/* Tell the broker of it, at first and after each reconnection. MP_OK; MP_ECLOSED; MP_ENOMEM. */
mp_rc_t mpx_shipment_announce(const mpx_shipment_t *self, mpx_session_t *session);

/* FETCH or SHIPPED of the broker, about one of the list. MP_OK; MP_EPROTO; MP_ENOMEM. */
mp_rc_t mpx_shipments_message(mpx_shipment_t *list, mpx_session_t *session,
                              const mpx_header_t *header, mp_bytes_t payload);

#endif
