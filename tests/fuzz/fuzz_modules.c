/* fuzz_modules: modules as a worker takes them: SHIP, PIECE and SHIPPED of a broker that says what
 * it likes, what loading comes to, and others who write into the directory. Nothing is ever opened
 * as code. In the directory there is then nothing but whole modules, each under the name that its
 * content has, and no more bytes than are allowed. */
#include "clock.h"
#include "modules.h"
#include "script.h"

#include <dirent.h>
#include <elf.h>
#include <fcntl.h>
#include <limits.h>
#include <sodium.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

enum { MODULES = 3, MODULE_BYTES = 700, MOST_BYTES = 1000, NAME_BYTES = 68 };
enum { SHIP, SHIP_RAW, PIECE, PIECE_RAW, SHIPPED, LOADED, LOST, TIME, SHARE, DAMAGE, LINK, STEPS };

typedef struct module {
    uint8_t content[MODULE_BYTES];
    uint8_t hash[MPX_HASH_BYTES];
    char name[NAME_BYTES];
} module_t;

static module_t modules[MODULES];
static char dir[] = "/tmp/mp-fuzz-modules-XXXXXX";
static script_t script;
static mpx_modules_t *self;
static int64_t now;
static bool loading, damaged;
static uint64_t fetch_nonce, fetch_from, fetch_bytes; /* what was asked for last */

/* ---- the worker's other ends ---------------------------------------------------------- */

static mp_rc_t on_send(void *arg, const mpx_header_t *header, mp_bytes_t payload)
{
    mpx_problem_t problem;
    void *arena = NULL;
    (void)arg;
    require(header->op == MPX_OP_FETCH || header->op == MPX_OP_SHIPPED);
    if (header->op == MPX_OP_FETCH) {
        require(header->bytes > 0 && header->bytes <= MPX_PIECE_BYTES);
        require(header->first + header->bytes <= MOST_BYTES);
        fetch_nonce = header->nonce;
        fetch_from = header->first;
        fetch_bytes = header->bytes;
        return MP_OK;
    }
    require(mpx_problem_unpack(payload, &problem, &arena) == MP_OK);
    require(header->code <= 0 && (header->code == MP_OK || *problem.message));
    free(arena);
    return MP_OK;
}

static void check_file(const char *path, const char *name)
{
    static uint8_t content[MOST_BYTES + 1];
    uint8_t hash[MPX_HASH_BYTES];
    char hex[2 * MPX_HASH_BYTES + 1];
    struct stat about;
    int fd = open(path, O_RDONLY | O_NOFOLLOW | O_CLOEXEC);
    require(fd >= 0 && fstat(fd, &about) == 0 && S_ISREG(about.st_mode));
    ssize_t n = read(fd, content, sizeof content);
    close(fd);
    require(n > 0 && n <= MOST_BYTES && memcmp(content, ELFMAG, SELFMAG) == 0);
    crypto_hash_sha256(hash, content, (unsigned long long)n);
    sodium_bin2hex(hex, sizeof hex, hash, sizeof hash);
    require(strncmp(name, hex, sizeof hex - 1) == 0 && strcmp(name + sizeof hex - 1, ".so") == 0);
}

/* What an executor would open now. */
static mp_rc_t on_load(void *arg, const char *path)
{
    (void)arg;
    require(!loading && strncmp(path, dir, sizeof dir - 1) == 0);
    check_file(path, strrchr(path, '/') + 1);
    loading = true;
    return MP_OK;
}

static void on_stop_loading(void *arg)
{
    (void)arg;
    require(loading);
}

/* ---- the directory -------------------------------------------------------------------- */

static void path_of(const char *name, char path[PATH_MAX])
{
    snprintf(path, PATH_MAX, "%s/%s", dir, name);
}

static void clear_directory(bool check)
{
    char path[PATH_MAX];
    DIR *list = opendir(dir);
    require(list != NULL);
    const struct dirent *entry;
    while ((entry = readdir(list))) {
        if (entry->d_name[0] == '.')
            continue;
        path_of(entry->d_name, path);
        if (check)
            check_file(path, entry->d_name);
        unlink(path);
    }
    closedir(list);
}

static void remove_directory(void)
{
    clear_directory(false);
    rmdir(dir);
}

static void write_file(const char *path, mp_bytes_t content)
{
    unlink(path);
    int fd = open(path, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0600);
    require(fd >= 0 && write(fd, content.data, content.size) == (ssize_t)content.size);
    close(fd);
}

/* Another worker has taken it as well. */
static void share(const module_t *module)
{
    char path[PATH_MAX];
    path_of(module->name, path);
    write_file(path, (mp_bytes_t){module->content, MODULE_BYTES});
}

/* Somebody of this user's writes something else there. */
static void damage(const module_t *module)
{
    char path[PATH_MAX];
    damaged = true;
    path_of(module->name, path);
    write_file(path, script_block(&script));
}

