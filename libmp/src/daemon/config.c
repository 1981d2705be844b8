#include "config.h"

#include "fault.h"

#include <czmq.h>
#include <sys/mman.h>
#include <sys/stat.h>

/* zconfig says which line it doesn't understand, and why, on stdout and nowhere else; and our
 * stdout is for "ready" lines. So stdout is a piece of memory for as long as it reads. */
typedef struct capture {
    int stdout_fd; /* the real one */
    int memory;
} capture_t;

static void capture_begin(capture_t *self)
{
    fflush(stdout);
    self->memory = memfd_create("zconfig", MFD_CLOEXEC);
    self->stdout_fd = self->memory < 0 ? -1 : fcntl(STDOUT_FILENO, F_DUPFD_CLOEXEC, 3);
    if (self->stdout_fd >= 0)
        dup2(self->memory, STDOUT_FILENO);
}

/* In words of ours, as "line 3: REASON", from "(3) REASON 'the line'". */
static void reword(const char *said, char *out, size_t size)
{
    unsigned long line = *said == '(' ? strtoul(said + 1, NULL, 10) : 0;
    const char *space = line ? strchr(said, ' ') : NULL;
    const char *reason = space ? space + 1 : said;
    int length = (int)strcspn(reason, "'\n");
    if (strncmp(reason, "indent", strlen("indent")) == 0)
        snprintf(out, size, "line %lu: it is indented", line);
    else if (space)
        snprintf(out, size, "line %lu: %.*s", line, length, reason);
    else
        snprintf(out, size, "%.*s", length, reason);
}

/* out: why it failed, of "DATE TIME E (zconfig): (LINE) REASON 'the line'", or "". */
static void capture_end(const capture_t *self, char *out, size_t size)
{
    char said[256];
    fflush(stdout);
    if (self->stdout_fd >= 0) {
        dup2(self->stdout_fd, STDOUT_FILENO);
        close(self->stdout_fd);
    }
    ssize_t length = pread(self->memory, said, sizeof said - 1, 0);
    said[length > 0 ? length : 0] = '\0';
    const char *colon = strstr(said, "): ");
    reword(colon ? colon + 3 : "", out, size);
    if (self->memory >= 0)
        close(self->memory);
}

static mp_rc_t offer(zconfig_t *item, mpx_settings_t *settings)
{
    const char *value = zconfig_value(item);
    if (zconfig_child(item))
        return mpx_fault(MP_EINVAL, "'%s' has indented lines below it", zconfig_name(item));
    return mpx_settings_offer(settings, zconfig_name(item), value ? value : "", "file");
}

mp_rc_t mpx_config_load(const char *path, mpx_settings_t *settings)
{
    struct stat status;
    if (stat(path, &status) != 0 || access(path, R_OK) != 0)
        return mpx_fault(MP_EINVAL, "%s: %s", path, strerror(errno));
    if (S_ISDIR(status.st_mode))
        return mpx_fault(MP_EINVAL, "%s: %s", path, strerror(EISDIR));
    capture_t capture;
    char why[128];
    capture_begin(&capture);
    zchunk_t *text = zchunk_slurp(path, 0); /* zconfig_load() would leak what it can't parse */
    zconfig_t *root = text ? zconfig_chunk_load(text) : NULL;
    zchunk_destroy(&text);
    capture_end(&capture, why, sizeof why);
    if (!root)
        return mpx_fault(MP_EINVAL, "%s: not a file of 'name = value' lines: %s", path, why);
    mp_rc_t rc = MP_OK;
    for (zconfig_t *item = zconfig_child(root); item && rc == MP_OK; item = zconfig_next(item))
        rc = offer(item, settings);
    zconfig_destroy(&root);
    return rc == MP_EINVAL ? mpx_fault(rc, "%s: %s", path, mp_errmsg()) : rc;
}
