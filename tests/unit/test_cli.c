#include "cli_kit.h"
#include "command.h"
#include "input.h"
#include "lines.h"
#include "map_options.h"
#include "options.h"
#include "output.h"
#include "suite.h"
#include "text.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <stdio.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/wait.h>
#include <unistd.h>

/* ---- text and output -------------------------------------------------------------------- */

START_TEST(text_is_shown_on_one_line_whatever_it_is)
{
    static const struct {
        const char *bytes;
        size_t size;
        const char *shown;
    } rows[] = {
        {"plain", 5, "plain"},
        {"", 0, ""},
        {"a\nb\tc\x1b[0m\x7f", 10, "a\\x0ab\\x09c\\x1b[0m\\x7f"},
        {"a\0b", 3, "a\\x00b"},
        {"gr\xc3\xbc\xc3\x9f", 6, "gr\xc3\xbc\xc3\x9f"},
        {"\xc3", 1, "\\xc3"},                   /* cut short */
        {"\xc0\xaf", 2, "\\xc0\\xaf"},          /* overlong */
        {"\xed\xa0\x80", 3, "\\xed\\xa0\\x80"}, /* a surrogate */
        {"\xf4\x90\x80\x80", 4, "\\xf4\\x90\\x80\\x80"},
        {"\xf0\x9f\x98\x80", 4, "\xf0\x9f\x98\x80"},
        {"0123456789012345678901234567890123456789", 40, "012345678901234567890123..."},
    };
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        char shown[32];
        text_show(rows[i].bytes, rows[i].size, shown, sizeof shown);
        ck_assert_str_eq(shown, rows[i].shown);
    }
}
END_TEST

START_TEST(output_is_written_when_it_is_flushed_and_not_before)
{
    int fd = file_with("", 0);
    output_t out;
    output_init(&out, fd, -1);
    for (int i = 0; i < 5000; i++)
        output_printf(&out, "%04d ", i);
    ck_assert_str_eq(content_of(fd), "");
    ck_assert(output_flush(&out));
    ck_assert_int_eq(strlen(content_of(fd)), 25000);
    output_json(&out, "a\"\\\n\xff\xc3\xbc", 7);
    output_text(&out, " ");
    output_base64(&out, "\0\1\xfe\xff", 4);
    output_text(&out, " ");
    output_base64(&out, "\0\1\xfe", 3);
    output_base64(&out, "\xff\xff", 2);
    ck_assert(output_flush(&out));
    ck_assert_str_eq(content_of(fd) + 25000,
                     "\"a\\\"\\\\\\u000a\\ufffd\xc3\xbc\" AAH+/w== AAH+//8=");
    output_free(&out);
    close(fd);
}
END_TEST

START_TEST(an_output_keeps_its_first_error)
{
    int full = open("/dev/full", O_WRONLY | O_CLOEXEC);
    output_t out;
    output_init(&out, full, -1);
    ck_assert(output_flush(&out)); /* nothing to write */
    output_text(&out, "x");
    ck_assert(!output_flush(&out));
    ck_assert_int_eq(out.error, ENOSPC);
    output_text(&out, "y");
    ck_assert_int_eq(out.size, 0);
    ck_assert(!output_flush(&out));
    ck_assert_int_eq(out.error, ENOSPC);
    output_free(&out);
    close(full);
    output_init(&out, full, -1); /* closed */
    output_text(&out, "x");
    ck_assert(!output_flush(&out));
    ck_assert_int_eq(out.error, EBADF);
    output_free(&out);
}
END_TEST

