#include "cpu.h"

#include <mp/pool.h>
#include <mp/process.h>

#include <errno.h>
#include <limits.h>
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

enum { CPUS_MAX = 1 << 20 };

/* Read two numbers, from one file or one from each of two. -1: there is no limit. */
static int quota_of(long long quota, long long period)
{
    if (quota <= 0 || period <= 0)
        return 0;
    long long cpus = (quota + period - 1) / period;
    return cpus > INT_MAX ? INT_MAX : (int)cpus;
}

static int read_v2(const char *directory)
{
    char path[PATH_MAX + 16];
    snprintf(path, sizeof path, "%s/cpu.max", directory);
    FILE *file = fopen(path, "re");
    if (!file)
        return 0;
    char line[128] = "";
    char *end = line;
    if (!fgets(line, sizeof line, file))
        line[0] = '\0';
    fclose(file);
    long long quota = strtoll(line, &end, 10); /* "max": 0 */
    return quota_of(quota, strtoll(end, NULL, 10));
}

static long long read_number(const char *directory, const char *name)
{
    char path[PATH_MAX + 32];
    char line[64] = "";
    snprintf(path, sizeof path, "%s/%s", directory, name);
    FILE *file = fopen(path, "re");
    if (!file)
        return 0;
    if (!fgets(line, sizeof line, file))
        line[0] = '\0';
    fclose(file);
    return strtoll(line, NULL, 10);
}

static int read_v1(const char *directory)
{
    return quota_of(read_number(directory, "cpu.cfs_quota_us"),
                    read_number(directory, "cpu.cfs_period_us"));
}

/* The tightest limit of a group and its ancestors. `group` is cut to pieces. */
static int tightest(const char *base, char *group, int (*read)(const char *))
{
    int tightest = 0;
    for (;;) {
        char directory[PATH_MAX];
        snprintf(directory, sizeof directory, "%s%s", base, group);
        int quota = read(directory);
        if (quota && (!tightest || quota < tightest))
            tightest = quota;
        char *slash = strrchr(group, '/');
        if (!slash)
            return tightest;
        *slash = '\0';
    }
}

/* One line of /proc/self/cgroup: "0::/group", or "4:cpu,cpuacct:/group". */
static int quota_of_line(const char *root, char *line)
{
    char *controllers = strchr(line, ':');
    char *group = controllers ? strchr(controllers + 1, ':') : NULL;
    if (!group)
        return 0;
    *group++ = '\0';
    controllers++;
    if (!*controllers)
        return tightest(root, group, read_v2);
    char list[256];
    snprintf(list, sizeof list, ",%s,", controllers);
    if (!strstr(list, ",cpu,"))
        return 0;
    char base[PATH_MAX];
    snprintf(base, sizeof base, "%s/cpu", root);
    return tightest(base, group, read_v1);
}

int mpx_cpu_quota(const char *root, const char *membership)
{
    char *copy = strdup(membership);
    char *rest = NULL;
    int tightest_quota = 0;
    if (!copy)
        return 0;
    for (char *line = strtok_r(copy, "\n", &rest); line; line = strtok_r(NULL, "\n", &rest)) {
        int quota = quota_of_line(root, line);
        if (quota && (!tightest_quota || quota < tightest_quota))
            tightest_quota = quota;
    }
    free(copy);
    return tightest_quota;
}

static int affinity(void)
{
    for (int cpus = 1024; cpus <= CPUS_MAX; cpus *= 2) {
        cpu_set_t *set = CPU_ALLOC((size_t)cpus);
        if (!set)
            break;
        size_t size = CPU_ALLOC_SIZE((size_t)cpus);
        int error = sched_getaffinity(0, size, set) ? errno : 0;
        int count = error ? 0 : CPU_COUNT_S(size, set);
        CPU_FREE(set);
        if (error != EINVAL)
            return count;
    }
    return 0;
}

int mp_machine_cpu_count(void)
{
    long count = sysconf(_SC_NPROCESSORS_ONLN);
    return count > 0 ? (int)count : 1;
}

int mp_cpu_count(void)
{
    char membership[4096] = "";
    FILE *file = fopen("/proc/self/cgroup", "re");
    if (file) {
        membership[fread(membership, 1, sizeof membership - 1, file)] = '\0';
        fclose(file);
    }
    int count = affinity();
    int quota = mpx_cpu_quota("/sys/fs/cgroup", membership);
    if (quota && quota < count)
        count = quota;
    return count > 0 ? count : 1;
}
