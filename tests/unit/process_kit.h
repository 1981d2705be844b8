/* process_kit.h: what the tests of processes share: an order to a child, some targets. */
#ifndef PROCESS_KIT_H
#define PROCESS_KIT_H

#include "clock.h"
#include "suite.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <mp/mp.h>
#include <poll.h>
#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

enum { LONG_MS = 20000, SOON_MS = 100 };

static const mp_method_t methods[] = {MP_FORK, MP_SPAWN, MP_FORKSERVER};
enum { METHODS = 3 };

typedef struct order {
    int number;
    mp_ref_t event; /* set once it runs */
    char path[64];  /* where its pid is to be written */
} order_t;

MP_TARGET(returns, order_t)
{
    return self->number;
}

static inline void set_event(const mp_ref_t *ref)
{
    mp_event_t *event = NULL;
    if (mp_event_open(ref, &event) != MP_OK)
        _exit(99);
    mp_event_set(event);
    mp_event_destroy(&event);
}

MP_TARGET(stays, order_t)
{
    set_event(&self->event);
    for (;;)
        pause();
    return 0;
}

static inline int count_descriptors(void)
{
    DIR *folder = opendir("/proc/self/fd");
    int count = -3; /* ".", ".." and the folder itself */
    while (readdir(folder))
        count++;
    closedir(folder);
    return count;
}

/* ---- helpers -------------------------------------------------------------------------------- */

static inline mp_process_t *process_of(const mp_target_t *target, const order_t *order,
                                       mp_method_t method)
{
    mp_process_t *process = NULL;
    mp_process_options_t options = {.registered = target, .item = order, .method = method};
    ck_assert_msg(mp_process_new(&options, &process) == MP_OK, "%s", mp_errmsg());
    return process;
}

static inline mp_process_t *started(const mp_target_t *target, const order_t *order,
                                    mp_method_t method)
{
    mp_process_t *process = process_of(target, order, method);
    ck_assert_msg(mp_process_start(process) == MP_OK, "%s", mp_errmsg());
    return process;
}

static inline int ended(mp_process_t **process)
{
    int code = -1000;
    ck_assert_int_eq(mp_process_join(*process, LONG_MS), MP_OK);
    ck_assert(!mp_process_is_alive(*process));
    ck_assert_int_eq(mp_process_exitcode(*process, &code), MP_OK);
    mp_process_destroy(process);
    ck_assert_ptr_null(*process);
    return code;
}

static inline order_t with_event(mp_event_t **event)
{
    order_t order = {0};
    ck_assert_int_eq(mp_event_new(event), MP_OK);
    mp_event_ref(*event, &order.event);
    return order;
}

/* A process that is no child of ours has ended; who has inherited it may not have reaped it. */
static inline bool is_gone(pid_t pid)
{
    char path[32], line[512] = "";
    snprintf(path, sizeof path, "/proc/%d/stat", (int)pid);
    FILE *file = fopen(path, "r");
    if (!file)
        return true;
    const char *read = fgets(line, sizeof line, file);
    fclose(file);
    return !read || strrchr(line, ')')[2] == 'Z';
}

static inline void until_gone(pid_t pid)
{
    int64_t end = mpx_now() + LONG_MS * MPX_MS;
    while (!is_gone(pid)) {
        ck_assert_msg(mpx_now() < end, "process %d lives on", (int)pid);
        usleep(1000);
    }
}

#endif
