/* beneath: nothing outside the directory is reached, whatever lies in it and whatever changes meanwhile; whole files; trees. */
#include "../check.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <pthread.h>
#include <stdatomic.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/un.h>
#include <unistd.h>

#include "base/beneath.h"

static int top = -1, scratch = -1;
static char scratch_name[BENEATH_NAME_MAX];

/* A folder "in" and, beside it, "out" with a file "secret". */
static int setup(void **state)
{
    (void)state;
    top = beneath_start("/tmp", NULL);
    scratch = beneath_make_private(top, "valise-beneath-", scratch_name, NULL);
    assert_true(scratch >= 0);
    int out = beneath_make(scratch, "out", BENEATH_MODE(0700), NULL), in = beneath_make(scratch, "in", BENEATH_MODE(0700), NULL);
    assert_true(out >= 0 && in >= 0);
    assert_int_equal(beneath_write(out, "secret", STR("secret"), BENEATH_MODE(0600), false, NULL), 0);
    (void)close(out);
    (void)close(in);
    return 0;
}

static int teardown(void **state)
{
    (void)state;
    (void)close(scratch);
    assert_int_equal(beneath_remove_tree(top, scratch_name, NULL), 0);
    (void)close(top);
    return 0;
}

static int in_folder(void)
{
    int fd = beneath_directory(scratch, "in", NULL);
    assert_true(fd >= 0);
    return fd;
}

static void test_paths_that_lead_out_are_refused(void **state)
{
    (void)state;
    static const char *const bad[] = { "",   ".",   "..", "../out/secret", "/etc/hostname",       "a/../b", "a//b",
                                       "a/", "./a", "/",  "a/.",           "sub/../../out/secret" };
    int in = in_folder();
    struct error e = ERROR_NONE;
    struct buf b = BUF_INIT(100);
    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++) {
        assert_int_equal(beneath_file(in, bad[i], NULL, &e), ERR_REFUSED);
        assert_int_equal(beneath_read(in, bad[i], &b, &e), ERR_REFUSED);
        assert_int_equal(beneath_look(in, bad[i], NULL, &e), ERR_REFUSED);
        assert_int_equal(beneath_create(in, bad[i], BENEATH_MODE(0600), &e), ERR_REFUSED);
        assert_int_equal(beneath_make(in, bad[i], BENEATH_MODE(0700), &e), ERR_REFUSED);
        assert_int_equal(beneath_write(in, bad[i], STR("x"), BENEATH_MODE(0600), true, &e), ERR_REFUSED);
        assert_int_equal(beneath_grant(in, bad[i], BENEATH_MODE(0777), &e), ERR_REFUSED);
        assert_int_equal(beneath_rename(in, bad[i], in, "x", true, &e), ERR_REFUSED);
        assert_int_equal(beneath_rename(in, "x", in, bad[i], true, &e) != 0, 1);
        assert_int_equal(beneath_link(in, bad[i], in, "x", &e), ERR_REFUSED);
        assert_int_equal(beneath_remove(in, bad[i], &e), ERR_REFUSED);
        assert_int_equal(beneath_remove_directory(in, bad[i], &e), ERR_REFUSED);
        assert_int_equal(beneath_remove_tree(in, bad[i], &e), ERR_REFUSED);
    }
    assert_true(beneath_exists(scratch, "out/secret"));
    (void)close(in);
}

