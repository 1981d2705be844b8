#include "commands.h"
#include "exits.h"
#include "options.h"
#include "output.h"

#include <mp/shared_memory.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

typedef struct shm {
    bool json;
    bool help;
    output_t out;
} shm_t;

static const option_spec_t specs[] = {
    {"json", 0, NULL, "a JSON object for each block, or of what was removed",
     OPTION_SWITCH(shm_t, json)},
    {"help", 'h', NULL, "print this and exit", OPTION_SWITCH(shm_t, help)},
};

enum { SPECS = sizeof specs / sizeof *specs };

void shm_help(void)
{
    printf("Usage: mp shm ls|reap [OPTION]...\n\n"
           "  ls    list the named blocks of shared memory of this user: bytes, the process that\n"
           "        made it, its state and name\n"
           "  reap  remove those that are left behind: their maker is dead, nobody has them\n"
           "        mapped, and they are not meant to be kept\n\n"
           "Options:\n");
    options_print(specs, SPECS);
}

/* "left" is what reap would take. */
static const char *state_of(const mp_shared_memory_info_t *info)
{
    if (info->in_use)
        return "in use";
    if (info->kept)
        return "kept";
    return info->creator_lives ? "idle" : "left";
}

static void show(void *arg, const mp_shared_memory_info_t *info)
{
    shm_t *self = arg;
    if (!self->json) {
        output_printf(&self->out, "%14zu  %8d  %-6s  %s\n", info->bytes, (int)info->creator,
                      state_of(info), info->name);
        return;
    }
    output_text(&self->out, "{\"name\":");
    output_json(&self->out, info->name, strlen(info->name));
    output_printf(&self->out,
                  ",\"bytes\":%zu,\"creator\":%d,\"creator_lives\":%s,\"in_use\":%s,"
                  "\"kept\":%s}\n",
                  info->bytes, (int)info->creator, info->creator_lives ? "true" : "false",
                  info->in_use ? "true" : "false", info->kept ? "true" : "false");
}

static mp_rc_t reap(shm_t *self)
{
    size_t blocks = 0;
    size_t bytes = 0;
    mp_rc_t rc = mp_shared_memory_reap(&blocks, &bytes);
    if (rc == MP_OK)
        output_printf(&self->out,
                      self->json ? "{\"blocks\":%zu,\"bytes\":%zu}\n"
                                 : "%zu blocks removed, %zu bytes\n",
                      blocks, bytes);
    return rc;
}

static int run(shm_t *self, const char *action)
{
    mp_rc_t rc;
    output_init(&self->out, STDOUT_FILENO, -1);
    if (strcmp(action, "ls") == 0)
        rc = mp_shared_memory_each(show, self);
    else
        rc = reap(self);
    int status = output_end(&self->out, "shm");
    output_free(&self->out);
    if (rc != MP_OK) {
        fprintf(stderr, "mp shm: %s\n", mp_errmsg());
        return EXIT_FAILED;
    }
    return status;
}

int shm_main(int argc, char **argv)
{
    shm_t self = {0};
    int rest = options_parse("shm", specs, SPECS, argc, argv, &self);
    if (rest < 0)
        return EXIT_USAGE;
    if (self.help) {
        shm_help();
        return 0;
    }
    const char *action = rest == argc - 1 ? argv[rest] : "";
    if (strcmp(action, "ls") != 0 && strcmp(action, "reap") != 0) {
        fprintf(stderr, "mp shm: ls or reap? See mp shm --help\n");
        return EXIT_USAGE;
    }
    return run(&self, action);
}
