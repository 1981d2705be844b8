/* Kept jobs and dead letters: whose they are. */
#include "archive_kit.h"

static mpx_peer_t ann = {.id = 21, .roles = MPX_MAY_SUBMIT, .key_name = "ann"};
static mpx_peer_t bob = {.id = 22, .roles = MPX_MAY_SUBMIT, .key_name = "bob"};
static mpx_peer_t adi = {.id = 23, .roles = MPX_MAY_ADMIN, .key_name = "adi"};

static mpx_keep_t come_back(const char *owner, const char *id)
{
    mpx_keep_t wanted = keep_of(id, "", 99);
    wanted.attach = true;
    wanted.names_owner = owner != NULL;
    wanted.owner = owner ? owner : "";
    return wanted;
}

/* What a client reads of its refusal. */
static void refused_with(mp_rc_t code, char *words, size_t size)
{
    const sent_t *answer = only(MPX_OP_JOB_DONE);
    mpx_problem_t problem;
    void *arena = NULL;
    ck_assert_int_eq(answer->header.code, code);
    OK(mpx_problem_unpack((mp_bytes_t){answer->payload, answer->size}, &problem, &arena));
    snprintf(words, size, "%s", problem.message);
    free(arena);
}

/* How many jobs one is shown; the owner of the last one. */
static size_t list_jobs(mpx_peer_t *peer, char owner[64])
{
    mpx_kept_info_t info;
    void *arena = NULL;
    sent_count = 0;
    OK(ask(peer, 0, (mpx_header_t){.op = MPX_OP_JOB_LIST, .nonce = 97}, NULL, 0));
    size_t count = sent_count - 1;
    ck_assert_uint_eq(sent[count].header.count, 0); /* nor is one told of more */
    sent_count = 0;
    if (count == 0)
        return 0;
    OK(mpx_kept_info_unpack((mp_bytes_t){sent[count - 1].payload, sent[count - 1].size}, &info,
                            &arena));
    snprintf(owner, 64, "%s", info.owner);
    free(arena);
    return count;
}

START_TEST(test_others_find_nothing)
{
    char words[256], owner[64];
    begin(1 << 20, 0);
    OK(keep(&ann, 1, keep_of("night", "k", 7), "t"));
    OK(put(&ann, 1, 0, "a", true));
    sent_count = 0;
    ck_assert_uint_eq(list_jobs(&ann, owner), 1);
    ck_assert_str_eq(owner, "ann");
    ck_assert_uint_eq(list_jobs(&bob, owner), 0);
    OK(keep(&bob, 1, come_back(NULL, "night"), "t"));
    refused_with(MP_ENOTFOUND, words, sizeof words);
    ck_assert_str_eq(words, "no job night is kept here (any more)");
    OK(keep(&bob, 1, come_back(NULL, "never"), "t"));
    refused_with(MP_ENOTFOUND, words, sizeof words);
    ck_assert_str_eq(words, "no job never is kept here (any more)");
    OK(keep(&bob, 1, come_back("ann", "night"), "t"));
    refused_with(MP_ENOTFOUND, words, sizeof words);
    mpx_keep_t by_key = come_back("ann", "x");
    by_key.key = "k";
    OK(keep(&bob, 1, by_key, "t"));
    answered(MPX_OP_JOB_KEEP, MP_ENOTFOUND);
    end();
}
END_TEST

START_TEST(test_ids_and_keys_are_each_owners)
{
    mpx_header_t forget = {.op = MPX_OP_JOB_CANCEL, .nonce = 1, .kind = MPX_JOB_FORGET};
    mpx_peer_t *const peers[] = {&ann, &bob, &one};
    char owner[64];
    begin(1 << 20, 0);
    for (size_t i = 0; i < 3; i++) {
        const char letters[] = {(char)('a' + i), 0};
        OK(keep(peers[i], 1, keep_of("j", "k", 7 + i), "t"));
        only(MPX_OP_JOB_INFO);
        OK(put(peers[i], 1, 0, letters, true));
        answered(MPX_OP_JOB_PUT, MP_OK);
    }
    work_off(0, MP_OK);
    for (size_t i = 0; i < 3; i++) {
        const char letters[] = {(char)('a' + i), 0};
        OK(take(peers[i], 1, 0));
        gives(only(MPX_OP_JOB_GIVE), 0, letters);
    }
    OK(ask(&bob, 0, forget, NULL, 0));
    answered(MPX_OP_JOB_CANCEL, MP_OK);
    ck_assert_uint_eq(list_jobs(&ann, owner), 1);
    ck_assert_uint_eq(list_jobs(&bob, owner), 0);
    ck_assert_uint_eq(list_jobs(&one, owner), 1);
    ck_assert_str_eq(owner, "");
    end();
}
END_TEST

