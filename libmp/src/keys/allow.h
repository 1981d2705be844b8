/* allow.h: the list of keys that a broker lets in, and what each may do.
 *
 *     # name   public key                                roles
 *     alice    rq:rM>}U?@Lns47E1%kR.o@n%FcmmsL/@{H8]yf7  submit,read
 *
 * A line is empty, a comment, or these three words; roles have commas between them, or are "-".
 * A key stands there once; a name may have several keys, for as long as they are exchanged. */
#ifndef MPX_ALLOW_H
#define MPX_ALLOW_H

#include "buf.h"
#include "cert.h"

#include <mp/error.h>
#include <stddef.h>

typedef enum mpx_role_bit {
    MPX_MAY_SUBMIT = 1, /* calls */
    MPX_MAY_WORK = 2,   /* be given them */
    MPX_MAY_READ = 4,   /* objects */
    MPX_MAY_WRITE = 8,  /* change them; implies READ */
    MPX_MAY_ADMIN = 16, /* see and change what is others' */
    MPX_MAY_ALL = 31
} mpx_role_bit_t;

enum { MPX_ROLES_TEXT = 40, MPX_ALLOWED_MAX = 65536 };

/* "submit,read" and so on; "-" or "" is none. false: there is no such role. */
bool mpx_roles_parse(const char *text, unsigned *out);
/* "submit,read"; "-". */
void mpx_roles_print(unsigned roles, char out[MPX_ROLES_TEXT]);

typedef struct mpx_allowed {
    char key[MPX_CURVE_TEXT + 1];
    char name[MPX_KEY_NAME_MAX + 1];
    unsigned roles;
} mpx_allowed_t;

typedef struct mpx_allow mpx_allow_t;

/* MP_OK; MP_EINVAL with the line and what is wrong, behind `where`; MP_ELIMIT; MP_ENOMEM. */
mp_rc_t mpx_allow_parse(mp_bytes_t text, const char *where, mpx_allow_t **out);
/* MP_OK; the codes of mpx_keyfile_read, too. */
mp_rc_t mpx_allow_load(const char *path, mpx_allow_t **out);
void mpx_allow_free(mpx_allow_t **self);

/* NULL: it isn't listed. */
const mpx_allowed_t *mpx_allow_find(const mpx_allow_t *self, const char *key);
size_t mpx_allow_count(const mpx_allow_t *self);

/* The text with that key's line, appended to `out`; a line that it has is replaced.
 * alone  so are those of other keys of that name
 * MP_OK; MP_ENOMEM. */
mp_rc_t mpx_allow_edit(mp_bytes_t text, const mpx_allowed_t *entry, bool alone, mpx_buf_t *out);

#endif
