/* place.h: where `mp launch` starts workers, as it is written, and the command that does it.
 *
 *     ssh:HOST[*N]     one mp-worker there, with N executors (default: one for each processor)
 *     slurm:N[*P]      N tasks of one Slurm job, each an mp-worker with P executors (default: 1)
 *     local:N          one mp-worker here, with N executors
 *
 * Wherever it is, mp-worker runs below a small shell that reads its standard input: a line there
 * is a signal for the worker, and its end is SIGTERM. So a worker drains when its launcher ends,
 * however it ends: ssh and srun carry the end of a pipe to the other side, but not a signal of
 * ours.
 */
#ifndef MP_CLI_PLACE_H
#define MP_CLI_PLACE_H

#include <stdbool.h>

typedef enum place_kind { PLACE_SSH, PLACE_SLURM, PLACE_LOCAL } place_kind_t;

typedef struct place {
    place_kind_t kind;
    const char *text; /* as given */
    char host[256];   /* of ssh */
    int tasks;        /* mp-worker processes: 1, but of slurm */
    int processes;    /* executors of each; 0: as many as there are processors */
} place_t;

/* What all places have in common. */
typedef struct place_setup {
    const char *broker;         /* as the workers reach it */
    const char *program;        /* mp-worker */
    const char *ssh, *srun;     /* words with spaces between them */
    const char *tunnel;         /* of ssh: PORT:HOST:PORT for its -R; NULL: none */
    const char *const *options; /* of mp-worker; ends with NULL */
} place_setup_t;

/* false, and *why it is no place. `text` is kept, not copied. */
bool place_parse(place_t *self, const char *text, const char **why);

/* The command, as execvp takes it: one allocation, to be freed. NULL: out of memory. */
char **place_command(const place_t *self, const place_setup_t *setup);

#endif
