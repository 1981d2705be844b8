/* 1000 bytes by name, seen as a matrix of 10 x 10 doubles in two processes. The child is
 * spawned: all it knows is the name. */
#include <mp/mp.h>
#include <stdio.h>
#include <string.h>

typedef double matrix_t[10][10];

typedef struct writer {
    char name[MP_SHARED_MEMORY_NAME_MAX + 1];
} writer_t;

MP_TARGET(write_42, writer_t)
{
    MP_SCOPED(mp_shared_memory) block = NULL;
    if (mp_shared_memory_attach(self->name, &block))
        return 1;
    matrix_t *m = mp_shared_memory_buf(block);
    (*m)[0][0] = 42;
    return 0;
}

int main(int argc, char **argv)
{
    MP_MAIN(argc, argv);
    MP_SCOPED(mp_shared_memory_manager) manager = NULL; /* unlinks it at the end */
    MP_SCOPED(mp_shared_memory) block = NULL;
    MP_SCOPED(mp_process) process = NULL;
    writer_t writer = {""};
    if (mp_shared_memory_manager_new(&manager) ||
        mp_shared_memory_manager_block(manager, 1000, &block))
        return fprintf(stderr, "%s\n", mp_errmsg()), 1;
    strcpy(writer.name, mp_shared_memory_name(block));

    mp_process_options_t options = {.registered = &write_42, .item = &writer, .method = MP_SPAWN};
    if (mp_process_new(&options, &process) || mp_process_start(process) ||
        mp_process_join(process, -1))
        return fprintf(stderr, "%s\n", mp_errmsg()), 1;
    matrix_t *m = mp_shared_memory_buf(block);
    printf("%zu bytes, [0,0] is %g, [9,9] is %g\n", mp_shared_memory_size(block), (*m)[0][0],
           (*m)[9][9]);
    return 0;
}
/* prints:
1000 bytes, [0,0] is 42, [9,9] is 0
*/
