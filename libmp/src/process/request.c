#include "request.h"

#include "fault.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

static const uint64_t magic = UINT64_C(0x3174736575716572) ^ sizeof(mpx_request_t);

static bool write_all(int fd, const void *data, size_t size)
{
    const char *at = data;
    while (size > 0) {
        ssize_t n = write(fd, at, size);
        if (n < 0 && errno == EINTR)
            continue;
        if (n <= 0)
            return false;
        at += n;
        size -= (size_t)n;
    }
    return true;
}

mp_rc_t mpx_request_write(const mpx_request_t *request, const void *item, int *fd)
{
    mpx_request_t head = *request;
    head.magic = magic;
    int made = memfd_create("mp-request", MFD_CLOEXEC);
    if (made < 0)
        return mpx_fault_errno("what '%s' is to be told", request->identity.name);
    if (!write_all(made, &head, sizeof head) || !write_all(made, item, head.item_bytes)) {
        mp_rc_t rc = mpx_fault_errno("what '%s' is to be told", request->identity.name);
        close(made);
        return rc;
    }
    *fd = made;
    return MP_OK;
}

static bool read_all(int fd, void *data, size_t size, size_t offset)
{
    char *at = data;
    while (size > 0) {
        ssize_t n = pread(fd, at, size, (off_t)offset);
        if (n < 0 && errno == EINTR)
            continue;
        if (n <= 0)
            return false;
        at += n;
        offset += (size_t)n;
        size -= (size_t)n;
    }
    return true;
}

static mp_rc_t read_open(int fd, mpx_request_t *request, void **item)
{
    mpx_request_t head;
    struct stat info;
    if (fstat(fd, &info) != 0 || !S_ISREG(info.st_mode) || !read_all(fd, &head, sizeof head, 0) ||
        head.magic != magic || head.item_bytes != (uint64_t)info.st_size - sizeof head)
        return mpx_fault(MP_ECORRUPT, "not started by this program");
    void *room = calloc(1, head.item_bytes + 1);
    if (!room)
        return mpx_fault(MP_ENOMEM, "an item of %zu bytes", (size_t)head.item_bytes);
    if (!read_all(fd, room, head.item_bytes, sizeof head)) {
        free(room);
        return mpx_fault(MP_ECORRUPT, "what this process was told is cut off");
    }
    *request = head;
    *item = room;
    return MP_OK;
}

mp_rc_t mpx_request_read(int fd, mpx_request_t *request, void **item)
{
    mp_rc_t rc = read_open(fd, request, item);
    close(fd);
    return rc;
}
