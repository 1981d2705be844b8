/* nursery.h: the process that forks executors, and how to talk to it. See crew.h for why. */
#ifndef MPX_NURSERY_H
#define MPX_NURSERY_H

#include "crew.h"
#include "words.h"
#include <sys/types.h>

typedef struct mpx_nursery {
    int control; /* SOCK_SEQPACKET; readable when it has reports or is gone; -1: none */
    pid_t pid;
} mpx_nursery_t;

typedef enum mpx_report_kind {
    MPX_REPORT_STARTED,
    MPX_REPORT_DELAYED,     /* it is wanted, and still tried now and then; value: errno of fork */
    MPX_REPORT_NOT_STARTED, /* it is given up, after some seconds of trying; the same */
    MPX_REPORT_EXITED,      /* value: wait status; its process group is dead as well */
    MPX_REPORT_SAID         /* value: MPX_STDOUT, MPX_STDERR, or 0: what was left out is told */
} mpx_report_kind_t;

typedef struct mpx_report {
    mpx_report_kind_t kind;
    uint32_t slot;
    pid_t pid;
    int value;
    mpx_want_t want; /* EXITED */
    uint64_t taken_bytes;
    uint64_t chunk; /* SAID: the call, */
    uint64_t index;
    uint64_t unsaid;                      /* bytes that were left out, */
    size_t size;                          /* and how many there are in error_output */
    char error_output[MPX_WORDS_MAX + 1]; /* EXITED: see words.h; SAID: bytes; else "" */
    char backtrace[MPX_WORDS_MAX + 1];
} mpx_report_t;

/* The process that mpx_fresh_start made is one. Doesn't return unless the item is damaged. */
int mpx_nursery_main(const void *item, size_t size, int control);

/* Fork it, or start it anew. MP_OK; MP_ESYSTEM; MP_ENOMEM; with options->fresh as
 * mpx_fresh_start. */
mp_rc_t mpx_nursery_start(const mpx_crew_options_t *options, mpx_nursery_t *out);
/* Close the control socket, upon which it kills and reaps its executors and exits; wait for
 * that, up to 2 s, then kill it. */
void mpx_nursery_stop(mpx_nursery_t *self);

/* Modules that are loaded later. */
enum { MPX_MODULES_MAX = 64, MPX_MODULE_PATH_MAX = 4096 };

/* Of an executor's ends of its lane, and of its lane for nested calls, or -1. */
enum { MPX_NURSERY_FDS = 4 };

/* Ask for an executor at a lane's end; the descriptors are passed and stay the caller's.
 * It opens the first `modules` of those that were loaded later. A slot has at most one executor.
 * Where none can be forked it is tried again, less and less often, for some seconds; if `patient`,
 * also for as long as the nursery has another executor.
 * MP_OK; MP_ESYSTEM (it is gone, or will be). */
mp_rc_t mpx_nursery_spawn(const mpx_nursery_t *self, uint32_t slot, const int fds[MPX_NURSERY_FDS],
                          uint32_t modules, bool patient);
/* Tell it of a module that executors open beside those of the options; `number` from 0, replaced if
 * it is known. MP_OK; MP_EINVAL the path is too long; MP_ESYSTEM. */
mp_rc_t mpx_nursery_load(const mpx_nursery_t *self, uint32_t number, const char *path);
/* Send an executor's process group a signal, if pid is still the slot's. */
void mpx_nursery_signal(const mpx_nursery_t *self, uint32_t slot, pid_t pid, int signal);

/* The next report. MP_OK; MP_EBUSY none now; MP_EOF the nursery is gone. */
mp_rc_t mpx_nursery_report(const mpx_nursery_t *self, mpx_report_t *out);

#endif
