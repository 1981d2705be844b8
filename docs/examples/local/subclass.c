/* A kind of process: a struct of its own, and what it does. It can be started in any way. */
#include <mp/mp.h>
#include <stdio.h>

typedef struct summer {
    int first, last;
} summer_t;

MP_TARGET(sum, summer_t)
{
    int total = 0;
    for (int i = self->first; i <= self->last; i++)
        total += i;
    printf("%s: %d\n", mp_process_name(mp_process_current()), total);
    return total % 100;
}

int main(int argc, char **argv)
{
    MP_MAIN(argc, argv);
    summer_t to_ten = {1, 10};
    static const mp_method_t methods[] = {MP_FORK, MP_SPAWN, MP_FORKSERVER};
    for (int i = 0; i < 3; i++) {
        MP_SCOPED(mp_process) process = NULL;
        int code = 0;
        mp_process_options_t options = {.registered = &sum,
                                        .item = &to_ten,
                                        .name = mp_method_name(methods[i]),
                                        .method = methods[i]};
        if (mp_process_new(&options, &process) || mp_process_start(process) ||
            mp_process_join(process, -1) || mp_process_exitcode(process, &code))
            return fprintf(stderr, "%s\n", mp_errmsg()), 1;
        printf("exit code %d\n", code);
    }
    return 0;
}
/* prints:
fork: 55
exit code 55
spawn: 55
exit code 55
forkserver: 55
exit code 55
*/
