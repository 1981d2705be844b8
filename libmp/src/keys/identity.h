/* identity.h: the certificate that this process shows to brokers, and what is said when it isn't
 * the right one.
 *
 * It is read anew for each connection: so a new one takes effect with the next, a forked child has
 * it as well, and no secret lies about meanwhile. */
#ifndef MPX_IDENTITY_H
#define MPX_IDENTITY_H

#include "cert.h"
#include "link.h"

typedef struct mpx_identity {
    bool has; /* a certificate; else this process shows none */
    char name[MPX_KEY_NAME_MAX + 1];
    char file[256];
} mpx_identity_t;

/* file   NULL: the environment's MP_KEY_FILE; "" or none there: no certificate
 * curve  to be wiped, if `has`; NULL: only whether it can be had
 * MP_OK; MP_EINVAL, MP_ENOTFOUND, MP_EPERM and the other codes of mpx_cert_load. */
mp_rc_t mpx_identity_load(const char *file, mpx_identity_t *out, mpx_curve_t *curve);

/* What to tell people; "" for no trouble. */
void mpx_identity_explain(const mpx_identity_t *self, mpx_link_trouble_t trouble, char *out,
                          size_t size);

#endif
