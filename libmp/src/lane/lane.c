#include "lane.h"

#include "clock.h"
#include "fault.h"
#include "forkguard.h"
#include "ring.h"
#include <assert.h>
#include <errno.h>
#include <fcntl.h>
#include <sched.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

/* Going to sleep without missing a wake-up: the sleeper says so, then looks at the rings;
 * the other side moves a position, then looks whether somebody said so. Each has a full
 * barrier between its store and its look, so at least one of them sees the other's store.
 * The one who takes the announcement away (by an exchange) sends the byte, so there is
 * about one byte per sleep. A byte too many only makes the next sleep short. */

enum {
    RING_MIN = 64 * 1024,
    RING_MAX = 1 << 30,
    CONTROL_BYTES = 8192 /* the rings behind it are page-aligned */
};

#define MAGIC UINT64_C(0x31656e616c706d00) /* "\0mplane1" */

/* What a sleeping side wants to be woken by. */
enum { AWAKE = 0, FOR_RECORD = 1, FOR_ROOM = 2, ON_BELL = 4 /* and by what: else the socket */ };

enum { BOARD_WORDS = MPX_LANE_BOARD / sizeof(uint64_t) };

typedef struct side {
    alignas(MPX_RING_LINE) _Atomic uint32_t asleep; /* set by the side, taken by its peer */
    _Atomic uint32_t bell; /* of its bell, the slot that its peer may sleep on, and 1; 0: none */
    alignas(MPX_RING_LINE) _Atomic uint64_t edition; /* of its board; odd: is being written */
    _Atomic uint64_t board[BOARD_WORDS];
} side_t;

/* The beginning of the mapping. Whoever attaches copies the first two words and never looks
 * at them again. */
typedef struct mpx_lane_window {
    uint64_t magic;
    uint64_t ring_bytes;
    _Atomic uint64_t notes[MPX_LANE_NOTES];
    _Atomic uint64_t taken; /* up last, or just being */
    _Atomic uint64_t called_back_count;
    _Atomic uint64_t called_back[MPX_LANE_CALLED_BACK]; /* numbers; 0: a free place */
    side_t sides[2];
    mpx_ring_shared_t rings[2]; /* ring i is written by side i */
} control_t;

static_assert(sizeof(control_t) <= CONTROL_BYTES, "the control block has its own pages");

struct mpx_lane {
    void *mapping;
    size_t mapping_bytes;
    unsigned side;
    int fd;              /* of the wake-ups; on the fork guard's list, as `memory` is */
    int memory;          /* of the mapping */
    bool gone;           /* the peer is */
    uint64_t generation; /* of forks, when the lane was made */
    _Atomic uint32_t *asleep;
    _Atomic uint32_t *peer_asleep;
    side_t *own;
    const side_t *peer;
    uint64_t seen;    /* the edition of the peer's board */
    mpx_bell_t *lent; /* ours, of which the peer has a slot */
    int slot;
    bool wants_bell;
    mpx_bell_t *bell; /* the peer's */
    _Atomic bool disturbed;
    _Atomic uint64_t *notes;
    mpx_ring_writer_t out;
    mpx_ring_reader_t in;
};

static bool ring_size_is_valid(uint64_t ring_bytes)
{
    return ring_bytes >= RING_MIN && ring_bytes <= RING_MAX && !(ring_bytes & (ring_bytes - 1));
}

static size_t mapping_size(size_t ring_bytes)
{
    return CONTROL_BYTES + 2 * ring_bytes;
}

/* The peer must not make it shorter: touching what is cut off would kill us. */
static mp_rc_t make_memory(size_t size, int *out)
{
    int fd = memfd_create("mp-lane", MFD_CLOEXEC | MFD_ALLOW_SEALING);
    if (fd < 0)
        return mpx_fault_errno("lane: memfd_create");
    if (ftruncate(fd, (off_t)size) ||
        fcntl(fd, F_ADD_SEALS, F_SEAL_SHRINK | F_SEAL_GROW | F_SEAL_SEAL)) {
        mp_rc_t rc = mpx_fault_errno("lane: %zu bytes of shared memory", size);
        close(fd);
        return rc;
    }
    *out = fd;
    return MP_OK;
}

