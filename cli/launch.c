/* mp launch: workers elsewhere, for as long as it runs. */
#include "asking.h"
#include "commands.h"
#include "fields.h"
#include "now.h"
#include "place.h"
#include "posting.h"

#include <errno.h>
#include <limits.h>
#include <mp/broker.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/signalfd.h>
#include <sys/wait.h>
#include <unistd.h>

enum {
    PLACES_MAX = 256,
    PING_MS = 3000,       /* for the broker's first answer */
    LOOK_EVERY_MS = 5000, /* at the broker */
    LOOK_MS = 1000,
    KILL_MS = 5000 /* from telling workers to end at once until ssh and the like are killed */
};

typedef enum phase { STARTING, UP, DRAINING, ENDING, KILLING } phase_t;

typedef struct launch {
    asking_t asking; /* of the broker as this process reaches it */
    place_setup_t setup;
    int tunnel_port;
    int ready_ms, drain_ms, lost_ms;

    posting_t *postings;
    size_t count;
    phase_t phase;
    int status; /* to exit with */
    int signals;
    int64_t deadline; /* of the phase; -1: none */
    int64_t look_at, answered_at;
} launch_t;

static const option_spec_t specs[] = {
    ASKING_BROKER,
    OPTION_KEY_FILE,
    {"worker", 'w', "PROGRAM", "mp-worker's name or path there; default: mp-worker",
     OPTION_TEXT(launch_t, setup.program)},
    {"tunnel", 0, "PORT", "let hosts of ssh reach the broker by this loopback port of theirs",
     OPTION_NUMBER(launch_t, tunnel_port, 1)},
    {"ssh", 0, "WORDS", "ssh, with options: 'ssh -p 2222'; default: ssh",
     OPTION_TEXT(launch_t, setup.ssh)},
    {"srun", 0, "WORDS", "srun, with options: 'srun -p gpu'; default: srun",
     OPTION_TEXT(launch_t, setup.srun)},
    {"ready-ms", 0, "N", "how long all of them may take to come up; default: 60000",
     OPTION_NUMBER(launch_t, ready_ms, 1)},
    {"drain-ms", 0, "N", "how long they may finish what they have; default: 30000",
     OPTION_NUMBER(launch_t, drain_ms, 0)},
    {"lost-ms", 0, "N", "end when the broker was silent so long; 0: never; default: 60000",
     OPTION_NUMBER(launch_t, lost_ms, 0)},
    ASKING_HELP,
};

enum { SPECS = sizeof specs / sizeof *specs };

void launch_help(void)
{
    printf(
        "Usage: mp launch [OPTION]... PLACE... [-- OPTION of mp-worker...]\n\n"
        "Starts workers in each place, and says so when the broker has them. They stay for as\n"
        "long as this command does: INT or TERM lets them finish what they run, a second one\n"
        "doesn't. They also end when it is killed, or the broker is gone for good.\n\n"
        "Places:\n"
        "  ssh:HOST[*N]   one mp-worker there, with N executors; default: one a processor\n"
        "  slurm:N[*P]    N tasks of a Slurm job, each an mp-worker with P executors\n"
        "  local:N        one mp-worker here, with N executors\n\n"
        "A key is for this command; workers have their own, where they run: -- --key-file FILE\n\n"
        "Options:\n");
    options_print(specs, SPECS);
    printf(
        "\nExample: mp launch -b tcp://head:5555 'ssh:node1*8' ssh:node2 -- --load /opt/sums.so\n");
}

static void set_phase(launch_t *self, phase_t phase, int ms)
{
    self->phase = phase;
    self->deadline = ms < 0 ? -1 : now_ms() + ms;
}

/* ---- what can go wrong ------------------------------------------------------------ */

static void signal_all(launch_t *self, const char *name)
{
    for (size_t i = 0; i < self->count; i++)
        posting_signal(&self->postings[i], name);
}

/* Ask all to finish, for this reason. */
static void drain(launch_t *self, int status)
{
    if (self->phase >= DRAINING)
        return;
    self->status = status;
    signal_all(self, "TERM");
    set_phase(self, DRAINING, self->drain_ms);
}

