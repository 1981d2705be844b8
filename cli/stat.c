#include "asking.h"
#include "commands.h"
#include "fields.h"
#include "table.h"

#include <mp/broker.h>
#include <stdio.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

typedef struct stat_options {
    asking_t asking;
    bool watch;
} stat_options_t;

static const option_spec_t specs[] = {
    ASKING_BROKER,
    OPTION_KEY_FILE,
    ASKING_ANSWER("5000"),
    ASKING_JSON("answer as a JSON object"),
    {"watch", 'w', NULL, "again every second, until it is interrupted",
     OPTION_SWITCH(stat_options_t, watch)},
    ASKING_HELP,
};

enum { SPECS = sizeof specs / sizeof *specs };

void stat_help(void)
{
    printf(
        "Usage: mp stat [--broker URL] [OPTION]...\n\n"
        "Shows what a broker is at: its workers, tasks, clients, jobs and objects. Exit status 0:\n"
        "it answered; 1: it did not, in time.\n\n"
        "Options:\n");
    options_print(specs, SPECS);
}

/* ---- what is shown ------------------------------------------------------------------------ */

static void show_counts(output_t *out, const mp_tree_t *broker)
{
    const struct {
        const char *key;
        const char *word;
    } counts[] = {{"workers", "worker"},
                  {"executors", "executor"},
                  {"clients", "client"},
                  {"jobs", "job"},
                  {"sessions_away", "client gone for now"}};
    for (size_t i = 0; i < sizeof counts / sizeof *counts; i++) {
        long long n = field_number(broker, counts[i].key);
        if (n || i < 4)
            output_printf(out, "%s%lld %s%s", i ? ", " : "", n, counts[i].word,
                          i < 4 ? plural(n) : "");
    }
    output_text(out, "\n");
}

/* 3 WORDs with 1.2k, the oldest 5.0 s old */
static void show_pile(output_t *out, const mp_tree_t *broker, const char *word, const char *number,
                      const char *bytes, const char *oldest_ms)
{
    char size[32];
    long long n = field_number(broker, number);
    table_bytes(size, sizeof size, (double)field_number(broker, bytes));
    output_printf(out, "%lld %s%s with %s", n, word, plural((unsigned long long)n), size);
    if (n)
        output_printf(out, ", the oldest %.1f s old",
                      (double)field_number(broker, oldest_ms) / 1000);
}

static void show_broker(output_t *out, const char *url, const mp_tree_t *broker)
{
    char calls[32], results[32], memory[32], objects[32];
    table_bytes(calls, sizeof calls, (double)field_number(broker, "calls_bytes"));
    table_bytes(results, sizeof results, (double)field_number(broker, "results_bytes"));
    table_bytes(memory, sizeof memory, (double)field_number(broker, "memory_bytes"));
    table_bytes(objects, sizeof objects, (double)field_number(broker, "object_bytes"));
    output_printf(out, "%s: %s, %s, up %lld s, %s\n", url, field_text(broker, "version"),
                  field_text(broker, "state"), field_number(broker, "uptime_ms") / 1000,
                  mp_tree_bool_or(mp_tree_get(broker, "data"), false) ? "with a data directory"
                                                                      : "all in memory");
    if (strcmp(field_text(broker, "state"), "draining") == 0)
        output_printf(out, "draining: waits for %lld open job%s, %.1f s more at most\n",
                      field_number(broker, "drain_jobs"),
                      plural((unsigned long long)field_number(broker, "drain_jobs")),
                      (double)field_number(broker, "drain_ms") / 1000);
    show_counts(out, broker);
    output_printf(out, "%lld calls queued, %lld at workers; the oldest waits %.1f s\n",
                  field_number(broker, "queued"), field_number(broker, "given"),
                  (double)field_number(broker, "oldest_ms") / 1000);
    output_printf(out, "bytes: %s of calls, %s of results; %s of memory\n", calls, results, memory);
    output_printf(out, "objects: %lld with %s; locks: %lld held, %lld waits\n",
                  field_number(broker, "objects"), objects, field_number(broker, "locks_held"),
                  field_number(broker, "lock_waits"));
    output_text(out, "kept: ");
    show_pile(out, broker, "job", "kept_jobs", "kept_bytes", "kept_oldest_ms");
    output_text(out, "; ");
    show_pile(out, broker, "dead letter", "dead_letters", "dead_bytes", "dead_oldest_ms");
    output_text(out, "\n");
}

