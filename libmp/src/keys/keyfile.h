/* keyfile.h: files that must be somebody's own: read only if they are, and written so. */
#ifndef MPX_KEYFILE_H
#define MPX_KEYFILE_H

#include "buf.h"

#include <mp/error.h>
#include <stdbool.h>

typedef enum mpx_keyfile_kind {
    MPX_KEYFILE_SECRET, /* nobody else can read it: mode 0600; one of root's may have a group that
                           reads it, as a mounted secret has */
    MPX_KEYFILE_PUBLIC  /* nobody else can write to it */
} mpx_keyfile_kind_t;

/* Appended to `out`; of a secret file, it is to be freed by mpx_keyfile_wipe.
 * MP_OK; MP_ENOTFOUND; MP_EPERM others could read or change it, or we can't; MP_ETOOLARGE;
 * MP_EINVAL no file; MP_ENOMEM; MP_ESYSTEM. */
mp_rc_t mpx_keyfile_read(const char *path, mpx_keyfile_kind_t kind, mpx_buf_t *out);
void mpx_keyfile_wipe(mpx_buf_t *buf);

/* The file is there as a whole or not at all, with mode 0600 or 0644.
 * replace  what is there; else MP_EEXIST
 * MP_OK; MP_EEXIST; MP_EPERM; MP_ENOTFOUND no such folder; MP_ENOSPACE; MP_ESYSTEM. */
mp_rc_t mpx_keyfile_write(const char *path, mpx_keyfile_kind_t kind, mp_bytes_t bytes,
                          bool replace);

#endif