static mp_rc_t map_memory(int memory, size_t size, void **out)
{
    void *at = mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_SHARED, memory, 0);
    if (at == MAP_FAILED)
        return mpx_fault_errno("lane: map %zu bytes", size);
    *out = at;
    return MP_OK;
}

/* Positions go on where an earlier user of this side left them. */
static mp_rc_t take_positions(mpx_lane_t *self)
{
    self->out.head = atomic_load_explicit(&self->out.shared->head, memory_order_acquire);
    self->out.tail = atomic_load_explicit(&self->out.shared->tail, memory_order_acquire);
    self->in.head = atomic_load_explicit(&self->in.shared->head, memory_order_acquire);
    self->in.tail = atomic_load_explicit(&self->in.shared->tail, memory_order_acquire);
    uint64_t all = self->out.head | self->out.tail | self->in.head | self->in.tail;
    if (all % MPX_RING_ALIGN || self->out.head - self->out.tail > self->out.size ||
        self->in.head - self->in.tail > self->in.size)
        return mpx_fault(MP_EPROTO, "lane: its positions are damaged");
    return MP_OK;
}

/* Map the memory and become its side 0 or 1. The descriptors stay the caller's on failure. */
static mp_rc_t make_side(const int fds[2], size_t ring_bytes, unsigned side, mpx_lane_t **out)
{
    mpx_lane_t *self = calloc(1, sizeof *self);
    if (!self)
        return mpx_fault(MP_ENOMEM, "lane: out of memory");
    self->mapping_bytes = mapping_size(ring_bytes);
    mp_rc_t rc = map_memory(fds[0], self->mapping_bytes, &self->mapping);
    if (rc) {
        free(self);
        return rc;
    }
    control_t *control = self->mapping;
    unsigned char *bytes = (unsigned char *)self->mapping + CONTROL_BYTES;
    unsigned peer = 1 - side;
    self->side = side;
    self->memory = fds[0];
    self->fd = fds[1];
    self->generation = mpx_fork_generation();
    self->asleep = &control->sides[side].asleep;
    self->peer_asleep = &control->sides[peer].asleep;
    self->own = &control->sides[side];
    self->peer = &control->sides[peer];
    self->notes = control->notes;
    self->out.shared = &control->rings[side];
    self->out.bytes = bytes + side * ring_bytes;
    self->out.size = ring_bytes;
    self->in.shared = &control->rings[peer];
    self->in.bytes = bytes + peer * ring_bytes;
    self->in.size = ring_bytes;
    rc = take_positions(self);
    if (rc) {
        munmap(self->mapping, self->mapping_bytes);
        free(self);
        return rc;
    }
    *out = self;
    return MP_OK;
}

/* In forked children both are closed: the peer must see our end, not theirs. */
static mp_rc_t guard(const mpx_lane_t *self)
{
    mp_rc_t rc = mpx_forkguard_add(self->fd);
    if (rc == MP_OK)
        rc = mpx_forkguard_add(self->memory);
    if (rc != MP_OK)
        mpx_forkguard_remove(self->fd);
    return rc;
}

static mp_rc_t write_header(int memory, size_t ring_bytes)
{
    void *at = NULL;
    mp_rc_t rc = map_memory(memory, CONTROL_BYTES, &at);
    if (rc)
        return rc;
    control_t *control = at;
    control->magic = MAGIC;
    control->ring_bytes = ring_bytes;
    munmap(at, CONTROL_BYTES);
    return MP_OK;
}

static void close_all(const int *fds, size_t count)
{
    for (size_t i = 0; i < count; i++)
        if (fds[i] >= 0)
            close(fds[i]);
}

