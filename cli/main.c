/* mp: subcommands. */
#include "commands.h"
#include "exits.h"

#include <errno.h>
#include <fcntl.h>
#include <mp/version.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static const struct command {
    const char *name;
    const char *summary;
    int (*run)(int argc, char **argv);
    void (*help)(void);
} commands[] = {
    {"dead", "list calls that ended badly at a broker, and run them again", dead_main, dead_help},
    {"drain", "tell a broker's worker to end what it runs, and leave", drain_main, drain_help},
    {"job", "list, await, fetch and cancel jobs that a broker keeps", job_main, job_help},
    {"keygen", "make keys for a broker and for those who use it", keygen_main, keygen_help},
    {"launch", "start workers on other hosts, by ssh or Slurm", launch_main, launch_help},
    {"lock", "show who holds and awaits a manager's locks", lock_main, lock_help},
    {"map", "run a command or a task once for each input line, on all cores or by a broker",
     map_main, map_help},
    {"ping", "ask a broker how it is", ping_main, ping_help},
    {"queue", "hold a queue; put lines into it, and get them", queue_main, queue_help},
    {"shm", "list and clear named blocks of shared memory", shm_main, shm_help},
    {"stat", "show a broker's workers, tasks, clients and jobs", stat_main, stat_help},
    {"why", "say why calls don't run, and who holds a lock", why_main, why_help},
};

enum { COMMANDS = sizeof commands / sizeof *commands };

static const struct command *find(const char *name)
{
    for (size_t i = 0; i < COMMANDS; i++)
        if (strcmp(commands[i].name, name) == 0)
            return &commands[i];
    return NULL;
}

static void help(FILE *out)
{
    fprintf(out, "Usage: mp COMMAND [OPTION]...\n\nCommands:\n");
    for (size_t i = 0; i < COMMANDS; i++)
        fprintf(out, "  %-8s %s\n", commands[i].name, commands[i].summary);
    fprintf(out, "  %-8s %s\n", "help", "explain a command: mp help COMMAND");
    fprintf(out, "\n  --help     print this and exit\n  --version  print the version and exit\n"
                 "\nSee mp(1)");
    for (size_t i = 0; i < COMMANDS; i++)
        fprintf(out, ",%s mp-%s(1)", i % 6 == 5 ? "\n   " : "", commands[i].name);
    fprintf(out, ".\n");
}

static int unknown(const char *name)
{
    fprintf(stderr, "mp: there is no command '%s'; see mp --help\n", name);
    return EXIT_USAGE;
}

static int help_main(int argc, char **argv)
{
    const struct command *command = argc > 1 ? find(argv[1]) : NULL;
    if (argc > 1 && !command)
        return unknown(argv[1]);
    if (command)
        command->help();
    else
        help(stdout);
    return EXIT_SUCCESS;
}

/* A descriptor of the standard three that is closed would be taken by the next file that is
 * opened. In its place comes one that can't be used either: reads and writes fail. */
static void open_standard_fds(void)
{
    for (int fd = STDIN_FILENO; fd <= STDERR_FILENO; fd++)
        if (fcntl(fd, F_GETFD) < 0)
            (void)!open("/dev/null", fd == STDIN_FILENO ? O_WRONLY : O_RDONLY);
}

static int run(int argc, char **argv)
{
    if (argc < 2) {
        help(stderr);
        return EXIT_USAGE;
    }
    if (strcmp(argv[1], "--help") == 0 || strcmp(argv[1], "-h") == 0) {
        help(stdout);
        return EXIT_SUCCESS;
    }
    if (strcmp(argv[1], "--version") == 0) {
        printf("mp (libmp) %s\n", mp_version());
        return EXIT_SUCCESS;
    }
    if (strcmp(argv[1], "help") == 0)
        return help_main(argc - 1, argv + 1);
    const struct command *command = find(argv[1]);
    return command ? command->run(argc - 1, argv + 1) : unknown(argv[1]);
}

int main(int argc, char **argv)
{
    open_standard_fds();
    int status = run(argc, argv);
    if (fflush(stdout) != 0 && status == EXIT_SUCCESS) {
        fprintf(stderr, "mp: stdout: %s\n", strerror(errno));
        status = EXIT_OUTPUT;
    }
    return status;
}