START_TEST(a_flush_into_a_pipe_that_nobody_reads_can_be_interrupted)
{
    static const char block[300000];
    int pair[2];
    uint64_t one = 1;
    int news = eventfd(0, EFD_CLOEXEC);
    ck_assert_int_eq(pipe2(pair, O_CLOEXEC), 0);
    ck_assert_int_eq(write(news, &one, sizeof one), sizeof one);
    output_t out;
    output_init(&out, pair[1], news);
    output_text(&out, "there is room for this");
    ck_assert(output_flush(&out));
    output_add(&out, block, sizeof block);
    ck_assert(!output_flush(&out));
    ck_assert_int_eq(out.error, EINTR);
    output_free(&out);
    close(pair[0]);
    close(pair[1]);
    close(news);
}
END_TEST

START_TEST(a_descriptor_that_does_not_block_is_waited_for)
{
    static char block[300000];
    int pair[2];
    ck_assert_int_eq(pipe2(pair, O_CLOEXEC | O_NONBLOCK), 0);
    pid_t reader = fork();
    if (reader == 0) {
        size_t total = 0;
        struct pollfd fd = {.fd = pair[0], .events = POLLIN};
        close(pair[1]);
        for (ssize_t n = 1; n != 0;) {
            (void)poll(&fd, 1, -1);
            n = read(pair[0], block, sizeof block);
            total += n > 0 ? (size_t)n : 0;
        }
        _exit(total == sizeof block ? 0 : 1);
    }
    output_t out;
    output_init(&out, pair[1], -1);
    output_add(&out, block, sizeof block);
    ck_assert(output_flush(&out));
    output_free(&out);
    close(pair[1]);
    int status = -1;
    ck_assert_int_eq(waitpid(reader, &status, 0), reader);
    ck_assert_int_eq(status, 0);
    close(pair[0]);
}
END_TEST

/* ---- input ------------------------------------------------------------------------------ */

#define ck_assert_next(input, wanted)                                                              \
    do {                                                                                           \
        input_line_t line_ = {0};                                                                  \
        ck_assert(input_next(input, &line_));                                                      \
        ck_assert_mem_eq(line_.text, wanted, sizeof wanted - 1);                                   \
        ck_assert_uint_eq(line_.size, sizeof wanted - 1);                                          \
        ck_assert(!line_.too_long);                                                                \
    } while (0)

START_TEST(lines_come_out_as_soon_as_they_are_whole)
{
    int pair[2];
    input_t input;
    input_line_t line;
    ck_assert_int_eq(pipe2(pair, O_CLOEXEC), 0);
    ck_assert(input_init(&input, pair[0]));
    ck_assert(!input_next(&input, &line));
    feed(pair[1], "one\ntw", 6);
    input_fill(&input);
    ck_assert_next(&input, "one");
    ck_assert(!input_next(&input, &line));
    feed(pair[1], "o\n\n\0x\r\nlast", 11);
    input_fill(&input);
    ck_assert_next(&input, "two");
    ck_assert_next(&input, "");
    ck_assert_next(&input, "\0x\r");
    ck_assert(!input_next(&input, &line));
    close(pair[1]);
    input_fill(&input);
    ck_assert(!input_done(&input));
    ck_assert_next(&input, "last"); /* without a newline */
    ck_assert(!input_next(&input, &line));
    ck_assert(input_done(&input));
    input_free(&input);
    close(pair[0]);
}
END_TEST

/* Lines around the limit, through a file, whatever the reads cut. */
START_TEST(a_line_that_is_too_long_costs_only_itself)
{
    static const struct {
        size_t size;
        bool newline;
        bool too_long;
    } rows[] = {
        {INPUT_LINE_MAX, true, false},         {INPUT_LINE_MAX + 1, true, true},
        {INPUT_LINE_MAX + 1, false, true},     {INPUT_LINE_MAX, false, false},
        {5 * INPUT_LINE_MAX + 17, true, true}, {5 * INPUT_LINE_MAX + 17, false, true},
    };
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        int fd = file_with("before\n", 7);
        ck_assert_int_eq(lseek(fd, 0, SEEK_END), 7);
        char *block = malloc(rows[i].size);
        memset(block, 'x', rows[i].size);
        feed(fd, block, rows[i].size);
        free(block);
        if (rows[i].newline)
            feed(fd, "\nbehind\n", 8);
        lseek(fd, 0, SEEK_SET);
        input_t input;
        input_line_t line;
        ck_assert(input_init(&input, fd));
        unsigned count = 0;
        while (!input_done(&input)) {
            for (; input_next(&input, &line); count++) {
                ck_assert_int_eq(line.too_long, count == 1 && rows[i].too_long);
                ck_assert(line.size <= INPUT_LINE_MAX);
                ck_assert_int_eq(*line.text, "bxb"[count]);
            }
            input_fill(&input);
        }
        ck_assert_uint_eq(count, rows[i].newline ? 3 : 2);
        ck_assert(input.room <= 4 * INPUT_LINE_MAX);
        input_free(&input);
        close(fd);
    }
}
END_TEST

