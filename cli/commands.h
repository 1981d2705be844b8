/* commands.h: the subcommands; each takes its own arguments and returns an exit status. */
#ifndef MP_CLI_COMMANDS_H
#define MP_CLI_COMMANDS_H

int lock_main(int argc, char **argv);
int drain_main(int argc, char **argv);
void drain_help(void);
int map_main(int argc, char **argv);
int ping_main(int argc, char **argv);
int queue_main(int argc, char **argv);
int shm_main(int argc, char **argv);
/* The whole of their --help. */
void lock_help(void);
void map_help(void);
void ping_help(void);
void queue_help(void);
void shm_help(void);

#endif
