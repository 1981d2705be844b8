#include "keeps.h"

#include "clock.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static keep_t keeps[KEEPS_MAX];
static size_t count;

enum { MOST_US = 3000, LIMIT_NS = 60000000 };

void keeps_reset(void)
{
    memset(keeps, 0, sizeof keeps);
    count = 0;
}

static deed_t some_deed(const keep_t *keep)
{
    if (!suffers(TASKS) || !one_in(4))
        return WELL;
    deed_t deed = (deed_t)chance(DEEDS);
    return deed == HANGS && !keep->limited ? FAILS : deed;
}

static void fill_in(keep_t *keep)
{
    for (uint32_t i = 0; i < keep->calls; i++) {
        keep->orders[i] = (order_t){.job = keep->number,
                                    .index = (uint16_t)i,
                                    .run_us = (uint32_t)chance(MOST_US) + 1,
                                    .deed = (uint8_t)some_deed(keep),
                                    .task = keep->task,
                                    .needs = keep->needs};
        order_mark(&keep->orders[i]);
    }
}

keep_t *keep_new(void)
{
    if (count == KEEPS_MAX)
        return NULL;
    keep_t *keep = &keeps[count++];
    keep->number = (uint16_t)count;
    snprintf(keep->id, sizeof keep->id, "keep-%u", keep->number);
    if (one_in(3))
        snprintf(keep->key, sizeof keep->key, "key %u", keep->number);
    keep->task = (uint8_t)chance(TASKS_MAX);
    keep->needs = (uint8_t)(one_in(4) ? chance(GOODS) : 0);
    keep->fixed = one_in(2);
    keep->limited = suffers(TASKS) && one_in(3);
    keep->dead_letters = one_in(2);
    keep->keep_ms = one_in(6) ? (int)chance_between(1, 2000) : 0;
    keep->chunk_calls = one_in(2) ? (uint32_t)chance(5) : 0;
    keep->terms.crashes_max = (uint32_t)chance_between(1, 4);
    if (one_in(2)) {
        keep->terms.retries = (uint32_t)chance(4);
        keep->terms.retry_on = one_in(2) ? 0 : (uint32_t)chance(64);
        keep->terms.retry_delay_ns = one_in(2) ? (int64_t)chance(200) * MPX_MS : 0;
    }
    keep->calls = (uint32_t)chance_between(1, KEEP_CALLS_MAX);
    fill_in(keep);
    return keep;
}

keep_t *keep_at(size_t i)
{
    return i < count ? &keeps[i] : NULL;
}

keep_t *keep_some(void)
{
    keep_t *keep = count ? &keeps[chance(count)] : NULL;
    return keep && !keep->over && !keep->asked ? keep : NULL;
}

bool keeps_forgets(void)
{
    return !world->durable && suffers(KILL_BROKER | DRAIN);
}

bool keep_may_be_gone(const keep_t *keep)
{
    bool expires = keep->keep_ms > 0 || suffers(JUMP);
    return !keep->sure || keep->may_go || keeps_forgets() || expires;
}

/* Of calls that a client has left nothing is run twice, but by what may lose word of it. */
void keep_begun(const order_t *order, uint32_t attempt)
{
    keep_t *keep = keep_at((size_t)order->job - 1);
    MUST(keep && order->index < keep->calls, "a call begins that nobody asked for");
    fate_t *fate = &keep->fates[order->index];
    MUST(memcmp(&keep->orders[order->index], order, sizeof *order) == 0,
         "an input was changed on its way");
    fate->begun++;
    for (; fate->again; fate->begun++) {
        keep = fate->again;
        fate = &keep->fates[fate->again_at];
    }
    trace("%s begins call %u of kept job %s (%u of keep-%u), attempt %u", name_of(world->current),
          (unsigned)(fate - keep->fates), keep->id, order->index, order->job, attempt);
    bool disturbed = suffers(BREAKS | DISK | CANCEL) && !keep->calm;
    if (disturbed || keep->keep_ms || keep->may_go)
        return;
    MUST(attempt == fate->attempt + 1 || (attempt == fate->attempt && crashes_are_excused()),
         "attempt %u of call %u of kept job %s comes behind %u", attempt, order->index, keep->id,
         fate->attempt);
    MUST(attempt <= keep->terms.retries + 1, "call %u of kept job %s has attempt %u of %u",
         order->index, keep->id, attempt, keep->terms.retries + 1);
    MUST(!fate->given, "call %u of kept job %s begins, and had its outcome", order->index,
         keep->id);
    fate->attempt = attempt;
}

