/* why.h: why calls don't run, in words, as an answer to STAT (facts.h, proto/STAT.md). */
#ifndef MPX_WHY_H
#define MPX_WHY_H

#include "facts.h"

enum { MPX_WHY_NAME_MAX = 4096 };

/* what  "CLIENT/JOB" or "CLIENT/JOB/CALL", by the numbers that facts have; a kept job's "ID" or
 *       "ID/CALL"; the label of jobs; "" for all jobs that have calls waiting, or wait for who made
 *       them
 * Adds a fact for each job, and one for each reason behind it.
 * MP_OK; MP_ENOTFOUND there is no such job. */
mp_rc_t mpx_why_tell(mpx_facts_t *facts, const mpx_scene_t *scene, const char *what);

#endif
