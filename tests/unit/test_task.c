#include "call.h"
#include "cpu.h"
#include "exec.h"
#include "registry.h"
#include "suite.h"

#include <limits.h>
#include <mp/pool.h>
#include <mp/task.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

MP_TASK(square, int, int)
{
    *out = *in * *in;
    return MP_OK;
}

MP_TASK_BYTES(shout)
{
    return mp_call_printf(call, "%.*s!", (int)in.size, (const char *)in.data);
}

START_TEST(a_task_registers_itself_and_runs)
{
    const mp_task_t *task = mp_task_find("square");
    ck_assert_ptr_eq(task, &square);
    int in = 7, out = 0;
    mp_call_t call = {0};
    ck_assert_int_eq(task->run(&call, (mp_bytes_t){&in, sizeof in}, &out), MP_OK);
    ck_assert_int_eq(out, 49);
    ck_assert_ptr_null(mp_task_find("nobody"));
    bool seen = false;
    for (size_t i = 0; mpx_registry_at(&mpx_tasks, i); i++)
        seen = seen || mpx_registry_at(&mpx_tasks, i) == &shout;
    ck_assert(seen);
}
END_TEST

START_TEST(signatures_say_type_size_alignment_and_order)
{
    char text[256];
    mp_task_signature(&square, text, sizeof text);
    ck_assert_str_eq(text, "int[4,4] -> int[4,4] little");
    mp_task_signature(&shout, text, sizeof text);
    ck_assert_str_eq(text, "bytes -> bytes little");
    ck_assert_int_eq(mp_task_signature(&square, NULL, 0), 27);
}
END_TEST

START_TEST(bad_tasks_and_taken_names_are_refused)
{
    mp_task_t task = square;
    task.name = "";
    ck_assert_int_eq(mp_task_enter(&task), MP_EINVAL);
    task.name = "has space";
    ck_assert_int_eq(mp_task_enter(&task), MP_EINVAL);
    task.name = "square";
    ck_assert_int_eq(mp_task_enter(&task), MP_EEXIST);
    ck_assert_ptr_nonnull(strstr(mp_errmsg(), "square"));
    ck_assert_int_eq(mp_task_enter(&square), MP_OK);
    task.name = "reference";
    task.run = NULL;
    ck_assert_int_eq(mp_task_enter(&task), MP_EINVAL);
    ck_assert_int_eq(mp_task_enter(NULL), MP_EINVAL);
}
END_TEST

START_TEST(modules_that_do_not_load_say_why)
{
    ck_assert_int_eq(mp_task_load("/nowhere/tasks.so"), MP_EMODULE);
    ck_assert_ptr_nonnull(strstr(mp_errmsg(), "/nowhere/tasks.so"));
    ck_assert_int_eq(mp_task_load("/etc/passwd"), MP_EMODULE);
    ck_assert_int_eq(mp_task_load(""), MP_EINVAL);
    ck_assert_int_eq(mp_task_load(NULL), MP_EINVAL);
}
END_TEST

START_TEST(a_call_collects_output_and_message)
{
    mp_call_t call = {0};
    mpx_call_begin(&call, 5, 2, true);
    ck_assert_uint_eq(mp_call_index(&call), 5);
    ck_assert_int_eq(mp_call_attempt(&call), 2);
    ck_assert_int_eq(mp_call_write(&call, "ab", 2), MP_OK);
    ck_assert_int_eq(mp_call_printf(&call, "%d", 12), MP_OK);
    ck_assert_uint_eq(call.value.size, 4);
    ck_assert_int_eq(memcmp(call.value.data, "ab12", 4), 0);
    ck_assert_int_eq(mp_call_fail(&call, 9, "no %s", "luck"), 9);
    ck_assert_str_eq(call.message, "no luck");
    mpx_call_begin(&call, 6, 1, false);
    ck_assert_str_eq(call.message, "");
    ck_assert_int_eq(mp_call_write(&call, "x", 1), MP_EINVAL);
    mpx_call_free(&call);
}
END_TEST

static void write_file(const char *directory, const char *name, const char *text)
{
    char path[512];
    snprintf(path, sizeof path, "%s/%s", directory, name);
    FILE *file = fopen(path, "w");
    ck_assert_ptr_nonnull(file);
    fputs(text, file);
    fclose(file);
}

START_TEST(a_code_of_ours_is_called_by_its_name)
{
    char text[MPX_CALL_CODE_TEXT];
    mpx_call_print_code(MP_ETOOLARGE, text);
    ck_assert_str_eq(text, "the task returned -10 (MP_ETOOLARGE)");
    mpx_call_print_code(7, text);
    ck_assert_str_eq(text, "the task returned 7");
    mpx_call_print_code(INT_MIN, text);
    ck_assert_str_eq(text, "the task returned -2147483648");
}
END_TEST

START_TEST(the_tightest_quota_of_a_group_and_its_ancestors_counts)
{
    char root[] = "/tmp/mp-test-cpu-XXXXXX";
    char path[256];
    ck_assert_ptr_nonnull(mkdtemp(root));
    snprintf(path, sizeof path, "%s/a", root);
    mkdir(path, 0700);
    write_file(path, "cpu.max", "150000 100000\n");
    snprintf(path, sizeof path, "%s/a/b", root);
    mkdir(path, 0700);
    write_file(path, "cpu.max", "max 100000\n");
    ck_assert_int_eq(mpx_cpu_quota(root, "0::/a/b\n"), 2);
    write_file(path, "cpu.max", "50000 100000\n");
    ck_assert_int_eq(mpx_cpu_quota(root, "0::/a/b\n"), 1);
    ck_assert_int_eq(mpx_cpu_quota(root, "0::/\n"), 0);
    ck_assert_int_eq(mpx_cpu_quota(root, "nonsense"), 0);
    snprintf(path, sizeof path, "rm -r %s", root);
    ck_assert_int_eq(system(path), 0);
    ck_assert_int_ge(mp_cpu_count(), 1);
}
END_TEST

