/* The progress bar: its text, and what it writes where. */
#include "line.h"
#include "suite.h"

#include <mp/progress.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#define SECOND INT64_C(1000000000)

START_TEST(a_line_says_how_far_it_is)
{
    static const struct {
        mpx_bar_line_t line;
        const char *text;
    } rows[] = {
        {{.label = ""}, "0/?  0.0/s"},
        {{.label = "", .progress = {.done = 5}}, "5/?  0.5/s"},
        {{.label = "rows", .progress = {.done = 2500, .total = 10000, .failed = 3}},
         "rows  2500/10000  25%  #####---------------  250.0/s  ETA 0:30  3 failed"},
        {{.label = "", .progress = {.done = 7, .total = 7}},
         "7/7  100%  ####################  0.7/s"},
        {{.label = "", .progress = {.done = 1, .total = 1000000}},
         "1/1000000  0%  --------------------  0.1/s  ETA 99:59:59"},
        {{.label = "", .progress = {.done = 90000, .total = 100000, .skipped = 50000}},
         "90000/100000  90%  ##################--  4.0k/s  ETA 0:03"},
        {{.label = "", .progress = {.done = 90000000, .total = 10}}, "90000000/?  9.0M/s"},
    };
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        char text[MPX_BAR_LINE_MAX];
        mpx_bar_line_t line = rows[i].line;
        line.elapsed_ns = 10 * SECOND;
        mpx_bar_line(&line, text, sizeof text);
        ck_assert_str_eq(text, rows[i].text);
    }
}
END_TEST

START_TEST(a_line_is_cut_where_room_ends)
{
    char text[12];
    mpx_bar_line_t line = {.label = "a long label", .progress = {.done = 1, .total = 2}};
    memset(text, 'x', sizeof text);
    mpx_bar_line(&line, text, sizeof text);
    ck_assert_str_eq(text, "a long labe");
}
END_TEST

static int file(void)
{
    int fd = memfd_create("bar", 0);
    ck_assert_int_ge(fd, 0);
    return fd;
}

static const char *content(int fd)
{
    static char text[4096];
    ssize_t n = pread(fd, text, sizeof text - 1, 0);
    text[n < 0 ? 0 : n] = '\0';
    return text;
}

START_TEST(a_bar_is_drawn_now_and_then_and_leaves_its_last_state)
{
    mp_bar_t *bar = NULL;
    int fd = file();
    mp_bar_options_t options = {.label = "it", .fd = fd, .always = true};
    ck_assert_int_eq(mp_bar_new(&options, &bar), MP_OK);
    mp_bar_update(bar, &(mp_progress_t){.done = 0, .total = 3});
    size_t once = strlen(content(fd));
    ck_assert_ptr_nonnull(strstr(content(fd), "\r\033[Kit  0/3  0%"));
    mp_bar_update(bar, &(mp_progress_t){.done = 1, .total = 3}); /* too soon */
    ck_assert_uint_eq(strlen(content(fd)), once);
    mp_bar_show(bar, &(mp_progress_t){.done = 3, .total = 3}); /* but this is the end */
    ck_assert_ptr_nonnull(strstr(content(fd), "3/3  100%"));
    mp_bar_destroy(&bar);
    ck_assert_ptr_null(bar);
    const char *all = content(fd);
    ck_assert_int_eq(all[strlen(all) - 1], '\n');
    mp_bar_destroy(&bar);
    close(fd);
}
END_TEST

START_TEST(an_erased_bar_leaves_nothing)
{
    mp_bar_t *bar = NULL;
    int fd = file();
    ck_assert_int_eq(mp_bar_new(&(mp_bar_options_t){.fd = fd, .always = true}, &bar), MP_OK);
    mp_bar_update(bar, &(mp_progress_t){.done = 1});
    mp_bar_erase(bar);
    size_t size = strlen(content(fd));
    ck_assert_str_eq(content(fd) + size - 4, "\r\033[K");
    mp_bar_erase(bar);
    mp_bar_destroy(&bar);
    ck_assert_uint_eq(strlen(content(fd)), size);
    close(fd);
}
END_TEST

START_TEST(nothing_is_written_where_nobody_looks)
{
    mp_bar_t *bar = NULL;
    int fd = file();
    ck_assert_int_eq(mp_bar_new(&(mp_bar_options_t){.fd = fd}, &bar), MP_OK);
    mp_bar_update(bar, &(mp_progress_t){.done = 1});
    mp_bar_destroy(&bar);
    ck_assert_uint_eq(strlen(content(fd)), 0);
    close(fd);
}
END_TEST

int main(void)
{
    const TTest *const tests[] = {
        a_line_says_how_far_it_is,
        a_line_is_cut_where_room_ends,
        a_bar_is_drawn_now_and_then_and_leaves_its_last_state,
        an_erased_bar_leaves_nothing,
        nothing_is_written_where_nobody_looks,
        NULL,
    };
    return suite_run("bar", tests, 30);
}
