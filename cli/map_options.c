#include "map_options.h"

#include "commands.h"
#include "options.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static bool take_load(void *arg, const char *path)
{
    map_options_t *self = arg;
    if (self->loads == MAP_LOADS_MAX) {
        fprintf(stderr, "mp map: at most %d modules can be loaded\n", MAP_LOADS_MAX);
        return false;
    }
    self->load[self->loads++] = path;
    return true;
}

static bool keep_going(void *arg, const char *argument)
{
    map_options_t *self = arg;
    (void)argument;
    self->halt_on_error = false;
    return true;
}

static const option_spec_t specs[] = {
    {"jobs", 'j', "N", "local worker processes; default: one for each processor",
     OPTION_NUMBER(map_options_t, processes, 1)},
    {"broker", 'b', "URL",
     "run on that broker's workers; default: $MP_BROKER, else\n"
     "                             here; 'local' is here in any case",
     OPTION_TEXT(map_options_t, broker)},
    {"connect-timeout-ms", 0, "N", "to find the broker, also when it was lost; default: 10000",
     OPTION_NUMBER(map_options_t, connect_timeout_ms, 1)},
    OPTION_KEY_FILE,
    {"load", 'l', "LIB.so", "shared object whose tasks local workers load; repeatable",
     OPTION_TAKE(take_load)},
    {"ship", 0, "LIB.so", "the same, and sent to a broker's workers that accept modules",
     OPTION_TEXT(map_options_t, ship)},
    {"task", 't', "NAME", "run this task over bytes: line in, result line out",
     OPTION_TEXT(map_options_t, task)},
    {"shell", 0, NULL, "the words are one command line for /bin/sh; {} is quoted",
     OPTION_SWITCH(map_options_t, shell)},
    {"unordered", 'u', NULL, "print results as they come, not in input order",
     OPTION_SWITCH(map_options_t, unordered)},
    {"keep-going", 'k', NULL, "go on after a failed line (the default)", OPTION_TAKE(keep_going)},
    {"halt-on-error", 0, NULL, "stop at the first failed line",
     OPTION_SWITCH(map_options_t, halt_on_error)},
    {"timeout-ms", 0, "N", "kill a call that runs longer",
     OPTION_NUMBER(map_options_t, timeout_ms, 1)},
    {"soft-timeout-ms", 0, "N", "let a task know that it runs longer (mp_call_stopping)",
     OPTION_NUMBER(map_options_t, soft_timeout_ms, 1)},
    {"retries", 'r', "N", "further attempts at a line that fails; default: 0",
     OPTION_NUMBER(map_options_t, retries, 0)},
    {"retry-delay-ms", 0, "N", "before the first of these, doubled before each further one",
     OPTION_NUMBER(map_options_t, retry_delay_ms, 0)},
    {"chunk", 0, "N", "lines that travel together; default: adapts",
     OPTION_NUMBER(map_options_t, chunksize, 1)},
    {"output", 0, NULL,
     "show on stderr what tasks write, while they run, with line, host\n"
     "                             and pid",
     OPTION_SWITCH(map_options_t, output)},
    {"json", 0, NULL, "a JSON object a line, failures too", OPTION_SWITCH(map_options_t, json)},
    {"joblog", 0, "FILE", "append a line for each finished call",
     OPTION_TEXT(map_options_t, joblog)},
    {"resume", 0, NULL, "skip lines that the job log says ended well",
     OPTION_SWITCH(map_options_t, resume)},
    {"progress", 0, NULL, "show progress on stderr even if it is no terminal",
     OPTION_SWITCH(map_options_t, progress)},
    {"no-progress", 0, NULL, "show none", OPTION_SWITCH(map_options_t, no_progress)},
    {"detach", 'd', NULL,
     "leave the lines to the broker, print the job's id, and end;\n"
     "                             mp job fetch ID has the results",
     OPTION_SWITCH(map_options_t, detach)},
    {"keep-partial", 0, NULL,
     "with --detach: if not all lines can be submitted, leave those\n"
     "                             that were, instead of dropping the job",
     OPTION_SWITCH(map_options_t, keep_partial)},
    {"id", 0, "NAME", "the job's id, of letters, digits and ._:-; default: by chance",
     OPTION_TEXT(map_options_t, id)},
    {"key", 0, "TEXT", "the same key again is the same job: lines run only once",
     OPTION_TEXT(map_options_t, key)},
    {"keep-ms", 0, "N", "how long the broker keeps the job; default: what it allows",
     OPTION_NUMBER(map_options_t, keep_ms, 1)},
    {"dead-letters", 0, NULL,
     "the broker keeps lines that fail, see mp help dead; it does so\n"
     "                             anyway with --detach, --id, --key and --keep-ms",
     OPTION_SWITCH(map_options_t, dead_letters)},
    {"no-dead-letters", 0, NULL, "it keeps none", OPTION_SWITCH(map_options_t, no_dead_letters)},
    {"needs", 0, "LIST", "what a worker must have: gpu=1,zone=a",
     OPTION_TEXT(map_options_t, needs)},
    {"have", 0, "LIST", "what the local workers have for that, all together",
     OPTION_TEXT(map_options_t, have)},
    {"label", 0, "TEXT", "a name for people, in mp stat, mp why and mp job list",
     OPTION_TEXT(map_options_t, label)},
    {"priority", 0, "N", "from -1000 to 1000, the most first; default: 0",
     OPTION_NUMBER(map_options_t, priority, -1000)},
    {"weight", 0, "N", "share among this client's maps; default: 1",
     OPTION_NUMBER(map_options_t, weight, 1)},
    {"delay-ms", 0, "N", "run each line so long after it was read, at the earliest",
     OPTION_NUMBER(map_options_t, delay_ms, 0)},
    {"deadline-ms", 0, "N", "give a line up so long after it was read",
     OPTION_NUMBER(map_options_t, deadline_ms, 1)},
    {"help", 'h', NULL, "print this and exit", OPTION_SWITCH(map_options_t, help)},
};

