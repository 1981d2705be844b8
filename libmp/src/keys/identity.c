#include "identity.h"

#include "fault.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

mp_rc_t mpx_identity_load(const char *file, mpx_identity_t *out, mpx_curve_t *curve)
{
    mpx_cert_t cert = {.name = ""};
    *out = (mpx_identity_t){.has = false};
    if (!file)
        file = getenv("MP_KEY_FILE");
    if (!file || !*file)
        return MP_OK;
    if (strlen(file) >= sizeof out->file)
        return mpx_fault(MP_EINVAL, "%.40s…: the path of a certificate has at most %zu bytes", file,
                         sizeof out->file - 1);
    mp_rc_t rc = mpx_cert_load(file, &cert);
    if (rc != MP_OK)
        return rc;
    if (!*cert.curve.server_key) {
        rc = mpx_fault(MP_EINVAL,
                       "%s: it has no server-key, by which the broker is known; it is made with mp "
                       "keygen --server",
                       file);
    } else {
        out->has = true;
        memcpy(out->name, cert.name, sizeof out->name);
        memcpy(out->file, file, strlen(file) + 1);
        if (curve)
            *curve = cert.curve;
    }
    mpx_cert_wipe(&cert);
    return rc;
}

void mpx_identity_explain(const mpx_identity_t *self, mpx_link_trouble_t trouble, char *out,
                          size_t size)
{
    switch (trouble) {
    case MPX_TROUBLE_NONE:
        *out = 0;
        break;
    case MPX_TROUBLE_NO_HOST:
        snprintf(out, size, "no address is found for its host's name; is it written right?");
        break;
    case MPX_TROUBLE_NO_KEY:
        snprintf(
            out, size,
            "it wants a key, and this process shows none; set MP_KEY_FILE to a certificate that "
            "mp keygen has made for it");
        break;
    case MPX_TROUBLE_UNASKED_KEY:
        snprintf(out, size,
                 "it has no keys, and this process wants to see one, as it shows that of %s; unset "
                 "MP_KEY_FILE, or give the broker --keys",
                 self->file);
        break;
    case MPX_TROUBLE_REFUSED_KEY:
        snprintf(out, size,
                 "it doesn't know the key of '%s' in %s; there, mp keygen --allow lists it, and "
                 "SIGHUP makes the broker read the list",
                 self->name, self->file);
        break;
    case MPX_TROUBLE_HANDSHAKE:
        if (self->has)
            snprintf(out, size,
                     "it hangs up while keys are exchanged; is the server-key in %s that of this "
                     "broker?",
                     self->file);
        else
            snprintf(out, size,
                     "something is there, but it doesn't answer as a broker of libmp; does it "
                     "hang, is it another program, or has it keys, so that MP_KEY_FILE must name a "
                     "certificate that mp keygen has made for it?");
        break;
    }
}
