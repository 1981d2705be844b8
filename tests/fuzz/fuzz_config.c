/* fuzz_config: a config file that somebody has written by hand. */
#include "config.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

/* CZMQ loses what it has read of a file that it doesn't understand. */
const char *__lsan_default_suppressions(void);

const char *__lsan_default_suppressions(void)
{
    return "leak:libczmq";
}

static const mpx_setting_t settings[] = {
    {"listen", "MP_FUZZ_LISTEN", MPX_LIST, NULL, 0, 0, "URL", "where"},
    {"max-peers", "MP_FUZZ_MAX_PEERS", MPX_NUMBER, "10", 1, 1000, "N", "how many"},
    {"bytes", "MP_FUZZ_BYTES", MPX_BYTES, "1M", 1, INT64_MAX, "BYTES", "how much"},
    {"keys", "MP_FUZZ_KEYS", MPX_TEXT, NULL, 0, 0, "DIR", "what"},
    {"quiet", "MP_FUZZ_QUIET", MPX_SWITCH, NULL, 0, 0, NULL, "whether"},
};
static const mpx_program_t program = {.name = "fuzz",
                                      .synopsis = "",
                                      .purpose = "none",
                                      .settings = settings,
                                      .settings_count = sizeof settings / sizeof *settings};

static void require(bool holds)
{
    if (!holds)
        abort();
}

static void look_at(const mpx_settings_t *self)
{
    size_t count = 0;
    const char *const *listen = mpx_settings_list(self, "listen", &count);
    for (size_t i = 0; i < count; i++)
        require(listen[i] != NULL);
    int64_t peers = mpx_settings_number(self, "max-peers");
    require(peers >= 1 && peers <= 1000);
    require(mpx_settings_number(self, "bytes") >= 1);
    (void)mpx_settings_text(self, "keys");
    (void)mpx_settings_switch(self, "quiet");
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    char path[64], name[] = "fuzz", flag[] = "--config";
    char *argv[] = {name, flag, path, NULL};
    bool usage = false;
    mpx_settings_t self = {0};
    int fd = memfd_create("config", MFD_CLOEXEC);
    require(fd >= 0 && write(fd, data, size) == (ssize_t)size);
    snprintf(path, sizeof path, "/proc/self/fd/%d", fd);
    if (mpx_settings_load(&program, 3, argv, &self, &usage) == MP_OK)
        look_at(&self);
    require(!usage);
    mpx_settings_free(&self);
    close(fd);
    return 0;
}
