#include "survey.h"

#include "clock.h"

#include <stdlib.h>
#include <utlist.h>

mpx_survey_t *mpx_survey_add(mpx_survey_t **list, size_t workers)
{
    mpx_survey_t *self = calloc(1, sizeof *self + workers * sizeof self->owing[0]);
    if (self)
        DL_APPEND(*list, self);
    return self;
}

static size_t find(const mpx_survey_t *self, uint64_t worker)
{
    size_t i = 0;
    while (i < self->owing_count && self->owing[i] != worker)
        i++;
    return i;
}

mpx_survey_t *mpx_survey_of(mpx_survey_t *list, uint64_t number, uint64_t worker)
{
    mpx_survey_t *self;
    DL_FOREACH (list, self)
        if (self->number == number)
            break;
    return self && find(self, worker) < self->owing_count ? self : NULL;
}

void mpx_survey_settle(mpx_survey_t *self, uint64_t worker)
{
    size_t i = find(self, worker);
    if (i < self->owing_count)
        self->owing[i] = self->owing[--self->owing_count];
}

size_t mpx_survey_count(const mpx_survey_t *list, uint64_t client)
{
    size_t count = 0;
    for (; list; list = list->next)
        count += list->client == client;
    return count;
}

mpx_survey_t *mpx_survey_over(mpx_survey_t *list, int64_t now)
{
    mpx_survey_t *self;
    DL_FOREACH (list, self)
        if (self->owing_count == 0 || self->until <= now)
            break;
    return self;
}

int64_t mpx_survey_deadline(const mpx_survey_t *list)
{
    int64_t until = MPX_NEVER;
    for (; list; list = list->next)
        until = mpx_earlier(until, list->until);
    return until;
}

void mpx_survey_free(mpx_survey_t **list, mpx_survey_t *self)
{
    DL_DELETE(*list, self);
    free(self);
}

void mpx_survey_forget(mpx_survey_t **list, uint64_t peer)
{
    mpx_survey_t *self, *next;
    DL_FOREACH_SAFE (*list, self, next) {
        if (self->client == peer)
            mpx_survey_free(list, self);
        else
            mpx_survey_settle(self, peer);
    }
}
