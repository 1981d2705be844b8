/* lists.h: what a client asks of the broker apart from single jobs: which jobs are kept, and which
 * dead letters there are; some of these it has run again, and in the end it drops them. */
#ifndef SIM_LISTS_H
#define SIM_LISTS_H

#include "backend.h"
#include "world.h"

typedef struct lists lists_t;

lists_t *lists_new(proc_t *proc, mpx_backend_t *backend);
/* Perhaps ask for one. When nothing breaks any more, only for letters, and once all jobs are over.
 */
void lists_act(lists_t *self, bool jobs_are_over);
/* Whether there is nothing to be asked, from here on. */
bool lists_are_over(const lists_t *self);
void lists_free(lists_t *self);

#endif
