/* Five processes print; a lock keeps their lines whole. The lock travels by reference. */
#include <mp/mp.h>
#include <stdio.h>

typedef struct printer {
    int number;
    mp_ref_t lock;
} printer_t;

MP_TARGET(print, printer_t)
{
    MP_SCOPED(mp_lock) lock = NULL;
    if (mp_lock_open(&self->lock, &lock))
        return 1;
    MP_WITH_LOCK(lock)
    {
        setbuf(stdout, NULL); /* each piece on its own, as if they were long */
        printf("hello ");
        printf("world ");
        printf("%d\n", self->number);
    }
    return 0;
}

int main(int argc, char **argv)
{
    MP_MAIN(argc, argv);
    MP_SCOPED(mp_lock) lock = NULL;
    mp_process_t *processes[5] = {0};
    if (mp_lock_new(&lock))
        return fprintf(stderr, "%s\n", mp_errmsg()), 1;
    for (int i = 0; i < 5; i++) {
        printer_t printer = {.number = i};
        mp_lock_ref(lock, &printer.lock);
        mp_process_options_t options = {
            .registered = &print, .item = &printer, .method = MP_FORKSERVER};
        if (mp_process_new(&options, &processes[i]) || mp_process_start(processes[i]))
            return fprintf(stderr, "%s\n", mp_errmsg()), 1;
    }
    for (int i = 0; i < 5; i++) {
        mp_process_join(processes[i], -1);
        mp_process_destroy(&processes[i]);
    }
    return 0;
}
/* prints, in any order:
hello world 0
hello world 1
hello world 2
hello world 3
hello world 4
*/
