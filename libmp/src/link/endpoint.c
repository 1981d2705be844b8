#include "link_private.h"

#include "fault.h"

#include <arpa/inet.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { IPC_PATH_MAX = 100 }; /* with our lock file's suffix below the kernel's 108 */

static const char tcp[] = "tcp://";
static const char ipc[] = "ipc://";

static bool has_prefix(const char *text, const char *prefix)
{
    return strncmp(text, prefix, strlen(prefix)) == 0;
}

static mp_rc_t check_ipc(const char *endpoint)
{
    const char *path = endpoint + sizeof ipc - 1;
    if (path[0] != '/' && (path[0] != '@' || !path[1]))
        return mpx_fault(MP_EINVAL, "%s: the path must be absolute, as in ipc:///run/mp/broker",
                         endpoint);
    if (strlen(path) > IPC_PATH_MAX)
        return mpx_fault(MP_EINVAL, "%s: the path is longer than %d bytes", endpoint, IPC_PATH_MAX);
    return MP_OK;
}

static bool is_port(const char *port, bool for_hub)
{
    char *end = NULL;
    if (for_hub && strcmp(port, "*") == 0)
        return true;
    if (*port < '0' || *port > '9')
        return false;
    long number = strtol(port, &end, 10);
    return !*end && number >= (for_hub ? 0 : 1) && number <= 65535;
}

/* Where the host ends: its colon, behind the bracket of an IPv6 address. */
static const char *host_end(const char *host)
{
    const char *from = host;
    if (*host == '[') {
        from = strchr(host, ']');
        if (!from)
            return NULL;
    }
    return strrchr(from, ':');
}

static mp_rc_t check_tcp(const char *endpoint, bool for_hub)
{
    const char *host = endpoint + sizeof tcp - 1;
    const char *colon = host_end(host);
    if (!colon || colon == host)
        return mpx_fault(MP_EINVAL, "%s: a host and a port are needed, as in tcp://127.0.0.1:5555",
                         endpoint);
    if (!is_port(colon + 1, for_hub))
        return mpx_fault(MP_EINVAL, "%s: '%s' is no port", endpoint, colon + 1);
    if (!for_hub && colon - host == 1 && *host == '*')
        return mpx_fault(MP_EINVAL, "%s: '*' is not a host to connect to", endpoint);
    return MP_OK;
}

mp_rc_t mpx_endpoint_check(const char *endpoint, bool for_hub)
{
    if (strlen(endpoint) >= MPX_ENDPOINT_MAX)
        return mpx_fault(MP_EINVAL, "%.40s…: an endpoint of more than %d bytes", endpoint,
                         MPX_ENDPOINT_MAX - 1);
    if (has_prefix(endpoint, tcp))
        return check_tcp(endpoint, for_hub);
    if (has_prefix(endpoint, ipc))
        return check_ipc(endpoint);
    return mpx_fault(MP_EINVAL, "%s: an endpoint is tcp://HOST:PORT or ipc:///PATH", endpoint);
}

void mpx_endpoint_address(const char *endpoint, char out[MPX_ENDPOINT_MAX])
{
    static const char name[] = "tcp://localhost:";
    bool is_name = has_prefix(endpoint, name);
    snprintf(out, MPX_ENDPOINT_MAX, "%s%s", is_name ? "tcp://127.0.0.1:" : endpoint,
             is_name ? endpoint + sizeof name - 1 : "");
}

bool mpx_link_lanes_allowed(void)
{
    const char *lane = getenv("MP_LANE");
    return !lane || strcmp(lane, "off") != 0;
}

bool mpx_endpoint_is_local(const char *endpoint)
{
    if (has_prefix(endpoint, ipc))
        return true;
    const char *host = endpoint + sizeof tcp - 1;
    const char *colon = host_end(host);
    char name[MPX_ENDPOINT_MAX];
    snprintf(name, sizeof name, "%.*s", (int)(colon - host), host);
    struct in_addr address;
    if (inet_pton(AF_INET, name, &address) == 1)
        return ntohl(address.s_addr) >> 24 == 127;
    return strcmp(name, "localhost") == 0 || strcmp(name, "[::1]") == 0;
}
