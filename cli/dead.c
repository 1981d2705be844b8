#include "commands.h"
#include "exits.h"
#include "kept.h"
#include "options.h"
#include "text.h"

#include <errno.h>
#include <mp/dead.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

enum { NUMBERS_MAX = 4096, ROWS = 256 };

typedef struct dead {
    const char *broker;
    const char *task;
    bool all;
    bool json;
    bool help;
    unsigned long long numbers[NUMBERS_MAX];
    size_t count;
    mp_pool_t *pool;
    output_t out;
} dead_t;

enum { BROKER, TASK, ALL, JSON, HELP };

static const option_spec_t specs[] = {
    [BROKER] = {"broker", 'b', "URL",
                "the broker; default: $MP_BROKER, else tcp://127.0.0.1:5555; to one\n"
                "                             with keys the one in $MP_KEY_FILE is shown"},
    [TASK] = {"task", 't', "NAME", "only those of this task"},
    [ALL] = {"all", 'a', NULL, "requeue, drop: all of them"},
    [JSON] = {"json", 0, NULL, "list, show: a JSON object a line"},
    [HELP] = {"help", 'h', NULL, "print this and exit"},
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
           "Exit status 0: done; 1: there are none such; 2: wrong usage; 3: no broker;\n"
           "4: stdout could not be written.\n\nOptions:\n");
    options_print(specs, SPECS);
}

static bool on_option(void *arg, size_t index, const char *argument)
{
    dead_t *self = arg;
    bool *switches[SPECS] = {[ALL] = &self->all, [JSON] = &self->json, [HELP] = &self->help};
    if (switches[index])
        *switches[index] = true;
    if (index == BROKER)
        self->broker = argument;
    if (index == TASK)
        self->task = argument;
    return true;
}

/* ---- to be looked at -------------------------------------------------------------------- */

static void print_fields(output_t *out, const mp_dead_letter_t *letter)
{
    output_printf(out, "{\"number\":%llu,\"job\":", letter->number);
    output_json(out, letter->job, strlen(letter->job));
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
    if (self->json) {
        print_fields(&self->out, letter);
        output_text(&self->out, "}\n");
        return;
    }
    text_show(letter->message, strlen(letter->message), words, sizeof words);
    output_printf(&self->out, "%llu  %s  job %s, call %llu: %s: %s\n", letter->number, letter->task,
                  letter->job, letter->index, mp_errname(letter->rc), words);
}

static mp_rc_t list(dead_t *self)
{
    static mp_dead_letter_t rows[ROWS];
    unsigned long long after = 0;
    size_t count;
    do {
        mp_rc_t rc =
            mp_dead_list(self->pool, self->task, after, rows, ROWS, &count, KEPT_TIMEOUT_MS);
        if (rc != MP_OK)
            return rc;
        for (size_t i = 0; i < count; i++)
            print_row(self, &rows[i]);
        if (count)
            after = rows[count - 1].number;
    } while (count == ROWS && output_flush(&self->out));
    return MP_OK;
}

static void print_detail(dead_t *self, const mp_dead_letter_t *letter,
                         const mp_dead_detail_t *detail)
{
    output_t *out = &self->out;
    if (self->json) {
        print_fields(out, letter);
        kept_json_bytes(out, "input", detail->input);
        output_printf(out, ",\"code\":%d,\"signal\":%d,\"exit\":%d,\"error_output\":",
                      detail->outcome.code, detail->outcome.signal, detail->outcome.exit_status);
        output_json(out, detail->outcome.error_output, strlen(detail->outcome.error_output));
        output_text(out, ",\"backtrace\":");
        output_json(out, detail->outcome.backtrace, strlen(detail->outcome.backtrace));
        output_text(out, "}\n");
        return;
    }
    print_row(self, letter);
    output_printf(out, "attempt %d, on %s:%d\n", letter->attempt, letter->host, letter->pid);
    output_text(out, detail->outcome.error_output);
    output_text(out, detail->outcome.backtrace);
    output_printf(out, "input, %zu bytes:\n", detail->input.size);
    output_add(out, detail->input.data, detail->input.size);
    output_text(out, "\n");
}

static mp_rc_t show(dead_t *self)
{
    mp_dead_letter_t letter;
    mp_dead_detail_t detail;
    size_t count;
    unsigned long long number = self->numbers[0];
    mp_rc_t rc = mp_dead_show(self->pool, number, &detail, KEPT_TIMEOUT_MS);
    if (rc == MP_OK)
        rc = mp_dead_list(self->pool, NULL, number ? number - 1 : 0, &letter, 1, &count,
                          KEPT_TIMEOUT_MS);
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
    mp_rc_t rc =
        mp_dead_requeue(self->pool, self->task, self->numbers, self->count, id, KEPT_TIMEOUT_MS);
    if (rc == MP_OK)
        output_printf(&self->out, "%s\n", id);
    return rc;
}

static mp_rc_t drop(dead_t *self)
{
    size_t dropped;
    mp_rc_t rc =
        mp_dead_drop(self->pool, self->task, self->numbers, self->count, &dropped, KEPT_TIMEOUT_MS);
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
    if (errno || *end || *word < '0' || *word > '9' || self->count == NUMBERS_MAX) {
        fprintf(stderr, "mp dead: '%s' is no number of a dead letter, or there are too many\n",
                word);
        return false;
    }
    self->numbers[self->count++] = number;
    return true;
}

/* Options may stand before, between and behind the words. */
static bool parse(dead_t *self, int argc, char **argv, const char **verb)
{
    for (int at = 0;;) {
        int rest = options_parse("dead", specs, SPECS, argc - at, argv + at, on_option, self);
        if (rest < 0)
            return false;
        at += rest;
        if (at >= argc)
            break;
        if (!*verb)
            *verb = argv[at];
        else if (!add_number(self, argv[at]))
            return false;
    }
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
    int status = kept_connect("dead", self->broker, &self->pool);
    if (status)
        return status;
    output_init(&self->out, STDOUT_FILENO, -1);
    mp_rc_t rc = action->run(self);
    if (rc != MP_OK)
        status = kept_complain("dead", rc);
    if (!output_flush(&self->out)) {
        fprintf(stderr, "mp dead: stdout: %s\n", strerror(self->out.error));
        status = EXIT_OUTPUT;
    }
    output_free(&self->out);
    mp_pool_destroy(&self->pool);
    return status;
}

int dead_main(int argc, char **argv)
{
    static dead_t self;
    const char *verb = NULL;
    if (!parse(&self, argc, argv, &verb))
        return EXIT_USAGE;
    if (self.help) {
        dead_help();
        return 0;
    }
    const struct action *action = find_action(verb);
    if (!action || !fits(&self, action)) {
        fprintf(stderr, "mp dead: list; show NUMBER; requeue or drop, and NUMBERs or --all? See mp "
                        "dead --help\n");
        return EXIT_USAGE;
    }
    return run(&self, action);
}
