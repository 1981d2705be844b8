#include "asking.h"
#include "commands.h"
#include "now.h"
#include "report.h"

#include <mp/kept.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

enum { ROWS = 256, FLUSH_BYTES = 64 * 1024, ANSWER_MS = 10000 };

typedef struct job {
    asking_t asking; /* its time: for calls to end; -1: for ever */
    int answer_ms;   /* for the broker */
    int64_t began_ms;
    mp_pool_t *pool;
    mp_job_t *job;
    report_t report;
} job_t;

static const option_spec_t specs[] = {
    ASKING_BROKER,
    OPTION_KEY_FILE,
    ASKING_TIMEOUT("wait, fetch: how long; default: until the job is over;\n"
                   "                             else for the broker's answer; default: 10000"),
    ASKING_JSON("a JSON object a line"),
    ASKING_HELP,
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
        "A broker with keys keeps apart whose they are; a key with the role admin has all of\n"
        "them, by ID or OWNER/ID.\n\n"
        "Exit status 0: done; 1: calls failed, or not in time, or there is no such job;\n"
        "or it was submitted in part only; 2: wrong usage; 3: no broker; 4: results could not be\n"
        "written, and stay.\n\nOptions:\n");
    options_print(specs, SPECS);
}

/* ---- list and wait ------------------------------------------------------------------------ */

static const char *state_of(const mp_job_info_t *info)
{
    if (info->ended < info->calls)
        return "running";
    if (info->open)
        return "open";
    if (info->cancelled)
        return "cancelled";
    return info->complete ? "over" : "unfinished";
}

static void print_json(job_t *self, const mp_job_info_t *info)
{
    output_t *out = &self->report.out;
    output_text(out, "{\"id\":");
    output_json(out, info->id, strlen(info->id));
    output_text(out, ",\"key\":");
    output_json(out, info->key, strlen(info->key));
    output_text(out, ",\"owner\":");
    output_json(out, info->owner, strlen(info->owner));
    output_text(out, ",\"task\":");
    output_json(out, info->task, strlen(info->task));
    output_text(out, ",\"label\":");
    output_json(out, info->label, strlen(info->label));
    output_printf(
        out,
        ",\"state\":\"%s\",\"complete\":%s,\"closed\":%s,\"calls\":%llu,\"ended\":%llu,\"failed\":%"
        "llu,"
        "\"taken\":%llu,\"clients\":%d,\"bytes\":%llu,\"created_ms\":%llu,\"left_ms\":%llu}\n",
        state_of(info), info->complete ? "true" : "false", info->closed ? "true" : "false",
        info->calls, info->ended, info->failed, info->taken, info->clients, info->bytes,
        info->created_ms, info->left_ms);
}

static void print_row(job_t *self, const mp_job_info_t *info)
{
    output_t *out = &self->report.out;
    if (self->asking.json)
        print_json(self, info);
    else
        output_printf(out, "%s  %s  %s, %llu of %llu ended, %llu failed, %llu taken%s%s\n",
                      info->id, info->task, state_of(info), info->ended, info->calls, info->failed,
                      info->taken, *info->owner ? ", made by " : "", info->owner);
}

static int list(job_t *self)
{
    static mp_job_info_t rows[ROWS];
    unsigned long long after = 0;
    size_t count = ROWS;
    int status = EXIT_SUCCESS;
    while (count == ROWS && status == EXIT_SUCCESS) {
        mp_rc_t rc = mp_pool_kept_jobs(self->pool, after, rows, ROWS, &count, self->answer_ms);
        for (size_t i = 0; i < count && rc == MP_OK; i++) {
            print_row(self, &rows[i]);
            after = rows[i].number;
        }
        status = asking_end(&self->asking, rc, &self->report.out);
    }
    return status;
}

/* A wait is over before the job is: how far it has come, if the broker answers that. */
static int complain_of_time(const job_t *self, mp_rc_t rc)
{
    mp_job_info_t info;
    if (rc != MP_ETIMEDOUT || mp_job_look(self->job, &info, self->answer_ms) != MP_OK)
        return asking_complain(&self->asking, rc);
    fprintf(stderr, "mp job: %s: after %d ms %llu of %llu calls have ended%s\n", info.id,
            self->asking.timeout_ms, info.ended, info.calls,
            info.open ? ", and its maker may put more" : "");
    return EXIT_FAILED;
}

static void tell_unfinished(const mp_job_info_t *info)
{
    fprintf(stderr,
            "mp job: %s: its maker never closed it: these are the %llu inputs that the broker has, "
            "there may be others\n",
            info->id, info->calls);
}

static int wait(job_t *self)
{
    mp_job_info_t info;
    mp_rc_t rc = mp_job_wait(self->job, &info, self->asking.timeout_ms);
    if (rc != MP_OK)
        return complain_of_time(self, rc);
    print_row(self, &info);
    int status = asking_end(&self->asking, rc, &self->report.out);
    if (!info.complete)
        tell_unfinished(&info);
    return status == EXIT_SUCCESS && (info.failed || !info.complete) ? EXIT_FAILED : status;
}

static int cancel(job_t *self)
{
    mp_job_cancel(self->job);
    mp_rc_t rc = mp_job_wait(self->job, NULL, self->answer_ms);
    return asking_end(&self->asking, rc, &self->report.out);
}