/* What to do about a place whose command has ended with that status. */
static void advise(const launch_t *self, const posting_t *posting, int status)
{
    const char *host = posting->place.host;
    const char *text = posting->place.text;
    place_kind_t kind = posting->place.kind;
    if (kind == PLACE_SSH && status == 255)
        fprintf(stderr,
                "mp launch: %s: can't log in there, or the connection broke; try: %s -o "
                "BatchMode=yes %s true\n",
                text, self->setup.ssh, host);
    else if (status == 127)
        fprintf(stderr,
                "mp launch: %s: there is no %s%s; install it, or give its path with --worker\n",
                text,
                kind == PLACE_SSH || !strstr(posting->last, self->setup.srun) ? self->setup.program
                                                                              : self->setup.srun,
                kind == PLACE_SSH ? " in the PATH there" : "");
    else if (kind == PLACE_SLURM)
        fprintf(stderr, "mp launch: %s: see sinfo and squeue, or give srun's options with --srun\n",
                text);
}

static void tell_end(const launch_t *self, const posting_t *posting)
{
    int status = posting->status;
    if (WIFSIGNALED(status))
        fprintf(stderr, "mp launch: %s was killed by signal %d\n", posting->place.text,
                WTERMSIG(status));
    else
        fprintf(stderr, "mp launch: %s ended with status %d%s%s\n", posting->place.text,
                WEXITSTATUS(status), *posting->last ? ": " : "", posting->last);
    if (WIFEXITED(status))
        advise(self, posting, WEXITSTATUS(status));
}

static void on_end(launch_t *self, const posting_t *posting, size_t left)
{
    bool is_failure = posting->status != 0;
    if (self->phase >= DRAINING) {
        if (is_failure && self->phase == DRAINING) {
            tell_end(self, posting);
            self->status = self->status ? self->status : EXIT_FAILED;
        }
        return;
    }
    tell_end(self, posting);
    if (self->phase == STARTING)
        drain(self, EXIT_UNABLE);
    else if (left == 0)
        self->status = EXIT_FAILED;
}

static void on_late(launch_t *self)
{
    for (size_t i = 0; i < self->count; i++) {
        const posting_t *posting = &self->postings[i];
        if (posting->ready < posting->place.tasks)
            fprintf(stderr,
                    "mp launch: %s: %d of %d up after %d ms; does it reach the broker at %s? Else "
                    "give it "
                    "longer with --ready-ms%s\n",
                    posting->place.text, posting->ready, posting->place.tasks, self->ready_ms,
                    self->asking.broker,
                    posting->place.kind == PLACE_SLURM ? ", and see squeue" : "");
    }
    drain(self, EXIT_UNABLE);
}

static void on_deadline(launch_t *self)
{
    switch (self->phase) {
    case STARTING:
        on_late(self);
        return;
    case DRAINING:
        fprintf(stderr, "mp launch: not finished after %d ms: ending them at once\n",
                self->drain_ms);
        self->status = self->status ? self->status : EXIT_FAILED;
        signal_all(self, "KILL");
        set_phase(self, ENDING, KILL_MS);
        return;
    default:
        for (size_t i = 0; i < self->count; i++)
            if (self->postings[i].pidfd >= 0)
                kill(-self->postings[i].pid, SIGKILL);
        set_phase(self, KILLING, -1);
    }
}

/* A broker that refuses this command's key is there, too: it is the workers' that must fit. */
static bool answers(const launch_t *self, int timeout_ms)
{
    mp_rc_t rc = mp_broker_ping(self->asking.broker, timeout_ms, NULL);
    return rc == MP_OK || rc == MP_EPERM;
}

/* The workers look for a broker for ever; who launched them doesn't. */
static void look_at_broker(launch_t *self)
{
    if (self->lost_ms == 0 || self->phase >= DRAINING || now_ms() < self->look_at)
        return;
    if (answers(self, LOOK_MS))
        self->answered_at = now_ms();
    self->look_at = now_ms() + (self->lost_ms < LOOK_EVERY_MS ? self->lost_ms : LOOK_EVERY_MS);
    if (now_ms() - self->answered_at < self->lost_ms)
        return;
    fprintf(stderr, "mp launch: no answer from the broker at %s for %d ms: ending the workers\n",
            self->asking.broker, self->lost_ms);
    drain(self, EXIT_FAILED);
}

