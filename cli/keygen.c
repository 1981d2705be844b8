#include "commands.h"
#include "exits.h"
#include "options.h"

#include <errno.h>
#include <limits.h>
#include <mp/key.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

typedef struct keygen {
    const char *name;
    const char *roles;
    const char *server;
    const char *allow;
    bool force;
    bool help;
} keygen_t;

static const option_spec_t specs[] = {
    {"name", 'n', "NAME", "whose key it is: a client's or a worker's", OPTION_TEXT(keygen_t, name)},
    {"role", 'r', "ROLES",
     "what it may do: of submit, work, read, write and admin,\n"
     "                             with commas between them; default: submit,read,write",
     OPTION_TEXT(keygen_t, roles)},
    {"server", 's', "FILE",
     "make the key in FILE, elsewhere than at the broker, whose\n"
     "                             server.pub this is",
     OPTION_TEXT(keygen_t, server)},
    {"allow", 'a', "FILE", "list the key of this .pub in DIR, and make none",
     OPTION_TEXT(keygen_t, allow)},
    {"force", 'f', NULL,
     "replace what is there, with --name also other keys of\n"
     "                             that name in the list",
     OPTION_SWITCH(keygen_t, force)},
    {"help", 'h', NULL, "print this and exit", OPTION_SWITCH(keygen_t, help)},
};

enum { SPECS = sizeof specs / sizeof *specs };

static const char default_roles[] = "submit,read,write";

void keygen_help(void)
{
    printf(
        "Usage: mp keygen [--name NAME [--role ROLES]] [--force] DIR\n"
        "       mp keygen --server FILE --name NAME [--force] FILE\n"
        "       mp keygen --allow FILE [--name NAME] --role ROLES [--force] DIR\n\n"
        "Makes keys for a broker and for those who use it. DIR is what mp-broker --keys is given:\n"
        "server.key and server.pub are made there if they aren't, and with --name also NAME.key,\n"
        "NAME.pub, and a line in the list `clients`. Give NAME.key to who is to use it, by\n"
        "MP_KEY_FILE; or let him make it by --server, and send his .pub for --allow.\n\n"
        "Options:\n");
    options_print(specs, SPECS);
    printf("\nExit status: 0 done; 1 not: a file is there, or can't be made; 2 wrong usage.\n");
}

/* in_the_way: what to do about something that is there already */
static int complain_of(mp_rc_t rc, const char *in_the_way)
{
    fprintf(stderr, "mp keygen: %s%s\n", *mp_errmsg() ? mp_errmsg() : mp_strerror(rc),
            rc == MP_EEXIST ? in_the_way : "");
    return rc == MP_EINVAL ? EXIT_USAGE : EXIT_FAILED;
}

static int complain(mp_rc_t rc)
{
    return complain_of(rc, "; --force replaces it");
}

static int wrong(const char *what)
{
    fprintf(stderr, "mp keygen: %s; see mp keygen --help\n", what);
    return EXIT_USAGE;
}

static bool join(const char *dir, const char *name, const char *suffix, char out[PATH_MAX])
{
    return snprintf(out, PATH_MAX, "%s/%s%s", dir, name, suffix) < PATH_MAX;
}

/* A folder for secrets: nobody else gets into it. */
static bool make_folder(const char *dir)
{
    struct stat info;
    if (mkdir(dir, 0700) == 0)
        return true;
    if (errno == EEXIST && stat(dir, &info) == 0 && S_ISDIR(info.st_mode))
        return true;
    fprintf(stderr, "mp keygen: %s: %s\n", dir, errno == EEXIST ? "is no folder" : strerror(errno));
    return false;
}

/* ---- at the broker ----------------------------------------------------------------- */

/* A list that lets nobody in, if there is none. */
static bool begin_list(const char *list)
{
    static const char text[] = "# Who is let in, and what for: NAME  PUBLIC-KEY  ROLES\n"
                               "# Roles: submit, work, read, write, admin. See mp-keygen(1).\n";
    if (access(list, F_OK) == 0)
        return true;
    FILE *file = fopen(list, "wxe");
    bool written = file && fputs(text, file) >= 0;
    if (file && fchmod(fileno(file), 0644) != 0)
        written = false;
    if (file && fclose(file) != 0)
        written = false;
    if (!written)
        fprintf(stderr, "mp keygen: %s: %s\n", list, strerror(errno));
    return written;
}