static void check_given(const keep_t *keep, uint64_t index, mp_rc_t rc, mp_bytes_t value)
{
    const fate_t *fate = &keep->fates[index];
    const order_t *order = &keep->orders[index];
    uint64_t expected = order_value(order);
    MUST(order_may_end(order, rc, fate->begun > 0, keep->cancelled, false),
         "call %llu of kept job %s (deed %u, begun %u times) can't end with %s",
         (unsigned long long)index, keep->id, order->deed, fate->begun, mp_errname(rc));
    MUST(rc != MP_OK ||
             (value.size == sizeof expected && memcmp(value.data, &expected, sizeof expected) == 0),
         "call %llu of kept job %s has another one's value", (unsigned long long)index, keep->id);
}

void keep_given(keep_t *keep, uint64_t index, mp_rc_t rc, mp_bytes_t value)
{
    MUST(index < keep->calls, "kept job %s gives an outcome of call %llu", keep->id,
         (unsigned long long)index);
    fate_t *fate = &keep->fates[index];
    if (!keep->vague)
        check_given(keep, index, rc, value);
    MUST(!fate->given || fate->rc == rc || keep_may_be_gone(keep),
         "call %llu of kept job %s has two outcomes: %s, and now %s", (unsigned long long)index,
         keep->id, mp_errname(fate->rc), mp_errname(rc));
    fate->given = true;
    fate->rc = rc;
    if (index + 1 == keep->calls && !*keep->key)
        keep->may_go = true; /* whoever asks for more says that it has all */
}

void keep_ended(const keep_t *keep, uint64_t calls)
{
    MUST(calls == keep->calls || keep->cancelled, "kept job %s ends behind %llu of %u calls",
         keep->id, (unsigned long long)calls, keep->calls);
    for (uint32_t i = 0; i < keep->calls && !keep->cancelled; i++)
        MUST(keep->fates[i].given, "call %u of kept job %s was given to nobody", i, keep->id);
}

/* ---- run again ---------------------------------------------------------------------- */

/* All of a job run as the first one's did, so others need what that needs, or a limit. One with a
 * key that is gone is made anew by who submits it again. */
bool letter_goes_with(const letter_t *letter, const letter_t *other)
{
    const keep_t *a = letter->keep, *b = other->keep;
    bool comes_back = *a->key && !world->calm && (a->keep_ms || suffers(CANCEL));
    return !comes_back && !a->vague && !a->fates[letter->index].again && a->task == b->task &&
           a->fixed == b->fixed && a->limited == b->limited && a->needs == b->needs;
}

keep_t *keep_again(const letter_t *letters, unsigned letters_count, bool calm)
{
    const keep_t *first = letters[0].keep;
    if (count == KEEPS_MAX)
        return NULL;
    keep_t *keep = &keeps[count++];
    *keep = (keep_t){.number = (uint16_t)count,
                     .task = first->task,
                     .needs = first->needs,
                     .fixed = first->fixed,
                     .limited = first->limited,
                     .dead_letters = true,
                     .chunk_calls = first->chunk_calls,
                     .keep_ms = first->keep_ms,
                     .terms = first->terms,
                     .calls = letters_count,
                     .asked = true,
                     .calm = calm,
                     .token = chance(UINT64_MAX)};
    snprintf(keep->id, sizeof keep->id, "again-%u", keep->number);
    for (unsigned i = 0; i < letters_count; i++) {
        fate_t *fate = &letters[i].keep->fates[letters[i].index];
        keep->orders[i] = letters[i].keep->orders[letters[i].index];
        fate->again = keep;
        fate->again_at = i;
    }
    return keep;
}

static void tell_letters(const keep_t *keep, bool rose)
{
    for (size_t i = 0; i < count; i++)
        for (uint32_t j = 0; j < keeps[i].calls; j++) {
            fate_t *fate = &keeps[i].fates[j];
            if (fate->again != keep)
                continue;
            fate->rose_at = rose ? world->now : 0;
            if (!rose)
                fate->again = NULL;
        }
}

void keep_rose(keep_t *keep, uint32_t calls)
{
    keep->vague = calls < keep->calls;
    keep->calls = calls;
    keep->asked = false;
    keep->sure = true;
    tell_letters(keep, true);
}

void keep_fell(keep_t *keep)
{
    keep->asked = false;
    keep->over = true;
    tell_letters(keep, false);
}

