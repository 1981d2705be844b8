/* warehouse.h: a directory of modules, each a file with its SHA-256 as name.
 *
 * The directory is its user's alone (mode 0700), and several workers may share it. What comes in is
 * HASH.PID.part until all of it is there; then it is HASH.so, in one step.
 */
#ifndef MPX_WAREHOUSE_H
#define MPX_WAREHOUSE_H

#include "wire.h"
#include <mp/error.h>
#include <stdbool.h>

typedef struct mpx_warehouse mpx_warehouse_t;

/* Make the directory if need be, and clear away what killed workers have left.
 * MP_OK; MP_EINVAL it isn't a directory, or not private; MP_ENOMEM. */
mp_rc_t mpx_warehouse_open(const char *dir, uint64_t max_bytes, mpx_warehouse_t **out);
void mpx_warehouse_close(mpx_warehouse_t **self);

/* Whether it is there, of that size, and its content has that hash; else it is removed. */
bool mpx_warehouse_has(const mpx_warehouse_t *self, const uint8_t hash[MPX_HASH_BYTES],
                       uint64_t bytes);
/* MP_OK; MP_EINVAL it doesn't fit. */
mp_rc_t mpx_warehouse_path(const mpx_warehouse_t *self, const uint8_t hash[MPX_HASH_BYTES],
                           char *out, size_t size);
void mpx_warehouse_remove(const mpx_warehouse_t *self, const uint8_t hash[MPX_HASH_BYTES]);

/* One comes in. MP_OK; MP_ENOSPACE; MP_ESYSTEM. */
mp_rc_t mpx_warehouse_begin(mpx_warehouse_t *self, const uint8_t hash[MPX_HASH_BYTES],
                            uint64_t bytes);
uint64_t mpx_warehouse_had(const mpx_warehouse_t *self);
/* The next piece of it. MP_OK; MP_ENOSPACE; MP_EMODULE it can't be a shared object of this machine;
 * MP_ESYSTEM. */
mp_rc_t mpx_warehouse_add(mpx_warehouse_t *self, mp_bytes_t piece);
/* All of it has come in. MP_OK; MP_EMODULE it isn't what was announced; MP_ESYSTEM. */
mp_rc_t mpx_warehouse_finish(mpx_warehouse_t *self);
/* Forget what has come in, if it isn't finished. */
void mpx_warehouse_drop(mpx_warehouse_t *self);

#endif
