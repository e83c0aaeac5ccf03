/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The server against a hostile sentry: whatever breaks protocol ends the session with exit code 1,
 * nothing leads out of the tree, nothing special is opened. On both loops.
 */
#include "gofer/gofer.h"

#include <errno.h>
#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

#include "gofer/proto/proto.h"
#include "platform/base/log.h"

static char g_dir[64];
static pid_t g_gofer;
static int g_sock;
static uint8_t g_out[GP_MSG_MAX + 4096], g_in[GP_MSG_MAX];
static size_t g_in_size;
static int g_fds;
static enum gofer_io g_io = GOFER_IO_URING;

static void start(bool readonly)
{
    int pair[2];

    assert_int_equal(socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, pair), 0);
    g_gofer = fork();
    assert_true(g_gofer >= 0);
    if (g_gofer == 0) {
        struct gofer_tree tree = {.host_path = g_dir, .conn_fd = pair[1], .readonly = readonly};
        struct gofer_config config = {.trees = &tree, .count = 1, .io = g_io, .unjailed = true};

        close(pair[0]);
        _exit(gofer_main(&config));
    }
    close(pair[1]);
    g_sock = pair[0];
}

/* Closes, and returns the server's exit code. */
static int stop(void)
{
    int status = 0;

    close(g_sock);
    assert_int_equal(waitpid(g_gofer, &status, 0), g_gofer);
    assert_true(WIFEXITED(status));
    return WEXITSTATUS(status);
}

static struct wbuf begin(uint16_t type)
{
    struct wbuf b;

    wbuf_init(&b, g_out, sizeof(g_out));
    gp_begin(&b, type, 3);
    return b;
}

/* Status of the reply; 1: the session ended. Descriptors are counted and closed. */
static int call(struct wbuf *b)
{
    union {
        struct cmsghdr align;
        char bytes[CMSG_SPACE(sizeof(int) * GP_FDS_MAX)];
    } control;
    struct iovec iov = {.iov_base = g_in, .iov_len = sizeof(g_in)};
    struct msghdr msg = {.msg_iov = &iov,
                         .msg_iovlen = 1,
                         .msg_control = &control,
                         .msg_controllen = sizeof(control)};
    struct cmsghdr *c;
    int32_t status;
    ssize_t n;

    assert_true(gp_finish(b, 0, 0));
    if (send(g_sock, b->data, b->off, MSG_NOSIGNAL) < 0)
        return 1;
    n = recvmsg(g_sock, &msg, 0);
    if (n <= 0)
        return 1;
    g_in_size = (size_t)n;
    g_fds = 0;
    c = CMSG_FIRSTHDR(&msg);
    if (c) {
        int fd;

        g_fds = (int)((c->cmsg_len - CMSG_LEN(0)) / sizeof(int));
        memcpy(&fd, CMSG_DATA(c), sizeof(fd));
        close(fd);
    }
    memcpy(&status, g_in + 8, sizeof(status));
    return status;
}

static void hello_attach(void)
{
    struct wbuf b = begin(GP_HELLO);

    wbuf_u32(&b, GP_VERSION);
    wbuf_u32(&b, GP_MSG_MAX);
    assert_int_equal(call(&b), 0);
    b = begin(GP_ATTACH);
    wbuf_u32(&b, 0);
    assert_int_equal(call(&b), 0);
}

static int walk(uint32_t from, uint32_t fid, const char *name, uint16_t *out_stop)
{
    struct wbuf b = begin(GP_WALK);
    int ret;

    wbuf_u32(&b, from);
    wbuf_u16(&b, GP_WALK_DONATE);
    wbuf_u16(&b, 1);
    wbuf_u32(&b, fid);
    gp_put_string(&b, name, strlen(name));
    ret = call(&b);
    if (ret == 0)
        memcpy(out_stop, g_in + GP_HEADER_SIZE + 2, 2);
    return ret;
}

static int setup(void **state)
{
    char path[128];

    (void)state;
    strcpy(g_dir, "/tmp/gofer-server-XXXXXX");
    if (!mkdtemp(g_dir))
        return -1;
    snprintf(path, sizeof(path), "%s/file", g_dir);
    fclose(fopen(path, "w"));
    snprintf(path, sizeof(path), "%s/out", g_dir);
    if (symlink("/etc", path) < 0)
        return -1;
    snprintf(path, sizeof(path), "%s/fifo", g_dir);
    if (mkfifo(path, 0666) < 0)
        return -1;
    snprintf(path, sizeof(path), "%s/dir", g_dir);
    return mkdir(path, 0755);
}

