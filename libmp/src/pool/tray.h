/* tray.h: messages of threads to the one that drives their pool. */
#ifndef MPX_TRAY_H
#define MPX_TRAY_H

#include "wire.h"

typedef struct mpx_letter {
    struct mpx_letter *next;
    uint64_t worker;
    mpx_header_t header;
    size_t size;
    _Alignas(16) unsigned char payload[];
} mpx_letter_t;

/* NULL: no memory. */
mpx_letter_t *mpx_letter_new(uint64_t worker, const mpx_header_t *header, mp_bytes_t payload);

typedef struct mpx_tray mpx_tray_t;

/* Its maker has a share. MP_OK; MP_ENOMEM; MP_ESYSTEM. */
mp_rc_t mpx_tray_new(mpx_tray_t **out);
mpx_tray_t *mpx_tray_share(mpx_tray_t *self);
/* Frees it, and what lies in it, with the last share. */
void mpx_tray_release(mpx_tray_t **self);

/* Wait until nobody else has a share, but not for longer. */
void mpx_tray_wait(mpx_tray_t *self, int timeout_ms);

/* Any thread. Wakes the driver if it sleeps. */
void mpx_tray_put(mpx_tray_t *self, mpx_letter_t *letter);

/* The driver: the oldest letter, to be freed by it; NULL: none. */
mpx_letter_t *mpx_tray_take(mpx_tray_t *self);
/* For poll, after mpx_tray_sleep has returned true; false: there is a letter. */
int mpx_tray_fd(const mpx_tray_t *self);
bool mpx_tray_sleep(mpx_tray_t *self);

#endif
