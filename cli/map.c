/* map.c: lines -> calls -> results: one loop around poll. */
#include "command.h"
#include "commands.h"
#include "exits.h"
#include "input.h"
#include "joblog.h"
#include "lines.h"
#include "map_options.h"
#include "overheard.h"
#include "report.h"

#include <errno.h>
#include <limits.h>
#include <mp/kept.h>
#include <mp/progress.h>
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
    overheard_t overheard;
    joblog_t joblog;
    mp_bar_t *bar; /* NULL: none is wanted */
    int signals;
    int news;       /* the job's descriptor */
    uint64_t read;  /* lines */
    uint64_t put;   /* lines */
    uint64_t total; /* lines, where that can be known beforehand */
    uint64_t done;
    uint64_t failed;
    uint64_t skipped;     /* lines that the log has */
    bool shares_terminal; /* results and progress are seen on one */
    bool closed;          /* the job has all inputs */
    bool unwritten;       /* results or the log could not be written */
    bool stop;            /* the loop is to end, with this exit status: */
    int status;
    mp_rc_t lost; /* what the job had to end with; else MP_OK */
} map_t;

/* With a progress line, input is read ahead of the calls up to here, so that it can tell how
 * much there is. Without one, only what can be put is read. */
enum { READ_AHEAD_BYTES = 16 * 1024 * 1024, BAR_EVERY_MS = 100 };

/* Outcomes are gathered up to here before they are written. */
enum { GATHERED_BYTES = 64 * 1024 };

/* For the broker's word that it has all of a job, in slices, so that a signal is seen; and that it
 * has dropped one, or of what it has of it. */
enum { DETACH_MS = 60000, SLICE_MS = 200, TAKE_BACK_MS = 5000, LOOK_MS = 2000 };

static void erase_bar(map_t *self)
{
    if (self->bar)
        mp_bar_erase(self->bar);
}

static void stop(map_t *self, int status)
{
    if (self->stop)
        return;
    self->stop = true;
    self->status = status;
}

/* End for a reason that isn't a call's. */
static void give_up(map_t *self, int status, const char *what, const char *why)
{
    output_printf(&self->report.err, "mp: %s%s%s\n", what, *what ? ": " : "", why);
    stop(self, status);
}

static const char *words_for(mp_rc_t rc)
{
    return *mp_errmsg() ? mp_errmsg() : mp_strerror(rc);
}

/* End with what the job did. */
static void lose_job(map_t *self, mp_rc_t rc)
{
    self->lost = rc;
    give_up(self, EXIT_UNABLE, "", words_for(rc));
}

/* ---- signals ------------------------------------------------------------------------------ */

static bool open_signals(map_t *self)
{
    sigset_t stops;
    sigemptyset(&stops);
    sigaddset(&stops, SIGINT);
    sigaddset(&stops, SIGTERM);
    if (sigprocmask(SIG_BLOCK, &stops, NULL) != 0)
        return false;
    self->signals = signalfd(-1, &stops, SFD_CLOEXEC | SFD_NONBLOCK);
    return self->signals >= 0;
}

/* 0: not known yet. */
static uint64_t total(const map_t *self)
{
    if (self->input.ended)
        return self->read;
    return self->total >= self->read ? self->total : 0;
}

static void on_signal(map_t *self)
{
    struct signalfd_siginfo info;
    char of[40] = " lines";
    uint64_t done = self->options.detach ? self->put : self->done;
    if (read(self->signals, &info, sizeof info) != (ssize_t)sizeof info)
        return;
    if (total(self))
        snprintf(of, sizeof of, " of %llu", (unsigned long long)total(self));
    output_printf(&self->report.err, "mp: %s: %llu%s %s\n",
                  info.ssi_signo == SIGINT ? "interrupted" : "terminated", (unsigned long long)done,
                  of, self->options.detach ? "submitted" : "done");
    stop(self, EXIT_SIGNAL + (int)info.ssi_signo);
}

/* ---- writing ------------------------------------------------------------------------------ */

static void on_write_error(map_t *self, const char *what, int error)
{
    if (self->unwritten)
        return;
    self->unwritten = true;
    if (error == EINTR)
        on_signal(self);
    else if (error == EPIPE)
        stop(self, EXIT_SIGNAL + SIGPIPE); /* nobody wants the results, so nobody is told */
    else
        give_up(self, EXIT_OUTPUT, what, strerror(error));
}

/* Results, then their lines in the log: who is killed in between repeats calls and loses
 * none. A log isn't written for results that could not be. */
