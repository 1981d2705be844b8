/* share.c: whose turn it is among jobs of one priority.
 *
 * Two steps of the same kind: clients share the workers, and the jobs of a client share what it
 * gets, by weight. Each has a pass, the run time that it has had, divided by its weight; the lowest
 * is next, and of equal ones the one that was served longest ago. It is charged when calls are
 * given out, by what they should take, and what they took more is added when they are over; what
 * they took less is left off the next charge. So passes rise, and a place in a heap is only
 * ever too early: it is put right when it comes to the top. What was charged for calls that never
 * ran is taken off at once, or they would hold up others of their client: as far as the clock.
 *
 * Who comes, or comes back, starts at the clock: the pass of who was served last. Who falls
 * behind the clock, because its workers are others and busier, is owed no more than lag_ns.
 */
#include "sched_private.h"

#include <stdlib.h>

static const int64_t lag_ns = 1000000000;
static const int64_t pass_max = INT64_MAX / 4;

/* ---- parties -------------------------------------------------------------------------- */

static tier_t *tier_of(mpx_sched_t *self, int priority)
{
    tier_t *tier = self->tiers;
    while (tier && tier->priority > priority)
        tier = tier->next;
    if (tier && tier->priority == priority)
        return tier;
    tier_t *fresh = calloc(1, sizeof *fresh);
    if (!fresh)
        return NULL;
    fresh->priority = priority;
    DL_PREPEND_ELEM(self->tiers, tier, fresh);
    return fresh;
}

static void tier_leave(mpx_sched_t *self, tier_t *tier)
{
    if (tier->parties)
        return;
    DL_DELETE(self->tiers, tier);
    free(tier);
}

static party_t *party_make(tier_t *tier, uint64_t client)
{
    party_t *party = calloc(1, sizeof *party);
    if (!party)
        return NULL;
    party->client = client;
    party->tier = tier;
    HASH_ADD(hh, tier->parties, client, sizeof party->client, party);
    if (!party->unlisted)
        return party;
    free(party);
    return NULL;
}

static party_t *party_join(mpx_sched_t *self, int priority, uint64_t client)
{
    party_t *party = NULL;
    tier_t *tier = tier_of(self, priority);
    if (!tier)
        return NULL;
    HASH_FIND(hh, tier->parties, &client, sizeof client, party);
    if (!party)
        party = party_make(tier, client);
    if (party)
        party->members++;
    else
        tier_leave(self, tier);
    return party;
}

static void party_leave(mpx_sched_t *self, party_t *party)
{
    tier_t *tier = party->tier;
    if (--party->members > 0)
        return;
    HASH_DEL(tier->parties, party);
    free(party);
    tier_leave(self, tier);
}

/* ---- shares --------------------------------------------------------------------------- */

static void share_free(mpx_sched_t *self, share_t *share)
{
    HASH_DEL(share->level->shares, share);
    mpx_heap_free(&share->ring);
    if (share->party) {
        DL_DELETE(share->party->shares, share);
        party_leave(self, share->party);
    }
    free(share);
}

static share_t *share_make(mpx_sched_t *self, level_t *level, uint64_t client)
{
    share_t *share = calloc(1, sizeof *share);
    if (!share)
        return NULL;
    share->client = client;
    share->level = level;
    HASH_ADD(hh, level->shares, client, sizeof share->client, share);
    if (share->unlisted) {
        free(share);
        return NULL;
    }
    share->party = party_join(self, level->priority, client);
    if (share->party)
        DL_APPEND(share->party->shares, share);
    if (share->party && mpx_heap_reserve(&level->ring, HASH_COUNT(level->shares)) == MP_OK)
        return share;
    share_free(self, share);
    return NULL;
}

share_t *mpx_share_join(mpx_sched_t *self, level_t *level, job_t *job)
{
    share_t *share = NULL;
    uint64_t client = job->policy.client;
    HASH_FIND(hh, level->shares, &client, sizeof client, share);
    if (!share)
        share = share_make(self, level, client);
    if (!share)
        return NULL;
    if (mpx_heap_reserve(&share->ring, share->members + 1) != MP_OK) {
        if (share->members == 0)
            share_free(self, share);
        return NULL;
    }
    share->members++;
    job->share = share;
    return share;
}

void mpx_share_leave(mpx_sched_t *self, job_t *job)
{
    share_t *share = job->share;
    job->share = NULL;
    if (--share->members == 0)
        share_free(self, share);
}

