/* survey.h: questions of clients that all workers are to answer.
 *
 *     client --SURVEY--> broker --SURVEY--> each worker
 *            <--CENSUS--        <--CENSUS--
 *
 * A survey is over when each worker that was asked has answered in full, has gone, or has had its
 * time. Only a list: whoever holds it sends the messages.
 */
#ifndef MPX_SURVEY_H
#define MPX_SURVEY_H

#include <mp/error.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

typedef struct mpx_survey {
    uint64_t number; /* the nonce of what workers are asked */
    uint64_t client;
    uint64_t nonce; /* the client's */
    int64_t until;
    bool cut; /* the client had no credit for all of the answer */
    size_t owing_count;
    struct mpx_survey *prev, *next;
    uint64_t owing[]; /* workers that have not answered in full */
} mpx_survey_t;

/* One more, of up to so many workers, which are to be added. NULL: no memory. */
mpx_survey_t *mpx_survey_add(mpx_survey_t **list, size_t workers);
/* The one of that number that this worker still owes an answer to; or NULL. */
mpx_survey_t *mpx_survey_of(mpx_survey_t *list, uint64_t number, uint64_t worker);
/* It has answered, or will not. */
void mpx_survey_settle(mpx_survey_t *self, uint64_t worker);
/* How many are a client's. */
size_t mpx_survey_count(const mpx_survey_t *list, uint64_t client);
/* One that is over, also by its time; or NULL. */
mpx_survey_t *mpx_survey_over(mpx_survey_t *list, int64_t now);
/* When the next one's time is over; MPX_NEVER. */
int64_t mpx_survey_deadline(const mpx_survey_t *list);
void mpx_survey_free(mpx_survey_t **list, mpx_survey_t *self);
/* A peer is gone: what it asked is dropped, and what it owed settled. */
void mpx_survey_forget(mpx_survey_t **list, uint64_t peer);

#endif
