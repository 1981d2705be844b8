#include "cli_kit.h"
#include "joblog.h"
#include "output.h"
#include "report.h"
#include "suite.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <unistd.h>

/* ---- reports ---------------------------------------------------------------------------- */

typedef struct shown {
    report_t report;
    int out;
    int err;
} shown_t;

static void show(shown_t *self, const char *line, const mp_outcome_t *outcome)
{
    self->out = file_with("", 0);
    self->err = file_with("", 0);
    output_init(&self->report.out, self->out, -1);
    output_init(&self->report.err, self->err, -1);
    report_outcome(&self->report, 17, line, strlen(line), outcome);
    ck_assert(output_flush(&self->report.out));
    ck_assert(output_flush(&self->report.err));
}

static void hide(shown_t *self)
{
    output_free(&self->report.out);
    output_free(&self->report.err);
    close(self->out);
    close(self->err);
}

START_TEST(failures_are_told_in_one_line_each)
{
    static const struct {
        mp_outcome_t outcome;
        bool commands, remote;
        const char *out, *err;
    } rows[] = {
        {{.rc = MP_OK, .value = {"r", 1}, .message = "", .host = ""}, false, false, "r\n", ""},
        {{.rc = MP_OK, .message = "", .host = ""}, false, true, "\n", ""},
        {{.rc = MP_OK, .value = {"\2\0\0\0o\ne", 7}, .message = "", .host = ""},
         true,
         false,
         "o\n",
         "e"},
        {{.rc = MP_EFAILED,
          .value = {"\1\0\0\0oe", 6},
          .message = "exit status 2",
          .host = "h",
          .pid = 5,
          .code = 2,
          .attempt = 1},
         true,
         false,
         "o",
         "e\nmp: line 17: \"a\\x1bb\": exit status 2\n"},
        {{.rc = MP_ETIMEDOUT, .message = "long text", .host = "h", .pid = 5, .attempt = 3},
         false,
         true,
         "",
         "mp: line 17: \"a\\x1bb\": timed out after 500 ms, attempt 3, on h:5\n"},
        {{.rc = MP_ECRASHED, .message = "gone\nfor ever\x1b", .host = "h", .pid = 5, .attempt = 1},
         false,
         true,
         "",
         "mp: line 17: \"a\\x1bb\": gone\\x0afor ever\\x1b, on h:5\n"},
        {{.rc = MP_EWORKERLOST, .message = "", .host = "h"},
         false,
         true,
         "",
         "mp: line 17: \"a\\x1bb\": the worker was lost\n"},
    };
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        shown_t shown = {
            .report = {.commands = rows[i].commands, .remote = rows[i].remote, .timeout_ms = 500}};
        show(&shown,
             "a\x1b"
             "b",
             &rows[i].outcome);
        ck_assert_str_eq(content_of(shown.out), rows[i].out);
        ck_assert_str_eq(content_of(shown.err), rows[i].err);
        hide(&shown);
    }
}
END_TEST

START_TEST(json_has_the_same_fields_for_every_outcome)
{
    static const struct {
        mp_outcome_t outcome;
        bool commands;
        const char *line;
        const char *out;
    } rows[] = {
        {{.rc = MP_OK, .value = {"r", 1}, .message = "", .host = "", .attempt = 1},
         false,
         "in",
         "{\"line\":17,\"input\":\"in\",\"status\":\"ok\",\"output\":\"r\",\"exit\":0,\"signal\":0,"
         "\"attempt\":1,\"host\":\"\",\"pid\":0,\"error\":\"\",\"message\":\"\"}\n"},
        {{.rc = MP_EFAILED,
          .value = {"\1\0\0\0\xff!", 6},
          .message = "killed by signal 11 (Segmentation fault)",
          .host = "h",
          .pid = 5,
          .code = 139,
          .attempt = 2},
         true,
         "\"\x80",
         "{\"line\":17,\"input\":\"\\\"\\ufffd\",\"input_base64\":\"IoA=\",\"status\":\"failed\","
         "\"output\":\"\\ufffd\",\"output_base64\":\"/w==\",\"stderr\":\"!\",\"exit\":139,"
         "\"signal\":11,\"attempt\":2,\"host\":\"h\",\"pid\":5,\"error\":\"MP_EFAILED\","
         "\"message\":\"killed by signal 11 (Segmentation fault)\"}\n"},
        {{.rc = MP_ECRASHED, .message = "m", .host = "h", .signal = 9, .attempt = 1},
         false,
         "",
         "{\"line\":17,\"input\":\"\",\"status\":\"crashed\",\"output\":\"\",\"exit\":0,"
         "\"signal\":9,\"attempt\":1,\"host\":\"h\",\"pid\":0,\"error\":\"MP_ECRASHED\","
         "\"message\":\"m\"}\n"},
    };
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        shown_t shown = {.report = {.commands = rows[i].commands, .json = true}};
        show(&shown, rows[i].line, &rows[i].outcome);
        ck_assert_str_eq(content_of(shown.out), rows[i].out);
        hide(&shown);
    }
}
END_TEST