mp_rc_t mpx_lane_pair(size_t ring_bytes, int a_fds[2], int b_fds[2])
{
    int fds[4] = {-1, -1, -1, -1}; /* memory twice, sockets */
    if (!a_fds || !b_fds || !ring_size_is_valid(ring_bytes))
        return mpx_fault(MP_EINVAL, "lane: a ring of %zu bytes", ring_bytes);
    mp_rc_t rc = make_memory(mapping_size(ring_bytes), &fds[0]);
    if (rc == MP_OK)
        rc = write_header(fds[0], ring_bytes);
    if (rc == MP_OK && (fds[1] = fcntl(fds[0], F_DUPFD_CLOEXEC, 0)) < 0)
        rc = mpx_fault_errno("lane: a descriptor");
    if (rc == MP_OK &&
        socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0, fds + 2) != 0)
        rc = mpx_fault_errno("lane: socketpair");
    if (rc != MP_OK) {
        close_all(fds, 4);
        return rc;
    }
    for (int i = 0; i < 2; i++) {
        a_fds[i] = fds[(size_t)i * 2];
        b_fds[i] = fds[(size_t)i * 2 + 1];
    }
    return MP_OK;
}

mp_rc_t mpx_lane_new(size_t ring_bytes, mpx_lane_t **out, int peer_fds[2])
{
    if (!out || !peer_fds)
        return mpx_fault(MP_EINVAL, "lane: nowhere to put it");
    int own[2] = {-1, -1};
    int theirs[2] = {-1, -1};
    mp_rc_t rc = mpx_lane_pair(ring_bytes, own, theirs);
    if (rc)
        return rc;
    rc = mpx_lane_join(own, 0, out);
    if (rc) {
        close_all(own, 2);
        close_all(theirs, 2);
        return rc;
    }
    (*out)->out.starts_over = true;
    peer_fds[0] = theirs[0];
    peer_fds[1] = theirs[1];
    return MP_OK;
}

/* The ring size that the header claims, if the memory is really as long as that. */
static mp_rc_t measure(int memory, size_t *ring_bytes)
{
    struct stat status;
    if (fstat(memory, &status))
        return mpx_fault_errno("lane: descriptor %d", memory);
    int seals = fcntl(memory, F_GET_SEALS);
    if (seals < 0 || !(seals & F_SEAL_SHRINK) || status.st_size < (off_t)mapping_size(RING_MIN))
        return mpx_fault(MP_EINVAL, "lane: descriptor %d isn't the memory of a lane", memory);
    void *at = NULL;
    mp_rc_t rc = map_memory(memory, CONTROL_BYTES, &at);
    if (rc)
        return rc;
    const control_t *control = at;
    uint64_t magic = control->magic;
    uint64_t claim = control->ring_bytes;
    munmap(at, CONTROL_BYTES);
    if (magic != MAGIC || !ring_size_is_valid(claim) ||
        status.st_size != (off_t)mapping_size((size_t)claim))
        return mpx_fault(MP_EINVAL, "lane: the memory's header is damaged");
    *ring_bytes = (size_t)claim;
    return MP_OK;
}

mp_rc_t mpx_lane_join(const int fds[2], unsigned side, mpx_lane_t **out)
{
    if (!fds || !out || side > 1)
        return mpx_fault(MP_EINVAL, "lane: no descriptors");
    size_t ring_bytes = 0;
    mpx_lane_t *self = NULL;
    mp_rc_t rc = measure(fds[0], &ring_bytes);
    if (rc == MP_OK)
        rc = make_side(fds, ring_bytes, side, &self);
    if (rc != MP_OK)
        return rc;
    rc = guard(self);
    if (rc != MP_OK) {
        munmap(self->mapping, self->mapping_bytes);
        free(self);
        return mpx_fault(rc, "lane: out of memory");
    }
    *out = self;
    return MP_OK;
}

mp_rc_t mpx_lane_attach(const int fds[2], mpx_lane_t **out)
{
    mp_rc_t rc = mpx_lane_join(fds, 1, out);
    if (rc == MP_OK)
        (*out)->out.starts_over = true;
    return rc;
}