static void test_links_are_not_followed(void **state)
{
    (void)state;
    int in = in_folder();
    struct error e = ERROR_NONE;
    struct buf b = BUF_INIT(100);
    struct stat st;
    assert_int_equal(symlinkat("../out/secret", in, "file"), 0);
    assert_int_equal(symlinkat("../out", in, "folder"), 0);
    assert_int_equal(symlinkat("/proc/self/fd/0", in, "magic"), 0);
    assert_int_equal(beneath_read(in, "file", &b, &e), ERR_REFUSED);
    assert_non_null(strstr(e.text, "symbolic link"));
    assert_int_equal(beneath_read(in, "magic", &b, &e), ERR_REFUSED);
    assert_int_equal(beneath_read(in, "folder/secret", &b, &e), ERR_REFUSED);
    assert_true(beneath_directory(in, "folder", &e) < 0);
    assert_true(beneath_create(in, "folder/new", BENEATH_MODE(0600), &e) < 0);
    assert_int_equal(beneath_create(in, "file", BENEATH_MODE(0600), &e), ERR_EXISTS);
    assert_true(beneath_remove(in, "folder/secret", &e) < 0);
    assert_true(beneath_rename(in, "folder/secret", in, "mine", false, &e) < 0);
    assert_true(beneath_link(in, "folder/secret", in, "mine", &e) < 0);
    assert_int_equal(beneath_link(in, "file", in, "mine", &e), ERR_REFUSED);
    assert_false(beneath_exists(in, "mine"));
    assert_int_equal(beneath_grant(in, "file", BENEATH_MODE(0777), &e), ERR_REFUSED);
    assert_int_equal(beneath_look(in, "file", &st, &e), 0);
    assert_true(S_ISLNK(st.st_mode));
    /* A link is replaced, not written through; and removed, not gone through. */
    assert_int_equal(beneath_write(in, "file", STR("mine"), BENEATH_MODE(0600), true, &e), 0);
    assert_int_equal(beneath_remove_tree(in, "folder", &e), 0);
    assert_int_equal(beneath_remove(in, "magic", &e), 0);
    assert_int_equal(beneath_read(scratch, "out/secret", &b, &e), 0);
    check_str(buf_str(&b), "secret");
    assert_int_equal(beneath_look(scratch, "out/secret", &st, NULL), 0);
    assert_int_equal(st.st_mode & 0777, 0600);
    assert_int_equal(beneath_remove(in, "file", &e), 0);
    buf_done(&b);
    (void)close(in);
}

static void test_what_lies_above(void **state)
{
    (void)state;
    static const char *const bad[] = { "", ".", "..", "/", "a/..", "a/.", "//" };
    char name[BENEATH_NAME_MAX], path[200];
    struct error e = ERROR_NONE;
    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++)
        assert_int_equal(beneath_start_above(bad[i], name, &e), ERR_LIMIT);
    (void)snprintf(path, sizeof path, "/tmp/%.60s/new//", scratch_name);
    int fd = beneath_start_above(path, name, &e);
    assert_true(fd >= 0 && beneath_exists(fd, "in"));
    assert_string_equal(name, "new");
    (void)close(fd);
    fd = beneath_start_above("new", name, &e);
    assert_true(fd >= 0);
    assert_string_equal(name, "new");
    (void)close(fd);
    assert_int_equal(beneath_start_above("/no/such/thing", name, &e), ERR_NOTFOUND);
}

static void test_only_regular_files_are_read(void **state)
{
    (void)state;
    int in = in_folder(), s = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
    struct error e = ERROR_NONE;
    struct buf b = BUF_INIT(100);
    struct stat st;
    struct sockaddr_un sa = { .sun_family = AF_UNIX };
    (void)snprintf(sa.sun_path, sizeof sa.sun_path, "/tmp/%.60s/in/socket", scratch_name);
    assert_int_equal(bind(s, (struct sockaddr *)&sa, sizeof sa), 0);
    assert_int_equal(mkfifoat(in, "fifo", 0600), 0);
    assert_int_equal(mkdirat(in, "folder", 0700), 0);
    static const char *const names[] = { "fifo", "folder", "socket" };
    for (size_t i = 0; i < 3; i++) {
        assert_int_equal(beneath_read(in, names[i], &b, &e), ERR_REFUSED); /* and does not hang */
        assert_true(beneath_exists(in, names[i]));
        assert_int_equal(beneath_remove_tree(in, names[i], &e), 0);
    }
    char fifo[200];
    (void)snprintf(fifo, sizeof fifo, "/tmp/%.60s/in/fifo", scratch_name);
    assert_int_equal(mkfifo(fifo, 0600), 0);
    assert_int_equal(beneath_start_file(fifo, &e), ERR_REFUSED);
    assert_int_equal(beneath_start_file("/dev/null", &e), ERR_REFUSED);
    assert_int_equal(beneath_start_unlinked(fifo, NULL, &e), ERR_REFUSED);
    assert_int_equal(beneath_start_unlinked("/proc/self/cwd", NULL, &e), ERR_REFUSED);
    assert_int_equal(beneath_start_unlinked("/proc/self/cwd/x", NULL, &e), ERR_REFUSED);
    int tmp = beneath_start_unlinked("/tmp", &st, &e);
    assert_true(tmp >= 0 && S_ISDIR(st.st_mode));
    (void)close(tmp);
    assert_int_equal(beneath_remove(in, "fifo", &e), 0);
    assert_int_equal(beneath_read(in, "none", &b, &e), ERR_NOTFOUND);
    (void)close(s);
    (void)close(in);
}