START_TEST(every_code_has_a_status)
{
    static const struct {
        mp_rc_t rc;
        const char *status;
    } rows[] = {
        {MP_OK, "ok"},
        {MP_EFAILED, "failed"},
        {MP_ECRASHED, "crashed"},
        {MP_ETIMEDOUT, "timed-out"},
        {MP_ECANCELLED, "cancelled"},
        {MP_EWORKERLOST, "lost"},
        {MP_EBROKERLOST, "lost"},
        {MP_EDRAINING, "lost"},
        {MP_EPERM, "rejected"},
        {MP_ETOOLARGE, "rejected"},
        {(mp_rc_t)-999, "rejected"},
    };
    report_t report = {.commands = true};
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        mp_outcome_t outcome = {.rc = rows[i].rc, .message = ""};
        ck_assert_str_eq(report_ending(&report, &outcome).status, rows[i].status);
    }
    /* An exit status of 139 is no signal. */
    mp_outcome_t outcome = {.rc = MP_EFAILED, .code = 139, .message = "exit status 139"};
    ck_assert_int_eq(report_ending(&report, &outcome).signal, 0);
    ck_assert_int_eq(report_ending(&report, &outcome).exit, 139);
}
END_TEST

/* ---- job log ---------------------------------------------------------------------------- */

static char log_path[64];

static void make_log(const char *bytes, size_t size)
{
    strcpy(log_path, "/tmp/mp-test-XXXXXX");
    int fd = mkstemp(log_path);
    ck_assert_int_ge(fd, 0);
    feed(fd, bytes, size);
    close(fd);
}

static void add_to_log(joblog_t *log, uint64_t number, const char *line, mp_rc_t rc)
{
    static const report_t report;
    mp_outcome_t outcome = {.rc = rc, .message = "", .host = "", .attempt = 1};
    joblog_add(log, number, line, strlen(line), &outcome, report_ending(&report, &outcome));
}

static bool log_has(const joblog_t *log, uint64_t number, const char *line)
{
    return joblog_has(log, number, line, strlen(line));
}

START_TEST(a_log_knows_what_ended_well_the_last_time)
{
    make_log("", 0);
    joblog_t log;
    ck_assert(joblog_open(&log, log_path, false));
    add_to_log(&log, 1, "one", MP_OK);
    add_to_log(&log, 2, "two\twith\ntabs", MP_OK);
    add_to_log(&log, 3, "three", MP_EFAILED);
    add_to_log(&log, 4, "", MP_OK);
    add_to_log(&log, 5, "five", MP_OK);
    ck_assert(!log_has(&log, 1, "one")); /* it is about earlier runs */
    ck_assert(output_flush(&log.out));
    joblog_close(&log);

    ck_assert(joblog_open(&log, log_path, true));
    ck_assert(log_has(&log, 1, "one"));
    ck_assert(!log_has(&log, 1, "other"));
    ck_assert(!log_has(&log, 2, "one"));
    ck_assert(log_has(&log, 2, "two\twith\ntabs"));
    ck_assert(!log_has(&log, 3, "three"));
    ck_assert(log_has(&log, 4, ""));
    ck_assert(!log_has(&log, 6, "six"));
    add_to_log(&log, 3, "three", MP_OK);
    add_to_log(&log, 5, "five", MP_ETIMEDOUT);
    ck_assert(output_flush(&log.out));
    joblog_close(&log);

    ck_assert(joblog_open(&log, log_path, true));
    ck_assert(log_has(&log, 3, "three"));
    ck_assert(!log_has(&log, 5, "five"));
    joblog_close(&log);
    unlink(log_path);
}
END_TEST