/* A name that is made anew has no other key: the old one may be in wrong hands. */
static mp_rc_t enlist(const keygen_t *self, const char *list, const char *open_path,
                      const char *roles, int *replaced)
{
    *replaced = 0;
    return self->force ? mp_key_replace(list, open_path, roles, self->name, replaced)
                       : mp_key_allow(list, open_path, roles, self->name, 0);
}

static int make_client(const keygen_t *self, const char *dir, const char *list, const char *server)
{
    char path[PATH_MAX], open_path[PATH_MAX];
    const char *roles = self->roles ? self->roles : default_roles;
    mp_key_options_t options = {.name = self->name, .server = server, .force = self->force};
    if (!join(dir, self->name, ".key", path) || !join(dir, self->name, ".pub", open_path))
        return wrong("the path is too long");
    mp_rc_t rc = mp_key_make(path, &options);
    if (rc != MP_OK)
        return complain(rc);
    int replaced;
    rc = enlist(self, list, open_path, roles, &replaced);
    if (rc != MP_OK) {
        int status = complain(rc);
        (void)unlink(path);
        (void)unlink(open_path);
        return status;
    }
    printf("made %s, which may %s\n", path, roles);
    if (replaced)
        printf("listed in place of %d key%s of that name; until SIGHUP the broker lets %s in\n",
               replaced, replaced == 1 ? "" : "s", replaced == 1 ? "it" : "them");
    return 0;
}

static int at_broker(const keygen_t *self, const char *dir)
{
    char key[PATH_MAX], open_key[PATH_MAX], list[PATH_MAX];
    if (!join(dir, "server", ".key", key) || !join(dir, "server", ".pub", open_key) ||
        !join(dir, "clients", "", list))
        return wrong("the path is too long");
    if (self->name && strcmp(self->name, "server") == 0)
        return wrong("'server' is the broker's own name");
    if (!make_folder(dir))
        return EXIT_FAILED;
    bool there = access(key, F_OK) == 0;
    if (!there || !self->name) {
        mp_rc_t rc = mp_key_make(key, &(mp_key_options_t){.force = self->force});
        if (rc != MP_OK)
            return complain_of(rc, "; --name adds a client's or worker's key to it. --force would "
                                   "make another one, which all clients then need");
        printf("made %s and %s\n", key, open_key);
    }
    if (!begin_list(list))
        return EXIT_FAILED;
    return self->name ? make_client(self, dir, list, open_key) : 0;
}

static int allow(const keygen_t *self, const char *dir)
{
    char list[PATH_MAX];
    if (!self->roles)
        return wrong("--allow needs --role");
    if (!join(dir, "clients", "", list))
        return wrong("the path is too long");
    mp_rc_t rc = mp_key_allow(list, self->allow, self->roles, self->name, self->force);
    if (rc != MP_OK)
        return complain(rc);
    printf("listed in %s; SIGHUP makes the broker read it\n", list);
    return 0;
}

/* ---- elsewhere --------------------------------------------------------------------- */

static int elsewhere(const keygen_t *self, const char *path)
{
    mp_key_options_t options = {.name = self->name, .server = self->server, .force = self->force};
    if (!self->name)
        return wrong("--server needs --name");
    if (self->roles)
        return wrong("roles are given where the broker's list is, with --allow");
    mp_rc_t rc = mp_key_make(path, &options);
    if (rc != MP_OK)
        return complain(rc);
    printf("made %s; send its .pub to who runs the broker, for mp keygen --allow\n", path);
    return 0;
}

int keygen_main(int argc, char **argv)
{
    keygen_t self = {0};
    int rest = options_parse("keygen", specs, SPECS, argc, argv, &self);
    if (rest < 0)
        return EXIT_USAGE;
    if (self.help) {
        keygen_help();
        return 0;
    }
    if (rest != argc - 1 || !*argv[rest])
        return wrong("one folder or file is needed");
    if (self.server && self.allow)
        return wrong("--server and --allow are for different places");
    if (self.server)
        return elsewhere(&self, argv[rest]);
    return self.allow ? allow(&self, argv[rest]) : at_broker(&self, argv[rest]);
}