/* In a forked child the descriptors are closed already, and their numbers may be somebody
 * else's by now. */
static void forget(mpx_lane_t *self, bool close_fds)
{
    if (self->generation == mpx_fork_generation()) {
        mpx_lane_lend_bell(self, NULL);
        mpx_forkguard_remove(self->fd);
        mpx_forkguard_remove(self->memory);
        if (close_fds) {
            close(self->fd);
            close(self->memory);
        }
    }
    mpx_ring_writer_free(&self->out);
    mpx_ring_reader_free(&self->in);
    mpx_bell_destroy(&self->bell);
    munmap(self->mapping, self->mapping_bytes);
    free(self);
}

void mpx_lane_destroy(mpx_lane_t **self_p)
{
    if (!self_p || !*self_p)
        return;
    forget(*self_p, true);
    *self_p = NULL;
}

/* Left asleep, so that the next user is woken by what came in between; the wake-up byte stays
 * in the socket for it. */
bool mpx_lane_leave(mpx_lane_t **self_p, int fds[2], unsigned *side)
{
    mpx_lane_t *self = *self_p;
    if (mpx_ring_cut(&self->out) || self->out.open || self->in.held || self->in.expected)
        return false;
    fds[0] = self->memory;
    fds[1] = self->fd;
    *side = self->side;
    forget(self, false);
    *self_p = NULL;
    return true;
}

int mpx_lane_fd(const mpx_lane_t *self)
{
    return self->fd;
}

mp_rc_t mpx_lane_write(mpx_lane_t *self, const mp_bytes_t *parts, size_t parts_count)
{
    return mpx_ring_write(&self->out, parts, parts_count);
}

mp_rc_t mpx_lane_flush(mpx_lane_t *self)
{
    return mpx_ring_flush(&self->out);
}

bool mpx_lane_cut(const mpx_lane_t *self)
{
    return mpx_ring_cut(&self->out);
}

size_t mpx_lane_rest(const mpx_lane_t *self)
{
    return mpx_ring_rest(&self->out);
}

size_t mpx_lane_room(const mpx_lane_t *self)
{
    return mpx_ring_room(&self->out);
}

/* Called after a position was moved. A failed send is a peer that is gone, or one with a
 * socket full of bytes that it hasn't taken yet. */
static void wake(mpx_lane_t *self, uint32_t reason)
{
    atomic_thread_fence(memory_order_seq_cst);
    if (!(atomic_load_explicit(self->peer_asleep, memory_order_relaxed) & reason))
        return;
    uint32_t announced = atomic_exchange_explicit(self->peer_asleep, AWAKE, memory_order_acq_rel);
    if ((announced & ON_BELL) && self->lent)
        mpx_bell_pull(self->lent, self->slot);
    else if (announced != AWAKE)
        (void)!send(self->fd, "", 1, MSG_DONTWAIT | MSG_NOSIGNAL);
}

void mpx_lane_ring(mpx_lane_t *self)
{
    wake(self, FOR_RECORD);
}

static void wake_if_relieved(mpx_lane_t *self)
{
    if (self->in.relieved) {
        self->in.relieved = false;
        wake(self, FOR_ROOM);
    }
}

mp_rc_t mpx_lane_read(mpx_lane_t *self, mp_bytes_t *out)
{
    mp_rc_t rc = mpx_ring_read(&self->in, out);
    wake_if_relieved(self);
    return rc;
}

void mpx_lane_pop(mpx_lane_t *self)
{
    mpx_ring_pop(&self->in);
    wake_if_relieved(self);
}

static uint32_t reasons(const mpx_lane_t *self, bool for_room)
{
    if (!for_room)
        return FOR_RECORD;
    return self->in.held ? FOR_ROOM : FOR_RECORD | FOR_ROOM;
}