/* Cut a log anywhere: what is left whole counts, the rest is run again, and the next line
 * stands by itself. */
START_TEST(a_torn_log_is_taken_for_what_is_whole_in_it)
{
    make_log("", 0);
    joblog_t log;
    ck_assert(joblog_open(&log, log_path, false));
    add_to_log(&log, 1, "one", MP_OK);
    add_to_log(&log, 2, "two", MP_OK);
    ck_assert(output_flush(&log.out));
    int fd = open(log_path, O_RDONLY | O_CLOEXEC);
    char whole[4096];
    strcpy(whole, content_of(fd));
    close(fd);
    joblog_close(&log);
    unlink(log_path);

    size_t header = strcspn(whole, "\n") + 1;
    size_t first = header + strcspn(whole + header, "\n") + 1;
    for (size_t cut = 0; cut <= strlen(whole); cut++) {
        make_log(whole, cut);
        ck_assert(joblog_open(&log, log_path, true));
        ck_assert_int_eq(log_has(&log, 1, "one"), cut >= first);
        ck_assert_int_eq(log_has(&log, 2, "two"), cut == strlen(whole));
        add_to_log(&log, 3, "three", MP_OK);
        ck_assert(output_flush(&log.out));
        joblog_close(&log);
        ck_assert(joblog_open(&log, log_path, true));
        ck_assert(log_has(&log, 3, "three"));
        joblog_close(&log);
        unlink(log_path);
    }
}
END_TEST

START_TEST(garbage_in_a_log_is_passed_over)
{
    static const char garbage[] =
        "Line\tFinished\tStatus\tExit\tSignal\tAttempt\tHost\tInputHash\tInput\n"
        "\0\n\n\t\t\t\nnonsense\n"
        "1\t1\tokokokokokokokokokokokokok\t0\t0\t1\t-\t0\tx\n"
        "99999999999999999999999999\t1\tok\t0\t0\t1\t-\tzz\tx\n\xff\xfe";
    make_log(garbage, sizeof garbage - 1);
    joblog_t log;
    ck_assert(joblog_open(&log, log_path, true));
    ck_assert(!log_has(&log, 1, "x"));
    joblog_close(&log);
    unlink(log_path);
}
END_TEST

START_TEST(what_is_no_log_is_left_alone)
{
    static const char *const files[] = {"x", "\n", "Dear Sir,\n", "Line\tFinished\n", "line"};
    for (size_t i = 0; i < sizeof files / sizeof *files; i++)
        for (int resume = 0; resume <= 1; resume++) {
            make_log(files[i], strlen(files[i]));
            joblog_t log;
            ck_assert(!joblog_open(&log, log_path, resume));
            ck_assert_int_eq(errno, EBADMSG);
            joblog_close(&log);
            int fd = open(log_path, O_RDONLY | O_CLOEXEC);
            ck_assert_str_eq(content_of(fd), files[i]);
            close(fd);
            unlink(log_path);
        }
}
END_TEST

START_TEST(a_log_that_can_not_be_had_says_why)
{
    static const struct {
        const char *path;
        int error;
    } rows[] = {{"/nowhere/log", ENOENT}, {"/", EISDIR}};
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++)
        for (int resume = 0; resume <= 1; resume++) {
            joblog_t log;
            ck_assert(!joblog_open(&log, rows[i].path, resume));
            ck_assert_int_eq(errno, rows[i].error);
            joblog_close(&log);
        }
    joblog_t log;
    ck_assert(joblog_open(&log, NULL, false)); /* none: all calls do nothing */
    add_to_log(&log, 1, "one", MP_OK);
    ck_assert(output_flush(&log.out));
    joblog_close(&log);
}
END_TEST

int main(void)
{
    const TTest *const tests[] = {
        failures_are_told_in_one_line_each,
        json_has_the_same_fields_for_every_outcome,
        every_code_has_a_status,
        a_log_knows_what_ended_well_the_last_time,
        a_torn_log_is_taken_for_what_is_whole_in_it,
        garbage_in_a_log_is_passed_over,
        what_is_no_log_is_left_alone,
        a_log_that_can_not_be_had_says_why,
        NULL,
    };
    return suite_run("cli_report", tests, 30);
}
