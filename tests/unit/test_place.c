/* Where `mp launch` starts workers: what is a place, and what is run there. */
#include "place.h"
#include "suite.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

START_TEST(places_are_read)
{
    static const struct {
        const char *text;
        place_kind_t kind;
        const char *host;
        int tasks, processes;
    } rows[] = {
        {"ssh:node1", PLACE_SSH, "node1", 1, 0},
        {"ssh:node1*8", PLACE_SSH, "node1", 1, 8},
        {"ssh:me@fe80::1%eth0*100000", PLACE_SSH, "me@fe80::1%eth0", 1, 100000},
        {"slurm:3", PLACE_SLURM, "", 3, 1},
        {"slurm:10*4", PLACE_SLURM, "", 10, 4},
        {"local:2", PLACE_LOCAL, "", 1, 2},
    };
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        place_t place;
        const char *why = NULL;
        ck_assert_msg(place_parse(&place, rows[i].text, &why), "%s: %s", rows[i].text, why);
        ck_assert_int_eq(place.kind, rows[i].kind);
        ck_assert_str_eq(place.host, rows[i].host);
        ck_assert_int_eq(place.tasks, rows[i].tasks);
        ck_assert_int_eq(place.processes, rows[i].processes);
        ck_assert_str_eq(place.text, rows[i].text);
    }
}
END_TEST

START_TEST(what_is_no_place_is_refused_with_the_reason)
{
    static const struct {
        const char *text, *why;
    } rows[] = {
        {"node1", "a place is"},
        {"", "a place is"},
        {"ssh:", "names no host"},
        {"ssh:*4", "names no host"},
        {"ssh:-oProxyCommand=x", "begin with '-'"},
        {"ssh:a b", "space"},
        {"ssh:node*", "how many executors"},
        {"ssh:node*0", "how many executors"},
        {"ssh:node*-1", "how many executors"},
        {"ssh:node*4x", "how many executors"},
        {"ssh:node*99999999999999999999", "how many executors"},
        {"slurm:", "how many tasks"},
        {"slurm:0", "how many tasks"},
        {"slurm:2*", "how many tasks"},
        {"slurm:+2", "how many tasks"},
        {"slurm:00000000000000000001", "how many tasks"},
        {"local:", "how many executors"},
        {"local:100001", "how many executors"},
    };
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        place_t place;
        const char *why = "";
        ck_assert_msg(!place_parse(&place, rows[i].text, &why), "%s", rows[i].text);
        ck_assert_msg(strstr(why, rows[i].why) != NULL, "%s: %s", rows[i].text, why);
    }
    char text[400] = "ssh:";
    memset(text + 4, 'x', 300);
    place_t place;
    const char *why = "";
    ck_assert(!place_parse(&place, text, &why));
}
END_TEST

/* Words that a shell would change. */
static const char *const options[] = {
    "--name", "it's a \"test\" $HOME `id` \\ ; * \n", "", "--load", "/opt/sums.so", NULL};

static char **command_of(const char *text)
{
    static const place_setup_t setup = {.broker = "tcp://head:5555",
                                        .program = "/opt/mp worker",
                                        .ssh = "ssh  -p 2222 ",
                                        .srun = "srun -p long",
                                        .tunnel = "127.0.0.1:5:head:5",
                                        .options = options};
    place_t place;
    const char *why;
    ck_assert(place_parse(&place, text, &why));
    char **argv = place_command(&place, &setup);
    ck_assert_ptr_nonnull(argv);
    return argv;
}

/* argv[from...] are these words, and no more. */
static void ends_with(char **argv, int from, const char *const *words)
{
    for (; *words; words++, from++) {
        ck_assert_msg(argv[from] != NULL, "ends before %s", *words);
        ck_assert_str_eq(argv[from], *words);
    }
    ck_assert_msg(!argv[from], "also %s", argv[from]);
}

START_TEST(here_the_words_are_the_worker_s)
{
    char **argv = command_of("local:2");
    ck_assert_str_eq(argv[0], "sh");
    ck_assert_str_eq(argv[1], "-c");
    ends_with(argv, 3,
              (const char *const[]){"mp-launch", "/opt/mp worker", "--broker", "tcp://head:5555",
                                    "--procs", "2", "--name", options[1], "", "--load",
                                    "/opt/sums.so", NULL});
    free(argv);
}
END_TEST

START_TEST(slurm_gets_them_behind_its_own)
{
    char **argv = command_of("slurm:3*2");
    static const char *const first[] = {
        "srun", "-p", "long", "--job-name=mp-worker", "--label", "--ntasks=3", "--cpus-per-task=2",
        "sh"};
    for (size_t i = 0; i < sizeof first / sizeof *first; i++)
        ck_assert_str_eq(argv[i], first[i]);
    ck_assert_str_eq(argv[10], "mp-launch");
    free(argv);
}
END_TEST

/* What a login shell on the other side makes of the one word that it gets. */
START_TEST(over_ssh_a_shell_gives_back_the_words)
{
    char **argv = command_of("ssh:node1");
    static const char *const first[] = {"ssh", "-p", "2222", "-T"};
    int at = 0;
    for (size_t i = 0; i < sizeof first / sizeof *first; i++)
        ck_assert_str_eq(argv[i], first[i]);
    while (strcmp(argv[at], "--") != 0)
        at++;
    ck_assert_str_eq(argv[at - 1], "127.0.0.1:5:head:5");
    ck_assert_str_eq(argv[at + 1], "node1");
    ck_assert_ptr_null(argv[at + 3]);

    /* exec sh … becomes a program that prints its arguments, each ended by a bar. */
    char line[8192], seen[8192];
    int pipes[2], status;
    ck_assert_int_eq(strncmp(argv[at + 2], "exec 'sh' '-c' ", 15), 0);
    snprintf(line, sizeof line, "printf '%%s|' %s", argv[at + 2] + 15);
    ck_assert_int_eq(pipe(pipes), 0);
    pid_t pid = fork();
    if (pid == 0) {
        dup2(pipes[1], STDOUT_FILENO);
        execl("/bin/sh", "sh", "-c", line, (char *)NULL);
        _exit(127);
    }
    close(pipes[1]);
    size_t size = 0;
    for (ssize_t n; (n = read(pipes[0], seen + size, sizeof seen - 1 - size)) > 0;)
        size += (size_t)n;
    seen[size] = '\0';
    ck_assert_int_eq(waitpid(pid, &status, 0), pid);
    const char *words = strstr(seen, "|mp-launch|");
    ck_assert_ptr_nonnull(words);
    ck_assert_str_eq(words, "|mp-launch|/opt/mp worker|--broker|tcp://head:5555|--name|"
                            "it's a \"test\" $HOME `id` \\ ; * \n||--load|/opt/sums.so|");
    free(argv);
}
END_TEST

int main(void)
{
    const TTest *const tests[] = {
        places_are_read,
        what_is_no_place_is_refused_with_the_reason,
        here_the_words_are_the_worker_s,
        slurm_gets_them_behind_its_own,
        over_ssh_a_shell_gives_back_the_words,
        NULL,
    };
    return suite_run("place", tests, 30);
}
