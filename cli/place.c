#include "place.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* A signal for the whole group (Slurm's) reaches the worker by itself: the shell must only outlive
 * it, since a second one from here would end the worker at once. `wait` returns early when a trap
 * runs. */
static const char script[] = "exec 3<&0; trap : TERM INT HUP; \"$@\" </dev/null 3<&- & worker=$!; "
                             "{ while read -r signal <&3; do kill -s \"$signal\" $worker; done; "
                             "kill -s TERM $worker; } >/dev/null 2>&1 & reader=$!; exec 3<&-; "
                             "while :; do wait $worker; status=$?; "
                             "kill -s 0 $worker 2>/dev/null || break; done; "
                             "kill -s KILL $reader 2>/dev/null; exit $status";

enum { NUMBER_MAX = 100000 };

/* ---- parsing -------------------------------------------------------------------- */

static bool number(const char *text, int *out)
{
    char *end = NULL;
    errno = 0;
    long value = strtol(text, &end, 10);
    if (*text < '0' || *text > '9' || *end || errno || value < 1 || value > NUMBER_MAX)
        return false;
    *out = (int)value;
    return true;
}

static bool parse_ssh(place_t *self, const char *rest, const char **why)
{
    const char *star = strrchr(rest, '*');
    size_t size = star ? (size_t)(star - rest) : strlen(rest);
    *why = "it names no host: ssh:HOST or ssh:HOST*N";
    if (size == 0 || size >= sizeof self->host)
        return false;
    memcpy(self->host, rest, size);
    self->host[size] = '\0';
    *why = "a host can't begin with '-', or have a space in it";
    if (*self->host == '-' || strpbrk(self->host, " \t\n"))
        return false;
    *why = "after the * comes how many executors, from 1 to 100000";
    return !star || number(star + 1, &self->processes);
}

static bool parse_slurm(place_t *self, const char *rest, const char **why)
{
    char tasks[16];
    size_t size = strcspn(rest, "*");
    *why = "after slurm: comes how many tasks, then perhaps * and the executors of each";
    self->processes = 1;
    if (size >= sizeof tasks)
        return false;
    memcpy(tasks, rest, size);
    tasks[size] = '\0';
    return number(tasks, &self->tasks) &&
           (!rest[size] || number(rest + size + 1, &self->processes));
}

bool place_parse(place_t *self, const char *text, const char **why)
{
    *self = (place_t){.text = text, .tasks = 1};
    if (strncmp(text, "ssh:", 4) == 0)
        return parse_ssh(self, text + 4, why);
    if (strncmp(text, "slurm:", 6) == 0) {
        self->kind = PLACE_SLURM;
        return parse_slurm(self, text + 6, why);
    }
    if (strncmp(text, "local:", 6) == 0) {
        self->kind = PLACE_LOCAL;
        *why = "after local: comes how many executors, from 1 to 100000";
        return number(text + 6, &self->processes);
    }
    *why = "a place is ssh:HOST[*N], slurm:N[*P] or local:N";
    return false;
}

/* ---- the command ---------------------------------------------------------------- */

/* Words one after the other, each ended by NUL; built twice, first to see how much it is. */
typedef struct words {
    char *bytes; /* NULL: only count */
    size_t size;
    int count;
} words_t;

static void put(words_t *self, const char *bytes, size_t size)
{
    if (self->bytes)
        memcpy(self->bytes + self->size, bytes, size);
    self->size += size;
}

static void end_word(words_t *self)
{
    put(self, "", 1);
    self->count++;
}

static void word(words_t *self, const char *text)
{
    put(self, text, strlen(text));
    end_word(self);
}

static void split(words_t *self, const char *text)
{
    for (size_t size; *(text += strspn(text, " ")); text += size) {
        size = strcspn(text, " ");
        put(self, text, size);
        end_word(self);
    }
}

/* A word of the worker's command: to ssh it is a part of one that a shell takes apart again. */
static void inner(words_t *self, bool quoted, const char *text)
{
    if (!quoted) {
        word(self, text);
        return;
    }
    put(self, " '", 2);
    for (; *text; text++)
        put(self, *text == '\'' ? "'\\''" : text, *text == '\'' ? 4 : 1);
    put(self, "'", 1);
}

static void worker_command(words_t *self, const place_t *place, const place_setup_t *setup)
{
    bool quoted = place->kind == PLACE_SSH;
    char processes[16];
    if (quoted)
        put(self, "exec", 4); /* words follow, each with a space before it */
    inner(self, quoted, "sh");
    inner(self, quoted, "-c");
    inner(self, quoted, script);
    inner(self, quoted, "mp-launch");
    inner(self, quoted, setup->program);
    inner(self, quoted, "--broker");
    inner(self, quoted, setup->broker);
    if (place->processes > 0) {
        snprintf(processes, sizeof processes, "%d", place->processes);
        inner(self, quoted, "--procs");
        inner(self, quoted, processes);
    }
    for (const char *const *option = setup->options; *option; option++)
        inner(self, quoted, *option);
    if (quoted)
        end_word(self);
}

static void ssh_command(words_t *self, const place_t *place, const place_setup_t *setup)
{
    split(self, setup->ssh);
    word(self, "-T");
    word(self, "-o");
    word(self, "BatchMode=yes");
    word(self, "-o");
    word(self, "ServerAliveInterval=5"); /* a host that vanishes is noticed within 15 s */
    if (setup->tunnel) {
        word(self, "-o");
        word(self, "ExitOnForwardFailure=yes");
        word(self, "-R");
        word(self, setup->tunnel);
    }
    word(self, "--");
    word(self, place->host);
    worker_command(self, place, setup);
}

static void slurm_command(words_t *self, const place_t *place, const place_setup_t *setup)
{
    char text[64];
    split(self, setup->srun);
    word(self, "--job-name=mp-worker");
    word(self, "--label"); /* so that each task's line is told apart */
    snprintf(text, sizeof text, "--ntasks=%d", place->tasks);
    word(self, text);
    snprintf(text, sizeof text, "--cpus-per-task=%d", place->processes);
    word(self, text);
    worker_command(self, place, setup);
}

static void build(words_t *self, const place_t *place, const place_setup_t *setup)
{
    if (place->kind == PLACE_SSH)
        ssh_command(self, place, setup);
    else if (place->kind == PLACE_SLURM)
        slurm_command(self, place, setup);
    else
        worker_command(self, place, setup);
}

char **place_command(const place_t *self, const place_setup_t *setup)
{
    words_t words = {0};
    build(&words, self, setup);
    size_t pointers = ((size_t)words.count + 1) * sizeof(char *);
    char **argv = malloc(pointers + words.size);
    if (!argv)
        return NULL;
    words = (words_t){.bytes = (char *)argv + pointers};
    build(&words, self, setup);
    char *at = words.bytes;
    for (int i = 0; i < words.count; i++, at += strlen(at) + 1)
        argv[i] = at;
    argv[words.count] = NULL;
    return argv;
}
