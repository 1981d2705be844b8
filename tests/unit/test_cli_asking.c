#include "asking.h"
#include "cli_kit.h"
#include "suite.h"

#include <fcntl.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

typedef struct question {
    asking_t asking;
    bool loud;
    int status;
    const char *said;
} question_t;

static const option_spec_t specs[] = {
    ASKING_BROKER,
    OPTION_KEY_FILE,
    {"loud", 'l', NULL, "with noise", OPTION_SWITCH(question_t, loud)},
    ASKING_ANSWER("3000"),
    ASKING_JSON("JSON"),
    ASKING_HELP,
};

static int helps;

static void show_help(void)
{
    helps++;
}

/* Parse words as the arguments of `mp ask`, which takes two words. */
static bool parse(question_t *self, const char *const words[])
{
    static const char *argv[16]; /* words and options point into it */
    int argc = 1, err = file_with("", 0), saved = dup(STDERR_FILENO);
    argv[0] = "ask";
    while (words[argc - 1]) {
        argv[argc] = words[argc - 1];
        argc++;
    }
    argv[argc] = NULL;
    bool leading = self->asking.leading;
    *self = (question_t){.asking = {.command = "ask",
                                    .show_help = show_help,
                                    .words_max = 2,
                                    .leading = leading,
                                    .timeout_ms = 3000}};
    dup2(err, STDERR_FILENO);
    bool ok = asking_parse(&self->asking, specs, sizeof specs / sizeof *specs, argc,
                           (char **)(uintptr_t)argv, &self->status);
    dup2(saved, STDERR_FILENO);
    close(saved);
    self->said = content_of(err);
    close(err);
    return ok;
}

#define PARSE(self, ...) parse(self, (const char *const[]){__VA_ARGS__, NULL})

START_TEST(options_stand_before_between_and_behind_words)
{
    question_t self = {0};
    ck_assert(PARSE(&self, "-b", "tcp://h:1", "one", "--timeout-ms", "7", "two", "--json", "-l"));
    ck_assert_str_eq(self.asking.broker, "tcp://h:1");
    ck_assert_int_eq(self.asking.timeout_ms, 7);
    ck_assert(self.asking.json && self.loud);
    ck_assert_int_eq(self.asking.word_count, 2);
    ck_assert_str_eq(self.asking.words[0], "one");
    ck_assert_str_eq(self.asking.words[1], "two");
    ck_assert(PARSE(&self, "one", "--", "--json"));
    ck_assert(!self.asking.json);
    ck_assert_str_eq(self.asking.words[1], "--json");
}
END_TEST

START_TEST(words_end_the_options_where_they_are_for_another_command)
{
    question_t self = {.asking = {.leading = true}};
    ck_assert(PARSE(&self, "-l", "one", "--json"));
    ck_assert(self.loud && !self.asking.json);
    ck_assert_int_eq(self.asking.word_count, 2);
}
END_TEST

START_TEST(a_broker_is_found_by_option_environment_or_default)
{
    question_t self = {0};
    unsetenv("MP_BROKER");
    ck_assert(PARSE(&self, "x"));
    ck_assert_str_eq(self.asking.broker, "tcp://127.0.0.1:5555");
    setenv("MP_BROKER", "", 1);
    ck_assert(PARSE(&self, "x"));
    ck_assert_str_eq(self.asking.broker, "tcp://127.0.0.1:5555");
    setenv("MP_BROKER", "tcp://h:2", 1);
    ck_assert(PARSE(&self, "x"));
    ck_assert_str_eq(self.asking.broker, "tcp://h:2");
    ck_assert(PARSE(&self, "--broker", "tcp://h:3"));
    ck_assert_str_eq(self.asking.broker, "tcp://h:3");
}
END_TEST

