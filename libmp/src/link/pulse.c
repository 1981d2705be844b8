#include "pulse.h"

#include <linux/tcp.h>
#include <netinet/in.h>
#include <stddef.h>
#include <sys/ioctl.h>
#include <sys/socket.h>

bool mpx_pulse_ask(int fd, mpx_received_t *out)
{
    struct tcp_info info = {0};
    socklen_t size = sizeof info;
    int unread = 0;
    if (getsockopt(fd, IPPROTO_TCP, TCP_INFO, &info, &size) != 0 ||
        size < offsetof(struct tcp_info, tcpi_bytes_received) + sizeof info.tcpi_bytes_received)
        return false;
    (void)ioctl(fd, FIONREAD, &unread);
    *out = (mpx_received_t){.bytes = info.tcpi_bytes_received,
                            .unread = unread > 0 ? (uint64_t)unread : 0};
    return true;
}

bool mpx_pulse_look(mpx_pulse_t *self, const mpx_received_t *received, int64_t step_ns, int64_t now)
{
    int64_t gap = now - self->looked;
    bool alive = !self->looked || received->unread || received->bytes != self->bytes;
    self->silence_ns = alive ? 0 : self->silence_ns + (gap < step_ns ? gap : step_ns);
    self->bytes = received->bytes;
    self->looked = now;
    return self->silence_ns >= MPX_PULSE_MISSED * step_ns;
}
