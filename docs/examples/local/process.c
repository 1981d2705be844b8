/* A function in a process of its own, with an argument. */
#include <mp/mp.h>
#include <stdio.h>

static int greet(void *name)
{
    printf("hello %s\n", (const char *)name);
    return 0;
}

int main(void)
{
    MP_SCOPED(mp_process) process = NULL;
    mp_process_options_t options = {.target = greet, .arg = "bob"};
    if (mp_process_new(&options, &process) || mp_process_start(process) ||
        mp_process_join(process, -1))
        return fprintf(stderr, "%s\n", mp_errmsg()), 1;
    return 0;
}
/* prints:
hello bob
*/
