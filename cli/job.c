#include "commands.h"
#include "exits.h"
#include "kept.h"
#include "options.h"
#include "report.h"

#include <errno.h>
#include <mp/kept.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

typedef struct job {
    const char *broker;
    const char *id;
    int timeout_ms; /* -1: for ever */
    bool json;
    bool help;
    mp_pool_t *pool;
} job_t;

enum { BROKER, TIMEOUT, JSON, HELP };

enum { ROWS = 256, FLUSH_BYTES = 64 * 1024 };

static const option_spec_t specs[] = {
    [BROKER] = {"broker", 'b', "URL",
                "the broker; default: $MP_BROKER, else tcp://127.0.0.1:5555; to one\n"
                "                             with keys the one in $MP_KEY_FILE is shown"},
    [TIMEOUT] = {"timeout-ms", 0, "N", "wait, fetch: how long; default: until the job is over"},
    [JSON] = {"json", 0, NULL, "a JSON object a line"},
    [HELP] = {"help", 'h', NULL, "print this and exit"},
};

enum { SPECS = sizeof specs / sizeof *specs };

void job_help(void)
{
    printf(
        "Usage: mp job list [OPTION]...\n"
        "       mp job wait|fetch|cancel|drop ID [OPTION]...\n\n"
        "Jobs that a broker keeps, such as those of mp map --detach:\n\n"
        "  list    one a line: id, task, how many calls have ended, how many failed\n"
        "  wait    until all calls have ended, and print that line\n"
        "  fetch   print results in input order, as mp map does; what was printed is not\n"
        "          kept any longer, unless the job has a key\n"
        "  cancel  end the calls that have not ended; results stay\n"
        "  drop    cancel, and forget the job\n\n"
        "Exit status 0: done; 1: calls failed, or not in time, or there is no such job;\n"
        "2: wrong usage; 3: no broker; 4: results could not be written, and stay.\n\nOptions:\n");
    options_print(specs, SPECS);
}

static bool on_option(void *arg, size_t index, const char *argument)
{
    job_t *self = arg;
    switch (index) {
    case BROKER:
        self->broker = argument;
        return true;
    case TIMEOUT:
        return options_number("job", "timeout-ms", argument, 0, &self->timeout_ms);
    case JSON:
        self->json = true;
        return true;
    default:
        self->help = true;
        return true;
    }
}

/* ---- list and wait ------------------------------------------------------------------------ */

static const char *state_of(const mp_job_info_t *info)
{
    if (info->ended < info->calls)
        return "running";
    if (!info->closed)
        return "open";
    return info->cancelled ? "cancelled" : "over";
}

static void print_json(output_t *out, const mp_job_info_t *info)
{
    output_text(out, "{\"id\":");
    output_json(out, info->id, strlen(info->id));
    output_text(out, ",\"key\":");
    output_json(out, info->key, strlen(info->key));
    output_text(out, ",\"task\":");
    output_json(out, info->task, strlen(info->task));
    output_text(out, ",\"label\":");
    output_json(out, info->label, strlen(info->label));
    output_printf(out,
                  ",\"state\":\"%s\",\"calls\":%llu,\"ended\":%llu,\"failed\":%llu,\"taken\":%llu,"
                  "\"clients\":%d,\"bytes\":%llu,\"created_ms\":%llu,\"left_ms\":%llu}\n",
                  state_of(info), info->calls, info->ended, info->failed, info->taken,
                  info->clients, info->bytes, info->created_ms, info->left_ms);
}

static void print_row(const job_t *self, output_t *out, const mp_job_info_t *info)
{
    if (self->json)
        print_json(out, info);
    else
        output_printf(out, "%s  %s  %s, %llu of %llu ended, %llu failed, %llu taken\n", info->id,
                      info->task, state_of(info), info->ended, info->calls, info->failed,
                      info->taken);
}

static int list(job_t *self, output_t *out)
{
    static mp_job_info_t rows[ROWS];
    unsigned long long after = 0;
    size_t count;
    do {
        mp_rc_t rc = mp_pool_kept_jobs(self->pool, after, rows, ROWS, &count, KEPT_TIMEOUT_MS);
        if (rc != MP_OK)
            return kept_complain("job", rc);
        for (size_t i = 0; i < count; i++)
            print_row(self, out, &rows[i]);
        if (count)
            after = rows[count - 1].number;
        if (!output_flush(out))
            return EXIT_OUTPUT;
    } while (count == ROWS);
    return 0;
}

static int wait(job_t *self, mp_job_t *job, output_t *out)
{
    mp_job_info_t info;
    mp_rc_t rc = mp_job_wait(job, &info, self->timeout_ms);
    if (rc != MP_OK)
        return kept_complain("job", rc);
    print_row(self, out, &info);
    return info.failed ? EXIT_FAILED : 0;
}