START_TEST(an_input_that_can_not_be_read_ends_with_its_error)
{
    input_t input;
    input_line_t line;
    int directory = open("/", O_RDONLY | O_CLOEXEC);
    ck_assert(input_init(&input, directory));
    input_fill(&input);
    ck_assert_int_eq(input.error, EISDIR);
    ck_assert(!input_next(&input, &line));
    ck_assert(input_done(&input));
    input_free(&input);
    close(directory);
}
END_TEST

START_TEST(lines_of_a_file_are_counted_from_where_it_stands)
{
    static const struct {
        const char *text;
        uint64_t count;
    } rows[] = {{"", 0}, {"\n", 1}, {"a", 1}, {"a\n", 1}, {"a\nb", 2}, {"a\n\nb\n", 3}};
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        int fd = file_with(rows[i].text, strlen(rows[i].text));
        ck_assert_uint_eq(input_count(fd), rows[i].count);
        ck_assert_int_eq(lseek(fd, 0, SEEK_CUR), 0);
        close(fd);
    }
    int fd = file_with("a\nb\nc", 5), pair[2];
    lseek(fd, 2, SEEK_SET);
    ck_assert_uint_eq(input_count(fd), 2);
    close(fd);
    ck_assert_int_eq(pipe2(pair, O_CLOEXEC), 0);
    feed(pair[1], "a\n", 2);
    ck_assert_uint_eq(input_count(pair[0]), 0);
    close(pair[0]);
    close(pair[1]);
}
END_TEST

START_TEST(lines_are_found_by_their_place_in_the_job)
{
    lines_t lines = {0};
    for (uint64_t n = 1; n <= 100; n++)
        ck_assert(lines_add(&lines, n, "text", 4, n == 3 ? MP_ETOOLARGE : MP_OK));
    size_t all = lines.bytes;
    ck_assert_uint_ge(all, 100 * sizeof(line_t)); /* also empty lines take memory */
    for (uint64_t index = 0; lines.next_put;)
        if (lines.next_put->refused)
            lines_pass(&lines);
        else
            ck_assert(lines_put(&lines, index++));
    ck_assert_ptr_null(lines_find(&lines, 99)); /* one of them was not put */
    ck_assert_uint_eq(lines_find(&lines, 1)->number, 2);
    ck_assert_uint_eq(lines_find(&lines, 2)->number, 4);
    ck_assert_uint_eq(lines_find(&lines, 98)->number, 100);
    lines_remove(&lines, lines_find(&lines, 50));
    ck_assert_ptr_null(lines_find(&lines, 50));
    ck_assert_uint_lt(lines.bytes, all);
    lines_free(&lines);
    ck_assert_uint_eq(lines.bytes, 0);
    ck_assert_ptr_null(lines.head);
}
END_TEST

/* ---- commands --------------------------------------------------------------------------- */

