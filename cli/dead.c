#include "asking.h"
#include "command.h"
#include "commands.h"
#include "fields.h"
#include "report.h"
#include "text.h"

#include <errno.h>
#include <mp/dead.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

enum { NUMBERS_MAX = 4096, ROWS = 256 };

typedef struct dead {
    asking_t asking;
    const char *task;
    bool all;
    unsigned long long numbers[NUMBERS_MAX];
    size_t count;
    mp_pool_t *pool;
    output_t out;
} dead_t;

static const option_spec_t specs[] = {
    ASKING_BROKER,
    OPTION_KEY_FILE,
    {"task", 't', "NAME", "only those of this task", OPTION_TEXT(dead_t, task)},
    {"all", 'a', NULL, "requeue, drop: all of them", OPTION_SWITCH(dead_t, all)},
    ASKING_ANSWER("10000"),
    ASKING_JSON("list, show: a JSON object a line"),
    ASKING_HELP,
};

enum { SPECS = sizeof specs / sizeof *specs };

void dead_help(void)
{
    printf("Usage: mp dead list [OPTION]...\n"
           "       mp dead show NUMBER\n"
           "       mp dead requeue|drop NUMBER...|--all [OPTION]...\n\n"
           "Dead letters: calls that failed, crashed or ran out of time for good, of jobs\n"
           "that the broker keeps (mp map --detach) or that ask for it (mp map --dead-letters).\n"
           "The broker keeps them, with their input and how they ended:\n\n"
           "  list     one a line: number, task, job, which of its calls, what went wrong\n"
           "  show     one of them, with its input\n"
           "  requeue  run them again, as a job whose id is printed: see mp job fetch\n"
           "  drop     forget them\n\n"
           "Of a broker with keys they are the key's whose job it was, and all are those of a key\n"
           "with the role admin.\n\n"
           "Exit status 0: done; 1: there are none such; 2: wrong usage; 3: no broker;\n"
           "4: stdout could not be written.\n\nOptions:\n");
    options_print(specs, SPECS);
}

/* ---- to be looked at -------------------------------------------------------------------- */

static void print_fields(output_t *out, const mp_dead_letter_t *letter)
{
    output_printf(out, "{\"number\":%llu,\"job\":", letter->number);
    output_json(out, letter->job, strlen(letter->job));
    output_text(out, ",\"owner\":");
    output_json(out, letter->owner, strlen(letter->owner));
    output_text(out, ",\"label\":");
    output_json(out, letter->label, strlen(letter->label));
    output_text(out, ",\"task\":");
    output_json(out, letter->task, strlen(letter->task));
    output_printf(out,
                  ",\"index\":%llu,\"time_ms\":%llu,\"error\":\"%s\",\"message\":", letter->index,
                  letter->time_ms, mp_errname(letter->rc));
    output_json(out, letter->message, strlen(letter->message));
    output_text(out, ",\"host\":");
    output_json(out, letter->host, strlen(letter->host));
    output_printf(out, ",\"pid\":%d,\"attempt\":%d,\"input_bytes\":%zu", letter->pid,
                  letter->attempt, letter->input_bytes);
}

static void print_row(dead_t *self, const mp_dead_letter_t *letter)
{
    char words[400];
    if (self->asking.json) {
        print_fields(&self->out, letter);
        output_text(&self->out, "}\n");
        return;
    }
    text_show(letter->message, strlen(letter->message), words, sizeof words);
    output_printf(&self->out, "%llu  %s  job %s%s%s, call %llu: %s: %s\n", letter->number,
                  letter->task, letter->job, *letter->owner ? " of " : "", letter->owner,
                  letter->index, mp_errname(letter->rc), words);
}

static mp_rc_t list(dead_t *self)
{
    static mp_dead_letter_t rows[ROWS];
    unsigned long long after = 0;
    size_t count = ROWS;
    while (count == ROWS && output_flush(&self->out)) {
        mp_rc_t rc = mp_dead_list(self->pool, self->task, after, rows, ROWS, &count,
                                  self->asking.timeout_ms);
        if (rc != MP_OK)
            return rc;
        for (size_t i = 0; i < count; i++) {
            print_row(self, &rows[i]);
            after = rows[i].number;
        }
    }
    return MP_OK;
}

