/* A program that never runs MP_MAIN: what can be started all the same, and what is refused. */
#include "suite.h"

#include <mp/process.h>
#include <string.h>

typedef struct nothing {
    char byte;
} nothing_t;

MP_TARGET(returns_7, nothing_t)
{
    return 7;
}

START_TEST(only_fork)
{
    static const mp_method_t others[] = {MP_SPAWN, MP_FORKSERVER};
    mp_process_t *process = NULL;
    int code = 0;
    for (int i = 0; i < 2; i++) {
        mp_process_options_t options = {.registered = &returns_7, .method = others[i]};
        ck_assert_int_eq(mp_process_new(&options, &process), MP_ESTATE);
        ck_assert_ptr_nonnull(strstr(mp_errmsg(), "MP_MAIN"));
        ck_assert_ptr_null(process);
    }
    mp_process_options_t options = {.registered = &returns_7};
    ck_assert_int_eq(mp_process_new(&options, &process), MP_OK);
    ck_assert_int_eq(mp_process_start(process), MP_OK);
    ck_assert_int_eq(mp_process_join(process, 10000), MP_OK);
    ck_assert_int_eq(mp_process_exitcode(process, &code), MP_OK);
    ck_assert_int_eq(code, 7);
    mp_process_destroy(&process);
}
END_TEST

int main(void)
{
    const TTest *const tests[] = {only_fork, NULL};
    return suite_run("process_plain", tests, 30);
}