#define ck_assert_command(shell, line, wanted, ...)                                                \
    do {                                                                                           \
        const char *words_[] = {__VA_ARGS__};                                                      \
        command_t command_;                                                                        \
        mp_bytes_t input_ = {0};                                                                   \
        command_init(&command_, (char **)(uintptr_t)words_, sizeof words_ / sizeof *words_,        \
                     shell);                                                                       \
        ck_assert(command_for(&command_, line, sizeof line - 1, &input_));                         \
        ck_assert_uint_eq(input_.size, sizeof wanted);                                             \
        ck_assert_mem_eq(input_.data, wanted, sizeof wanted);                                      \
        command_free(&command_);                                                                   \
    } while (0)

START_TEST(a_command_takes_its_line_where_the_braces_are)
{
    ck_assert_command(false, "x y", "\0cat\0x y", "cat");
    ck_assert_command(false, "x", "\0cat\0-n\0x", "cat", "-n", "{}");
    ck_assert_command(false, "x", "\0cp\0x\0x.bak", "cp", "{}", "{}.bak");
    ck_assert_command(false, "x", "\0echo\0<xx>\0end", "echo", "<{}{}>", "end");
    ck_assert_command(false, "x", "\0x\0{\0}\0{x", "{}", "{", "}", "{{}");
    ck_assert_command(false, "", "\0echo\0", "echo");
    ck_assert_command(false, "", "\0echo\0\0z", "echo", "{}", "z");
    ck_assert_command(false, "{}", "\0echo\0{}", "echo", "{}"); /* not replaced again */
    ck_assert_command(true, "a b", "\1wc -l 'a b'", "wc", "-l");
    ck_assert_command(true, "it's", "\1cat 'it'\\''s' | wc", "cat {} | wc");
    ck_assert_command(true, "", "\1echo '' x", "echo", "{}", "x");
    ck_assert_command(true, "$(rm -rf /);`x`\n", "\1echo '$(rm -rf /);`x`\n'", "echo");
}
END_TEST

START_TEST(a_value_is_taken_apart_and_a_malformed_one_is_empty)
{
    static const struct {
        const char *value;
        size_t size;
        const char *standard;
        const char *error;
    } rows[] = {
        {"\3\0\0\0outerr", 10, "out", "err"},
        {"\0\0\0\0err", 7, "", "err"},
        {"\3\0\0\0out", 7, "out", ""},
        {"\0\0\0\0", 4, "", ""},
        {"", 0, "", ""},
        {"\1\0\0", 3, "", ""},
        {"\4\0\0\0out", 7, "", ""},
        {"\xff\xff\xff\xff...", 7, "", ""},
    };
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        mp_bytes_t standard, error;
        command_outputs((mp_bytes_t){rows[i].value, rows[i].size}, &standard, &error);
        ck_assert_uint_eq(standard.size, strlen(rows[i].standard));
        ck_assert_uint_eq(error.size, strlen(rows[i].error));
        if (standard.size)
            ck_assert_mem_eq(standard.data, rows[i].standard, standard.size);
        if (error.size)
            ck_assert_mem_eq(error.data, rows[i].error, error.size);
    }
}
END_TEST

/* ---- options ---------------------------------------------------------------------------- */

/* Parse words as the arguments of `mp map`; what it said is in *said. */
static bool parse(map_options_t *options, const char **said, const char *const words[])
{
    static const char *argv[32] = {"map"}; /* the options point into it */
    int argc = 1;
    while (words[argc - 1]) {
        argv[argc] = words[argc - 1];
        argc++;
    }
    argv[argc] = NULL;
    int err = file_with("", 0);
    int saved = dup(STDERR_FILENO);
    dup2(err, STDERR_FILENO);
    bool ok = map_options_parse(options, argc, (char **)(uintptr_t)argv);
    dup2(saved, STDERR_FILENO);
    close(saved);
    *said = content_of(err);
    close(err);
    return ok;
}