enum { SPECS = sizeof specs / sizeof *specs };

void map_help(void)
{
    printf("Usage: mp map [OPTION]... -- COMMAND [ARG]... < lines\n"
           "       mp map [OPTION]... --load LIB.so --task NAME < lines\n\n"
           "Runs a command, or a C task, once for each line of standard input, on all cores of\n"
           "this machine or on the workers of a broker, and prints what each one printed, in\n"
           "input order. Each {} in the command is replaced by the line; without {} the line\n"
           "becomes the last argument.\n\nOptions:\n");
    options_print(specs, SPECS);
    printf(
        "\nExit status: 0 all lines ended well; 1 some failed; 2 wrong usage; 3 nothing could\n"
        "be run; 4 results could not be written; 130 interrupted; 141 nobody reads the results.\n"
        "\nExample: find . -name '*.c' | mp map -- wc -l {}\n");
}

static const char *contradiction_of_kept(const map_options_t *self)
{
    bool kept = self->detach || self->id || self->key || self->keep_ms || self->dead_letters;
    if (kept && !map_options_remote(self))
        return "jobs are kept by a broker: --broker URL";
    if (kept && self->unordered)
        return "a job that is kept has its results in input order: no --unordered";
    if (self->dead_letters && self->no_dead_letters)
        return "--dead-letters and --no-dead-letters at once";
    if (self->detach && (self->joblog || self->halt_on_error || self->output))
        return "with --detach nobody sees results: no --joblog, --halt-on-error or --output";
    if (self->keep_partial && !self->detach)
        return "--keep-partial is for --detach";
    return NULL;
}

/* What is wrong with the whole of it, or NULL. */
static const char *contradiction(const map_options_t *self)
{
    if (!self->task && !self->command)
        return "what is to be run? Give -- COMMAND, or --load LIB.so --task NAME";
    if (self->task && self->command)
        return "a task and a command at once";
    if (self->shell && !self->command)
        return "--shell needs a command";
    if (self->output && self->command)
        return "--output is for tasks; what a command writes is its output anyway";
    if (self->resume && !self->joblog)
        return "--resume needs the --joblog FILE of the run that it resumes";
    if (self->have && map_options_remote(self))
        return self->broker
                   ? "--have is for local workers; what a broker's have is up to mp-worker"
                   : "--have is for local workers, and MP_BROKER is set; add --broker local";
    if (self->processes && map_options_remote(self))
        return self->broker ? "-j is for local workers; how many a broker has is up to mp-worker"
                            : "-j is for local workers, and MP_BROKER is set; add --broker local";
    if (self->task && !self->loads && !self->ship && !map_options_remote(self))
        return "--task needs the module that has it: --load LIB.so";
    return contradiction_of_kept(self);
}

bool map_options_parse(map_options_t *self, int argc, char **argv)
{
    *self = (map_options_t){0};
    int rest = options_parse_leading("map", specs, SPECS, argc, argv, self);
    if (rest < 0)
        return false;
    if (self->help)
        return true;
    if (rest < argc) {
        self->command = argv + rest;
        self->command_words = argc - rest;
    }
    const char *wrong = contradiction(self);
    if (wrong)
        fprintf(stderr, "mp map: %s; see mp map --help\n", wrong);
    return !wrong;
}

bool map_options_remote(const map_options_t *self)
{
    const char *broker = self->broker ? self->broker : getenv("MP_BROKER");
    return broker && *broker && strcmp(broker, "local") != 0;
}