static int teardown(void **state)
{
    char command[128];

    (void)state;
    snprintf(command, sizeof(command), "rm -rf %s", g_dir);
    return system(command);
}

static void test_early_requests(void **state)
{
    struct wbuf b;
    uint16_t how;

    (void)state;
    start(true);
    b = begin(GP_ATTACH);
    wbuf_u32(&b, 0);
    assert_int_equal(call(&b), 1);
    assert_int_equal(stop(), 1);
    start(true);
    assert_int_equal(walk(0, 1, "file", &how), 1);
    assert_int_equal(stop(), 1);
    start(true);
    hello_attach();
    b = begin(GP_HELLO);
    wbuf_u32(&b, GP_VERSION);
    wbuf_u32(&b, GP_MSG_MAX);
    assert_int_equal(call(&b), 1);
    assert_int_equal(stop(), 1);
}

static void test_unknown_and_malformed(void **state)
{
    static const uint16_t types[] = {0, GP_TYPE_COUNT, 0x7fff, GP_GETATTR | GP_REPLY};
    struct wbuf b;

    (void)state;
    for (size_t i = 0; i < ARRAY_COUNT(types); i++) {
        start(true);
        hello_attach();
        b = begin(types[i]);
        wbuf_u32(&b, 0);
        assert_int_equal(call(&b), 1);
        assert_int_equal(stop(), 1);
    }
    start(true);
    hello_attach();
    assert_int_equal(send(g_sock, "x", 1, 0), 1);
    assert_int_equal(recv(g_sock, g_in, sizeof(g_in), 0), 0);
    assert_int_equal(stop(), 1);
    start(true);
    hello_attach();
    b = begin(GP_GETATTR); /* bytes behind the body */
    wbuf_u32(&b, 0);
    wbuf_u8(&b, 0);
    assert_int_equal(call(&b), 1);
    assert_int_equal(stop(), 1);
    start(true);
    hello_attach();
    memset(g_out, 0, sizeof(g_out)); /* larger than the maximum */
    assert_true(send(g_sock, g_out, GP_MSG_MAX + 4000, 0) > 0);
    assert_int_equal(recv(g_sock, g_in, sizeof(g_in), 0), 0);
    assert_int_equal(stop(), 1);
}

static void test_names_cannot_escape(void **state)
{
    static const char *const bad[] = {"..", ".", "a/b", "/etc", ""};
    uint16_t how;

    (void)state;
    for (size_t i = 0; i < ARRAY_COUNT(bad); i++) {
        start(true);
        hello_attach();
        assert_int_equal(walk(0, 1, bad[i], &how), 1);
        assert_int_equal(stop(), 1);
    }
}

static void test_symlinks_are_not_followed(void **state)
{
    struct wbuf b;
    uint16_t how, done;

    (void)state;
    start(true);
    hello_attach();
    b = begin(GP_WALK);
    wbuf_u32(&b, 0);
    wbuf_u16(&b, 0);
    wbuf_u16(&b, 2);
    wbuf_u32(&b, 1);
    gp_put_string(&b, "out", 3);
    wbuf_u32(&b, 2);
    gp_put_string(&b, "passwd", 6);
    assert_int_equal(call(&b), 0);
    memcpy(&done, g_in + GP_HEADER_SIZE, 2);
    memcpy(&how, g_in + GP_HEADER_SIZE + 2, 2);
    assert_int_equal(done, 1);
    assert_int_equal(how, GP_STOP_SYMLINK);
    b = begin(GP_OPEN); /* the link itself */
    wbuf_u32(&b, 1);
    wbuf_u32(&b, GP_OPEN_READ);
    assert_int_equal(call(&b), -EACCES);
    b = begin(GP_GETATTR); /* fid 2 was not bound */
    wbuf_u32(&b, 2);
    assert_int_equal(call(&b), 1);
    assert_int_equal(stop(), 1);
}

