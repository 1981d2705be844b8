/* Choosing how processes start: for one, by a context, and as the default. */
#include <mp/mp.h>
#include <stdio.h>

typedef struct question {
    int number;
} question_t;

MP_TARGET(answer, question_t)
{
    return self->number;
}

static int plain(void *arg)
{
    return *(int *)arg;
}

static void start(const char *how, const mp_process_options_t *options)
{
    MP_SCOPED(mp_process) process = NULL;
    int code = 0;
    mp_rc_t rc = mp_process_new(options, &process);
    if (rc == MP_OK && mp_process_start(process) == MP_OK &&
        mp_process_join(process, -1) == MP_OK && mp_process_exitcode(process, &code) == MP_OK)
        printf("%s: %d\n", how, code);
    else
        printf("%s: %s\n", how, mp_strerror(rc));
}

int main(int argc, char **argv)
{
    MP_MAIN(argc, argv);
    question_t question = {42};
    static const mp_context_t context = {MP_FORKSERVER};
    printf("default: %s\n", mp_method_name(mp_get_start_method()));
    if (mp_set_start_method(MP_SPAWN, false) != MP_OK)
        return 1;
    start("by default, spawn", &(mp_process_options_t){.registered = &answer, .item = &question});
    start("by a context, the fork server",
          &(mp_process_options_t){.registered = &answer, .item = &question, .context = &context});
    start("for this one, fork",
          &(mp_process_options_t){.target = plain, .arg = &question.number, .method = MP_FORK});
    start("a plain function by spawn",
          &(mp_process_options_t){.target = plain, .arg = &question.number});
    return 0;
}
/* prints:
default: fork
by default, spawn: 42
by a context, the fork server: 42
for this one, fork: 42
a plain function by spawn: the start method can't pass it on
*/