/* Run mp.exec in this process, as an executor does. */
static int run_exec(mp_call_t *call, const char *input, size_t size)
{
    mpx_call_begin(call, 0, 1, true);
    return mpx_exec_task.run(call, (mp_bytes_t){input, size}, NULL);
}

#define EXEC(call, literal) run_exec(call, literal, sizeof literal)

START_TEST(exec_hands_back_output_and_status)
{
    static const struct {
        const char *input;
        size_t size;
        int code;
        const char *out;
        const char *err;
        const char *message;
    } rows[] = {
#define ROW(input, code, out, err, message) {input, sizeof input, code, out, err, message}
        ROW("\0echo\0hello", 0, "hello\n", "", ""),
        ROW("\1echo out; echo err >&2; exit 3", 3, "out\n", "err\n", "exit status 3"),
        ROW("\1kill -9 $$", 137, "", "", "killed by signal 9 (Killed)"),
        ROW("\0cat", 0, "", "", ""),
        ROW("\0/nowhere/command", 127, "", "", "/nowhere/command: No such file or directory"),
        ROW("\0/etc/passwd", 126, "", "", "/etc/passwd: Permission denied"),
        ROW("\0printf\0%s\0a b\0c", 0, "a bc", "", ""),
#undef ROW
    };
    mp_call_t call = {0};
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        ck_assert_int_eq(run_exec(&call, rows[i].input, rows[i].size), rows[i].code);
        size_t out = mpx_load_u32(call.value.data);
        ck_assert_uint_eq(out, strlen(rows[i].out));
        ck_assert_int_eq(memcmp(call.value.data + 4, rows[i].out, out), 0);
        ck_assert_uint_eq(call.value.size - 4 - out, strlen(rows[i].err));
        ck_assert_int_eq(memcmp(call.value.data + 4 + out, rows[i].err, strlen(rows[i].err)), 0);
        ck_assert_str_eq(call.message, rows[i].message);
        char said[64];
        mpx_exec_said(mpx_buf_bytes(&call.value), said, sizeof said);
        ck_assert_str_eq(said, rows[i].err);
    }
    mpx_call_free(&call);
}
END_TEST

START_TEST(exec_says_the_end_of_its_errors)
{
    mp_call_t call = {0};
    char said[8];
    ck_assert_int_eq(EXEC(&call, "\1echo out; printf '123456789\\000z' >&2; exit 1"), 1);
    mpx_exec_said(mpx_buf_bytes(&call.value), said, sizeof said);
    ck_assert_str_eq(said, "56789?z");
    static const char *const malformed[] = {"", "abc", "\377\377\377\377zz"};
    for (size_t i = 0; i < 3; i++) {
        mpx_exec_said((mp_bytes_t){malformed[i], strlen(malformed[i])}, said, sizeof said);
        ck_assert_str_eq(said, "");
    }
    mpx_call_free(&call);
}
END_TEST

START_TEST(exec_refuses_malformed_input)
{
    mp_call_t call = {0};
    ck_assert_int_eq(run_exec(&call, "", 0), MP_EINVAL);
    ck_assert_int_eq(run_exec(&call, "\0", 1), MP_EINVAL);
    ck_assert_int_eq(run_exec(&call, "\0ls", 3), MP_EINVAL);
    ck_assert_int_eq(EXEC(&call, "\2ls"), MP_EINVAL);
    mpx_call_free(&call);
}
END_TEST

START_TEST(exec_reads_both_outputs_at_once_and_does_not_wait_for_what_is_left_behind)
{
    mp_call_t call = {0};
    ck_assert_int_eq(EXEC(&call, "\1head -c 1000000 /dev/zero >&2; head -c 2000000 /dev/zero"), 0);
    ck_assert_uint_eq(mpx_load_u32(call.value.data), 2000000);
    ck_assert_uint_eq(call.value.size, 3000004);
    ck_assert_int_eq(EXEC(&call, "\1sleep 25 & echo done"), 0);
    ck_assert_int_eq(memcmp(call.value.data + 4, "done\n", 5), 0);
    ck_assert_int_eq(EXEC(&call, "\1kill %1 2>/dev/null; true"), 0);
    mpx_call_free(&call);
}
END_TEST

START_TEST(exec_ends_a_command_that_writes_too_much)
{
    mp_call_t call = {0};
    ck_assert_int_eq(EXEC(&call, "\0cat\0/dev/zero"), MP_ETOOLARGE);
    ck_assert_ptr_nonnull(strstr(call.message, "more than"));
    mpx_call_free(&call);
}
END_TEST

int main(void)
{
    const TTest *const tests[] = {
        a_task_registers_itself_and_runs,
        signatures_say_type_size_alignment_and_order,
        bad_tasks_and_taken_names_are_refused,
        modules_that_do_not_load_say_why,
        a_call_collects_output_and_message,
        a_code_of_ours_is_called_by_its_name,
        the_tightest_quota_of_a_group_and_its_ancestors_counts,
        exec_hands_back_output_and_status,
        exec_says_the_end_of_its_errors,
        exec_refuses_malformed_input,
        exec_reads_both_outputs_at_once_and_does_not_wait_for_what_is_left_behind,
        exec_ends_a_command_that_writes_too_much,
        NULL,
    };
    return suite_run("task", tests, 30);
}