void keep_is_unknown(keep_t *keep)
{
    keep->asked = false;
}

bool keeps_asked(void)
{
    for (size_t i = 0; i < count; i++)
        if (keeps[i].asked)
            return true;
    return false;
}

/* One with a key stays when its outcomes are had; only who cancels, drops it. */
bool keeps_taken_id(char id[KEEP_TEXT])
{
    for (size_t i = 0; i < count && !world->calm && !suffers(CANCEL); i++)
        if (*keeps[i].there && !keep_may_be_gone(&keeps[i])) {
            memcpy(id, keeps[i].there, KEEP_TEXT);
            return true;
        }
    snprintf(id, KEEP_TEXT, "-");
    return one_in(2);
}

/* ---- lists -------------------------------------------------------------------------- */

static keep_t *find(const char *id)
{
    for (size_t i = 0; i < count; i++)
        if (strcmp(keeps[i].id, id) == 0)
            return &keeps[i];
    return NULL;
}

static bool must_be_there(const keep_t *keep)
{
    return !*keep->key && !keep->over && !keep_may_be_gone(keep);
}

void keeps_list(int client)
{
    for (size_t i = 0; i < count; i++)
        keeps[i].missed |= (unsigned)must_be_there(&keeps[i]) << client;
}

void keeps_listed(int client, const char *id)
{
    keep_t *keep = find(id);
    if (keep)
        keep->missed &= ~(1U << client);
    MUST(keep || strchr(id, '.'), "a job %s is listed that nobody has made", id);
}

void keeps_list_end(int client)
{
    for (size_t i = 0; i < count; i++)
        MUST(!(keeps[i].missed >> client & 1) || !must_be_there(&keeps[i]),
             "kept job %s is not listed", keeps[i].id);
}

/* Of one with a key the id may be that of any of its submits: "keep-3.7". */
keep_t *keeps_letter(const char *id, uint64_t index, uint64_t number, mp_rc_t rc, int64_t asked_at)
{
    char plain[KEEP_TEXT];
    snprintf(plain, sizeof plain, "%.*s", (int)strcspn(id, "."), id);
    keep_t *keep = find(plain);
    MUST(keep && index < keep->calls, "a dead letter of %s, which nobody has made", id);
    trace("dead letter %llu is call %llu of kept job %s: %s", (unsigned long long)number,
          (unsigned long long)index, id, mp_errname(rc));
    fate_t *fate = &keep->fates[index];
    bool made_anew = keeps_forgets() || (*keep->key && keep_may_be_gone(keep));
    MUST(keep->dead_letters && rc != MP_OK && rc != MP_ECANCELLED,
         "call %llu of kept job %s has a dead letter with %s", (unsigned long long)index, id,
         mp_errname(rc));
    MUST(!fate->buried || fate->letter == number || made_anew || suffers(DISK),
         "call %llu of kept job %s has two dead letters", (unsigned long long)index, id);
    MUST(!fate->rose_at || fate->rose_at >= asked_at || made_anew,
         "call %llu of kept job %s was to run again, and its dead letter is still there",
         (unsigned long long)index, id);
    MUST(!fate->given || fate->rc == rc || keep_may_be_gone(keep),
         "call %llu of kept job %s ended with %s, and its letter says %s",
         (unsigned long long)index, id, mp_errname(fate->rc), mp_errname(rc));
    fate->buried = true;
    fate->letter = number;
    return keep;
}

void keeps_letters_end(void)
{
    for (size_t i = 0; i < count; i++)
        for (uint32_t j = 0; j < keeps[i].calls; j++) {
            const fate_t *fate = &keeps[i].fates[j];
            bool dead = fate->given && fate->rc != MP_OK && fate->rc != MP_ECANCELLED;
            MUST(!dead || !keeps[i].dead_letters || fate->buried || keeps_forgets(),
                 "call %u of kept job %s ended with %s, and left no dead letter", j, keeps[i].id,
                 mp_errname(fate->rc));
        }
}

void keeps_list_open(void)
{
    for (size_t i = 0; i < count; i++)
        if (!keeps[i].over)
            trace("still open: kept job %s, %u clients are there%s%s%s", keeps[i].id,
                  keeps[i].visits, keeps[i].sure ? ", all of it was put" : "",
                  keeps[i].cancelled ? ", cancelled" : "", *keeps[i].key ? ", with a key" : "");
}