START_TEST(a_key_file_beats_the_one_of_the_environment)
{
    question_t self = {0};
    setenv("MP_KEY_FILE", "theirs", 1);
    ck_assert(PARSE(&self, "x"));
    ck_assert_str_eq(getenv("MP_KEY_FILE"), "theirs");
    ck_assert(PARSE(&self, "x", "--key-file", "mine"));
    ck_assert_str_eq(getenv("MP_KEY_FILE"), "mine");
}
END_TEST

START_TEST(wrong_usage_is_named_and_help_is_none)
{
    static const struct {
        const char *words[5];
        const char *said;
    } rows[] = {
        {{"a", "b", "c", NULL}, "mp ask: what is 'c'? See mp ask --help"},
        {{"--nope", NULL}, "mp ask: --nope is no option; see mp ask --help"},
        {{"a", "--nope", "b", NULL}, "--nope is no option"},
        {{"-b", NULL}, "-b needs an argument"},
        {{"--timeout-ms", "-1", NULL}, "--timeout-ms needs a whole number of at least 0"},
        {{"--timeout-ms", "1s", NULL}, "not '1s'"},
        {{"-b", "local", NULL}, "mp ask: 'local' is no broker; give --broker URL"},
    };
    question_t self = {0};
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        ck_assert(!parse(&self, rows[i].words));
        ck_assert_int_eq(self.status, EXIT_USAGE);
        ck_assert_msg(strstr(self.said, rows[i].said), "'%s' is not in: %s", rows[i].said,
                      self.said);
    }
    ck_assert_int_eq(helps, 0);
    ck_assert(!PARSE(&self, "a", "b", "c", "-h"));
    ck_assert_int_eq(self.status, EXIT_SUCCESS);
    ck_assert_int_eq(helps, 1);
}
END_TEST

START_TEST(a_failure_is_told_apart_from_a_broker_that_lets_nobody_in)
{
    asking_t self = {.command = "ask", .broker = "tcp://h:1"};
    output_t out;
    int full = open("/dev/full", O_WRONLY | O_CLOEXEC), err = file_with("", 0),
        saved = dup(STDERR_FILENO);
    dup2(err, STDERR_FILENO);
    output_init(&out, full, -1);
    output_text(&out, "answer");
    int statuses[] = {
        asking_complain(&self, MP_EINVAL),    asking_complain(&self, MP_ECONNECT),
        asking_complain(&self, MP_ENOTFOUND), asking_end(&self, MP_ETIMEDOUT, &out),
        asking_end(&self, MP_OK, &out),
    };
    self.unreached = EXIT_UNABLE;
    int unreached = asking_complain(&self, MP_ECONNECT),
        missing = asking_complain(&self, MP_ENOTFOUND);
    dup2(saved, STDERR_FILENO);
    close(saved);
    ck_assert_int_eq(statuses[0], EXIT_USAGE);
    ck_assert_int_eq(statuses[1], EXIT_FAILED);
    ck_assert_int_eq(statuses[2], EXIT_FAILED);
    ck_assert_int_eq(statuses[3], EXIT_FAILED);
    ck_assert_int_eq(statuses[4], EXIT_OUTPUT);
    ck_assert_int_eq(unreached, EXIT_UNABLE);
    ck_assert_int_eq(missing, EXIT_FAILED);
    ck_assert_ptr_nonnull(strstr(content_of(err), "mp ask: tcp://h:1: nobody answered\n"));
    ck_assert_ptr_nonnull(strstr(content_of(err), "mp ask: stdout: No space"));
    output_free(&out);
    close(full);
    close(err);
}
END_TEST

int main(void)
{
    const TTest *const tests[] = {
        options_stand_before_between_and_behind_words,
        words_end_the_options_where_they_are_for_another_command,
        a_broker_is_found_by_option_environment_or_default,
        a_key_file_beats_the_one_of_the_environment,
        wrong_usage_is_named_and_help_is_none,
        a_failure_is_told_apart_from_a_broker_that_lets_nobody_in,
        NULL,
    };
    return suite_run("cli_asking", tests, 30);
}