bool mpx_lane_sleep(mpx_lane_t *self, bool for_room)
{
    uint32_t wanted = reasons(self, for_room);
    atomic_store_explicit(self->asleep, wanted, memory_order_relaxed);
    atomic_thread_fence(memory_order_seq_cst);
    if (((wanted & FOR_RECORD) && mpx_ring_readable(&self->in)) ||
        ((wanted & FOR_ROOM) && mpx_ring_writable(&self->out))) {
        atomic_store_explicit(self->asleep, AWAKE, memory_order_relaxed);
        return false;
    }
    return true;
}

bool mpx_lane_readable(mpx_lane_t *self)
{
    return mpx_ring_readable(&self->in);
}

static void relax(void)
{
#if defined __x86_64__ || defined __i386__
    __builtin_ia32_pause();
#elif defined __aarch64__
    __asm__ volatile("yield");
#endif
}

bool mpx_lane_may_linger(void)
{
    cpu_set_t own;
    return sched_getaffinity(0, sizeof own, &own) == 0 && CPU_COUNT(&own) > 1;
}

/* The peer that sees us awake doesn't ring: so both sides save a system call, and a wake-up. The
 * processor is not given away: where others want it too, it would not be had back in time. */
bool mpx_lane_linger(mpx_lane_t *self, int64_t until)
{
    enum { LOOKS = 64 /* for each look at the clock */ };
    atomic_store_explicit(self->asleep, AWAKE, memory_order_relaxed);
    do
        for (int i = 0; i < LOOKS; i++) {
            if (mpx_ring_readable(&self->in))
                return true;
            relax();
        }
    while (mpx_now() < until);
    return !mpx_lane_sleep(self, false);
}

/* ---- a bell in place of the socket ---------------------------------------------------------- */

static void send_bell(const mpx_lane_t *self)
{
    union {
        struct cmsghdr head;
        char bytes[CMSG_SPACE(sizeof(int))];
    } rights = {.bytes = {0}};
    int fd = mpx_bell_fd(self->lent);
    char nothing = 0;
    struct iovec byte = {&nothing, 1};
    struct msghdr message = {.msg_iov = &byte, .msg_iovlen = 1};
    message.msg_control = rights.bytes;
    message.msg_controllen = sizeof rights.bytes;
    struct cmsghdr *part = CMSG_FIRSTHDR(&message);
    part->cmsg_level = SOL_SOCKET;
    part->cmsg_type = SCM_RIGHTS;
    part->cmsg_len = CMSG_LEN(sizeof fd);
    memcpy(CMSG_DATA(part), &fd, sizeof fd);
    (void)!sendmsg(self->fd, &message, MSG_DONTWAIT | MSG_NOSIGNAL);
}

/* A peer that sleeps on a bell that is taken away is woken once more, and sees that it is. */
void mpx_lane_lend_bell(mpx_lane_t *self, mpx_bell_t *bell)
{
    if (self->lent) {
        atomic_store_explicit(&self->own->bell, 0, memory_order_relaxed);
        wake(self, ON_BELL);
        mpx_bell_toll(self->lent);
        mpx_bell_part(self->lent, self->slot);
    }
    self->lent = bell;
    if (!bell)
        return;
    self->slot = mpx_bell_join(bell);
    atomic_store_explicit(&self->own->bell, (uint32_t)self->slot + 1, memory_order_relaxed);
    send_bell(self);
}

void mpx_lane_want_bell(mpx_lane_t *self)
{
    self->wants_bell = !self->bell;
}

/* The slot of the peer's bell that is ours. */
static int peer_slot(const mpx_lane_t *self)
{
    uint32_t bell = atomic_load_explicit(&self->peer->bell, memory_order_relaxed);
    return self->bell && bell <= MPX_BELL_SLOTS ? (int)bell - 1 : MPX_BELL_NONE;
}

/* The announcement is made again before each look, as it may have been taken for what was seen
 * without it. The bell's state is taken before the look, and before it is seen that the bell is
 * still there: if what the peer does comes after that, the bell is tolled later still. */