static void test_files_are_whole_and_have_their_rights_at_once(void **state)
{
    (void)state;
    int in = in_folder();
    struct error e = ERROR_NONE;
    struct stat st;
    struct beneath_names names;
    struct buf b = BUF_INIT(5);
    mode_t mask = umask(077);
    assert_int_equal(beneath_write(in, "a", STR("12345"), BENEATH_MODE(0644), false, &e), 0);
    (void)umask(mask);
    assert_int_equal(beneath_write(in, "a", STR("x"), BENEATH_MODE(0600), false, &e), ERR_EXISTS);
    assert_int_equal(beneath_read(in, "a", &b, &e), 0);
    check_str(buf_str(&b), "12345");
    assert_int_equal(beneath_look(in, "a", &st, &e), 0);
    assert_int_equal(st.st_mode & 07777, 0644);
    assert_int_equal(beneath_write(in, "a", STR("123456"), BENEATH_MODE(0640), true, &e), 0);
    buf_reset(&b);
    assert_int_equal(beneath_read(in, "a", &b, &e), ERR_LIMIT);
    struct beneath_rights to_other = { 0640, 4711, 4712 };
    if (geteuid() == 0) {
        assert_int_equal(beneath_write(in, "a", STR("1"), to_other, true, &e), 0);
        assert_int_equal(beneath_look(in, "a", &st, &e), 0);
        assert_true(st.st_uid == 4711 && st.st_gid == 4712 && (st.st_mode & 07777) == 0640);
    } else {
        assert_int_equal(beneath_write(in, "a", STR("1"), to_other, true, &e), ERR_REFUSED);
        assert_true(beneath_create(in, "c", to_other, &e) < 0);
        assert_true(beneath_make(in, "d", to_other, &e) < 0);
    }
    assert_int_equal(beneath_list(in, &names, &e), 0); /* nothing is left of what failed */
    assert_int_equal(names.n, 1);
    assert_string_equal(names.list[0], "a");
    beneath_names_free(&names);
    assert_int_equal(beneath_rename(in, "a", in, "b", false, &e), 0);
    assert_int_equal(beneath_link(in, "b", in, "a", &e), 0);
    assert_int_equal(beneath_rename(in, "a", in, "b", false, &e), ERR_EXISTS);
    assert_int_equal(beneath_remove(in, "a", &e), 0);
    assert_int_equal(beneath_remove(in, "b", &e), 0);
    buf_done(&b);
    (void)close(in);
}

static int note(void *ctx, const struct beneath_entry *entry, struct error *e)
{
    (void)e;
    buf_addf(ctx, "%s%s ", entry->leaving ? "-" : "", entry->path);
    return 0;
}