static void on_signal(launch_t *self)
{
    struct signalfd_siginfo info;
    if (read(self->signals, &info, sizeof info) != sizeof info)
        return;
    if (self->phase < DRAINING) {
        drain(self, self->phase == STARTING ? EXIT_SIGNAL + (int)info.ssi_signo : 0);
        return;
    }
    signal_all(self, self->phase == DRAINING ? "TERM"
                                             : "KILL"); /* a second one ends an mp-worker at once */
    set_phase(self, ENDING, KILL_MS);
}

/* ---- the loop --------------------------------------------------------------------- */

static void tell_up(const launch_t *self)
{
    int workers = 0;
    for (size_t i = 0; i < self->count; i++)
        workers += self->postings[i].ready;
    printf("all up: %d worker%s at %s\n", workers, plural((unsigned)workers), self->asking.broker);
    fflush(stdout);
}

/* Returns how many places still run. */
static size_t turn(launch_t *self)
{
    size_t left = 0, up = 0;
    for (size_t i = 0; i < self->count; i++)
        left += self->postings[i].pidfd >= 0;
    for (size_t i = 0; i < self->count; i++) {
        posting_t *posting = &self->postings[i];
        bool was_running = posting->pidfd >= 0;
        for (int n = posting_read(posting); n > 0; n--)
            printf("ready %s\n", posting->place.text);
        fflush(stdout);
        if (was_running && posting_has_ended(posting))
            on_end(self, posting, --left);
        up += posting->ready >= posting->place.tasks;
    }
    if (self->phase == STARTING && up == self->count) {
        set_phase(self, UP, -1);
        tell_up(self);
    }
    if (self->deadline >= 0 && now_ms() >= self->deadline)
        on_deadline(self);
    look_at_broker(self);
    return left;
}

static int wait_ms(const launch_t *self)
{
    int64_t until = self->deadline;
    if (self->lost_ms > 0 && self->phase < DRAINING && (until < 0 || self->look_at < until))
        until = self->look_at;
    if (until < 0)
        return -1;
    int64_t left = until - now_ms();
    return left < 0 ? 0 : (int)left;
}

static void wait_for_more(launch_t *self)
{
    struct pollfd fds[1 + 3 * PLACES_MAX];
    nfds_t count = 0;
    fds[count++] = (struct pollfd){.fd = self->signals, .events = POLLIN};
    for (size_t i = 0; i < self->count; i++) {
        const posting_t *posting = &self->postings[i];
        fds[count++] = (struct pollfd){.fd = posting->pidfd, .events = POLLIN};
        fds[count++] = (struct pollfd){.fd = posting->out.fd, .events = POLLIN};
        fds[count++] = (struct pollfd){.fd = posting->err.fd, .events = POLLIN};
    }
    if (poll(fds, count, wait_ms(self)) > 0 && fds[0].revents)
        on_signal(self);
}

static bool take_signals(launch_t *self)
{
    sigset_t stops;
    sigemptyset(&stops);
    sigaddset(&stops, SIGTERM);
    sigaddset(&stops, SIGINT);
    sigaddset(&stops, SIGHUP);
    (void)signal(SIGPIPE, SIG_IGN);
    if (sigprocmask(SIG_BLOCK, &stops, NULL) == 0)
        self->signals = signalfd(-1, &stops, SFD_CLOEXEC | SFD_NONBLOCK);
    return self->signals >= 0;
}

/* ---- the start -------------------------------------------------------------------- */

static bool start_one(launch_t *self, posting_t *posting)
{
    char tunnel[600], broker[64];
    place_setup_t setup = self->setup;
    setup.broker = self->asking.broker;
    if (posting->place.kind == PLACE_SSH && self->tunnel_port) {
        /* ssh takes HOST:PORT and a socket's path alike. */
        snprintf(tunnel, sizeof tunnel, "127.0.0.1:%d:%.500s", self->tunnel_port,
                 self->asking.broker + 6);
        snprintf(broker, sizeof broker, "tcp://127.0.0.1:%d", self->tunnel_port);
        setup.tunnel = tunnel;
        setup.broker = broker;
    }
    char **argv = place_command(&posting->place, &setup);
    bool ok = argv && *argv && posting_start(posting, argv);
    if (!ok)
        fprintf(stderr, "mp launch: %s: %s\n", posting->place.text,
                strerror(argv ? errno : ENOMEM));
    free(argv);
    return ok;
}