/* Or has it elsewhere. */
static void put_link(const module_t *module)
{
    char path[PATH_MAX], elsewhere[PATH_MAX];
    damaged = true;
    path_of(module->name, path);
    path_of("elsewhere", elsewhere);
    write_file(elsewhere, (mp_bytes_t){module->content, MODULE_BYTES});
    unlink(path);
    require(symlink("elsewhere", path) == 0);
}

/* Three that this machine would take, as far as a worker looks. */
static void make_modules(void)
{
    Elf64_Ehdr head;
    int fd = open("/proc/self/exe", O_RDONLY | O_CLOEXEC);
    require(fd >= 0 && read(fd, &head, sizeof head) == sizeof head);
    close(fd);
    head.e_type = ET_DYN;
    for (size_t i = 0; i < MODULES; i++) {
        char hex[2 * MPX_HASH_BYTES + 1];
        memset(modules[i].content, (int)i, MODULE_BYTES);
        memcpy(modules[i].content, &head, sizeof head);
        crypto_hash_sha256(modules[i].hash, modules[i].content, MODULE_BYTES);
        sodium_bin2hex(hex, sizeof hex, modules[i].hash, MPX_HASH_BYTES);
        snprintf(modules[i].name, NAME_BYTES, "%s.so", hex);
    }
}

static void prepare(void)
{
    if (*modules[0].name)
        return;
    require(sodium_init() >= 0 && mkdtemp(dir) != NULL);
    make_modules();
    atexit(remove_directory);
}

/* ---- messages ------------------------------------------------------------------------- */

static void say(const mpx_header_t *header, mp_bytes_t payload)
{
    mp_rc_t rc = mpx_modules_message(self, now, header, payload);
    require(rc == MP_OK || rc == MP_EPROTO);
}

static void ship(const module_t *module)
{
    uint8_t payload[MPX_HASH_BYTES + 8];
    uint8_t how = script_byte(&script);
    mpx_header_t header = {
        .op = MPX_OP_SHIP, .nonce = script_byte(&script), .bytes = how ? how * 5 : MODULE_BYTES};
    memcpy(payload, module->hash, MPX_HASH_BYTES);
    memcpy(payload + MPX_HASH_BYTES, "m.so", 4);
    say(&header, (mp_bytes_t){payload, MPX_HASH_BYTES + 4});
}

/* What was asked for, or some of it. */
static void send_piece(const module_t *module)
{
    uint64_t bytes = script_byte(&script);
    if (bytes == 0 || bytes > fetch_bytes)
        bytes = fetch_bytes;
    if (fetch_from >= MODULE_BYTES)
        return;
    if (bytes > MODULE_BYTES - fetch_from)
        bytes = MODULE_BYTES - fetch_from;
    mpx_header_t header = {.op = MPX_OP_PIECE, .nonce = fetch_nonce, .first = fetch_from};
    say(&header, (mp_bytes_t){module->content + fetch_from, bytes});
}

static void say_raw(mpx_op_t op)
{
    mpx_header_t header = {.op = op,
                           .nonce = script_byte(&script),
                           .first = script_number(&script),
                           .bytes = script_number(&script),
                           .code = (int8_t)script_byte(&script)};
    say(&header, script_block(&script));
}

static void have_loaded(void)
{
    bool well = script_byte(&script) & 1;
    bool was = loading;
    loading = false; /* the next one may begin in there */
    if (was)
        mpx_modules_loaded(self, now, well ? MP_OK : MP_EMODULE, well ? "" : "it is no good");
}

static void let_time_pass(void)
{
    now += (int64_t)script_byte(&script) * MPX_S;
    mpx_modules_tick(self, now);
}

static void step(void)
{
    const module_t *module = &modules[script_byte(&script) % MODULES];
    switch (script_byte(&script) % STEPS) {
    case SHIP:
        ship(module);
        break;
    case SHIP_RAW:
        say_raw(MPX_OP_SHIP);
        break;
    case PIECE:
        send_piece(module);
        break;
    case PIECE_RAW:
        say_raw(MPX_OP_PIECE);
        break;
    case SHIPPED:
        say_raw(MPX_OP_SHIPPED);
        break;
    case LOADED:
        have_loaded();
        break;
    case LOST:
        mpx_modules_lost(self);
        break;
    case TIME:
        let_time_pass();
        break;
    case SHARE:
        share(module);
        break;
    case DAMAGE:
        damage(module);
        break;
    case LINK:
        put_link(module);
        break;
    }
    require(loading || mpx_modules_deadline(self) == MPX_NEVER);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    mpx_modules_options_t options = {.dir = dir,
                                     .max_bytes = MOST_BYTES,
                                     .send = on_send,
                                     .load = on_load,
                                     .stop_loading = on_stop_loading};
    prepare();
    script = (script_t){{data, size}};
    now = 0;
    loading = damaged = false;
    fetch_nonce = fetch_from = fetch_bytes = 0;
    require(mpx_modules_new(&options, &self) == MP_OK);
    while (script.rest.size)
        step();
    mpx_modules_destroy(&self);
    clear_directory(!damaged);
    return 0;
}
