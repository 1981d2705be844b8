/* bench_lmdb: what the disk and LMDB can do without a server: batches of as many records as there
 * are writers in bench_objects, each committed and synced. The records are as long as those that
 * mp-broker writes for the same keys and values (objects/keep.c): which object it is of, and the
 * key as a tree; its order, when it expires, its version, and the value as a parcel.
 * Usage: bench_lmdb DIR */
#include "bench_objects.h"

#include <lmdb.h>

enum { KEY_HEAD = 9, RECORD_BYTES = 40 + VALUE_BYTES };

static void check(int status)
{
    if (status == 0)
        return;
    fprintf(stderr, "bench_lmdb: %s\n", mdb_strerror(status));
    exit(1);
}

static void commit_batch(MDB_env *env, MDB_dbi dbi)
{
    char name[KEY_HEAD + 32] = "an object", record[RECORD_BYTES] = "";
    MDB_txn *txn = NULL;
    memcpy(record + sizeof record - VALUE_BYTES, value_bytes, VALUE_BYTES);
    check(mdb_txn_begin(env, NULL, 0, &txn));
    for (int i = 0; i < WRITERS; i++) {
        int length = snprintf(name + KEY_HEAD, sizeof name - KEY_HEAD, "%s", next_key());
        MDB_val key = {KEY_HEAD + (size_t)length, name}, value = {sizeof record, record};
        check(mdb_put(txn, dbi, &key, &value, 0));
    }
    check(mdb_txn_commit(txn));
}

int main(int argc, char **argv)
{
    MDB_env *env = NULL;
    MDB_txn *txn = NULL;
    MDB_dbi dbi = 0;
    long batches = 0;
    const char *directory = new_directory(argc > 1 ? argv[1] : ".");
    check(mdb_env_create(&env));
    check(mdb_env_set_mapsize(env, (size_t)1 << 28));
    check(mdb_env_open(env, directory, 0, 0600));
    check(mdb_txn_begin(env, NULL, 0, &txn));
    check(mdb_dbi_open(txn, NULL, 0, &dbi));
    check(mdb_txn_commit(txn));
    for (int i = 0; i < KEYS / WRITERS * 4; i++) /* until most keys are there */
        commit_batch(env, dbi);
    double begin = seconds(), now = begin;
    for (; now - begin < sample_seconds(); now = seconds(), batches++)
        commit_batch(env, dbi);
    for (int i = 0; i < 3; i++)
        report_case(&(peer_t){.name = "LMDB", .suffix = ""}, DICT_SET, writers_names[i],
                    (double)batches * WRITERS / (now - begin));
    mdb_env_close(env);
    remove_directory(directory);
    return 0;
}