static void flush(map_t *self)
{
    report_t *report = &self->report;
    if (report->err.size || (report->out.size && self->shares_terminal))
        erase_bar(self);
    if (!output_flush(&report->out))
        on_write_error(self, "stdout", report->out.error);
    else if (!output_flush(&self->joblog.out))
        on_write_error(self, self->options.joblog, self->joblog.out.error);
    if (report->err.size)
        erase_bar(self);
    output_flush(&report->err);
}

/* ---- outcomes ---------------------------------------------------------------------------- */

/* Not this line's fault: every other one would end the same way. A worker that ends takes only what
 * it runs with it, and a program that one host lacks another one may have. */
static bool concerns_all(const map_t *self, const mp_outcome_t *outcome)
{
    mp_rc_t rc = outcome->rc;
    return rc == MP_ENOTASK || rc == MP_ESIGNATURE || rc == MP_EPERM || rc == MP_ENOWORKER ||
           rc == MP_ENEEDS || rc == MP_EAUTH || rc == MP_EPROTO ||
           (!self->report.remote && command_is_missing(&self->command, outcome));
}

static void give_up_all(map_t *self, const mp_outcome_t *outcome)
{
    if (outcome->rc == MP_ENEEDS && !self->report.remote)
        give_up(self, EXIT_UNABLE, self->options.needs,
                "that is needed, and no local worker has it; --have says what they have");
    else
        give_up(self, EXIT_UNABLE, "", outcome->message);
}

static void finish_line(map_t *self, line_t *line, const mp_outcome_t *outcome)
{
    report_t *report = &self->report;
    self->done++;
    overheard_end(&self->overheard, &report->err);
    if (outcome->rc != MP_OK)
        self->failed++;
    report_outcome(report, line->number, line->text, line->size, outcome);
    joblog_add(&self->joblog, line->number, line->text, line->size, outcome,
               report_ending(report, outcome));
    if (outcome->rc != MP_OK && self->options.halt_on_error)
        stop(self, EXIT_FAILED);
    lines_remove(&self->lines, line);
    if (report->out.size + report->err.size + self->joblog.out.size > GATHERED_BYTES)
        flush(self);
}

static void finish_refused(map_t *self, line_t *line)
{
    mp_outcome_t outcome = {.rc = line->refused, .host = "", .attempt = 1};
    outcome.message = line->refused == MP_ETOOLARGE ? "the line is longer than 1 MiB"
                                                    : "the line contains a NUL byte";
    finish_line(self, line, &outcome);
}

/* The calls of a job are all that is known of its lines later, so none can be left out. */
static void refuse_to_submit(map_t *self, line_t *line)
{
    finish_refused(self, line);
    give_up(self, EXIT_UNABLE, "", "with --detach all lines must be fit to be run");
}

static void finish_refused_ahead(map_t *self)
{
    while (!self->stop && self->lines.head && self->lines.head != self->lines.next_put &&
           self->lines.head->refused != MP_OK)
        finish_refused(self, self->lines.head);
}

/* All that there are now. Returns whether there were any. */
static bool take_outcomes(map_t *self)
{
    bool took = false;
    while (!self->stop) {
        mp_outcome_t outcome;
        finish_refused_ahead(self);
        if (self->stop)
            break;
        mp_rc_t rc = mp_job_next(self->job, &outcome, 0);
        if (rc == MP_ETIMEDOUT || rc == MP_EOF)
            break;
        took = true;
        if (rc != MP_OK)
            lose_job(self, rc);
        else if (concerns_all(self, &outcome))
            give_up_all(self, &outcome);
        else
            finish_line(self, lines_find(&self->lines, outcome.index), &outcome);
    }
    return took;
}

/* ---- input ------------------------------------------------------------------------------- */

static void take_line(map_t *self, const input_line_t *line)
{
    mp_rc_t refused = MP_OK;
    self->read++;
    if (joblog_has(&self->joblog, self->read, line->text, line->size)) {
        self->done++;
        self->skipped++;
        return;
    }
    if (line->too_long)
        refused = MP_ETOOLARGE;
    else if (self->options.command && memchr(line->text, '\0', line->size))
        refused = MP_EINVAL;
    if (!lines_add(&self->lines, self->read, line->text, line->size, refused))
        give_up(self, EXIT_UNABLE, "", mp_strerror(MP_ENOMEM));
}

static void read_lines(map_t *self)
{
    input_line_t line;
    while (!self->stop && input_next(&self->input, &line))
        take_line(self, &line);
}