START_TEST(wrong_usage_is_named)
{
    static const struct {
        const char *words[8];
        const char *said;
    } rows[] = {
        {{NULL}, "what is to be run?"},
        {{"--nope", "x", NULL}, "--nope is no option"},
        {{"-z", "x", NULL}, "-z is no option"},
        {{"-uz", "x", NULL}, "-z is no option"},
        {{"-zu", "x", NULL}, "-z is no option"},
        {{"-j", NULL}, "-j needs an argument"},
        {{"--jobs", NULL}, "--jobs needs an argument"},
        {{"--json=1", "x", NULL}, "--json takes no argument"},
        {{"-j", "0", "x", NULL}, "--jobs needs a whole number of at least 1, not '0'"},
        {{"-j", "", "x", NULL}, "not ''"},
        {{"-j", "2x", "x", NULL}, "not '2x'"},
        {{"-j", "99999999999", "x", NULL}, "at most 2147483647, not '99999999999'"},
        {{"-j", "99999999999999999999", "x", NULL}, "at most 2147483647"},
        {{"-j", "-99999999999999999999", "x", NULL}, "at least 1"},
        {{"--priority", "-1001", "x", NULL}, "at least -1000, not '-1001'"},
        {{"--keep-partial", "x", NULL}, "--keep-partial is for --detach"},
        {{"--broker", "tcp://h:1", "-d", "--output", "-t", "t", NULL}, "or --output"},
        {{"--retries", "-1", "x", NULL}, "at least 0, not '-1'"},
        {{"--timeout-ms", "0", "x", NULL}, "--timeout-ms needs"},
        {{"--task", "t", "x", NULL}, "a task and a command"},
        {{"--task", "t", NULL}, "--load LIB.so"},
        {{"--shell", "--load", "l", "--task", "t", NULL}, "--shell needs a command"},
        {{"--resume", "x", NULL}, "--joblog FILE"},
        {{"--broker", "tcp://h:1", "-j", "2", "x", NULL}, "-j is for local workers"},
        {{"--broker", "tcp://h:1", "--have", "gpu=1", "x", NULL}, "--have is for local workers"},
    };
    unsetenv("MP_BROKER");
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        map_options_t options;
        const char *said;
        ck_assert(!parse(&options, &said, rows[i].words));
        ck_assert_msg(strstr(said, rows[i].said), "'%s' is not in: %s", rows[i].said, said);
        ck_assert_ptr_nonnull(strstr(said, "mp map: "));
    }
}
END_TEST

/* getopt_long's order of words and options depends on it; ours doesn't. */
static void be_posixly_correct(bool so)
{
    if (so)
        setenv("POSIXLY_CORRECT", "1", 1);
    else
        unsetenv("POSIXLY_CORRECT");
}

typedef struct mixed {
    const char *text;
    int number;
    bool flag;
} mixed_t;

/* What is left of words when options are taken out, with blanks between. */
static const char *words_among(const char *const words[], mixed_t *out)
{
    static const option_spec_t specs[] = {
        {"text", 't', "TEXT", "", OPTION_TEXT(mixed_t, text)},
        {"number", 'n', "N", "", OPTION_NUMBER(mixed_t, number, 0)},
        {"flag", 'f', NULL, "", OPTION_SWITCH(mixed_t, flag)},
    };
    static char left[128];
    const char *argv[16] = {"mixed"};
    int argc = 1;
    for (; words[argc - 1]; argc++)
        argv[argc] = words[argc - 1];
    *out = (mixed_t){.text = ""};
    int first = options_parse("mixed", specs, 3, argc, (char **)(uintptr_t)argv, out);
    left[0] = '\0';
    for (int i = first; i < argc; i++)
        snprintf(left + strlen(left), sizeof left - strlen(left), "%s%s", i > first ? " " : "",
                 argv[i]);
    return left;
}

