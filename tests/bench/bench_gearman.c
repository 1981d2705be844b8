/* bench_gearman: the cases of bench_pool's topic broker by gearman: a gearmand of its own on a
 * loopback port, two workers, a client. Its library has no call in the background whose result
 * comes back, so the pipelined case is a list of tasks that are run at once.
 * Usage: bench_gearman GEARMAND */
#include "bench.h"

#include <arpa/inet.h>
#include <libgearman/gearman.h>
#include <netinet/in.h>
#include <signal.h>
#include <sys/prctl.h>
#include <sys/socket.h>

enum { WORKERS = 2, PORT_BYTES = 16, WAIT_MS = 5000, BATCH = 200 };

static void fail(const char *what, const char *why)
{
    fprintf(stderr, "bench_gearman: %s: %s\n", what, why);
    exit(1);
}

static struct sockaddr_in loopback(in_port_t port)
{
    return (struct sockaddr_in){
        .sin_family = AF_INET, .sin_port = htons(port), .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
}

static in_port_t free_port(void)
{
    struct sockaddr_in address = loopback(0);
    socklen_t size = sizeof address;
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    if (bind(fd, (struct sockaddr *)&address, size) ||
        getsockname(fd, (struct sockaddr *)&address, &size))
        fail("a port", "there is none");
    close(fd);
    return ntohs(address.sin_port);
}

/* A child that dies with us. */
static pid_t child(void)
{
    pid_t pid = fork();
    if (pid == 0)
        prctl(PR_SET_PDEATHSIG, SIGKILL);
    return pid;
}

static pid_t start_server(const char *program, in_port_t port)
{
    char number[PORT_BYTES];
    snprintf(number, sizeof number, "%u", port);
    pid_t pid = child();
    if (pid == 0) {
        execl(program, program, "--listen=127.0.0.1", "--port", number, "--log-file=none",
              "--user=root", (char *)NULL);
        _exit(127);
    }
    struct sockaddr_in address = loopback(port);
    for (int waited = 0; waited < WAIT_MS; waited++) {
        int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
        bool is_up = connect(fd, (struct sockaddr *)&address, sizeof address) == 0;
        close(fd);
        if (is_up)
            return pid;
        usleep(1000);
    }
    fail(program, "does not listen");
    return 0;
}

static void *square(gearman_job_st *job, void *context, size_t *size, gearman_return_t *rc)
{
    (void)context;
    int x, *y = malloc(sizeof *y);
    memcpy(&x, gearman_job_workload(job), sizeof x);
    *y = (int)((unsigned)x * (unsigned)x);
    *size = sizeof *y;
    *rc = GEARMAN_SUCCESS;
    return y;
}

static pid_t start_worker(in_port_t port)
{
    pid_t pid = child();
    if (pid)
        return pid;
    gearman_worker_st *worker = gearman_worker_create(NULL);
    if (gearman_worker_add_server(worker, "127.0.0.1", port) ||
        gearman_worker_add_function(worker, "square", 0, square, NULL))
        _exit(1);
    while (gearman_worker_work(worker) == GEARMAN_SUCCESS)
        ;
    _exit(0);
}

static gearman_return_t keep(gearman_task_st *task)
{
    memcpy(gearman_task_context(task), gearman_task_data(task), sizeof(int));
    return GEARMAN_SUCCESS;
}

static void run_batch(gearman_client_st *client, int *xs, int *ys, int n)
{
    gearman_return_t rc = GEARMAN_SUCCESS;
    for (int i = 0; i < n; i++) {
        gearman_client_add_task(client, NULL, &ys[i], "square", NULL, &xs[i], sizeof xs[i], &rc);
        if (rc)
            fail("a task", gearman_client_error(client));
    }
    if (gearman_client_run_tasks(client))
        fail("tasks", gearman_client_error(client));
    gearman_client_task_free_all(client);
}

/* In batches: a client that has all at once looks through all of them for each result. */
static void run_list(gearman_client_st *client, int n, const char *name)
{
    int *xs = calloc((size_t)n, sizeof *xs), *ys = calloc((size_t)n, sizeof *ys);
    for (int i = 0; i < n; i++)
        xs[i] = i;
    gearman_client_set_complete_fn(client, keep);
    double begin = seconds();
    for (int i = 0; i < n; i += BATCH)
        run_batch(client, xs + i, ys + i, n - i < BATCH ? n - i : BATCH);
    if (name)
        report("gearman", name, "k/s", n / (seconds() - begin) / 1000);
    if (ys[n - 1] != (int)((unsigned)(n - 1) * (unsigned)(n - 1)))
        fail("tasks", "a wrong result");
    free(xs);
    free(ys);
}

static void run_single(gearman_client_st *client)
{
    enum { N = 2000 };
    static double times[N];
    for (int i = 0; i < N; i++) {
        size_t size;
        gearman_return_t rc;
        double begin = seconds();
        free(gearman_client_do(client, "square", NULL, &i, sizeof i, &size, &rc));
        times[i] = (seconds() - begin) * 1e6;
        if (rc)
            fail("a call", gearman_client_error(client));
    }
    report("gearman", "broker: apply p50", "us", median(times, N));
}

int main(int argc, char **argv)
{
    enum { MAP = 20000, PIPELINED = 50000 };
    if (argc != 2)
        return 64;
    in_port_t port = free_port();
    pid_t pids[WORKERS + 1] = {start_server(argv[1], port)};
    for (int i = 1; i <= WORKERS; i++)
        pids[i] = start_worker(port);
    gearman_client_st *client = gearman_client_create(NULL);
    if (gearman_client_add_server(client, "127.0.0.1", port))
        fail("a client", gearman_client_error(client));
    run_list(client, MAP, NULL);
    run_list(client, MAP, "broker: map 20k ints, chunk 1");
    run_list(client, PIPELINED, "broker: apply_async, pipelined");
    run_single(client);
    gearman_client_free(client);
    for (int i = WORKERS; i >= 0; i--) {
        kill(pids[i], SIGKILL);
        waitpid(pids[i], NULL, 0);
    }
    return 0;
}
