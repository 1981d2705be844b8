/* cert.h: certificates: files with a key and what belongs to it, as CZMQ's zcert reads and writes
 * them.
 *
 *     # comment
 *     metadata
 *         name = "alice"
 *         server-key = "…"
 *     curve
 *         public-key = "…"
 *         secret-key = "…"
 *
 * A line is a comment, the name of a section, or NAME = VALUE with quotes or without; what isn't
 * known is passed over. Keys are 40 characters of Z85. Without a secret key it is the part that may
 * be given away. */
#ifndef MPX_CERT_H
#define MPX_CERT_H

#include "buf.h"
#include "curve.h"

#include <mp/error.h>

enum { MPX_KEY_NAME_MAX = 63 };

typedef struct mpx_cert {
    mpx_curve_t curve; /* keys that aren't there are "" */
    char name[MPX_KEY_NAME_MAX + 1];
} mpx_cert_t;

/* 1 to 63 of A-Z a-z 0-9 . _ - */
bool mpx_key_name_is_valid(const char *name);

/* MP_OK; MP_EINVAL with the line and what is wrong, behind `where`. */
mp_rc_t mpx_cert_parse(mp_bytes_t text, const char *where, mpx_cert_t *out);
/* As text, appended. MP_OK; MP_ENOMEM. */
mp_rc_t mpx_cert_print(const mpx_cert_t *self, mpx_buf_t *out);

/* One that has a secret key. MP_OK; the codes of mpx_keyfile_read and mpx_cert_parse. */
mp_rc_t mpx_cert_load(const char *path, mpx_cert_t *out);
/* Of any, but the secret isn't looked at, nor who could read it. */
mp_rc_t mpx_cert_load_public(const char *path, mpx_cert_t *out);
void mpx_cert_wipe(mpx_cert_t *self);

#endif
