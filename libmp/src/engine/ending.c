#include "ending.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static void crash_text(const mpx_loss_t *loss, char *text, size_t size)
{
    if (loss->signal)
        snprintf(text, size, "%s was killed by signal %u (%s)", loss->name, loss->signal,
                 strsignal((int)loss->signal));
    else
        snprintf(text, size, "%s exited with status %u in the middle of the call", loss->name,
                 loss->exit_status);
}

/* Of a call that no worker could be given. */
static mp_rc_t explain_absence(const mpx_ending_t *self, char *text, size_t size)
{
    const mpx_open_t *open = self->open;
    if (!self->matched) {
        snprintf(text, size,
                 "the workers of this pool don't have %s; `have` of its options says what they "
                 "have",
                 open->needs);
        return MP_ENEEDS;
    }
    if (self->effect->rc == MP_ENOTASK && open->needs && *open->needs &&
        mpx_offers_has(self->offers, open->task, open->signature)) {
        snprintf(text, size,
                 "no worker that offers '%s' has %s; start mp-worker with --have for what its "
                 "host has",
                 open->task, open->needs);
        return MP_ENEEDS;
    }
    return mpx_offers_explain(self->offers, open->task, open->signature, text, size);
}

static void add_crashes(uint32_t crashes, char *text, size_t size)
{
    size_t used = strlen(text);
    if (crashes)
        snprintf(text + used, size - used,
                 "; this call has cost %u workers, so it is not tried again", crashes);
}

mp_rc_t mpx_ending_explain(const mpx_ending_t *self, char *text, size_t size)
{
    const mpx_loss_t *loss = self->loss;
    const mpx_effect_t *effect = self->effect;
    mp_rc_t rc = effect->rc;
    if (self->message)
        snprintf(text, size, "%s", self->message);
    else if (rc == MP_ENOTASK || rc == MP_ENOWORKER)
        rc = explain_absence(self, text, size);
    else if (effect->lapsed)
        snprintf(text, size, "its deadline passed before it was over");
    else if (rc == MP_ETIMEDOUT)
        snprintf(text, size, "ran longer than %u ms, so it was ended with its worker",
                 self->open->call_limit_ms);
    else if (loss && loss->why && rc == loss->rc)
        snprintf(text, size, "%s", loss->why);
    else if (rc == MP_ECRASHED && loss)
        crash_text(loss, text, size);
    else if (loss && rc == loss->rc)
        snprintf(text, size, "%s was lost before the call's result came", loss->name);
    else
        snprintf(text, size, "%s", mp_strerror(rc));
    add_crashes(effect->crashes, text, size);
    return rc;
}

/* Whether another attempt could end otherwise. */
static bool is_worth_retrying(mp_rc_t rc)
{
    switch (rc) {
    case MP_EFAILED:
    case MP_ECRASHED:
    case MP_ETIMEDOUT:
    case MP_EWORKERLOST:
    case MP_EBROKERLOST:
    case MP_ENOMEM:
    case MP_EDRAINING:
        return true;
    default:
        return false;
    }
}

mp_rc_t mpx_ending_cause(const mpx_record_t *record, bool retried)
{
    mpx_failure_t failure;
    void *arena = NULL;
    mp_rc_t cause = is_worth_retrying(record->rc) ? record->rc : MP_OK;
    if (cause != MP_EFAILED || !retried ||
        mpx_failure_unpack(record->detail, &failure, &arena) != MP_OK)
        return cause;
    if (failure.code == MP_ENOMEM)
        cause = MP_ENOMEM;
    free(arena);
    return cause;
}

void mpx_ending_add_crashes(mpx_record_t *record, uint32_t crashes, mpx_buf_t *scratch)
{
    char text[MPX_ENDING_TEXT];
    mpx_failure_t failure;
    void *arena = NULL;
    if (mpx_failure_unpack(record->detail, &failure, &arena) != MP_OK)
        return;
    snprintf(text, sizeof text, "%s", failure.message);
    add_crashes(crashes, text, sizeof text);
    failure.message = text;
    mpx_buf_clear(scratch);
    if (mpx_failure_pack(&failure, scratch) == MP_OK)
        record->detail = mpx_buf_bytes(scratch);
    free(arena);
}