static void test_trees(void **state)
{
    (void)state;
    int in = in_folder(), fd;
    struct error e = ERROR_NONE;
    struct buf seen = BUF_INIT(1 << 20);
    (void)close(beneath_make(in, "t", BENEATH_MODE(0700), &e));
    (void)close(beneath_make(in, "t/b", BENEATH_MODE(0700), &e));
    assert_int_equal(beneath_write(in, "t/b/2", STR(""), BENEATH_MODE(0600), false, &e), 0);
    assert_int_equal(beneath_write(in, "t/b/1", STR(""), BENEATH_MODE(0600), false, &e), 0);
    assert_int_equal(beneath_write(in, "t/c", STR(""), BENEATH_MODE(0600), false, &e), 0);
    fd = beneath_directory(in, "t", &e);
    assert_int_equal(symlinkat("../../out", fd, "a"), 0);
    assert_int_equal(beneath_walk(fd, note, &seen, &e), 0);
    check_str(buf_str(&seen), "a b b/1 b/2 -b c ");
    buf_done(&seen);
    (void)close(fd);
    assert_int_equal(beneath_remove_directory(in, "t", &e), ERR_EXISTS);
    assert_int_equal(beneath_remove_tree(in, "t", &e), 0);
    assert_int_equal(beneath_remove_tree(in, "t", &e), ERR_NOTFOUND);
    assert_true(beneath_exists(scratch, "out/secret"));
    /* Depth has a limit, and is no recursion without end. */
    int at = dup(in);
    for (int i = 0; i < BENEATH_DEPTH_MAX + 10; i++) {
        assert_int_equal(mkdirat(at, "d", 0700), 0);
        fd = openat(at, "d", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
        (void)close(at);
        at = fd;
    }
    (void)close(at);
    assert_int_equal(beneath_walk(in, note, &seen, &e), ERR_LIMIT);
    buf_done(&seen);
    assert_int_equal(beneath_remove_tree(in, "d", &e), ERR_LIMIT);
    at = beneath_directory(in, "d/d/d/d/d/d/d/d/d/d/d/d/d/d/d/d/d/d/d/d", &e);
    assert_int_equal(beneath_remove_tree(at, "d", &e), 0);
    (void)close(at);
    assert_int_equal(beneath_remove_tree(in, "d", &e), 0);
    (void)close(in);
}

static void test_names(void **state)
{
    (void)state;
    char longest[BENEATH_NAME_MAX];
    memset(longest, 'x', sizeof longest);
    assert_true(beneath_is_name(STR("a")) && beneath_is_name(STR("...")) && beneath_is_name(STR("a b")));
    assert_true(beneath_is_name((str){ longest, BENEATH_NAME_MAX - 1 }));
    assert_false(beneath_is_name((str){ longest, BENEATH_NAME_MAX }));
    assert_false(beneath_is_name(STR("")) || beneath_is_name(STR(".")) || beneath_is_name(STR("..")) ||
                 beneath_is_name(STR("a/b")) || beneath_is_name(STR("a\n")) || beneath_is_name(STR("a\0b")));
}

/* --- a race --- */

static atomic_bool stop;

/* Swaps the folder "in/a" for a link to "out" and back, as fast as it can. */
static void *swap(void *ctx)
{
    int in = *(int *)ctx;
    while (!atomic_load(&stop))
        (void)renameat2(in, "a", in, "b", RENAME_EXCHANGE);
    return NULL;
}

static void test_a_folder_swapped_for_a_link_leads_nowhere(void **state)
{
    (void)state;
    int in = in_folder();
    struct error e = ERROR_NONE;
    struct buf b = BUF_INIT(100);
    pthread_t thread;
    (void)close(beneath_make(in, "a", BENEATH_MODE(0700), &e));
    assert_int_equal(symlinkat("../out", in, "b"), 0);
    assert_int_equal(pthread_create(&thread, NULL, swap, &in), 0);
    for (unsigned i = 0; i < check_many(2000, 200); i++) {
        buf_reset(&b);
        (void)!beneath_write(in, "a/secret", STR("inside"), BENEATH_MODE(0600), true, NULL);
        if (beneath_read(in, "a/secret", &b, NULL) == 0)
            check_str(buf_str(&b), "inside");
        (void)!beneath_remove(in, "a/secret", NULL);
        (void)!beneath_grant(in, "a", BENEATH_MODE(0700), NULL);
        if (i % 8 == 0) {
            (void)!beneath_remove_tree(in, "a", NULL);
            (void)!mkdirat(in, "a", 0700);
            (void)!symlinkat("../out", in, "b");
        }
    }
    atomic_store(&stop, true);
    (void)pthread_join(thread, NULL);
    buf_reset(&b);
    assert_int_equal(beneath_read(scratch, "out/secret", &b, &e), 0);
    check_str(buf_str(&b), "secret");
    buf_done(&b);
    (void)close(in);
}

/* Swaps "in/made" for a folder of another's. */
static void *swap_made(void *ctx)
{
    int in = *(int *)ctx;
    while (!atomic_load(&stop))
        (void)renameat2(in, "theirs", in, "made", RENAME_EXCHANGE);
    return NULL;
}

static void test_a_folder_put_in_the_place_of_a_new_one_is_not_taken_for_it(void **state)
{
    (void)state;
    if (geteuid() != 0)
        skip(); /* nobody else can make a folder of another's */
    int in = in_folder();
    struct stat st;
    pthread_t thread;
    int theirs = beneath_make(in, "theirs", (struct beneath_rights){ .mode = 0777, .uid = 65534, .gid = 65534 }, NULL);
    assert_true(theirs >= 0);
    (void)close(theirs);
    atomic_store(&stop, false);
    assert_int_equal(pthread_create(&thread, NULL, swap_made, &in), 0);
    for (unsigned i = 0; i < check_many(300, 100); i++) {
        int made = beneath_make(in, "made", BENEATH_MODE(0700), NULL);
        if (made >= 0) {
            assert_int_equal(fstat(made, &st), 0);
            assert_int_equal(st.st_uid, 0);
            (void)close(made);
        }
        /* Whichever of the two is called so now: the other one is put back. */
        if (fstatat(in, "made", &st, 0) == 0 && st.st_uid == 0)
            (void)unlinkat(in, "made", AT_REMOVEDIR);
        else
            (void)unlinkat(in, "theirs", AT_REMOVEDIR), (void)renameat(in, "made", in, "theirs");
    }
    atomic_store(&stop, true);
    (void)pthread_join(thread, NULL);
    (void)close(in);
}

/* --- as a role, whose filter has no openat2 --- */

static void openat2_is_not_to_be_had(void **state)
{
    struct sock_filter code[] = { BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(struct seccomp_data, nr)),
                                  BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, SYS_openat2, 0, 1),
                                  BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ERRNO | ENOSYS),
                                  BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW) };
    const struct sock_fprog filter = { sizeof code / sizeof code[0], code };
    assert_int_equal(prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0), 0);
    assert_int_equal(prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, &filter, 0, 0), 0);
    assert_true(syscall(SYS_openat2, -1, "", NULL, 0) == -1 && errno == ENOSYS);
    assert_int_equal(teardown(state), 0);
    assert_int_equal(setup(state), 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_paths_that_lead_out_are_refused),
        cmocka_unit_test(test_links_are_not_followed),
        cmocka_unit_test(test_what_lies_above),
        cmocka_unit_test(test_only_regular_files_are_read),
        cmocka_unit_test(test_files_are_whole_and_have_their_rights_at_once),
        cmocka_unit_test(test_trees),
        cmocka_unit_test(test_names),
        cmocka_unit_test(test_a_folder_swapped_for_a_link_leads_nowhere),
        cmocka_unit_test(test_a_folder_put_in_the_place_of_a_new_one_is_not_taken_for_it),
        cmocka_unit_test(openat2_is_not_to_be_had), /* from here on, for the same once more */
        cmocka_unit_test(test_paths_that_lead_out_are_refused),
        cmocka_unit_test(test_links_are_not_followed),
        cmocka_unit_test(test_what_lies_above),
        cmocka_unit_test(test_only_regular_files_are_read),
        cmocka_unit_test(test_files_are_whole_and_have_their_rights_at_once),
        cmocka_unit_test(test_trees),
        cmocka_unit_test(test_names),
        cmocka_unit_test(test_a_folder_swapped_for_a_link_leads_nowhere),
    };
    return cmocka_run_group_tests(tests, setup, teardown);
}