/* ---- rings ---------------------------------------------------------------------------- */

static int64_t later(int64_t a, int64_t b)
{
    return a > b ? a : b;
}

/* Their rings have room: it was reserved when they joined. */
static void place_share(share_t *share)
{
    share->node.order = share->party->turn;
    (void)mpx_heap_set(&share->level->ring, &share->node, share->party->pass);
}

static void place_job(job_t *job)
{
    job->ring.order = job->turn;
    (void)mpx_heap_set(&job->share->ring, &job->ring, job->pass);
}

void mpx_share_ring(mpx_sched_t *self, job_t *job)
{
    share_t *share = job->share;
    party_t *party = share->party;
    job->turn = ++self->last_turn;
    job->pass = later(job->pass, party->clock);
    place_job(job);
    if (party->ringed++ == 0) {
        party->turn = job->turn;
        party->pass = later(party->pass, party->tier->clock);
    }
    if (!share->node.slot)
        place_share(share);
}

void mpx_share_unring(job_t *job)
{
    share_t *share = job->share;
    mpx_heap_remove(&share->ring, &job->ring);
    share->party->ringed--;
    if (share->ring.count == 0)
        mpx_heap_remove(&share->level->ring, &share->node);
}

static job_t *first_job(share_t *share)
{
    for (;;) {
        mpx_heap_node_t *node = mpx_heap_first(&share->ring);
        job_t *job = CONTAINER_OF(node, job_t, ring);
        if (node->at == job->pass && node->order == job->turn)
            return job;
        place_job(job);
    }
}

job_t *mpx_share_first(level_t *level)
{
    for (;;) {
        mpx_heap_node_t *node = mpx_heap_first(&level->ring);
        if (!node)
            return NULL;
        share_t *share = CONTAINER_OF(node, share_t, node);
        if (node->at == share->party->pass && node->order == share->party->turn)
            return first_job(share);
        place_share(share);
    }
}

bool mpx_share_precedes(const job_t *a, const job_t *b)
{
    const party_t *x = a->share->party, *y = b->share->party;
    if (a->policy.priority != b->policy.priority)
        return a->policy.priority > b->policy.priority;
    if (x != y)
        return x->pass != y->pass ? x->pass < y->pass : x->turn < y->turn;
    return a->pass != b->pass ? a->pass < b->pass : a->turn < b->turn;
}

/* ---- charging ------------------------------------------------------------------------- */

static void charge(int64_t *pass, int64_t *refund, int64_t ns)
{
    int64_t off = *refund < ns ? *refund : ns;
    *refund -= off;
    *pass = *pass < pass_max - (ns - off) ? *pass + ns - off : pass_max;
}

static int64_t weighted(const job_t *job, int64_t ns)
{
    return job->policy.weight > 1 ? ns / job->policy.weight + 1 : ns;
}

void mpx_share_charge(mpx_sched_t *self, job_t *job, int64_t ns)
{
    party_t *party = job->share->party;
    tier_t *tier = party->tier;
    tier->clock = later(tier->clock, party->pass);
    party->clock = later(party->clock, job->pass);
    party->pass = later(party->pass, tier->clock - lag_ns);
    job->pass = later(job->pass, party->clock - lag_ns);
    charge(&party->pass, &party->refund, ns);
    charge(&job->pass, &job->refund, weighted(job, ns));
    party->turn = job->turn = ++self->last_turn;
}

void mpx_share_correct(job_t *job, int64_t more_ns)
{
    party_t *party = job->share->party;
    if (more_ns >= 0) {
        charge(&party->pass, &party->refund, more_ns);
        charge(&job->pass, &job->refund, weighted(job, more_ns));
        return;
    }
    party->refund += -more_ns;
    job->refund += weighted(job, -more_ns);
}

static void take_off(int64_t *pass, int64_t clock, int64_t ns)
{
    if (*pass > clock)
        *pass = later(*pass - ns, clock);
}

void mpx_share_forgive(job_t *job, int64_t ns)
{
    party_t *party = job->share->party;
    if (ns == 0)
        return;
    take_off(&party->pass, party->tier->clock, ns);
    take_off(&job->pass, party->clock, weighted(job, ns));
    for (share_t *share = party->shares; share; share = share->next)
        if (share->node.slot)
            place_share(share);
    if (job->ring.slot)
        place_job(job);
}
