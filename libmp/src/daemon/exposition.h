/* exposition.h: numbers as Prometheus reads them, in its text format 0.0.4.
 *
 * A family is a head and then its samples, all of one name; it comes once. Running out of memory
 * is kept in rc, so that callers need not look after each line.
 */
#ifndef MPX_EXPOSITION_H
#define MPX_EXPOSITION_H

#include "buf.h"
#include <mp/error.h>
#include <stdint.h>

typedef struct mpx_exposition {
    mpx_buf_t text;
    mp_rc_t rc; /* MP_OK; MP_ENOMEM: what is in text is not all */
} mpx_exposition_t;

/* Of times: how many took at most so long. The bounds are the same for all of them. */
enum { MPX_BOUNDS = 13 };
typedef struct mpx_histogram {
    uint64_t counts[MPX_BOUNDS + 1]; /* above the bound before; the last one: above all */
    double sum_s;
} mpx_histogram_t;
/* n times of ns. */
void mpx_histogram_add(mpx_histogram_t *self, int64_t ns, uint64_t n);
uint64_t mpx_histogram_count(const mpx_histogram_t *self);

/* type: "counter", "gauge" or "histogram". */
void mpx_expose_family(mpx_exposition_t *self, const char *name, const char *type,
                       const char *help);
/* A sample, with one label unless that is NULL. */
void mpx_expose(mpx_exposition_t *self, const char *name, const char *label, const char *value,
                double number);
/* A family of one sample without a label. */
void mpx_expose_one(mpx_exposition_t *self, const char *name, const char *type, const char *help,
                    double number);
void mpx_expose_histogram(mpx_exposition_t *self, const char *name, const char *label,
                          const char *value, const mpx_histogram_t *histogram);

#endif