START_TEST(options_may_stand_between_words)
{
    mixed_t mixed;
    be_posixly_correct(_i);
    ck_assert_str_eq(
        words_among((const char *[]){"a", "-f", "b", "--text", "x", "c", NULL}, &mixed), "a b c");
    ck_assert(mixed.flag && strcmp(mixed.text, "x") == 0);
    ck_assert_str_eq(words_among((const char *[]){"-fn3", "-", "--text=y", "a", NULL}, &mixed),
                     "- a");
    ck_assert(mixed.flag && mixed.number == 3 && strcmp(mixed.text, "y") == 0);
    ck_assert_str_eq(words_among((const char *[]){"a", "-f", "--", "-n", "--", "b", NULL}, &mixed),
                     "a -n -- b");
    ck_assert(mixed.flag && mixed.number == 0);
    ck_assert_str_eq(words_among((const char *[]){"a", "b", NULL}, &mixed), "a b");
    ck_assert_str_eq(words_among((const char *[]){"-f", NULL}, &mixed), "");
    ck_assert_str_eq(words_among((const char *[]){NULL}, &mixed), "");
    be_posixly_correct(false);
}
END_TEST

START_TEST(options_end_where_the_command_begins)
{
    map_options_t options;
    const char *said;
    unsetenv("MP_BROKER");
    be_posixly_correct(_i);
    ck_assert(parse(&options, &said, (const char *[]){"-uj3", "wc", "-l", "--json", NULL}));
    ck_assert(options.unordered && options.processes == 3 && !options.json);
    ck_assert_int_eq(options.command_words, 3);
    ck_assert_str_eq(options.command[0], "wc");
    ck_assert(parse(&options, &said, (const char *[]){"--json", "--", "--json", NULL}));
    ck_assert(options.json);
    ck_assert_str_eq(options.command[0], "--json");
    ck_assert(parse(&options, &said, (const char *[]){"--halt-on-error", "-k", "x", NULL}));
    ck_assert(!options.halt_on_error);
    ck_assert(parse(&options, &said,
                    (const char *[]){"-l", "a", "--load=b", "-t", "t", "--retries", "0", NULL}));
    ck_assert_int_eq(options.loads, 2);
    ck_assert_ptr_null(options.load[2]);
    ck_assert_ptr_null(options.command);
}
END_TEST

START_TEST(the_environment_names_a_broker_unless_an_option_does)
{
    map_options_t options;
    const char *said;
    setenv("MP_BROKER", "tcp://h:1", 1);
    ck_assert(parse(&options, &said, (const char *[]){"--task", "t", NULL}));
    ck_assert(map_options_remote(&options));
    ck_assert(parse(&options, &said, (const char *[]){"-b", "local", "-j", "2", "x", NULL}));
    ck_assert(!map_options_remote(&options));
    ck_assert(!parse(&options, &said, (const char *[]){"-j", "2", "x", NULL}));
    ck_assert_ptr_nonnull(strstr(said, "MP_BROKER is set"));
    setenv("MP_BROKER", "", 1);
    ck_assert(parse(&options, &said, (const char *[]){"-j", "2", "x", NULL}));
    unsetenv("MP_BROKER");
}
END_TEST

int main(void)
{
    const TTest *const tests[] = {
        text_is_shown_on_one_line_whatever_it_is,
        output_is_written_when_it_is_flushed_and_not_before,
        an_output_keeps_its_first_error,
        a_flush_into_a_pipe_that_nobody_reads_can_be_interrupted,
        a_descriptor_that_does_not_block_is_waited_for,
        lines_come_out_as_soon_as_they_are_whole,
        a_line_that_is_too_long_costs_only_itself,
        an_input_that_can_not_be_read_ends_with_its_error,
        lines_of_a_file_are_counted_from_where_it_stands,
        lines_are_found_by_their_place_in_the_job,
        a_command_takes_its_line_where_the_braces_are,
        a_value_is_taken_apart_and_a_malformed_one_is_empty,
        wrong_usage_is_named,
        the_environment_names_a_broker_unless_an_option_does,
        NULL,
    };
    const TTest *const of_orders[] = {options_may_stand_between_words,
                                      options_end_where_the_command_begins, NULL};
    return suite_run_each(NULL, "cli", of_orders, 2, tests, 30);
}
