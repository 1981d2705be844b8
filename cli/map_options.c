#include "map_options.h"

#include "commands.h"
#include "options.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum {
    JOBS,
    BROKER,
    CONNECT,
    KEY_FILE,
    LOAD,
    SHIP,
    TASK,
    SHELL,
    UNORDERED,
    KEEP_GOING,
    HALT,
    TIMEOUT,
    RETRIES,
    CHUNK,
    OUTPUT,
    JSON,
    JOBLOG,
    RESUME,
    PROGRESS,
    NO_PROGRESS,
    DETACH,
    ID,
    KEY,
    KEEP,
    DEAD,
    NO_DEAD,
    NEEDS,
    WEIGHT,
    DELAY,
    DEADLINE,
    HELP
};

static const option_spec_t specs[] = {
    [JOBS] = {"jobs", 'j', "N", "local worker processes; default: one for each processor"},
    [BROKER] = {"broker", 'b', "URL",
                "run on that broker's workers; default: $MP_BROKER, else\n"
                "                             here; 'local' is here in any case"},
    [CONNECT] = {"connect-timeout-ms", 0, "N",
                 "to find the broker, also when it was lost; default: 10000"},
    [KEY_FILE] = {"key-file", 'K', "FILE",
                  "the key to show to a broker with keys; default: $MP_KEY_FILE"},
    [LOAD] = {"load", 'l', "LIB.so", "shared object whose tasks local workers load; repeatable"},
    [SHIP] = {"ship", 0, "LIB.so", "the same, and sent to a broker's workers that accept modules"},
    [TASK] = {"task", 't', "NAME", "run this task over bytes: line in, result line out"},
    [SHELL] = {"shell", 0, NULL, "the words are one command line for /bin/sh; {} is quoted"},
    [UNORDERED] = {"unordered", 'u', NULL, "print results as they come, not in input order"},
    [KEEP_GOING] = {"keep-going", 'k', NULL, "go on after a failed line (the default)"},
    [HALT] = {"halt-on-error", 0, NULL, "stop at the first failed line"},
    [TIMEOUT] = {"timeout-ms", 0, "N", "kill a call that runs longer"},
    [RETRIES] = {"retries", 'r', "N", "further attempts at a line that fails; default: 0"},
    [CHUNK] = {"chunk", 0, "N", "lines that travel together; default: adapts"},
    [OUTPUT] = {"output", 0, NULL,
                "show on stderr what tasks write, while they run, with line, host\n"
                "                             and pid"},
    [JSON] = {"json", 0, NULL, "a JSON object a line, failures too"},
    [JOBLOG] = {"joblog", 0, "FILE", "append a line for each finished call"},
    [RESUME] = {"resume", 0, NULL, "skip lines that the job log says ended well"},
    [PROGRESS] = {"progress", 0, NULL, "show progress on stderr even if it is no terminal"},
    [NO_PROGRESS] = {"no-progress", 0, NULL, "show none"},
    [DETACH] = {"detach", 'd', NULL,
                "leave the lines to the broker, print the job's id, and end;\n"
                "                             mp job fetch ID has the results"},
    [ID] = {"id", 0, "NAME", "the job's id, of letters, digits and ._:-; default: by chance"},
    [KEY] = {"key", 0, "TEXT", "the same key again is the same job: lines run only once"},
    [KEEP] = {"keep-ms", 0, "N", "how long the broker keeps the job; default: what it allows"},
    [DEAD] = {"dead-letters", 0, NULL,
              "the broker keeps lines that fail, see mp help dead; it does so\n"
              "                             anyway with --detach, --id, --key and --keep-ms"},
    [NO_DEAD] = {"no-dead-letters", 0, NULL, "it keeps none"},
    [NEEDS] = {"needs", 0, "LIST", "what a broker's worker must have: gpu=1,zone=a"},
    [WEIGHT] = {"weight", 0, "N", "share among this client's maps; default: 1"},
    [DELAY] = {"delay-ms", 0, "N", "run each line so long after it was read, at the earliest"},
    [DEADLINE] = {"deadline-ms", 0, "N", "give a line up so long after it was read"},
    [HELP] = {"help", 'h', NULL, "print this and exit"},
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

static bool on_load(map_options_t *self, const char *path)
{
    if (self->loads == MAP_LOADS_MAX) {
        fprintf(stderr, "mp map: at most %d modules can be loaded\n", MAP_LOADS_MAX);
        return false;
    }
    self->load[self->loads++] = path;
    return true;
}

static bool on_option(void *arg, size_t index, const char *argument)
{
    map_options_t *self = arg;
    switch (index) {
    case JOBS:
        return options_number("map", "jobs", argument, 1, &self->processes);
    case CONNECT:
        return options_number("map", "connect-timeout-ms", argument, 1, &self->connect_timeout_ms);
    case TIMEOUT:
        return options_number("map", "timeout-ms", argument, 1, &self->timeout_ms);
    case RETRIES:
        return options_number("map", "retries", argument, 0, &self->retries);
    case CHUNK:
        return options_number("map", "chunk", argument, 1, &self->chunksize);
    case KEEP:
        return options_number("map", "keep-ms", argument, 1, &self->keep_ms);
    case WEIGHT:
        return options_number("map", "weight", argument, 1, &self->weight);
    case DELAY:
        return options_number("map", "delay-ms", argument, 0, &self->delay_ms);
    case DEADLINE:
        return options_number("map", "deadline-ms", argument, 1, &self->deadline_ms);
    case LOAD:
        return on_load(self, argument);
    case KEY_FILE:
        return options_setenv("map", "MP_KEY_FILE", argument);
    default:
        break;
    }
    const char **texts[SPECS] = {
        [BROKER] = &self->broker, [SHIP] = &self->ship, [TASK] = &self->task,
        [JOBLOG] = &self->joblog, [ID] = &self->id,     [KEY] = &self->key,
        [NEEDS] = &self->needs,
    };
    bool *switches[SPECS] = {[SHELL] = &self->shell,
                             [UNORDERED] = &self->unordered,
                             [HALT] = &self->halt_on_error,
                             [OUTPUT] = &self->output,
                             [JSON] = &self->json,
                             [RESUME] = &self->resume,
                             [PROGRESS] = &self->progress,
                             [NO_PROGRESS] = &self->no_progress,
                             [DETACH] = &self->detach,
                             [DEAD] = &self->dead_letters,
                             [NO_DEAD] = &self->no_dead_letters,
                             [HELP] = &self->help};
    if (texts[index])
        *texts[index] = argument;
    if (switches[index])
        *switches[index] = true;
    if (index == KEEP_GOING)
        self->halt_on_error = false;
    return true;
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
    if (self->detach && (self->joblog || self->halt_on_error))
        return "with --detach nobody sees results: no --joblog and no --halt-on-error";
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
    if (self->needs && !map_options_remote(self))
        return "--needs are met by a broker's workers: give --broker URL";
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
    int rest = options_parse("map", specs, SPECS, argc, argv, on_option, self);
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