START_TEST(test_an_admin_finds_all)
{
    char words[256], owner[64];
    begin(1 << 20, 0);
    OK(keep(&adi, 1, keep_of("own", "", 7), "t"));
    answered(MPX_OP_JOB_KEEP, MP_EPERM); /* that takes the role submit */
    OK(keep(&ann, 1, keep_of("j", "", 7), "t"));
    OK(put(&ann, 1, 0, "a", true));
    sent_count = 0;
    OK(keep(&adi, 1, come_back(NULL, "j"), "t"));
    only(MPX_OP_JOB_INFO);
    OK(put(&adi, 1, 1, "b", true));
    answered(MPX_OP_JOB_PUT, MP_EPERM);
    OK(keep(&one, 1, keep_of("j", "", 8), "t"));
    OK(put(&one, 1, 0, "b", true));
    sent_count = 0;
    ck_assert_uint_eq(list_jobs(&adi, owner), 2);
    OK(keep(&adi, 2, come_back(NULL, "j"), "t"));
    refused_with(MP_EINVAL, words, sizeof words);
    ck_assert_ptr_nonnull(strstr(words, "ann/j or /j"));
    work_off(0, MP_OK);
    OK(keep(&adi, 2, come_back("", "j"), "t"));
    only(MPX_OP_JOB_INFO);
    OK(take(&adi, 2, 0));
    gives(only(MPX_OP_JOB_GIVE), 0, "b");
    OK(take(&adi, 1, 0));
    gives(only(MPX_OP_JOB_GIVE), 0, "a");
    /* It is one no longer. */
    adi.roles = MPX_MAY_SUBMIT;
    mpx_archive_review(archive, &adi);
    ck_assert_uint_eq(adi.job_handles, 0);
    OK(take(&adi, 1, 1));
    answered(MPX_OP_JOB_TAKE, MP_ENOTFOUND);
    adi.roles = MPX_MAY_ADMIN;
    end();
}
END_TEST

static mp_rc_t order_letters(mpx_peer_t *peer, mpx_dead_order_t order)
{
    mpx_buf_t body = {0};
    sent_count = 0;
    OK(mpx_dead_order_pack(&order, &body));
    mp_rc_t rc =
        ask(peer, 0, (mpx_header_t){.op = MPX_OP_JOB_DEAD, .nonce = 96}, body.data, body.size);
    mpx_buf_free(&body);
    return rc;
}

/* Each has a letter: their numbers are 1 and 2. */
static void leave_letters(void)
{
    mpx_peer_t *const peers[] = {&ann, &bob};
    for (size_t i = 0; i < 2; i++) {
        mpx_keep_t wanted = keep_of("j", "", 7);
        wanted.dead_letters = true;
        OK(keep(peers[i], 1, wanted, "t"));
        OK(put(peers[i], 1, 0, i ? "b" : "a", true));
        work_off(0, MP_EFAILED);
        mpx_archive_gone(archive, peers[i]);
        turn(0);
    }
    sent_count = 0;
}

START_TEST(test_letters_are_their_jobs_owners)
{
    uint64_t anns[] = {1};
    mpx_dead_order_t one_of = {.what = MPX_DEAD_SHOW, .numbers = anns, .numbers_count = 1};
    begin(1 << 20, 1 << 20);
    leave_letters();
    ck_assert_uint_eq(count_letters(&ann), 1);
    ck_assert_uint_eq(count_letters(&bob), 1);
    ck_assert_uint_eq(count_letters(&two), 0);
    ck_assert_uint_eq(count_letters(&adi), 2);
    OK(order_letters(&bob, one_of));
    answered(MPX_OP_JOB_DEAD, MP_ENOTFOUND);
    one_of.what = MPX_DEAD_DROP;
    OK(order_letters(&bob, one_of));
    ck_assert_uint_eq(only(MPX_OP_JOB_DONE)->header.first, 0);
    one_of = (mpx_dead_order_t){
        .what = MPX_DEAD_REQUEUE, .id = "again", .token = 9, .numbers = anns, .numbers_count = 1};
    OK(order_letters(&bob, one_of));
    answered(MPX_OP_JOB_DEAD, MP_ENOTFOUND);
    adi.roles = MPX_MAY_ADMIN | MPX_MAY_SUBMIT;
    OK(order_letters(&adi, (mpx_dead_order_t){.what = MPX_DEAD_REQUEUE, .id = "all", .token = 8}));
    answered(MPX_OP_JOB_DEAD, MP_EINVAL); /* whose would it be? */
    OK(order_letters(&adi, one_of));
    only(MPX_OP_JOB_INFO);
    OK(order_letters(&adi, one_of)); /* the answer was lost */
    only(MPX_OP_JOB_INFO);
    adi.roles = MPX_MAY_ADMIN;
    ck_assert(is_there(&ann, "again"));
    ck_assert(!is_there(&bob, "again"));
    ck_assert_uint_eq(count_letters(&ann), 0);
    OK(order_letters(&ann, (mpx_dead_order_t){.what = MPX_DEAD_DROP}));
    ck_assert_uint_eq(only(MPX_OP_JOB_DONE)->header.first, 0);
    ck_assert_uint_eq(count_letters(&bob), 1);
    end();
}
END_TEST

START_TEST(test_owners_are_on_the_disk)
{
    char owner[64];
    begin_with_disk();
    leave_letters();
    OK(keep(&ann, 1, keep_of("kept", "", 7), "t"));
    OK(put(&ann, 1, 0, "a", true));
    mpx_archive_gone(archive, &ann);
    turn(0);
    end();
    mpx_store_close(&store);
    open_store();
    begin(1 << 20, 1 << 20);
    ck_assert(is_there(&ann, "kept"));
    ck_assert(!is_there(&bob, "kept"));
    ck_assert(!is_there(&two, "kept"));
    ck_assert_uint_eq(list_jobs(&bob, owner), 1); /* its own one that failed */
    ck_assert_str_eq(owner, "bob");
    ck_assert_uint_eq(count_letters(&ann), 1);
    ck_assert_uint_eq(count_letters(&bob), 1);
    ck_assert_uint_eq(count_letters(&two), 0);
    end_with_disk();
}
END_TEST

int main(void)
{
    const TTest *const tests[] = {test_others_find_nothing,    test_ids_and_keys_are_each_owners,
                                  test_an_admin_finds_all,     test_letters_are_their_jobs_owners,
                                  test_owners_are_on_the_disk, NULL};
    return suite_run("archive_owner", tests, 20);
}