static bool is_loopback(const char *host)
{
    return strcmp(host, "localhost") == 0 || strncmp(host, "127.", 4) == 0 ||
           strcmp(host, "::1") == 0;
}

/* Other hosts don't reach this one's loopback or sockets. */
static bool reaches(const launch_t *self, const place_t *place)
{
    bool is_private = strncmp(self->asking.broker, "ipc://", 6) == 0 ||
                      strncmp(self->asking.broker, "tcp://127.", 10) == 0 ||
                      strncmp(self->asking.broker, "tcp://localhost", 15) == 0;
    const char *at = strrchr(place->host, '@');
    if (place->kind != PLACE_SSH || self->tunnel_port || !is_private ||
        is_loopback(at ? at + 1 : place->host))
        return true;
    fprintf(stderr,
            "mp launch: %s can't reach %s, which is this host's alone; give --tunnel PORT, or "
            "let the broker listen on a network, with keys\n",
            place->text, self->asking.broker);
    return false;
}

/* Places up to a "--"; what is behind it is for mp-worker. */
static bool read_places(launch_t *self, int argc, char **argv)
{
    for (; argc > 0 && strcmp(*argv, "--") != 0; argc--, argv++) {
        const char *why = NULL;
        if (self->count == PLACES_MAX) {
            fprintf(stderr, "mp launch: more than %d places\n", PLACES_MAX);
            return false;
        }
        place_t *place = &self->postings[self->count++].place;
        if (!place_parse(place, *argv, &why)) {
            fprintf(stderr, "mp launch: '%s': %s; see mp launch --help\n", *argv, why);
            return false;
        }
        if (!reaches(self, place))
            return false;
    }
    self->setup.options = (const char *const *)(argc > 0 ? argv + 1 : argv);
    if (self->count > 0)
        return true;
    fprintf(stderr, "mp launch: where? Name a place; see mp launch --help\n");
    return false;
}

static int run(launch_t *self)
{
    if (!answers(self, PING_MS)) {
        fprintf(stderr, "mp launch: %s (--broker names another)\n", mp_errmsg());
        return EXIT_UNABLE;
    }
    if (!take_signals(self)) {
        fprintf(stderr, "mp launch: %s\n", strerror(errno));
        return EXIT_UNABLE;
    }
    self->answered_at = now_ms();
    set_phase(self, STARTING, self->ready_ms);
    for (size_t i = 0; i < self->count && self->phase == STARTING; i++)
        if (!start_one(self, &self->postings[i]))
            drain(self, EXIT_UNABLE);
    while (turn(self) > 0)
        wait_for_more(self);
    return self->status;
}

int launch_main(int argc, char **argv)
{
    launch_t self = {.asking = {.command = "launch",
                                .show_help = launch_help,
                                .words_max = INT_MAX,
                                .leading = true},
                     .setup = {.program = "mp-worker", .ssh = "ssh", .srun = "srun"},
                     .ready_ms = 60000,
                     .drain_ms = 30000,
                     .lost_ms = 60000,
                     .signals = -1};
    int status;
    if (!asking_parse(&self.asking, specs, SPECS, argc, argv, &status))
        return status;
    self.postings = calloc(PLACES_MAX, sizeof *self.postings);
    if (!self.postings) {
        fprintf(stderr, "mp launch: %s\n", strerror(ENOMEM));
        return EXIT_UNABLE;
    }
    for (size_t i = 0; i < PLACES_MAX; i++)
        self.postings[i].pidfd = self.postings[i].in = self.postings[i].out.fd =
            self.postings[i].err.fd = -1;
    status = EXIT_USAGE;
    if (read_places(&self, self.asking.word_count, self.asking.words))
        status = run(&self);
    for (size_t i = 0; i < self.count; i++)
        posting_free(&self.postings[i]);
    free(self.postings);
    if (self.signals >= 0)
        close(self.signals);
    return status;
}