/* ---- fetch ---------------------------------------------------------------------------------- */

/* Results are taken from the broker once they are written. */
static int hand_over(job_t *self)
{
    output_flush(&self->report.err);
    int status = asking_end(&self->asking, MP_OK, &self->report.out);
    if (status != EXIT_SUCCESS)
        return status;
    mp_rc_t rc = mp_job_settle(self->job, self->answer_ms);
    return rc == MP_OK ? EXIT_SUCCESS : asking_complain(&self->asking, rc);
}

/* All outcomes there will be were printed. A job without a key isn't needed any more, though it
 * isn't used up if it was never closed, or had no calls. */
static int end_fetch(job_t *self)
{
    mp_job_info_t info;
    mp_rc_t rc = mp_job_wait(self->job, &info, self->answer_ms);
    if (rc == MP_ENOTFOUND)
        return EXIT_SUCCESS; /* it was used up */
    if (rc == MP_OK && !*info.key && (!info.closed || info.calls == 0))
        rc = mp_job_drop(&self->job, self->answer_ms);
    if (rc != MP_OK)
        return asking_complain(&self->asking, rc);
    if (!info.complete)
        tell_unfinished(&info);
    return info.complete ? EXIT_SUCCESS : EXIT_FAILED;
}

static int fetch(job_t *self)
{
    mp_outcome_t outcome;
    report_t *report = &self->report;
    mp_rc_t rc = MP_OK;
    int status = EXIT_SUCCESS;
    bool failed = false;
    report->remote = true;
    report->json = self->asking.json;
    while (status == EXIT_SUCCESS) {
        rc = mp_job_next(self->job, &outcome, 0);
        if (rc == MP_ETIMEDOUT) { /* what there was is shown before the others are waited for */
            if ((status = hand_over(self)) != EXIT_SUCCESS)
                return status;
            rc = mp_job_next(self->job, &outcome, left_ms(self->began_ms, self->asking.timeout_ms));
        }
        if (rc != MP_OK)
            break;
        report->commands = strcmp(outcome.task, "mp.exec") == 0;
        report_outcome(report, outcome.index + 1, "", 0, &outcome);
        failed = failed || outcome.rc != MP_OK;
        if (report->out.size + report->err.size > FLUSH_BYTES)
            status = hand_over(self);
    }
    if (status == EXIT_SUCCESS)
        status = hand_over(self);
    if (status == EXIT_SUCCESS && rc != MP_EOF)
        return complain_of_time(self, rc);
    if (status == EXIT_SUCCESS)
        status = end_fetch(self);
    return status == EXIT_SUCCESS && failed ? EXIT_FAILED : status;
}

static int drop(job_t *self)
{
    mp_rc_t rc = mp_job_drop(&self->job, self->answer_ms);
    return asking_end(&self->asking, rc, &self->report.out);
}

/* ---- the command ---------------------------------------------------------------------------- */

static const struct action {
    const char *name;
    int (*run)(job_t *self);
    bool attaches; /* it is about one job */
} actions[] = {{"list", list, false},
               {"wait", wait, true},
               {"fetch", fetch, true},
               {"cancel", cancel, true},
               {"drop", drop, true}};

static const struct action *find_action(const asking_t *asking)
{
    for (size_t i = 0; i < sizeof actions / sizeof *actions; i++)
        if (asking->word_count == 1 + actions[i].attaches &&
            strcmp(actions[i].name, asking->words[0]) == 0)
            return &actions[i];
    return NULL;
}

static int run(job_t *self, const struct action *action)
{
    int status = asking_connect(&self->asking, self->answer_ms, &self->pool);
    if (status != EXIT_SUCCESS)
        return status;
    mp_rc_t rc = MP_OK;
    if (action->attaches)
        rc = mp_job_attach(self->pool, self->asking.words[1], self->answer_ms, &self->job);
    if (rc != MP_OK)
        return asking_complain(&self->asking, rc);
    status = action->run(self);
    output_flush(&self->report.err);
    return status;
}

int job_main(int argc, char **argv)
{
    job_t self = {.asking = {.command = "job",
                             .show_help = job_help,
                             .words_max = 2,
                             .advice = "; see mp job list",
                             .timeout_ms = -1,
                             .unreached = EXIT_UNABLE},
                  .answer_ms = ANSWER_MS};
    int status;
    if (!asking_parse(&self.asking, specs, SPECS, argc, argv, &status))
        return status;
    const struct action *action = find_action(&self.asking);
    if (!action) {
        fprintf(stderr, "mp job: list, or one of wait, fetch, cancel, drop and an ID; see mp job "
                        "--help\n");
        return EXIT_USAGE;
    }
    if (self.asking.timeout_ms > 0 && self.asking.timeout_ms < ANSWER_MS)
        self.answer_ms = self.asking.timeout_ms;
    self.began_ms = now_ms();
    output_init(&self.report.out, STDOUT_FILENO, -1);
    output_init(&self.report.err, STDERR_FILENO, -1);
    status = run(&self, action);
    mp_job_destroy(&self.job);
    mp_pool_destroy(&self.pool);
    output_free(&self.report.out);
    output_free(&self.report.err);
    return status;
}