bool mpx_lane_nap(mpx_lane_t *self, int64_t until)
{
    int slot;
    while ((slot = peer_slot(self)) >= 0) {
        atomic_store_explicit(self->asleep, FOR_RECORD | ON_BELL, memory_order_relaxed);
        atomic_thread_fence(memory_order_seq_cst);
        uint32_t state = mpx_bell_state(self->bell, slot);
        if (peer_slot(self) != slot || mpx_ring_readable(&self->in) || mpx_now() >= until ||
            atomic_exchange_explicit(&self->disturbed, false, memory_order_relaxed))
            break;
        mpx_bell_sleep(self->bell, slot, state, until);
    }
    return !mpx_lane_sleep(self, false);
}

void mpx_lane_disturb(mpx_lane_t *self)
{
    int slot = peer_slot(self);
    atomic_store_explicit(&self->disturbed, true, memory_order_relaxed);
    if (slot >= 0)
        mpx_bell_disturb(self->bell, slot);
}

/* Descriptors came with the bytes: the peer's bell, or anything, once. There may be more of them
 * than were asked for, as the room is rounded up. */
static void take_bell(mpx_lane_t *self, struct msghdr *message)
{
    const struct cmsghdr *part = CMSG_FIRSTHDR(message);
    if (!part || part->cmsg_level != SOL_SOCKET || part->cmsg_type != SCM_RIGHTS)
        return;
    size_t count = (part->cmsg_len - CMSG_LEN(0)) / sizeof(int);
    self->wants_bell = false;
    for (size_t i = 0; i < count; i++) {
        int fd;
        memcpy(&fd, CMSG_DATA(part) + i * sizeof fd, sizeof fd);
        if (!self->bell)
            self->bell = mpx_bell_open(fd);
        close(fd);
    }
}

/* One call and no loop: a peer that keeps sending doesn't keep us here. Descriptors that nobody
 * wants are closed by the kernel. */
static ssize_t take_bytes(mpx_lane_t *self)
{
    char bytes[64];
    union {
        struct cmsghdr head;
        char bytes[CMSG_SPACE(sizeof(int))];
    } rights;
    struct iovec room = {bytes, sizeof bytes};
    struct msghdr message = {.msg_iov = &room, .msg_iovlen = 1};
    if (!self->wants_bell)
        return recv(self->fd, bytes, sizeof bytes, MSG_DONTWAIT);
    message.msg_control = rights.bytes;
    message.msg_controllen = sizeof rights.bytes;
    ssize_t got = recvmsg(self->fd, &message, MSG_DONTWAIT | MSG_CMSG_CLOEXEC);
    if (got > 0)
        take_bell(self, &message);
    return got;
}

/* ECONNRESET stands for a peer that went without taking our bytes. */
mp_rc_t mpx_lane_awake(mpx_lane_t *self)
{
    atomic_store_explicit(self->asleep, AWAKE, memory_order_relaxed);
    if (self->gone)
        return MP_EOF;
    ssize_t got = take_bytes(self);
    self->gone = got == 0 || (got < 0 && errno != EAGAIN && errno != EINTR);
    return self->gone ? MP_EOF : MP_OK;
}

const mpx_lane_window_t *mpx_lane_window_open(int memory)
{
    size_t ring_bytes;
    if (measure(memory, &ring_bytes) != MP_OK)
        return NULL;
    void *at = mmap(NULL, CONTROL_BYTES, PROT_READ, MAP_SHARED, memory, 0);
    if (at == MAP_FAILED)
        return NULL;
    (void)madvise(at, CONTROL_BYTES, MADV_DONTFORK);
    return at;
}

bool mpx_lane_window_sleeps(const mpx_lane_window_t *self, unsigned side)
{
    atomic_thread_fence(memory_order_seq_cst);
    uint32_t asleep = atomic_load_explicit(&self->sides[side].asleep, memory_order_relaxed);
    return (asleep & ~(uint32_t)ON_BELL) == FOR_RECORD;
}

void mpx_lane_window_close(const mpx_lane_window_t **self)
{
    if (*self)
        munmap((void *)(uintptr_t)*self, CONTROL_BYTES);
    *self = NULL;
}