static bool is_text(mp_bytes_t bytes)
{
    const unsigned char *at = bytes.data;
    size_t left = bytes.size;
    while (left > 0) {
        size_t size = text_utf8(at, left);
        if (size == 0 || *at == 0)
            return false;
        at += size;
        left -= size;
    }
    return true;
}

/* "name":"text", or "name_base64" where it is no text. */
static void print_bytes(output_t *out, const char *name, mp_bytes_t bytes)
{
    bool text = is_text(bytes);
    output_printf(out, ",\"%s%s\":", name, text ? "" : "_base64");
    if (text) {
        output_json(out, bytes.data, bytes.size);
        return;
    }
    output_text(out, "\"");
    output_base64(out, bytes.data, bytes.size);
    output_text(out, "\"");
}

static bool is_command(const mp_dead_letter_t *letter)
{
    return strcmp(letter->task, command_task.name) == 0;
}

static void print_json(dead_t *self, const mp_dead_letter_t *letter, const mp_dead_detail_t *detail)
{
    output_t *out = &self->out;
    const mp_outcome_t *outcome = &detail->outcome;
    report_t report = {.commands = is_command(letter)};
    ending_t ending = report_ending(&report, outcome);
    print_fields(out, letter);
    print_bytes(out, "input", detail->input);
    output_printf(out, ",\"code\":%d,\"signal\":%d,\"exit\":%d,\"error_output\":", outcome->code,
                  ending.signal, ending.exit);
    output_json(out, outcome->error_output, strlen(outcome->error_output));
    output_text(out, ",\"backtrace\":");
    output_json(out, outcome->backtrace, strlen(outcome->backtrace));
    output_text(out, "}\n");
}

/* Of a command its words, each on lines of its own. */
static void print_input(output_t *out, bool commands, mp_bytes_t input)
{
    const char *bytes = input.data;
    output_printf(out, "%s, %zu bytes:\n", commands ? "command" : "input", input.size);
    if (!commands || input.size < 2) {
        field_show_lines(out, bytes, input.size);
        return;
    }
    for (size_t i = 1; i < input.size;) { /* behind its flags */
        size_t size = strnlen(bytes + i, input.size - i);
        output_text(out, "  ");
        field_show_lines(out, bytes + i, size);
        if (size == 0)
            output_text(out, "\n");
        i += size + 1;
    }
}

static void print_detail(dead_t *self, const mp_dead_letter_t *letter,
                         const mp_dead_detail_t *detail)
{
    output_t *out = &self->out;
    if (self->asking.json) {
        print_json(self, letter, detail);
        return;
    }
    const mp_outcome_t *outcome = &detail->outcome;
    print_row(self, letter);
    output_printf(out, "attempt %d, on ", letter->attempt);
    field_show(out, letter->host);
    output_printf(out, ":%d\n", letter->pid);
    field_show_lines(out, outcome->error_output, strlen(outcome->error_output));
    field_show_lines(out, outcome->backtrace, strlen(outcome->backtrace));
    print_input(out, is_command(letter), detail->input);
}

static mp_rc_t show(dead_t *self)
{
    mp_dead_letter_t letter;
    mp_dead_detail_t detail;
    size_t count;
    unsigned long long number = self->numbers[0];
    mp_rc_t rc = mp_dead_show(self->pool, number, &detail, self->asking.timeout_ms);
    if (rc == MP_OK)
        rc = mp_dead_list(self->pool, NULL, number ? number - 1 : 0, &letter, 1, &count,
                          self->asking.timeout_ms);
    else
        return rc;
    if (rc == MP_OK && (count == 0 || letter.number != number))
        rc = MP_ENOTFOUND; /* it has gone meanwhile */
    if (rc == MP_OK)
        print_detail(self, &letter, &detail);
    mp_dead_detail_clear(&detail);
    return rc;
}