static bool input_of(map_t *self, const line_t *line, mp_bytes_t *out)
{
    *out = (mp_bytes_t){line->text, line->size};
    return !self->options.command || command_for(&self->command, line->text, line->size, out);
}

static void put_line(map_t *self, mp_bytes_t input, bool *full)
{
    mp_rc_t rc = mp_job_put(self->job, input, self->options.detach ? SLICE_MS : 0);
    *full = rc == MP_ETIMEDOUT;
    if (rc == MP_OK && !lines_put(&self->lines, self->put++))
        rc = MP_ENOMEM;
    if (rc != MP_OK && !*full)
        lose_job(self, rc);
}

/* Hand lines to the job until its window is full. */
static void put_lines(map_t *self)
{
    bool full = false;
    while (!self->stop && !full && self->lines.next_put) {
        line_t *line = self->lines.next_put;
        mp_bytes_t input;
        if (line->refused != MP_OK) {
            lines_pass(&self->lines);
            if (self->options.unordered)
                finish_refused(self, line);
        } else if (input_of(self, line, &input)) {
            put_line(self, input, &full);
        } else {
            give_up(self, EXIT_UNABLE, "", mp_strerror(MP_ENOMEM));
        }
    }
    if (!self->closed && !self->lines.next_put && input_done(&self->input)) {
        mp_job_close(self->job);
        self->closed = true;
    }
}

/* ---- the loop ----------------------------------------------------------------------------- */

static bool is_over(const map_t *self)
{
    return input_done(&self->input) && !self->lines.head;
}

static bool wants_input(const map_t *self)
{
    if (self->input.ended)
        return false;
    return !self->lines.next_put || (self->bar && self->lines.bytes < READ_AHEAD_BYTES);
}

static void show_progress(map_t *self)
{
    mp_progress_t progress = {
        .done = self->done, .total = total(self), .failed = self->failed, .skipped = self->skipped};
    if (self->bar)
        mp_bar_update(self->bar, &progress);
}

/* busy: there may be more to do already, so only look. */
static void wait(map_t *self, bool busy)
{
    struct pollfd fds[3] = {
        {.fd = wants_input(self) ? self->input.fd : -1, .events = POLLIN},
        {.fd = self->news, .events = POLLIN},
        {.fd = self->signals, .events = POLLIN},
    };
    int timeout_ms = busy ? 0 : self->bar ? BAR_EVERY_MS : -1;
    int n = poll(fds, 3, timeout_ms);
    if (n < 0 && errno != EINTR)
        give_up(self, EXIT_UNABLE, "poll", strerror(errno));
    if (n > 0 && fds[2].revents)
        on_signal(self);
    if (n > 0 && fds[0].revents)
        input_fill(&self->input);
}

/* The job's descriptor is silent about outcomes that came while an input was put, so the last
 * word before a sleep is that there is none to take, and that taking made no room. */
static void loop(map_t *self)
{
    while (!self->stop) {
        read_lines(self);
        put_lines(self);
        bool busy = take_outcomes(self);
        flush(self);
        if (self->stop || is_over(self))
            break;
        show_progress(self);
        wait(self, busy);
    }
    flush(self);
}

/* ---- leaving it to a broker ------------------------------------------------------------------ */

/* Lines aren't needed any more once they are put. */
static void give_away(map_t *self)
{
    while (!self->stop && self->lines.next_put) {
        line_t *line = self->lines.next_put;
        mp_bytes_t input;
        bool full = false;
        if (line->refused != MP_OK) {
            lines_pass(&self->lines);
            refuse_to_submit(self, line);
        } else if (!input_of(self, line, &input)) {
            give_up(self, EXIT_UNABLE, "", mp_strerror(MP_ENOMEM));
        } else {
            put_line(self, input, &full);
            if (!full && !self->stop)
                lines_remove(&self->lines, line);
        }
        if (full)
            wait(self, true); /* for a signal */
    }
}

static void hand_over(map_t *self)
{
    char id[MP_JOB_ID_MAX + 1];
    mp_rc_t rc = MP_ETIMEDOUT;
    snprintf(id, sizeof id, "%s", mp_job_id(self->job));
    for (int ms = 0; ms < DETACH_MS && rc == MP_ETIMEDOUT && !self->stop; ms += SLICE_MS) {
        rc = mp_job_detach(&self->job, SLICE_MS);
        if (rc == MP_ETIMEDOUT)
            wait(self, true); /* for a signal */
    }
    if (self->stop)
        return;
    if (rc == MP_OK)
        output_printf(&self->report.out, "%s\n", id);
    else
        lose_job(self, rc);
}