void *mpx_lane_open(mpx_lane_t *self, size_t size)
{
    return mpx_ring_open(&self->out, size);
}

void mpx_lane_cursor(mpx_lane_t *self, uint32_t valid)
{
    mpx_ring_cursor(&self->out, valid);
}

void mpx_lane_commit(mpx_lane_t *self, size_t size)
{
    mpx_ring_commit(&self->out, size);
}

bool mpx_lane_salvage(mpx_lane_t *self, mp_bytes_t *out, uint32_t *valid)
{
    return mpx_ring_salvage(&self->in, out, valid);
}

uint64_t mpx_lane_note(const mpx_lane_t *self, unsigned which)
{
    return atomic_load_explicit(&self->notes[which], memory_order_relaxed);
}

void mpx_lane_set_note(mpx_lane_t *self, unsigned which, uint64_t value)
{
    atomic_store_explicit(&self->notes[which], value, memory_order_relaxed);
}

/* As with sleeping: each side has a full barrier between its store and its look, so at least one of
 * them sees the other's. If both do, nobody takes the thing up, and the peer says so. */
bool mpx_lane_call_back(mpx_lane_t *self, uint64_t number)
{
    control_t *control = self->mapping;
    unsigned i = 0;
    while (i < MPX_LANE_CALLED_BACK && atomic_load(&control->called_back[i]))
        i++;
    if (i == MPX_LANE_CALLED_BACK)
        return false;
    atomic_store(&control->called_back[i], number);
    atomic_fetch_add(&control->called_back_count, 1);
    atomic_thread_fence(memory_order_seq_cst);
    if (atomic_load(&control->taken) < number)
        return true;
    mpx_lane_forget(self, number);
    return false;
}

void mpx_lane_forget(mpx_lane_t *self, uint64_t number)
{
    control_t *control = self->mapping;
    for (unsigned i = 0; i < MPX_LANE_CALLED_BACK; i++)
        if (atomic_load(&control->called_back[i]) == number) {
            atomic_store(&control->called_back[i], 0);
            atomic_fetch_sub(&control->called_back_count, 1);
        }
}

bool mpx_lane_take_up(mpx_lane_t *self, uint64_t number)
{
    control_t *control = self->mapping;
    atomic_store(&control->taken, number);
    atomic_thread_fence(memory_order_seq_cst);
    if (atomic_load(&control->called_back_count) == 0)
        return true;
    for (unsigned i = 0; i < MPX_LANE_CALLED_BACK; i++)
        if (atomic_load(&control->called_back[i]) == number)
            return false;
    return true;
}

void mpx_lane_write_board(mpx_lane_t *self, const unsigned char text[MPX_LANE_BOARD])
{
    side_t *side = self->own;
    uint64_t words[BOARD_WORDS];
    memcpy(words, text, sizeof words);
    uint64_t edition = atomic_load_explicit(&side->edition, memory_order_relaxed);
    atomic_store_explicit(&side->edition, edition | 1, memory_order_relaxed);
    atomic_thread_fence(memory_order_release);
    for (size_t i = 0; i < BOARD_WORDS; i++)
        atomic_store_explicit(&side->board[i], words[i], memory_order_relaxed);
    atomic_store_explicit(&side->edition, (edition | 1) + 1, memory_order_release);
}

bool mpx_lane_read_board(mpx_lane_t *self, unsigned char out[MPX_LANE_BOARD])
{
    const side_t *side = self->peer;
    uint64_t words[BOARD_WORDS];
    uint64_t edition = atomic_load_explicit(&side->edition, memory_order_acquire);
    if (edition == self->seen || edition & 1)
        return false;
    for (size_t i = 0; i < BOARD_WORDS; i++)
        words[i] = atomic_load_explicit(&side->board[i], memory_order_relaxed);
    atomic_thread_fence(memory_order_acquire);
    if (atomic_load_explicit(&side->edition, memory_order_relaxed) != edition)
        return false;
    self->seen = edition;
    memcpy(out, words, sizeof words);
    return true;
}