/* ---- to be run again, or dropped ---------------------------------------------------------- */

static mp_rc_t requeue(dead_t *self)
{
    char id[MP_JOB_ID_MAX + 1];
    mp_rc_t rc = mp_dead_requeue(self->pool, self->task, self->numbers, self->count, id,
                                 self->asking.timeout_ms);
    if (rc == MP_OK)
        output_printf(&self->out, "%s\n", id);
    return rc;
}

static mp_rc_t drop(dead_t *self)
{
    size_t dropped;
    mp_rc_t rc = mp_dead_drop(self->pool, self->task, self->numbers, self->count, &dropped,
                              self->asking.timeout_ms);
    if (rc == MP_OK)
        output_printf(&self->out, "%zu dropped\n", dropped);
    return rc;
}

/* ---- the command -------------------------------------------------------------------------- */

static const struct action {
    const char *name;
    mp_rc_t (*run)(dead_t *self);
    bool changes; /* it needs numbers, or --all */
} actions[] = {
    {"list", list, false}, {"show", show, false}, {"requeue", requeue, true}, {"drop", drop, true}};

static const struct action *find_action(const char *name)
{
    for (size_t i = 0; i < sizeof actions / sizeof *actions; i++)
        if (name && strcmp(actions[i].name, name) == 0)
            return &actions[i];
    return NULL;
}

static int compare(const void *a, const void *b)
{
    unsigned long long x = *(const unsigned long long *)a, y = *(const unsigned long long *)b;
    return x < y ? -1 : x > y;
}

static void sort_numbers(dead_t *self)
{
    size_t kept = 0;
    qsort(self->numbers, self->count, sizeof *self->numbers, compare);
    for (size_t i = 0; i < self->count; i++)
        if (kept == 0 || self->numbers[kept - 1] != self->numbers[i])
            self->numbers[kept++] = self->numbers[i];
    self->count = kept;
}

static bool add_number(dead_t *self, const char *word)
{
    char *end = NULL;
    errno = 0;
    unsigned long long number = strtoull(word, &end, 10);
    if (errno || *end || *word < '0' || *word > '9') {
        fprintf(stderr, "mp dead: '%s' is no number of a dead letter; see mp dead list\n", word);
        return false;
    }
    self->numbers[self->count++] = number;
    return true;
}

static bool read_numbers(dead_t *self)
{
    for (int i = 1; i < self->asking.word_count; i++)
        if (!add_number(self, self->asking.words[i]))
            return false;
    sort_numbers(self);
    return true;
}

static bool fits(const dead_t *self, const struct action *action)
{
    if (action->changes)
        return self->all ? self->count == 0 : self->count > 0;
    return !self->all && self->count == (size_t)(action->run == show);
}

static int run(dead_t *self, const struct action *action)
{
    int status = asking_connect(&self->asking, self->asking.timeout_ms, &self->pool);
    return status ? status : asking_end(&self->asking, action->run(self), &self->out);
}

int dead_main(int argc, char **argv)
{
    static dead_t self = {.asking = {.command = "dead",
                                     .show_help = dead_help,
                                     .words_max = 1 + NUMBERS_MAX,
                                     .advice = "; see mp dead list",
                                     .timeout_ms = 10000,
                                     .unreached = EXIT_UNABLE}};
    int status;
    if (!asking_parse(&self.asking, specs, SPECS, argc, argv, &status))
        return status;
    if (!read_numbers(&self))
        return EXIT_USAGE;
    const struct action *action = find_action(self.asking.word_count ? self.asking.words[0] : NULL);
    if (!action || !fits(&self, action)) {
        fprintf(stderr, "mp dead: list; show NUMBER; requeue or drop, and NUMBERs or --all? See mp "
                        "dead --help\n");
        return EXIT_USAGE;
    }
    output_init(&self.out, STDOUT_FILENO, -1);
    status = run(&self, action);
    output_free(&self.out);
    mp_pool_destroy(&self.pool);
    return status;
}
