/* map.c: lines -> calls -> results: one loop around poll. */
#include "command.h"
#include "commands.h"
#include "exits.h"
#include "input.h"
#include "joblog.h"
#include "lines.h"
#include "map_options.h"
#include "progress.h"
#include "report.h"

#include <errno.h>
#include <mp/job.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/signalfd.h>
#include <unistd.h>

typedef struct map {
    map_options_t options;
    mp_pool_t *pool;
    mp_job_t *job;
    mp_task_t task;
    command_t command;
    input_t input;
    lines_t lines;
    report_t report;
    joblog_t joblog;
    progress_t progress;
    int signals;
    uint64_t read; /* lines */
    uint64_t put;  /* lines */
    uint64_t done;
    uint64_t failed;
    bool stop; /* the loop is to end, with this exit status: */
    int status;
} map_t;

/* Lines are read ahead of their calls up to here, so that progress knows how many there are. */
enum { READ_AHEAD_BYTES = 16 * 1024 * 1024 };

static void stop(map_t *self, int status)
{
    if (self->stop)
        return;
    self->stop = true;
    self->status = status;
}

static int unable(mp_rc_t rc)
{
    fprintf(stderr, "mp map: %s\n", *mp_errmsg() ? mp_errmsg() : mp_strerror(rc));
    return EXIT_UNABLE;
}

/* ---- outcomes ---------------------------------------------------------------------------- */

/* Not this line's fault: every other one would end the same way. */
static bool concerns_all(mp_rc_t rc)
{
    return rc == MP_ENOTASK || rc == MP_ESIGNATURE || rc == MP_EPERM || rc == MP_ENOWORKER ||
           rc == MP_EDRAINING || rc == MP_EPROTO;
}

static void finish_line(map_t *self, line_t *line, const mp_outcome_t *outcome)
{
    self->done++;
    if (outcome->rc != MP_OK)
        self->failed++;
    report_outcome(&self->report, line->number, line->text, line->size, outcome);
    joblog_add(&self->joblog, line->number, line->text, line->size, outcome);
    if (outcome->rc != MP_OK && self->options.halt_on_error)
        stop(self, EXIT_FAILED);
    lines_remove(&self->lines, line);
}

static void finish_refused(map_t *self, line_t *line)
{
    mp_outcome_t outcome = {.rc = line->refused, .host = "", .attempt = 1};
    outcome.message = line->refused == MP_ETOOLARGE ? "the line is longer than 1 MiB"
                                                    : "the line contains a NUL byte";
    finish_line(self, line, &outcome);
}

static void finish_refused_ahead(map_t *self)
{
    while (!self->stop && self->lines.head && self->lines.head != self->lines.next_put &&
           self->lines.head->refused != MP_OK)
        finish_refused(self, self->lines.head);
}

static void take_outcomes(map_t *self)
{
    while (!self->stop) {
        mp_outcome_t outcome;
        finish_refused_ahead(self);
        if (self->stop)
            return;
        mp_rc_t rc = mp_job_next(self->job, &outcome, 0);
        if (rc == MP_ETIMEDOUT || rc == MP_EOF)
            return;
        if (rc != MP_OK) {
            stop(self, unable(rc));
        } else if (concerns_all(outcome.rc)) {
            progress_erase(&self->progress);
            fprintf(stderr, "mp map: %s\n", outcome.message);
            stop(self, EXIT_UNABLE);
        } else {
            finish_line(self, lines_find(&self->lines, outcome.index), &outcome);
        }
    }
}

/* Results, then their line in the log: who is killed in between repeats a call and loses
 * none. stderr is flushed as well, so that a failure is seen when it happens. */
