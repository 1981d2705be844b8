#include "context.h"

#include "forkguard.h"

#include <pthread.h>
#include <stdbool.h>
#include <zmq.h>

static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static void *context;
static unsigned users;
static uint64_t generation;
static pthread_once_t once = PTHREAD_ONCE_INIT;

static void install(void)
{
    mpx_forkguard_hold(&lock);
}

void *mpx_context_get(void)
{
    pthread_once(&once, install);
    pthread_mutex_lock(&lock);
    if (generation != mpx_fork_generation()) {
        context = NULL; /* the parent's: left alone */
        users = 0;
        generation = mpx_fork_generation();
    }
    if (!context)
        context = zmq_ctx_new();
    if (context)
        users++;
    void *result = context;
    pthread_mutex_unlock(&lock);
    return result;
}

void mpx_context_release(void)
{
    pthread_mutex_lock(&lock);
    void *ended = NULL;
    if (users > 0 && --users == 0) {
        ended = context;
        context = NULL;
    }
    pthread_mutex_unlock(&lock);
    if (ended)
        zmq_ctx_term(ended);
}
