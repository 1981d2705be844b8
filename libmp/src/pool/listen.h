/* listen.h: what calls write, told to the function of their options. */
#ifndef MPX_LISTEN_H
#define MPX_LISTEN_H

#include "wire.h"
#include <mp/pool.h>

/* All zero: nobody listens. */
typedef struct mpx_listen {
    void (*tell)(void *arg, const mp_output_t *output);
    void *arg;
    const char *task;
    const char *label; /* NULL: none */
} mpx_listen_t;

mpx_listen_t mpx_listen_to(const mp_task_t *task, const mp_call_options_t *options);

/* An OUTPUT about a call of that index. What can't be read is dropped: it is only words. */
void mpx_listen_hear(const mpx_listen_t *self, uint64_t index, const mpx_header_t *header,
                     mp_bytes_t payload);

#endif