static void flush(map_t *self)
{
    if (self->report.err.size)
        progress_erase(&self->progress);
    bool wrote = output_flush(&self->report.out);
    output_flush(&self->report.err);
    if (!wrote && self->report.out.error == EPIPE) {
        stop(self, EXIT_SIGNAL + SIGPIPE);
    } else if (!wrote) {
        progress_erase(&self->progress);
        fprintf(stderr, "mp map: stdout: %s\n", strerror(self->report.out.error));
        stop(self, EXIT_OUTPUT);
    } else if (self->joblog.out.fd >= 0 && !output_flush(&self->joblog.out)) {
        progress_erase(&self->progress);
        fprintf(stderr, "mp map: %s: %s\n", self->options.joblog, strerror(self->joblog.out.error));
        stop(self, EXIT_OUTPUT);
    }
}

/* ---- input ------------------------------------------------------------------------------- */

static void take_line(map_t *self, const input_line_t *line)
{
    mp_rc_t refused = MP_OK;
    self->read++;
    if (joblog_has(&self->joblog, self->read, line->text, line->size)) {
        self->done++;
        self->progress.done_before++;
        return;
    }
    if (line->too_long)
        refused = MP_ETOOLARGE;
    else if (self->options.command && memchr(line->text, '\0', line->size))
        refused = MP_EINVAL;
    if (!lines_add(&self->lines, self->read, line->text, line->size, refused))
        stop(self, unable(MP_ENOMEM));
}

static void read_lines(map_t *self)
{
    input_line_t line;
    while (!self->stop && input_next(&self->input, &line))
        take_line(self, &line);
    if (self->input.error) {
        fprintf(stderr, "mp map: stdin: %s\n", strerror(self->input.error));
        stop(self, EXIT_UNABLE);
    }
}

static bool input_of(map_t *self, const line_t *line, mp_bytes_t *out)
{
    *out = (mp_bytes_t){line->text, line->size};
    return !self->options.command || command_for(&self->command, line->text, line->size, out);
}

/* Hand lines to the job until its window is full. */
static void put_lines(map_t *self)
{
    while (!self->stop && self->lines.next_put) {
        line_t *line = self->lines.next_put;
        mp_bytes_t input;
        if (line->refused != MP_OK) {
            lines_pass(&self->lines);
            if (self->options.unordered)
                finish_refused(self, line);
            continue;
        }
        mp_rc_t rc = input_of(self, line, &input) ? mp_job_put(self->job, input, 0) : MP_ENOMEM;
        if (rc == MP_ETIMEDOUT)
            return;
        if (rc == MP_OK)
            lines_put(&self->lines, self->put++);
        else
            stop(self, unable(rc));
    }
}

/* ---- the loop ----------------------------------------------------------------------------- */

static void on_signal(map_t *self)
{
    struct signalfd_siginfo info;
    if (read(self->signals, &info, sizeof info) != (ssize_t)sizeof info)
        return;
    progress_erase(&self->progress);
    fprintf(stderr, "mp map: %s: %llu lines done, %llu of them failed\n",
            info.ssi_signo == SIGINT ? "interrupted" : "terminated", (unsigned long long)self->done,
            (unsigned long long)self->failed);
    stop(self, EXIT_SIGNAL + (int)info.ssi_signo);
}

static bool is_over(const map_t *self)
{
    return input_done(&self->input) && !self->lines.head;
}

static void wait(map_t *self)
{
    bool wants_input = !self->input.ended && self->lines.bytes < READ_AHEAD_BYTES;
    struct pollfd fds[3] = {
        {.fd = wants_input ? self->input.fd : -1, .events = POLLIN},
        {.fd = mp_job_fileno(self->job), .events = POLLIN},
        {.fd = self->signals, .events = POLLIN},
    };
    int n = poll(fds, 3, self->progress.on ? PROGRESS_EVERY_MS : -1);
    if (n < 0 && errno != EINTR)
        stop(self, unable(MP_ESYSTEM));
    if (n > 0 && fds[2].revents)
        on_signal(self);
    if (n > 0 && fds[0].revents)
        input_fill(&self->input);
}