static void test_special_files_stay_closed(void **state)
{
    struct wbuf b;
    uint16_t how;

    (void)state;
    start(false);
    hello_attach();
    assert_int_equal(walk(0, 1, "fifo", &how), 0);
    assert_int_equal(g_fds, 0);
    b = begin(GP_OPEN);
    wbuf_u32(&b, 1);
    wbuf_u32(&b, GP_OPEN_READ);
    assert_int_equal(call(&b), -EACCES);
    b = begin(GP_MKNOD); /* a block device */
    wbuf_u32(&b, 0);
    wbuf_u32(&b, 2);
    wbuf_u32(&b, 0060644);
    wbuf_u32(&b, 0);
    wbuf_u32(&b, 0);
    wbuf_u64(&b, 8ull << 32);
    gp_put_string(&b, "sda", 3);
    assert_int_equal(call(&b), -EPERM);
    assert_int_equal(stop(), 0);
}

static void test_read_only_tree(void **state)
{
    struct wbuf b;
    uint16_t how;

    (void)state;
    start(true);
    hello_attach();
    assert_int_equal(walk(0, 1, "file", &how), 0);
    assert_int_equal(g_fds, 1);
    b = begin(GP_OPEN);
    wbuf_u32(&b, 1);
    wbuf_u32(&b, GP_OPEN_WRITE);
    assert_int_equal(call(&b), -EROFS);
    b = begin(GP_OPEN); /* truncation is a change, too */
    wbuf_u32(&b, 1);
    wbuf_u32(&b, GP_OPEN_READ | GP_OPEN_TRUNC);
    assert_int_equal(call(&b), -EROFS);
    b = begin(GP_UNLINK);
    wbuf_u32(&b, 0);
    wbuf_u32(&b, 0);
    gp_put_string(&b, "file", 4);
    assert_int_equal(call(&b), -EROFS);
    b = begin(GP_MKDIR);
    wbuf_u32(&b, 0);
    wbuf_u32(&b, 9);
    wbuf_u32(&b, 0755);
    wbuf_u32(&b, 0);
    wbuf_u32(&b, 0);
    gp_put_string(&b, "new", 3);
    assert_int_equal(call(&b), -EROFS);
    assert_int_equal(stop(), 0);
}

static struct wbuf tmpfile_request(uint32_t dir, uint32_t fid, uint32_t mode)
{
    struct wbuf b = begin(GP_TMPFILE);

    wbuf_u32(&b, dir);
    wbuf_u32(&b, fid);
    wbuf_u32(&b, mode);
    wbuf_u32(&b, geteuid());
    wbuf_u32(&b, getegid());
    return b;
}

static void test_unnamed_file(void **state)
{
    struct wbuf b;
    uint16_t how;

    (void)state;
    start(true);
    hello_attach();
    b = tmpfile_request(0, 5, 0600);
    assert_int_equal(call(&b), -EROFS);
    assert_int_equal(stop(), 0);
    start(false);
    hello_attach();
    assert_int_equal(walk(0, 1, "file", &how), 0);
    b = tmpfile_request(1, 5, 0600); /* below a file */
    assert_int_equal(call(&b), -ENOTDIR);
    b = tmpfile_request(0, 5, 0600);
    assert_int_equal(call(&b), 0);
    assert_int_equal(g_fds, 1);
    b = begin(GP_LINK);
    wbuf_u32(&b, 0);
    wbuf_u32(&b, 5);
    gp_put_string(&b, "linked", 6);
    assert_int_equal(call(&b), 0);
    b = begin(GP_UNLINK);
    wbuf_u32(&b, 0);
    wbuf_u32(&b, 0);
    gp_put_string(&b, "linked", 6);
    assert_int_equal(call(&b), 0);
    b = tmpfile_request(0, 5, 0600); /* a fid that is bound */
    assert_int_equal(call(&b), 1);
    assert_int_equal(stop(), 1);
    start(false);
    hello_attach();
    b = tmpfile_request(0, 5, 0100600); /* a mode with a file type */
    assert_int_equal(call(&b), 1);
    assert_int_equal(stop(), 1);
}

static void test_fids(void **state)
{
    struct wbuf b;
    uint16_t how;

    (void)state;
    start(true);
    hello_attach();
    assert_int_equal(walk(0, 0, "file", &how), 1); /* bound already */
    assert_int_equal(stop(), 1);
    start(true);
    hello_attach();
    assert_int_equal(walk(0, 0xfffffff0u, "file", &how), 1); /* out of range */
    assert_int_equal(stop(), 1);
    start(true);
    hello_attach();
    b = begin(GP_CLUNK);
    wbuf_u16(&b, 1);
    wbuf_u32(&b, 7); /* never bound */
    assert_int_equal(call(&b), 1);
    assert_int_equal(stop(), 1);
    start(true);
    hello_attach();
    b = begin(GP_WALK); /* the same new fid twice */
    wbuf_u32(&b, 0);
    wbuf_u16(&b, 0);
    wbuf_u16(&b, 2);
    wbuf_u32(&b, 1);
    gp_put_string(&b, "dir", 3);
    wbuf_u32(&b, 1);
    gp_put_string(&b, "x", 1);
    assert_int_equal(call(&b), 1);
    assert_int_equal(stop(), 1);
}

