/* commands.h: the subcommands; each takes its own arguments and returns an exit status. */
#ifndef MP_CLI_COMMANDS_H
#define MP_CLI_COMMANDS_H

int keygen_main(int argc, char **argv);
int dead_main(int argc, char **argv);
int job_main(int argc, char **argv);
int launch_main(int argc, char **argv);
int lock_main(int argc, char **argv);
int drain_main(int argc, char **argv);
void drain_help(void);
int map_main(int argc, char **argv);
int ping_main(int argc, char **argv);
int queue_main(int argc, char **argv);
int shm_main(int argc, char **argv);
int stat_main(int argc, char **argv);
int why_main(int argc, char **argv);
/* The whole of their --help. */
void keygen_help(void);
void dead_help(void);
void job_help(void);
void launch_help(void);
void lock_help(void);
void map_help(void);
void ping_help(void);
void queue_help(void);
void shm_help(void);
void stat_help(void);
void why_help(void);

#endif
