/* replay: run a fuzz target over files, and over all files of folders, with any compiler.
 * Usage: replay PATH... */
#include <dirent.h>
#include <limits.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>

enum { INPUT_MAX = 1 << 20 };

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static int give_up(const char *path)
{
    perror(path);
    exit(1);
}

/* In memory of just that size, so that a sanitizer sees what is read beyond it. */
static int replay_file(const char *path)
{
    static uint8_t input[INPUT_MAX];
    FILE *file = fopen(path, "rb");
    if (!file)
        return give_up(path);
    size_t size = fread(input, 1, sizeof input, file);
    fclose(file);
    uint8_t *data = malloc(size ? size : 1);
    if (!data)
        return give_up(path);
    for (size_t i = 0; i < size; i++)
        data[i] = input[i];
    LLVMFuzzerTestOneInput(data, size);
    free(data);
    return 1;
}

static int replay(const char *path)
{
    DIR *folder = opendir(path);
    if (!folder)
        return replay_file(path);
    int files = 0;
    const struct dirent *entry;
    while ((entry = readdir(folder))) {
        char name[PATH_MAX];
        if (entry->d_name[0] == '.')
            continue;
        snprintf(name, sizeof name, "%s/%s", path, entry->d_name);
        files += replay_file(name);
    }
    closedir(folder);
    return files;
}

int main(int argc, char **argv)
{
    int files = 0;
    for (int i = 1; i < argc; i++)
        files += replay(argv[i]);
    if (files == 0) {
        fprintf(stderr, "usage: %s FILE|FOLDER..., with at least one input\n", argv[0]);
        return 1;
    }
    printf("%d inputs replayed\n", files);
    return 0;
}