static void test_descriptors_are_refused(void **state)
{
    union {
        struct cmsghdr align;
        char bytes[CMSG_SPACE(sizeof(int))];
    } control = {0};
    struct wbuf b;
    struct iovec iov;
    struct msghdr msg = {.msg_iov = &iov,
                         .msg_iovlen = 1,
                         .msg_control = &control,
                         .msg_controllen = sizeof(control)};
    int fd = 0;

    (void)state;
    start(true);
    hello_attach();
    b = begin(GP_GETATTR);
    wbuf_u32(&b, 0);
    assert_true(gp_finish(&b, 0, 0));
    iov = (struct iovec){.iov_base = b.data, .iov_len = b.off};
    control.align.cmsg_level = SOL_SOCKET;
    control.align.cmsg_type = SCM_RIGHTS;
    control.align.cmsg_len = CMSG_LEN(sizeof(int));
    memcpy(CMSG_DATA(&control.align), &fd, sizeof(fd));
    assert_true(sendmsg(g_sock, &msg, 0) > 0);
    assert_int_equal(recv(g_sock, g_in, sizeof(g_in), 0), 0);
    assert_int_equal(stop(), 1);
}

/* Appends a whole message to a batch. */
static void batch_add(struct wbuf *b, uint16_t type, uint32_t arg)
{
    size_t at = b->off;

    gp_begin(b, type, 4);
    wbuf_u32(b, arg);
    if (type == GP_FSYNC)
        wbuf_u32(b, 0);
    assert_true(gp_finish(b, at, 0));
}

static void test_batch(void **state)
{
    struct wbuf b;
    uint16_t n;

    (void)state;
    start(false);
    hello_attach();
    b = begin(GP_BATCH);
    wbuf_u16(&b, 3);
    batch_add(&b, GP_GETATTR, 0);
    batch_add(&b, GP_FSYNC, 0);
    batch_add(&b, GP_READLINK, 0); /* fails, the others do not */
    assert_int_equal(call(&b), 0);
    memcpy(&n, g_in + GP_HEADER_SIZE, 2);
    assert_int_equal(n, 3);
    b = begin(GP_BATCH); /* none inside another */
    wbuf_u16(&b, 1);
    batch_add(&b, GP_BATCH, 0);
    assert_int_equal(call(&b), 1);
    assert_int_equal(stop(), 1);
}

static void test_many_requests_at_once(void **state)
{
    int answered = 0;

    (void)state;
    start(false);
    hello_attach();
    for (int i = 0; i < 40; i++) {
        struct wbuf b = begin(GP_FSYNC);

        wbuf_u32(&b, 0);
        wbuf_u32(&b, 0);
        assert_true(gp_finish(&b, 0, 0));
        assert_true(send(g_sock, b.data, b.off, 0) > 0);
    }
    while (answered < 40 && recv(g_sock, g_in, sizeof(g_in), 0) > 0)
        answered++;
    assert_int_equal(answered, 40);
    assert_int_equal(stop(), 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_early_requests),
        cmocka_unit_test(test_unknown_and_malformed),
        cmocka_unit_test(test_names_cannot_escape),
        cmocka_unit_test(test_symlinks_are_not_followed),
        cmocka_unit_test(test_special_files_stay_closed),
        cmocka_unit_test(test_read_only_tree),
        cmocka_unit_test(test_unnamed_file),
        cmocka_unit_test(test_fids),
        cmocka_unit_test(test_descriptors_are_refused),
        cmocka_unit_test(test_batch),
        cmocka_unit_test(test_many_requests_at_once),
    };
    int failed;

    log_init(open("/dev/null", O_WRONLY), LOG_FORMAT_TEXT, LOG_ERROR, "gofer");
    failed = cmocka_run_group_tests(tests, setup, teardown);
    g_io = GOFER_IO_POLL;
    return failed + cmocka_run_group_tests(tests, setup, teardown);
}
