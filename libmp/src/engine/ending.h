/* ending.h: what is said of calls that didn't end well, and why they might be tried again. */
#ifndef MPX_ENDING_H
#define MPX_ENDING_H

#include "engine.h"
#include "offers.h"

/* Only our own strings go into failures: at most this long. */
enum { MPX_ENDING_TEXT = 512 };

/* A call that ended without a result, and what is known of that. */
typedef struct mpx_ending {
    const mpx_open_t *open;
    bool matched; /* by what workers offer */
    const mpx_offers_t *offers;
    const mpx_loss_t *loss; /* of its worker, or NULL */
    const char *message;    /* if somebody said why; else NULL */
    const mpx_effect_t *effect;
} mpx_ending_t;

/* Write the words for it, and return its code, which may be a better one than the effect's. */
mp_rc_t mpx_ending_explain(const mpx_ending_t *self, char *text, size_t size);

/* For what cause the call of a record could be tried again; MP_OK: for none. A task that fails for
 * want of memory says so by its code, which is looked for if `retried`. */
mp_rc_t mpx_ending_cause(const mpx_record_t *record, bool retried);

/* The record's failure was written elsewhere, where the other crashes aren't known: say so in it.
 * The detail lies in `scratch` then. */
void mpx_ending_add_crashes(mpx_record_t *record, uint32_t crashes, mpx_buf_t *scratch);

#endif
