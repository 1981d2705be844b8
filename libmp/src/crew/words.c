#include "words.h"

#include "clock.h"

#include <dlfcn.h>
#include <errno.h>
#include <execinfo.h>
#include <poll.h>
#include <signal.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <unistd.h>

struct mpx_words {
    _Atomic uint64_t heard;       /* bytes, ever */
    atomic_bool listening;        /* some may be read, and not in `tail` yet */
    _Atomic uint64_t call_from;   /* of those, before the running call began */
    atomic_bool output_listening; /* the same, of the call's stdout */
    _Atomic uint64_t chunk;       /* whose call's output is wanted; 0: none's */
    _Atomic uint64_t index;
    _Atomic uint64_t left;   /* so much of it may still be passed on */
    _Atomic uint64_t unsaid; /* and so much was not */
    bool announces;
    atomic_bool announce; /* the next call */
    atomic_bool mute;     /* it can't */
    atomic_bool up;
    _Atomic uint64_t footprint; /* then */
    atomic_size_t backtrace_size;
    char tail[MPX_WORDS_MAX]; /* byte n of all is at n % MPX_WORDS_MAX */
    char backtrace[MPX_WORDS_MAX];
};

enum {
    FRAMES_MAX = 64,
    OUR_FRAMES = 2,
    STACK_BYTES = 64 * 1024,
    STUCK_S = 2,
    PATIENCE_MS = 200,
    SETTLE_MS = 5000
};

