/* leave_block NAME BYTES kill|keep|hold: make a named block, and be killed, or leave it to be
 * kept, or have it until stdin ends. Says "made" when it is there. */
#include <mp/shared_memory.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

int main(int argc, char **argv)
{
    mp_shared_memory_t *block = NULL;
    char byte;
    if (argc != 4 || mp_shared_memory_create(argv[1], strtoul(argv[2], NULL, 10), &block) != MP_OK)
        return fprintf(stderr, "leave_block: %s\n", mp_errmsg()), 1;
    puts("made");
    fflush(stdout);
    if (strcmp(argv[3], "kill") == 0)
        kill(getpid(), SIGKILL);
    if (strcmp(argv[3], "keep") == 0)
        return mp_shared_memory_keep(block) != MP_OK;
    return read(STDIN_FILENO, &byte, 1) != 0;
}
