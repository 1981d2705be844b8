/* ticket.c: descriptors that wait for the process that was given a reference to them. */
#include "connection.h"

#include "clock.h"
#include "fault.h"
#include "forkguard.h"
#include "hub.h"
#include "reference.h"
#include "service.h"

#include <stdio.h>
#include <stdlib.h>
#include <sys/random.h>
#include <unistd.h>
#include <utlist.h>

typedef struct ticket {
    struct ticket *prev, *next;
    uint64_t number;
    uint64_t secret;
    int fd;
} ticket_t;

/* Under the service's lock. */
static ticket_t *tickets;
static uint64_t last_number;
static uint64_t generation;

/* The parent's are not ours to lend, but their copies are here: close them. */
static void look_where_we_are(void)
{
    if (generation == mpx_fork_generation())
        return;
    generation = mpx_fork_generation();
    ticket_t *ticket, *next;
    DL_FOREACH_SAFE (tickets, ticket, next) {
        close(ticket->fd);
        free(ticket);
    }
    tickets = NULL;
}

/* Each is given up once: its first user is who has the end. */
static int find(void *arg, uint64_t number, uint64_t secret)
{
    (void)arg;
    ticket_t *ticket;
    DL_FOREACH (tickets, ticket)
        if (ticket->number == number && ticket->secret == secret) {
            int fd = ticket->fd;
            DL_DELETE(tickets, ticket);
            free(ticket);
            return fd;
        }
    return -1;
}

static mp_rc_t issue(ticket_t *ticket, mp_ref_t *out, uint64_t flags)
{
    mpx_hub_t *reception = NULL;
    unsigned long long life, random;
    look_where_we_are();
    mp_rc_t rc = mpx_reception(true, &reception);
    if (rc != MP_OK)
        return rc;
    if (sscanf(mpx_hub_endpoint(reception), "ipc://@mp-%llx-%llx", &life, &random) != 2)
        return mpx_fault(MP_ESYSTEM, "the reception has no name");
    mpx_hub_lend(reception, find, NULL);
    ticket->number = ++last_number;
    DL_APPEND(tickets, ticket);
    *out = (mp_ref_t){{mpx_reference_word(MPX_KIND_CONNECTION), life, random, ticket->number,
                       ticket->secret, flags}};
    return MP_OK;
}

mp_rc_t mpx_ticket_issue(int fd, mp_ref_t *out, uint64_t flags)
{
    ticket_t *ticket = calloc(1, sizeof *ticket);
    mp_rc_t rc = ticket ? MP_OK : mpx_fault(MP_ENOMEM, "a reference");
    if (rc == MP_OK &&
        getrandom(&ticket->secret, sizeof ticket->secret, 0) != sizeof ticket->secret)
        rc = mpx_fault_errno("random bytes");
    if (rc == MP_OK) {
        ticket->fd = fd;
        mpx_service_enter();
        rc = issue(ticket, out, flags);
        mpx_service_leave();
    }
    if (rc != MP_OK) {
        close(fd);
        free(ticket);
    }
    return rc;
}

mp_rc_t mpx_ticket_redeem(const mp_ref_t *ref, int *fd)
{
    enum { LIMIT_MS = 5000 };
    char endpoint[MPX_ENDPOINT_MAX];
    if (!ref || ref->word[0] != mpx_reference_word(MPX_KIND_CONNECTION) || !ref->word[3])
        return mpx_fault(MP_EINVAL, "not a reference to a connection");
    snprintf(endpoint, sizeof endpoint, "ipc://@mp-%llx-%llx", (unsigned long long)ref->word[1],
             (unsigned long long)ref->word[2]);
    return mpx_link_fetch(endpoint, ref->word[3], ref->word[4], mpx_now() + LIMIT_MS * MPX_MS, fd);
}
