#include "joblog.h"

#include "text.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#define HASH_NONFATAL_OOM          1
#define uthash_nonfatal_oom(entry) ((entry)->unlisted = true)
#include <uthash.h>

struct joblog_done {
    uint64_t number;
    uint64_t hash;
    bool unlisted;
    UT_hash_handle hh;
};

static const char header[] =
    "Line\tFinished\tStatus\tExit\tSignal\tAttempt\tHost\tInputHash\tInput\n";

/* FNV-1a, 64 bits (Fowler, Noll, Vo): the input itself may be long, and is cut in the log. */
static uint64_t hash_of(const char *bytes, size_t size)
{
    uint64_t hash = UINT64_C(0xcbf29ce484222325);
    for (size_t i = 0; i < size; i++)
        hash = (hash ^ (unsigned char)bytes[i]) * UINT64_C(0x100000001b3);
    return hash;
}

static joblog_done_t *find(const joblog_t *self, uint64_t number)
{
    joblog_done_t *done = NULL;
    HASH_FIND(hh, self->done, &number, sizeof number, done);
    return done;
}

static void forget(joblog_t *self, joblog_done_t *done)
{
    HASH_DEL(self->done, done);
    free(done);
}

static bool remember(joblog_t *self, uint64_t number, uint64_t hash)
{
    joblog_done_t *done = calloc(1, sizeof *done);
    if (!done)
        return false;
    done->number = number;
    done->hash = hash;
    HASH_ADD(hh, self->done, number, sizeof done->number, done);
    bool listed = !done->unlisted;
    if (!listed)
        free(done);
    return listed;
}

/* One line of an earlier run; the header and what is no line of ours are passed over. */
static bool take_line(joblog_t *self, const char *line)
{
    unsigned long long number, finished, hash;
    char status[16];
    if (sscanf(line, "%llu\t%llu\t%15[a-z-]\t%*d\t%*d\t%*d\t%*[^\t]\t%16llx\t", &number, &finished,
               status, &hash) != 4)
        return true;
    joblog_done_t *before = find(self, number);
    if (before)
        forget(self, before);
    return strcmp(status, "ok") != 0 || remember(self, number, hash);
}

static bool read_earlier(joblog_t *self, const char *path)
{
    FILE *file = fopen(path, "re");
    if (!file)
        return errno == ENOENT; /* there is no earlier run */
    char *line = NULL;
    size_t room = 0;
    ssize_t size;
    bool ok = true;
    while (ok && (size = getline(&line, &room, file)) > 0)
        if (line[size - 1] == '\n')
            ok = take_line(self, line);
    ok = ok && !ferror(file);
    int error = errno;
    free(line);
    fclose(file);
    errno = error;
    return ok;
}

/* Begin a new one, or go on behind its last line. Of a header that is torn, the rest is written; a
 * torn line must not run into the next one. false: it is no log. */
static bool take_up(joblog_t *self, int fd, off_t size)
{
    char begin[sizeof header - 1];
    char last = '\n';
    size_t head = size < (off_t)sizeof begin ? (size_t)size : sizeof begin;
    if (head && (pread(fd, begin, head, 0) != (ssize_t)head || memcmp(begin, header, head) != 0))
        return false;
    if (head < sizeof begin)
        output_text(&self->out, header + head);
    else if (pread(fd, &last, 1, size - 1) == 1 && last != '\n')
        output_text(&self->out, "\n");
    return true;
}

bool joblog_open(joblog_t *self, const char *path, bool resume)
{
    *self = (joblog_t){.out = {.fd = -1}};
    if (!path)
        return true;
    if (resume && !read_earlier(self, path))
        return false;
    int fd = open(path, O_RDWR | O_CREAT | O_APPEND | O_CLOEXEC, 0666);
    if (fd < 0)
        return false;
    output_init(&self->out, fd, -1);
    off_t size = lseek(fd, 0, SEEK_END);
    if (take_up(self, fd, size > 0 ? size : 0))
        return true;
    errno = EBADMSG;
    return false;
}

void joblog_close(joblog_t *self)
{
    joblog_done_t *done, *next;
    HASH_ITER (hh, self->done, done, next)
        forget(self, done);
    if (self->out.fd >= 0)
        close(self->out.fd);
    output_free(&self->out);
}

bool joblog_has(const joblog_t *self, uint64_t number, const char *line, size_t size)
{
    const joblog_done_t *done = find(self, number);
    return done && done->hash == hash_of(line, size);
}

void joblog_add(joblog_t *self, uint64_t number, const char *line, size_t size,
                const mp_outcome_t *outcome, ending_t ending)
{
    if (self->out.fd < 0)
        return;
    struct timespec now;
    char shown[200];
    clock_gettime(CLOCK_REALTIME, &now);
    text_show(line, size, shown, sizeof shown);
    output_printf(&self->out, "%llu\t%lld\t%s\t%d\t%d\t%d\t%s\t%016llx\t%s\n",
                  (unsigned long long)number, (long long)now.tv_sec * 1000 + now.tv_nsec / 1000000,
                  ending.status, ending.exit, ending.signal, outcome->attempt,
                  *outcome->host ? outcome->host : "-", (unsigned long long)hash_of(line, size),
                  shown);
}