static void loop(map_t *self)
{
    while (!self->stop) {
        read_lines(self);
        put_lines(self);
        take_outcomes(self);
        put_lines(self); /* taking made room */
        flush(self);
        if (self->stop || is_over(self))
            return;
        progress_draw(&self->progress, self->done, self->failed,
                      self->input.ended ? self->read : 0);
        wait(self);
    }
}

/* ---- life --------------------------------------------------------------------------------- */

static bool open_signals(map_t *self)
{
    sigset_t stops;
    sigemptyset(&stops);
    sigaddset(&stops, SIGINT);
    sigaddset(&stops, SIGTERM);
    signal(SIGPIPE, SIG_IGN);
    if (sigprocmask(SIG_BLOCK, &stops, NULL) != 0)
        return false;
    self->signals = signalfd(-1, &stops, SFD_CLOEXEC | SFD_NONBLOCK);
    return self->signals >= 0;
}

static mp_rc_t open_job(map_t *self)
{
    const map_options_t *options = &self->options;
    mp_pool_options_t pool = {
        .processes = options->processes,
        .broker = options->broker,
        .load = options->loads ? options->load : NULL,
        .worker_stdout = STDERR_FILENO, /* results only on ours */
    };
    mp_call_options_t call = {
        .chunksize = options->chunksize,
        .call_timeout_ms = options->timeout_ms,
        .retries = options->retries,
        .unordered = options->unordered,
    };
    self->task = command_task;
    if (options->task)
        self->task.name = options->task;
    mp_rc_t rc = mp_pool_new(&pool, &self->pool);
    return rc == MP_OK ? mp_job_new(self->pool, &self->task, &call, &self->job) : rc;
}

static bool open_all(map_t *self)
{
    const map_options_t *options = &self->options;
    self->report.json = options->json;
    self->report.commands = options->command;
    self->report.timeout_ms = options->timeout_ms;
    command_init(&self->command, options->command, options->command_words, options->shell);
    if (!joblog_open(&self->joblog, options->joblog, options->resume)) {
        fprintf(stderr, "mp map: %s: %s\n", options->joblog, strerror(errno));
        return false;
    }
    if (!open_signals(self) || !input_init(&self->input, STDIN_FILENO) ||
        !output_init(&self->report.out, STDOUT_FILENO) ||
        !output_init(&self->report.err, STDERR_FILENO)) {
        fprintf(stderr, "mp map: %s\n", strerror(errno));
        return false;
    }
    mp_rc_t rc = open_job(self);
    if (rc != MP_OK)
        unable(rc);
    return rc == MP_OK;
}

static void close_all(map_t *self)
{
    mp_job_destroy(&self->job);
    mp_pool_destroy(&self->pool);
    joblog_close(&self->joblog);
    output_free(&self->report.out);
    output_free(&self->report.err);
    input_free(&self->input);
    lines_free(&self->lines);
    command_free(&self->command);
}

static int conclude(map_t *self)
{
    progress_erase(&self->progress);
    if (self->stop)
        return self->status;
    if (self->failed)
        fprintf(stderr, "mp map: %llu of %llu lines failed\n", (unsigned long long)self->failed,
                (unsigned long long)self->done);
    return self->failed ? EXIT_FAILED : EXIT_SUCCESS;
}

int map_main(int argc, char **argv)
{
    map_t self = {.signals = -1, .joblog = {.out = {.fd = -1}}};
    if (!map_options_parse(&self.options, argc, argv))
        return EXIT_USAGE;
    if (self.options.help) {
        map_help();
        return EXIT_SUCCESS;
    }
    int status = EXIT_UNABLE;
    if (open_all(&self)) {
        bool terminal = isatty(STDERR_FILENO) == 1;
        progress_init(&self.progress,
                      self.options.progress || (terminal && !self.options.no_progress));
        loop(&self);
        status = conclude(&self);
    }
    close_all(&self);
    return status;
}
