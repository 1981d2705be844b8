/* filesum: what quickstart runs on every file below /usr/include.
 *
 * A task over bytes: a path in; "SHA256  SIZE  LINES  PATH" out. Built as a shared object,
 *
 *     cc -shared -fPIC -o filesum.so filesum.c $(pkg-config --cflags --libs libmp) -lcrypto
 *
 * it is loaded by `mp map --load ./filesum.so` and `mp-worker --load ./filesum.so`. */
#include <errno.h>
#include <mp/task.h>
#include <openssl/evp.h>
#include <stdio.h>
#include <string.h>

typedef struct sum {
    unsigned char hash[EVP_MAX_MD_SIZE];
    unsigned hash_bytes;
    unsigned long long bytes;
    unsigned long long lines;
} sum_t;

/* 0, or an errno. */
static int read_file(FILE *file, EVP_MD_CTX *digest, sum_t *sum)
{
    unsigned char buffer[65536];
    size_t n;
    if (!EVP_DigestInit_ex(digest, EVP_sha256(), NULL))
        return ENOMEM;
    while ((n = fread(buffer, 1, sizeof buffer, file)) > 0) {
        EVP_DigestUpdate(digest, buffer, n);
        sum->bytes += n;
        for (const unsigned char *at = buffer; (at = memchr(at, '\n', n - (size_t)(at - buffer)));
             at++)
            sum->lines++;
    }
    if (ferror(file))
        return errno ? errno : EIO;
    return EVP_DigestFinal_ex(digest, sum->hash, &sum->hash_bytes) ? 0 : ENOMEM;
}

static int sum_file(const char *path, sum_t *sum)
{
    FILE *file = fopen(path, "rb");
    if (!file)
        return errno;
    EVP_MD_CTX *digest = EVP_MD_CTX_new();
    int error = digest ? read_file(file, digest, sum) : ENOMEM;
    EVP_MD_CTX_free(digest);
    fclose(file);
    return error;
}

MP_TASK_BYTES(filesum)
{
    char path[4096];
    sum_t sum = {.bytes = 0};
    if (in.size >= sizeof path || memchr(in.data, '\0', in.size))
        return mp_call_fail(call, EINVAL, "that is no path");
    memcpy(path, in.data, in.size);
    path[in.size] = '\0';
    int error = sum_file(path, &sum);
    if (error)
        return mp_call_fail(call, error, "%s", strerror(error));
    for (unsigned i = 0; i < sum.hash_bytes; i++)
        mp_call_printf(call, "%02x", sum.hash[i]);
    return mp_call_printf(call, "  %llu  %llu  %s", sum.bytes, sum.lines, path);
}