mpx_words_t *mpx_words_new(bool announces)
{
    void *page =
        mmap(NULL, sizeof(mpx_words_t), PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    if (page == MAP_FAILED)
        return NULL;
    mpx_words_t *self = page;
    self->announces = announces;
    return self;
}

void mpx_words_free(mpx_words_t *self)
{
    if (self)
        munmap(self, sizeof *self);
}

/* ---- what was said ----------------------------------------------------------------------------
 */

void mpx_words_hear(mpx_words_t *self, const char *bytes, size_t size)
{
    uint64_t heard = atomic_load_explicit(&self->heard, memory_order_relaxed);
    for (size_t i = 0; i < size; i++)
        self->tail[(heard + i) % MPX_WORDS_MAX] = bytes[i];
    atomic_store_explicit(&self->heard, heard + size, memory_order_release);
    atomic_store_explicit(&self->listening, false, memory_order_release);
}

void mpx_words_listen(mpx_words_t *self, bool output)
{
    atomic_store(output ? &self->output_listening : &self->listening, true);
}

void mpx_words_hear_output(mpx_words_t *self)
{
    atomic_store_explicit(&self->output_listening, false, memory_order_release);
}

void mpx_words_forward(mpx_words_t *self, uint64_t chunk, uint64_t index, uint64_t bytes)
{
    if (chunk) {
        atomic_store_explicit(&self->index, index, memory_order_relaxed);
        atomic_store_explicit(&self->left, bytes, memory_order_relaxed);
        atomic_store_explicit(&self->unsaid, 0, memory_order_relaxed);
    }
    atomic_store_explicit(&self->chunk, chunk, memory_order_release);
}

uint64_t mpx_words_unsaid(const mpx_words_t *self)
{
    return atomic_load_explicit(&self->unsaid, memory_order_relaxed);
}

bool mpx_words_wanted(const mpx_words_t *self, uint64_t *chunk, uint64_t *index)
{
    *chunk = atomic_load_explicit(&self->chunk, memory_order_acquire);
    *index = atomic_load_explicit(&self->index, memory_order_relaxed);
    return *chunk != 0;
}

size_t mpx_words_allow(mpx_words_t *self, size_t size)
{
    uint64_t left = atomic_load_explicit(&self->left, memory_order_relaxed);
    size_t allowed = size < left ? size : (size_t)left;
    atomic_store_explicit(&self->left, left - allowed, memory_order_relaxed);
    mpx_words_lose(self, size - allowed);
    return allowed;
}

void mpx_words_lose(mpx_words_t *self, size_t size)
{
    atomic_fetch_add_explicit(&self->unsaid, size, memory_order_relaxed);
}

/* What was heard since then, as far as it is still there; a NUL would end it for whoever reads. */
static void copy_since(const mpx_words_t *self, uint64_t from, char out[MPX_WORDS_MAX + 1])
{
    uint64_t heard = atomic_load_explicit(&self->heard, memory_order_acquire);
    if (from > heard)
        from = heard;
    if (heard - from > MPX_WORDS_MAX)
        from = heard - MPX_WORDS_MAX;
    for (; from < heard; from++) {
        char byte = self->tail[from % MPX_WORDS_MAX];
        *out++ = byte ? byte : '?';
    }
    *out = '\0';
}

void mpx_words_up(mpx_words_t *self, uint64_t footprint)
{
    atomic_store_explicit(&self->footprint, footprint, memory_order_relaxed);
    /* An initializer may have become another user. */
    atomic_store(&self->mute, self->announces && kill(getppid(), 0) != 0);
    atomic_store_explicit(&self->up, true, memory_order_release);
}

bool mpx_words_is_up(const mpx_words_t *self, uint64_t *footprint)
{
    bool up = atomic_load_explicit(&self->up, memory_order_acquire);
    *footprint = atomic_load_explicit(&self->footprint, memory_order_relaxed);
    return up;
}

bool mpx_words_announce(mpx_words_t *self)
{
    atomic_store(&self->announce, true);
    return !atomic_load(&self->mute);
}

/* The nursery asks for it, and then looks whether we wait for a call; we have ceased to, and then
 * look whether it has asked: one of both sees the other. */
static void announce_call(mpx_words_t *self)
{
    atomic_thread_fence(memory_order_seq_cst);
    if (atomic_load_explicit(&self->announce, memory_order_relaxed) &&
        atomic_exchange(&self->announce, false) && kill(getppid(), SIGCHLD) != 0)
        atomic_store(&self->mute, true);
}

void mpx_words_call_begins(mpx_words_t *self)
{
    uint64_t heard = atomic_load_explicit(&self->heard, memory_order_relaxed);
    atomic_store_explicit(&self->call_from, heard, memory_order_relaxed);
    if (self->announces)
        announce_call(self);
}

/* The nursery says that it listens before it reads: so what it has read is still seen here. */
static bool is_unheard(int pipe, atomic_bool *listening)
{
    int waiting = 0;
    return (ioctl(pipe, FIONREAD, &waiting) == 0 && waiting > 0) || atomic_load(listening);
}

void mpx_words_settle(mpx_words_t *self, int pipe)
{
    int64_t deadline = mpx_now() + SETTLE_MS * MPX_MS;
    while ((is_unheard(STDERR_FILENO, &self->listening) ||
            is_unheard(pipe, &self->output_listening)) &&
           mpx_now() < deadline)
        (void)poll(NULL, 0, 1);
}

void mpx_words_said(mpx_words_t *self, char out[MPX_WORDS_MAX + 1])
{
    int64_t deadline = mpx_now() + PATIENCE_MS * MPX_MS;
    while (is_unheard(STDERR_FILENO, &self->listening) && mpx_now() < deadline)
        (void)poll(NULL, 0, 1);
    copy_since(self, atomic_load_explicit(&self->call_from, memory_order_relaxed), out);
}

void mpx_words_last(const mpx_words_t *self, char said[MPX_WORDS_MAX + 1],
                    char backtrace[MPX_WORDS_MAX + 1])
{
    size_t size = atomic_load_explicit(&self->backtrace_size, memory_order_acquire);
    size = size < MPX_WORDS_MAX ? size : MPX_WORDS_MAX;
    memcpy(backtrace, self->backtrace, size);
    backtrace[size] = '\0';
    copy_since(self, atomic_load_explicit(&self->call_from, memory_order_relaxed), said);
}

/* ---- a crash ------------------------------------------------------------------------------------
 * In a signal handler of a process whose memory may be damaged: nothing here allocates. */

static mpx_words_t *armed;
static volatile sig_atomic_t crashed_by;

static void die_of(int signal_number)
{
    sigset_t one;
    signal(signal_number, SIG_DFL);
    sigemptyset(&one);
    sigaddset(&one, signal_number);
    sigprocmask(SIG_UNBLOCK, &one, NULL);
    raise(signal_number);
}

/* Looking at the stack can hang where the stack or the loader is what was damaged. */
static void on_stuck(int signal_number)
{
    (void)signal_number;
    die_of(crashed_by);
}

static void write_frame(size_t *used, int number, const void *at)
{
    Dl_info info = {0};
    char *out = armed->backtrace + *used;
    size_t room = MPX_WORDS_MAX - *used;
    int n;
    if (!dladdr(at, &info) || !info.dli_fname)
        n = snprintf(out, room, "#%d %p\n", number, at);
    else if (info.dli_sname)
        n = snprintf(out, room, "#%d %s+0x%zx in %s\n", number, info.dli_sname,
                     (size_t)((uintptr_t)at - (uintptr_t)info.dli_saddr), info.dli_fname);
    else
        n = snprintf(out, room, "#%d 0x%zx in %s\n", number,
                     (size_t)((uintptr_t)at - (uintptr_t)info.dli_fbase), info.dli_fname);
    if (n > 0 && (size_t)n < room)
        *used += (size_t)n;
}

static void on_crash(int signal_number)
{
    void *frames[FRAMES_MAX];
    size_t used = 0;
    int saved = errno;
    if (crashed_by)
        die_of(signal_number);
    crashed_by = signal_number;
    signal(SIGALRM, on_stuck);
    alarm(STUCK_S);
    int count = backtrace(frames, FRAMES_MAX);
    for (int i = OUR_FRAMES; i < count; i++)
        write_frame(&used, i - OUR_FRAMES, frames[i]);
    atomic_store_explicit(&armed->backtrace_size, used, memory_order_release);
    alarm(0);
    errno = saved;
    die_of(signal_number);
}

static void take(int signal_number)
{
    struct sigaction action = {.sa_handler = on_crash, .sa_flags = SA_ONSTACK | SA_NODEFER};
    struct sigaction before;
    sigemptyset(&action.sa_mask);
    if (sigaction(signal_number, NULL, &before) == 0 && before.sa_handler == SIG_DFL)
        sigaction(signal_number, &action, NULL);
}

/* An overflown stack has no room for a handler. */
static bool prepare_stack(void)
{
    static _Alignas(16) unsigned char room[STACK_BYTES];
    stack_t stack = {.ss_size = sizeof room, .ss_sp = room};
    return sigaltstack(&stack, NULL) == 0;
}

void mpx_words_arm(mpx_words_t *self)
{
    static const int signals[] = {SIGSEGV, SIGBUS, SIGFPE, SIGILL, SIGSYS, SIGABRT};
    void *frame;
    armed = self;
    if (!prepare_stack())
        return;
    (void)backtrace(&frame, 1); /* loads what it needs */
    for (size_t i = 0; i < sizeof signals / sizeof *signals; i++)
        take(signals[i]);
}
