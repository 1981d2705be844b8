/* work_tasks.c: a module whose tasks write, sleep, grow and crash. MARK makes another module of it.
 */
#include <mp/mp.h>

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#ifndef MARK
#define MARK 1
#endif

#if MARK == 1 || MARK == 4
static long number_of(mp_bytes_t in)
{
    char text[32] = "";
    memcpy(text, in.data, in.size < sizeof text - 1 ? in.size : sizeof text - 1);
    return strtol(text, NULL, 10);
}
#endif

#if MARK == 1

/* A line to each stream; the input is the result. */
MP_TASK_BYTES(wt_say)
{
    printf("out %.*s\n", (int)in.size, (const char *)in.data);
    fflush(stdout);
    fprintf(stderr, "err %.*s\n", (int)in.size, (const char *)in.data);
    return mp_call_write(call, in.data, in.size);
}

/* So many KiB to stdout. */
MP_TASK_BYTES(wt_flood)
{
    char line[1024];
    memset(line, 'x', sizeof line);
    line[sizeof line - 1] = '\n';
    for (long left = number_of(in); left > 0; left--)
        fwrite(line, 1, sizeof line, stdout);
    return mp_call_printf(call, "flooded");
}

/* Says something, and goes on for so many ms, whatever it is told. */
MP_TASK_BYTES(wt_nap)
{
    printf("napping\n");
    fflush(stdout);
    usleep((useconds_t)number_of(in) * 1000);
    return mp_call_printf(call, "%d", (int)getpid());
}

/* The same over records; the result is the process. Less than 0: until there is a file $WORK_GATE.
 */
MP_TASK(wt_rest, int, int)
{
    const char *gate = getenv("WORK_GATE");
    while (*in < 0 && gate && access(gate, F_OK) != 0)
        usleep(10000);
    if (*in > 0)
        usleep((useconds_t)*in * 1000);
    *out = (int)getpid();
    return MP_OK;
}

/* Says something, and crashes. */
MP_TASK_BYTES(wt_crash)
{
    (void)in;
    (void)call;
    fprintf(stderr, "farewell\n");
    abort();
}

/* Takes so many MiB for itself. */
MP_TASK_BYTES(wt_take)
{
    size_t size = (size_t)number_of(in) << 20;
    static char *volatile kept;
    char *memory = malloc(size);
    kept = memory;
    if (!memory)
        return mp_call_fail(call, 12, "no memory");
    memset(kept, 1, size);
    return mp_call_printf(call, "%d", (int)getpid());
}

/* The same, and stays. */
MP_TASK_BYTES(wt_hold)
{
    int code = wt_take.run(call, in, NULL);
    while (code == MP_OK)
        pause();
    return code;
}

#elif MARK == 2

/* The name is taken by the other module. */
MP_TASK_BYTES(wt_say)
{
    return mp_call_write(call, in.data, in.size);
}

#elif MARK == 3

__attribute__((constructor)) static void refuse_to_load(void)
{
    abort();
}

#else

MP_TASK_BYTES(wt_more)
{
    return mp_call_printf(call, "more of %ld", number_of(in));
}

#endif
