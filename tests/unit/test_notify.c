/* What a service manager is told, over sockets of this test's own. */
#include "notify.h"

#include "clock.h"
#include "ok.h"
#include "suite.h"

#include <stddef.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

static int manager = -1;

/* A manager's socket under that name, and an environment that says so. */
static void manage(const char *name, const char *usec, const char *pid)
{
    struct sockaddr_un address = {.sun_family = AF_UNIX};
    size_t size = strlen(name);
    memcpy(address.sun_path, name, size);
    if (*name == '@')
        address.sun_path[0] = '\0';
    manager = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0);
    ck_assert_int_eq(bind(manager, (struct sockaddr *)&address,
                          (socklen_t)(offsetof(struct sockaddr_un, sun_path) + size)),
                     0);
    setenv("NOTIFY_SOCKET", name, 1);
    if (usec)
        setenv("WATCHDOG_USEC", usec, 1);
    if (pid)
        setenv("WATCHDOG_PID", pid, 1);
}

static void abstract_name(char name[64])
{
    snprintf(name, 64, "@mp-test-notify-%d", (int)getpid());
}

static void hears(const char *wanted)
{
    char text[1024] = "";
    ssize_t size = recv(manager, text, sizeof text - 1, MSG_DONTWAIT);
    ck_assert_msg(size > 0, "nothing came, not '%s'", wanted);
    ck_assert_str_eq(text, wanted);
}

static void hears_nothing(void)
{
    char text[1024] = "";
    ck_assert_msg(recv(manager, text, sizeof text - 1, MSG_DONTWAIT) < 0, "came: %s", text);
}

START_TEST(nobody_wants_to_know)
{
    mpx_notify_t notify;
    unsetenv("NOTIFY_SOCKET");
    OK(mpx_notify_init(&notify));
    ck_assert(mpx_notify_deadline(&notify) == MPX_NEVER);
    mpx_notify_say(&notify, "READY=1", "up");
    mpx_notify_beat(&notify, 0, "up");
}
END_TEST

START_TEST(states_go_to_an_abstract_socket)
{
    mpx_notify_t notify;
    char name[64];
    abstract_name(name);
    manage(name, NULL, NULL);
    OK(mpx_notify_init(&notify));
    mpx_notify_say(&notify, "READY=1", "listening on %s", "tcp://127.0.0.1:1");
    hears("READY=1\nSTATUS=listening on tcp://127.0.0.1:1");
    mpx_notify_say(&notify, "STOPPING=1", "finishing");
    hears("STOPPING=1\nSTATUS=finishing");
    hears_nothing();
}
END_TEST

START_TEST(states_go_to_a_path)
{
    mpx_notify_t notify;
    char name[] = "/tmp/mp-test-notify-XXXXXX", path[64];
    ck_assert_ptr_nonnull(mkdtemp(name));
    snprintf(path, sizeof path, "%s/socket", name);
    manage(path, NULL, NULL);
    OK(mpx_notify_init(&notify));
    mpx_notify_say(&notify, "READY=1", "up");
    hears("READY=1\nSTATUS=up");
    unlink(path);
    rmdir(name);
}
END_TEST

START_TEST(beats_come_at_half_the_watchdogs_time)
{
    mpx_notify_t notify;
    char name[64], pid[16];
    abstract_name(name);
    snprintf(pid, sizeof pid, "%d", (int)getpid());
    manage(name, "3000000", pid);
    OK(mpx_notify_init(&notify));
    mpx_notify_beat(&notify, 10 * MPX_MS, "well");
    hears("WATCHDOG=1\nSTATUS=well");
    ck_assert(mpx_notify_deadline(&notify) == 1510 * MPX_MS);
    mpx_notify_beat(&notify, 1509 * MPX_MS, "too early");
    hears_nothing();
    mpx_notify_beat(&notify, 1510 * MPX_MS, "still well");
    hears("WATCHDOG=1\nSTATUS=still well");
}
END_TEST

START_TEST(anothers_watchdog_is_not_fed)
{
    mpx_notify_t notify;
    char name[64];
    abstract_name(name);
    manage(name, "3000000", "1");
    OK(mpx_notify_init(&notify));
    mpx_notify_beat(&notify, 0, "well");
    hears("STATUS=well");
}
END_TEST

START_TEST(children_are_not_told)
{
    mpx_notify_t notify;
    char name[64];
    abstract_name(name);
    manage(name, "3000000", "1");
    OK(mpx_notify_init(&notify));
    ck_assert_ptr_null(getenv("NOTIFY_SOCKET"));
    ck_assert_ptr_null(getenv("WATCHDOG_USEC"));
    ck_assert_ptr_null(getenv("WATCHDOG_PID"));
}
END_TEST

START_TEST(a_full_socket_does_not_hold_up_the_loop)
{
    mpx_notify_t notify;
    char name[64];
    abstract_name(name);
    manage(name, "2", NULL);
    OK(mpx_notify_init(&notify));
    int64_t from = mpx_now();
    for (int i = 0; i < 2000; i++) /* the queue of such a socket has some ten or hundred places */
        mpx_notify_beat(&notify, (int64_t)i * 1000, "well");
    ck_assert(mpx_now() - from < 20 * MPX_S); /* 2000 waits of a second would be more */
    hears("WATCHDOG=1\nSTATUS=well");
}
END_TEST

START_TEST(nonsense_is_refused)
{
    mpx_notify_t notify;
    setenv("NOTIFY_SOCKET", "relative/path", 1);
    IS(mpx_notify_init(&notify), MP_EINVAL);
    ck_assert(mpx_notify_deadline(&notify) == MPX_NEVER);
    setenv("NOTIFY_SOCKET", "@", 1);
    IS(mpx_notify_init(&notify), MP_EINVAL);
    char name[200];
    memset(name, 'a', sizeof name);
    name[0] = '/';
    name[sizeof name - 1] = '\0';
    setenv("NOTIFY_SOCKET", name, 1);
    IS(mpx_notify_init(&notify), MP_EINVAL);
    static const char *const periods[] = {"0", "-1", "3s", "99999999999999999999"};
    for (size_t i = 0; i < sizeof periods / sizeof *periods; i++) {
        setenv("NOTIFY_SOCKET", "@x", 1);
        setenv("WATCHDOG_USEC", periods[i], 1);
        IS(mpx_notify_init(&notify), MP_EINVAL);
        ck_assert(mpx_notify_deadline(&notify) == MPX_NEVER);
    }
}
END_TEST

int main(void)
{
    const TTest *const tests[] = {nobody_wants_to_know,
                                  states_go_to_an_abstract_socket,
                                  states_go_to_a_path,
                                  beats_come_at_half_the_watchdogs_time,
                                  anothers_watchdog_is_not_fed,
                                  children_are_not_told,
                                  a_full_socket_does_not_hold_up_the_loop,
                                  nonsense_is_refused,
                                  NULL};
    return suite_run("notify", tests, 60);
}