static int cancel(mp_job_t *job)
{
    mp_job_cancel(job);
    mp_rc_t rc = mp_job_wait(job, NULL, KEPT_TIMEOUT_MS);
    return rc == MP_OK ? 0 : kept_complain("job", rc);
}

/* ---- fetch ---------------------------------------------------------------------------------- */

/* Results are taken from the broker once they are written. */
static bool hand_over(report_t *report, mp_job_t *job, int *status)
{
    output_flush(&report->err);
    if (!output_flush(&report->out)) {
        fprintf(stderr, "mp job: stdout: %s\n", strerror(report->out.error));
        *status = EXIT_OUTPUT;
        return false;
    }
    mp_rc_t rc = mp_job_settle(job, KEPT_TIMEOUT_MS);
    if (rc != MP_OK)
        *status = kept_complain("job", rc);
    return rc == MP_OK;
}

static int fetch(job_t *self, mp_job_t *job, report_t *report)
{
    mp_outcome_t outcome;
    mp_rc_t rc = MP_OK;
    int status = 0;
    bool failed = false;
    report->remote = true;
    report->json = self->json;
    for (;;) {
        rc = mp_job_next(job, &outcome, 0);
        if (rc == MP_ETIMEDOUT) { /* what there was is shown before the others are waited for */
            if (!hand_over(report, job, &status))
                return status;
            rc = mp_job_next(job, &outcome, self->timeout_ms);
        }
        if (rc != MP_OK)
            break;
        report->commands = strcmp(outcome.task, "mp.exec") == 0;
        report_outcome(report, outcome.index + 1, "", 0, &outcome);
        failed = failed || outcome.rc != MP_OK;
        if (report->out.size + report->err.size > FLUSH_BYTES && !hand_over(report, job, &status))
            return status;
    }
    if (!hand_over(report, job, &status))
        return status;
    if (rc != MP_EOF)
        return rc == MP_ETIMEDOUT ? EXIT_FAILED : kept_complain("job", rc);
    return failed ? EXIT_FAILED : 0;
}

/* ---- all of them ------------------------------------------------------------------------------
 */

static int with_job(job_t *self, const char *verb, report_t *report)
{
    mp_job_t *job = NULL;
    mp_rc_t rc = mp_job_attach(self->pool, self->id, KEPT_TIMEOUT_MS, &job);
    if (rc != MP_OK)
        return kept_complain("job", rc);
    int status = 0;
    if (strcmp(verb, "wait") == 0) {
        status = wait(self, job, &report->out);
    } else if (strcmp(verb, "fetch") == 0) {
        status = fetch(self, job, report);
    } else if (strcmp(verb, "cancel") == 0) {
        status = cancel(job);
    } else {
        rc = mp_job_drop(&job, KEPT_TIMEOUT_MS);
        status = rc == MP_OK ? 0 : kept_complain("job", rc);
    }
    mp_job_destroy(&job);
    return status;
}

static int run(job_t *self, const char *verb)
{
    report_t report = {0};
    output_init(&report.out, STDOUT_FILENO, -1);
    output_init(&report.err, STDERR_FILENO, -1);
    int status = kept_connect("job", self->broker, &self->pool);
    if (status == 0)
        status = self->id ? with_job(self, verb, &report) : list(self, &report.out);
    if (status != EXIT_OUTPUT && !output_flush(&report.out))
        status = EXIT_OUTPUT;
    output_flush(&report.err);
    output_free(&report.out);
    output_free(&report.err);
    mp_pool_destroy(&self->pool);
    return status;
}

static bool is_verb(const char *verb)
{
    static const char *const verbs[] = {"list", "wait", "fetch", "cancel", "drop"};
    for (size_t i = 0; i < sizeof verbs / sizeof *verbs; i++)
        if (strcmp(verb, verbs[i]) == 0)
            return true;
    return false;
}

/* Options may stand behind the words, too. */
int job_main(int argc, char **argv)
{
    job_t self = {.timeout_ms = -1};
    const char *words[2] = {NULL, NULL};
    int count = 0, at = 0;
    for (;;) {
        int rest = options_parse("job", specs, SPECS, argc - at, argv + at, on_option, &self);
        if (rest < 0)
            return EXIT_USAGE;
        at += rest;
        if (at >= argc || count == 2)
            break;
        words[count++] = argv[at];
    }
    if (self.help) {
        job_help();
        return 0;
    }
    bool lists = words[0] && strcmp(words[0], "list") == 0;
    if (!words[0] || !is_verb(words[0]) || at < argc || lists == (words[1] != NULL)) {
        fprintf(stderr, "mp job: list, or one of wait, fetch, cancel, drop and an ID; see mp job "
                        "--help\n");
        return EXIT_USAGE;
    }
    self.id = words[1];
    return run(&self, words[0]);
}
