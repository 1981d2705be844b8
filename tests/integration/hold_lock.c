/* hold_lock: a manager with a lock that is held by one process and awaited by another one, and a
 * semaphore, for scripts. Usage: hold_lock KEY [BROKER], where a broker is the manager. It prints
 * "ready ADDRESS HOLDER WAITER", and ends with its standard input. */
#include <mp/mp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static int waits(void *lock)
{
    return mp_managed_lock_acquire(lock, NULL, -1) != MP_ENOTFOUND;
}

static int hold(mp_manager_t *manager)
{
    MP_SCOPED(mp_object) lock = NULL;
    MP_SCOPED(mp_object) semaphore = NULL;
    MP_SCOPED(mp_object) dict = NULL;
    MP_SCOPED(mp_process) waiter = NULL;
    mp_object_stat_t stat = {.waiters = 0};
    char byte;
    if (mp_manager_lock(manager, "leader\033[7m", &lock) ||
        mp_manager_semaphore(manager, NULL, 3, &semaphore) ||
        mp_manager_dict(manager, "dict", &dict) || mp_managed_lock_acquire(lock, NULL, 10000) ||
        mp_managed_semaphore_acquire(semaphore, 10000) ||
        mp_managed_semaphore_acquire(semaphore, 10000) ||
        mp_process_new(&(mp_process_options_t){.target = waits, .arg = lock}, &waiter) ||
        mp_process_start(waiter))
        return fprintf(stderr, "%s\n", mp_errmsg()), 1;
    while (stat.waiters == 0)
        if (mp_object_stat(lock, &stat, 10000))
            return fprintf(stderr, "%s\n", mp_errmsg()), 1;
    printf("ready %s %d %d\n", mp_manager_address(manager), (int)getpid(),
           (int)mp_process_pid(waiter));
    fflush(stdout);
    (void)!read(STDIN_FILENO, &byte, 1);
    return mp_object_delete(lock, 10000) || mp_process_join(waiter, 10000);
}

int main(int argc, char **argv)
{
    MP_SCOPED(mp_manager) manager = NULL;
    mp_manager_options_t options = {.address = "tcp://127.0.0.1:0",
                                    .key = argc > 1 ? argv[1] : "",
                                    .key_bytes = argc > 1 ? strlen(argv[1]) : 0};
    if (argc > 2 ? mp_manager_connect(argv[2], NULL, 0, 10000, &manager)
                 : mp_manager_start(&options, &manager))
        return fprintf(stderr, "%s\n", mp_errmsg()), 1;
    return hold(manager);
}