/* The job is another's, or there is none. */
static bool has_no_part_of_it(mp_rc_t lost)
{
    return lost == MP_EEXIST || lost == MP_ESTATE || lost == MP_ENOTFOUND || lost == MP_EPERM ||
           lost == MP_EAUTH;
}

/* What a submit that came to nothing has left at the broker is no job that anybody meant. Not one
 * with a key, which may be another's as well. */
static void take_back(map_t *self)
{
    char id[MP_JOB_ID_MAX + 1];
    mp_job_t *whole = NULL; /* a handle that was refused nothing */
    if (has_no_part_of_it(self->lost))
        return;
    snprintf(id, sizeof id, "%s", mp_job_id(self->job));
    mp_rc_t rc = mp_job_attach(self->pool, id, TAKE_BACK_MS, &whole);
    if (rc == MP_OK)
        rc = mp_job_drop(&whole, TAKE_BACK_MS);
    mp_job_destroy(&whole);
    mp_job_destroy(&self->job);
    if (rc == MP_OK || rc == MP_ENOTFOUND)
        output_printf(&self->report.err, "mp: job %s is dropped again\n", id);
    else
        output_printf(&self->report.err,
                      "mp: the broker may have a part of job %s: mp job drop %s\n", id, id);
}

static void detach(map_t *self)
{
    while (!self->stop && !input_done(&self->input)) {
        read_lines(self);
        give_away(self);
        flush(self);
        if (!self->stop && !input_done(&self->input))
            wait(self, false);
    }
    if (!self->stop && self->input.error)
        give_up(self, EXIT_UNABLE, "stdin", strerror(self->input.error));
    if (!self->stop)
        hand_over(self);
    flush(self);
    if (self->stop && self->job && !self->options.key && !self->options.keep_partial)
        take_back(self);
}

/* ---- what is left at a broker ---------------------------------------------------------------- */

/* It halts, and with it the job; but not one with a key, which may be another's as well. */
static bool ends_with_us(const map_t *self)
{
    const map_options_t *options = &self->options;
    return options->halt_on_error && self->status == EXIT_FAILED && !options->key;
}

/* Where it ended before the job did: whoever looks at it should know. */
static void tell_what_is_left(map_t *self)
{
    const map_options_t *options = &self->options;
    bool stays = options->id || options->key || options->keep_ms || options->detach;
    const char *id = self->job && stays ? mp_job_id(self->job) : "";
    if (!*id || has_no_part_of_it(self->lost) || self->status == EXIT_SIGNAL + SIGPIPE)
        return;
    mp_job_info_t info;
    if (ends_with_us(self))
        mp_job_cancel(self->job);
    mp_rc_t rc = mp_job_look(self->job, &info, LOOK_MS);
    if (rc == MP_OK && ends_with_us(self))
        output_printf(&self->report.err, "mp: the job is cancelled: mp job fetch %s\n", id);
    else if (rc == MP_OK && info.complete)
        output_printf(&self->report.err, "mp: the job goes on: mp job fetch %s\n", id);
    else if (rc == MP_OK)
        output_printf(&self->report.err,
                      "mp: the broker has a part of the job, up to call %llu, and runs it: mp job "
                      "fetch %s, or mp job drop %s\n",
                      info.calls, id, id);
    else
        output_printf(&self->report.err,
                      "mp: the broker doesn't say what it has of job %s: see mp job list\n", id);
}

/* ---- what tasks write ---------------------------------------------------------------------- */

static void on_output(void *arg, const mp_output_t *output)
{
    map_t *self = arg;
    const line_t *line = lines_find(&self->lines, output->index);
    if (!line)
        line = self->lines.next_put; /* it runs before its put has returned */
    overheard_add(&self->overheard, &self->report.err, line ? line->number : 0, output);
}

/* ---- life --------------------------------------------------------------------------------- */

