#include "gate.h"

#include "clock.h"
#include "fault.h"

#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

struct mpx_gate {
    mpx_log_t *log;
    bool has_keys;
    char list_path[PATH_MAX];
    mpx_curve_t curve;
    mpx_allow_t *list;
    uint64_t failed_told;
    int64_t told_at;
};

mp_rc_t mpx_gate_check(const char *const *listen, size_t count, const char *keys, mpx_log_t *log)
{
    for (size_t i = 0; i < count; i++) {
        mp_rc_t rc = mpx_endpoint_check(listen[i], true);
        if (rc != MP_OK)
            return rc;
        if (!keys && !mpx_endpoint_is_local(listen[i]))
            return mpx_fault(
                MP_EPERM,
                "%s can be reached from other hosts, and without keys anybody there "
                "could use this broker; make some with mp keygen and give it --keys, or "
                "listen on tcp://127.0.0.1:PORT or ipc:///PATH",
                listen[i]);
    }
    mpx_gate_t *gate = NULL;
    mp_rc_t rc = mpx_gate_new(keys, log, &gate);
    mpx_gate_free(&gate);
    return rc;
}

/* ---- life ------------------------------------------------------------------------- */

static mp_rc_t load_own(const char *keys, mpx_gate_t *self)
{
    char path[PATH_MAX];
    mpx_cert_t cert;
    if (snprintf(path, sizeof path, "%s/server.key", keys) >= (int)sizeof path ||
        snprintf(self->list_path, sizeof self->list_path, "%s/clients", keys) >=
            (int)sizeof self->list_path)
        return mpx_fault(MP_EINVAL, "%.40s…: the path is too long", keys);
    mp_rc_t rc = mpx_cert_load(path, &cert);
    if (rc == MP_ENOTFOUND)
        return mpx_fault(rc, "%s: there is no such file; mp keygen %s makes it", path, keys);
    if (rc != MP_OK)
        return rc;
    self->curve = cert.curve;
    self->has_keys = true;
    mpx_cert_wipe(&cert);
    return MP_OK;
}

mp_rc_t mpx_gate_new(const char *keys, mpx_log_t *log, mpx_gate_t **out)
{
    mpx_gate_t *self = calloc(1, sizeof *self);
    if (!self)
        return mpx_fault(MP_ENOMEM, "a gate");
    self->log = log;
    mp_rc_t rc = keys ? load_own(keys, self) : MP_OK;
    if (rc == MP_OK && keys)
        rc = mpx_allow_load(self->list_path, &self->list);
    if (rc != MP_OK)
        mpx_gate_free(&self);
    else
        *out = self;
    return rc;
}

void mpx_gate_free(mpx_gate_t **self_p)
{
    mpx_gate_t *self = *self_p;
    if (!self)
        return;
    *self_p = NULL;
    mpx_allow_free(&self->list);
    mpx_curve_wipe(&self->curve);
    free(self);
}

/* ---- coming in -------------------------------------------------------------------- */

const mpx_curve_t *mpx_gate_curve(const mpx_gate_t *self)
{
    return self->has_keys ? &self->curve : NULL;
}

bool mpx_gate_admit(void *arg, const char *key, const char *address)
{
    const mpx_gate_t *self = arg;
    if (mpx_allow_find(self->list, key))
        return true;
    mpx_log(self->log, MP_LOG_WARNING, "key_refused", "key", key, "address", address, "why",
            "it isn't in the list", NULL);
    return false;
}

/* Between the handshake and this message the key may have been taken off the list. */
void mpx_gate_recognise(const mpx_gate_t *self, mpx_peer_t *peer, const char *key)
{
    snprintf(peer->name, sizeof peer->name, "peer %llu", (unsigned long long)peer->id);
    peer->roles = MPX_MAY_ALL;
    if (!self->has_keys || !key)
        return;
    const mpx_allowed_t *allowed = mpx_allow_find(self->list, key);
    snprintf(peer->key, sizeof peer->key, "%s", key);
    snprintf(peer->key_name, sizeof peer->key_name, "%s", allowed ? allowed->name : "?");
    peer->roles = allowed ? allowed->roles : 0;
    snprintf(peer->name, sizeof peer->name, "%s@peer %llu", peer->key_name,
             (unsigned long long)peer->id);
}

void mpx_gate_name(mpx_peer_t *peer, const char *name, const char *host, uint32_t pid)
{
    const char *at = *peer->key_name ? "@" : "";
    if (*name)
        snprintf(peer->name, sizeof peer->name, "%s%s%s", peer->key_name, at, name);
    else
        snprintf(peer->name, sizeof peer->name, "%s%s%.50s:%u", peer->key_name, at, host, pid);
}

/* ---- changes ---------------------------------------------------------------------- */

bool mpx_gate_reload(mpx_gate_t *self)
{
    mpx_allow_t *list = NULL;
    char count[24];
    if (!self->has_keys) {
        mpx_log(self->log, MP_LOG_INFO, "keys_reloaded", "what", "there are no keys", NULL);
        return false;
    }
    if (mpx_allow_load(self->list_path, &list) != MP_OK) {
        mpx_log(self->log, MP_LOG_ERROR, "keys_kept", "why", mp_errmsg(), NULL);
        return false;
    }
    mpx_allow_free(&self->list);
    self->list = list;
    snprintf(count, sizeof count, "%zu", mpx_allow_count(list));
    mpx_log(self->log, MP_LOG_INFO, "keys_reloaded", "file", self->list_path, "keys", count, NULL);
    return true;
}

mp_rc_t mpx_gate_review(const mpx_gate_t *self, mpx_peer_t *peer)
{
    if (!*peer->key)
        return MP_OK;
    const mpx_allowed_t *allowed = mpx_allow_find(self->list, peer->key);
    if (!allowed)
        return mpx_fault(MP_EPERM, "the key '%s' isn't in the broker's list any more",
                         peer->key_name);
    peer->roles = allowed->roles;
    snprintf(peer->key_name, sizeof peer->key_name, "%s", allowed->name);
    switch (peer->state) {
    case MPX_PEER_CLIENT:
        return mpx_peer_require(peer, MPX_MAY_SUBMIT | MPX_MAY_ADMIN);
    case MPX_PEER_WORKER:
        return mpx_peer_require(peer, MPX_MAY_WORK);
    case MPX_PEER_TENANT:
        return mpx_peer_require(peer, MPX_MAY_READ);
    default:
        return MP_OK;
    }
}

void mpx_gate_note_failed(mpx_gate_t *self, int64_t now, uint64_t failed)
{
    char recent[24], all[24];
    if (failed == self->failed_told || (self->told_at && now < self->told_at + MPX_S))
        return;
    snprintf(recent, sizeof recent, "%llu", (unsigned long long)(failed - self->failed_told));
    snprintf(all, sizeof all, "%llu", (unsigned long long)failed);
    self->failed_told = failed;
    self->told_at = now;
    mpx_log(self->log, MP_LOG_WARNING, "handshakes_failed", "new", recent, "all", all, NULL);
}