static const column_t worker_columns[] = {
    {"WORKER", "name", CELL_TEXT},
    {"HOST", "host", CELL_TEXT},
    {"STATE", "state", CELL_TEXT},
    {"SLOTS", "slots", CELL_NUMBER},
    {"BUSY", "busy", CELL_NUMBER},
    {"GIVEN", "given", CELL_NUMBER},
    {"OK", "ok", CELL_NUMBER},
    {"FAILED", "failed", CELL_NUMBER},
    {"CRASHED", "crashed", CELL_NUMBER},
    {"BYTES", "bytes", CELL_BYTES},
    {"MEMORY", "memory_bytes", CELL_BYTES},
    {"TASKS", "tasks", CELL_LIST},
};
static const column_t task_columns[] = {
    {"TASK", "name", CELL_TEXT},           {"QUEUED", "queued", CELL_NUMBER},
    {"GIVEN", "given", CELL_NUMBER},       {"OK", "ok", CELL_NUMBER},
    {"FAILED", "failed", CELL_NUMBER},     {"CRASHED", "crashed", CELL_NUMBER},
    {"TIMEOUT", "timed_out", CELL_NUMBER}, {"CANCELLED", "cancelled", CELL_NUMBER},
    {"LOST", "lost", CELL_NUMBER},         {"RETRIED", "retried", CELL_NUMBER},
    {"MEAN", "mean_s", CELL_SECONDS},
};
static const column_t client_columns[] = {
    {"CLIENT", "id", CELL_NUMBER},
    {"NAME", "name", CELL_TEXT},
    {"STATE", "state", CELL_TEXT},
    {"JOBS", "jobs", CELL_NUMBER},
    {"CALLS", "open", CELL_NUMBER},
    {"INPUT", "calls_bytes", CELL_BYTES},
    {"RESULTS", "results_bytes", CELL_BYTES},
};
static const column_t job_columns[] = {
    {"CLIENT", "client", CELL_NAME},       {"JOB", "id", CELL_NAME},
    {"TASK", "task", CELL_TEXT},           {"LABEL", "label", CELL_TEXT},
    {"PRIORITY", "priority", CELL_NUMBER}, {"QUEUED", "queued", CELL_NUMBER},
    {"DELAYED", "delayed", CELL_NUMBER},   {"GIVEN", "given", CELL_NUMBER},
    {"OLDEST", "oldest_ms", CELL_MS},
};

#define TABLE(out, columns, rows)                                                                  \
    table_print(out, columns, sizeof(columns) / sizeof *(columns), rows)

static mp_rc_t show(const stat_options_t *self, output_t *out, const mp_tree_t *stat)
{
    if (self->asking.json)
        return field_json(out, stat);
    if (self->watch && isatty(STDOUT_FILENO))
        output_text(out, "\033[H\033[J");
    show_broker(out, self->asking.broker, mp_tree_get(stat, "broker"));
    TABLE(out, worker_columns, mp_tree_get(stat, "workers"));
    TABLE(out, task_columns, mp_tree_get(stat, "tasks"));
    TABLE(out, client_columns, mp_tree_get(stat, "clients"));
    TABLE(out, job_columns, mp_tree_get(stat, "jobs"));
    return MP_OK;
}

/* ---- the command ---------------------------------------------------------------------------- */

static int once(const stat_options_t *self)
{
    output_t out;
    mp_tree_t *stat = NULL;
    mp_rc_t rc = mp_broker_stat(self->asking.broker, self->asking.timeout_ms, &stat);
    output_init(&out, STDOUT_FILENO, -1);
    if (rc == MP_OK)
        rc = show(self, &out, stat);
    int status = asking_end(&self->asking, rc, &out);
    mp_tree_destroy(&stat);
    output_free(&out);
    return status;
}

int stat_main(int argc, char **argv)
{
    stat_options_t self = {
        .asking = {.command = "stat", .show_help = stat_help, .timeout_ms = 5000}};
    int status;
    if (!asking_parse(&self.asking, specs, SPECS, argc, argv, &status))
        return status;
    status = once(&self);
    while (self.watch && status == EXIT_SUCCESS) {
        nanosleep(&(struct timespec){.tv_sec = 1}, NULL);
        status = once(&self);
    }
    return status;
}