static mp_rc_t open_job(map_t *self)
{
    const map_options_t *options = &self->options;
    mp_pool_options_t pool = {
        .processes = options->processes,
        .broker = options->broker,
        .connect_timeout_ms = options->connect_timeout_ms,
        .load = options->loads ? options->load : NULL,
        .ship = options->ship,
        .have = options->have,
        .worker_stdout = STDERR_FILENO, /* results only on ours */
    };
    mp_call_options_t call = {
        .chunksize = options->chunksize,
        .call_timeout_ms = options->timeout_ms,
        .soft_timeout_ms = options->soft_timeout_ms,
        .retries = options->retries,
        .retry_delay_ms = options->retry_delay_ms,
        .priority = options->priority,
        .label = options->label,
        .unordered = options->unordered,
        .name = options->id,
        .key = options->key,
        .keep_ms = options->detach && !options->keep_ms ? INT_MAX : options->keep_ms,
        .dead_letters = options->no_dead_letters ? -1 : options->dead_letters,
        .needs = options->needs,
        .weight = options->weight,
        .delay_ms = options->delay_ms,
        .deadline_ms = options->deadline_ms,
        .output = options->output ? on_output : NULL,
        .output_arg = self,
    };
    self->task = command_task;
    if (options->task)
        self->task.name = options->task;
    mp_rc_t rc = mp_pool_new(&pool, &self->pool);
    if (rc == MP_OK)
        rc = mp_job_new(self->pool, &self->task, &call, &self->job);
    if (rc != MP_OK)
        return rc;
    if (options->detach)
        return MP_OK; /* there are no news to wait for */
    self->news = mp_job_fileno(self->job);
    return self->news < 0 ? MP_ESYSTEM : MP_OK;
}

static void open_report(map_t *self)
{
    const map_options_t *options = &self->options;
    output_init(&self->report.out, STDOUT_FILENO, self->signals);
    output_init(&self->report.err, STDERR_FILENO, self->signals);
    self->report.json = options->json;
    self->report.commands = options->command;
    self->report.remote = map_options_remote(options);
    self->report.timeout_ms = options->timeout_ms;
    bool terminal = isatty(STDERR_FILENO) == 1;
    bool wants_bar = options->progress || (terminal && !options->no_progress);
    if (wants_bar && mp_bar_new(&(mp_bar_options_t){.always = true}, &self->bar) != MP_OK)
        self->bar = NULL; /* nothing that matters */
    self->shares_terminal = isatty(STDOUT_FILENO) == 1;
    if (self->bar)
        self->total = input_count(STDIN_FILENO);
}

/* An exit status, 0 when all went well. The signals stay as they are while a broker is looked
 * for: a Ctrl-C then just ends the process, with nothing lost. */
static int open_all(map_t *self)
{
    const map_options_t *options = &self->options;
    command_init(&self->command, options->command, options->command_words, options->shell);
    if (!joblog_open(&self->joblog, options->joblog, options->resume)) {
        fprintf(stderr, "mp: %s: %s\n", options->joblog,
                errno == EBADMSG ? "that is no job log" : strerror(errno));
        return EXIT_UNABLE;
    }
    signal(SIGPIPE, SIG_IGN);
    mp_rc_t rc = open_job(self);
    if (rc != MP_OK) {
        fprintf(stderr, "mp: %s", words_for(rc));
        if (rc == MP_EEXIST && options->id)
            fprintf(stderr, "; mp job fetch %s has its results", options->id);
        fputc('\n', stderr);
        return rc == MP_EINVAL ? EXIT_USAGE : EXIT_UNABLE;
    }
    if (!input_init(&self->input, STDIN_FILENO) || !open_signals(self)) {
        fprintf(stderr, "mp: %s\n", strerror(errno));
        return EXIT_UNABLE;
    }
    open_report(self);
    return 0;
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
    erase_bar(self);
    mp_bar_destroy(&self->bar);
    if (self->stop)
        tell_what_is_left(self);
    output_flush(&self->report.err);
    if (self->stop)
        return self->status;
    if (self->failed)
        output_printf(&self->report.err, "mp: %llu of %llu lines failed\n",
                      (unsigned long long)self->failed, (unsigned long long)self->done);
    if (self->input.error)
        give_up(self, EXIT_UNABLE, "stdin", strerror(self->input.error));
    output_flush(&self->report.err);
    if (self->stop)
        return self->status;
    return self->failed ? EXIT_FAILED : EXIT_SUCCESS;
}

int map_main(int argc, char **argv)
{
    map_t self = {.signals = -1, .news = -1, .joblog = {.out = {.fd = -1}}};
    if (!map_options_parse(&self.options, argc, argv))
        return EXIT_USAGE;
    if (self.options.help) {
        map_help();
        return EXIT_SUCCESS;
    }
    int status = open_all(&self);
    if (status == 0) {
        if (self.options.detach)
            detach(&self);
        else
            loop(&self);
        status = conclude(&self);
    }
    close_all(&self);
    return status;
}
