#include "shortage.h"

#include "clock.h"

#include <stdio.h>
#include <string.h>

/* "oom_kill N" in a line of its own. false: it can't be read. */
static bool read_count(const char *path, uint64_t *out)
{
    char line[128];
    unsigned long long count = 0;
    bool found = false;
    FILE *file = *path ? fopen(path, "re") : NULL;
    while (file && !found && fgets(line, sizeof line, file))
        found = sscanf(line, "oom_kill %llu", &count) == 1;
    if (file)
        fclose(file);
    *out = count;
    return found;
}

/* A line of /proc/self/cgroup is NUMBER:CONTROLLERS:PATH. */
static bool find_of(const char *line, const char *controllers, const char *root, const char *name,
                    char *out, size_t size)
{
    const char *at = strchr(line, ':');
    size_t length = strlen(controllers);
    uint64_t count;
    if (!at || strncmp(at + 1, controllers, length) != 0 || at[1 + length] != ':')
        return false;
    const char *group = at + length + 2;
    snprintf(out, size, "%s%s/%s", root, strcmp(group, "/") == 0 ? "" : group, name);
    return read_count(out, &count);
}

static void find(char *out, size_t size)
{
    char line[400];
    bool found = false;
    FILE *file = fopen("/proc/self/cgroup", "re");
    while (file && !found && fgets(line, sizeof line, file)) {
        line[strcspn(line, "\n")] = '\0';
        found = find_of(line, "", "/sys/fs/cgroup", "memory.events", out, size) ||
                find_of(line, "memory", "/sys/fs/cgroup/memory", "memory.oom_control", out, size);
    }
    if (file)
        fclose(file);
    if (!found)
        *out = '\0';
}

void mpx_shortage_begin(mpx_shortage_t *self, const char *path)
{
    *self = (mpx_shortage_t){.left = 0};
    if (path)
        snprintf(self->path, sizeof self->path, "%s", path);
    else
        find(self->path, sizeof self->path);
    if (!read_count(self->path, &self->seen))
        self->path[0] = '\0';
}

bool mpx_shortage_took(mpx_shortage_t *self, int64_t now)
{
    uint64_t count;
    if (!read_count(self->path, &count))
        return false;
    if (now - self->left_at > MPX_S)
        self->left = 0;
    if (count > self->seen) {
        self->left += count - self->seen;
        self->left_at = now;
    }
    self->seen = count;
    if (self->left == 0)
        return false;
    self->left--;
    return true;
}
