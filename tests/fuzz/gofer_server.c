/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Fuzz target: a hostile sentry. The input is a sequence of {u16 length, packet}; packets go
 * straight into the server's dispatcher, on a small real tree, with slow calls done at once. After
 * a session ended the next packet starts another one. Run with a directory as in
 * tests/fuzz/README.md.
 */
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

#include "gofer/gofer_internal.h"
#include "gofer/hostfs.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static char g_dir[] = "/tmp/gofer-fuzz-XXXXXX";

static int sync_start(struct server *sv)
{
    (void)sv;
    return 0;
}

static void sync_stop(struct server *sv)
{
    (void)sv;
}

static void sync_open(struct op *op)
{
    op->resume(op, hostfs_open_node(op->async_dirfd, op->async_name, /*cached=*/false));
}

static void sync_fsync(struct op *op)
{
    op->resume(op, 0);
}

static void sync_send(struct op *op)
{
    server_op_put(op);
}

static const struct gofer_async g_sync = {
    .name = "fuzz",
    .start = sync_start,
    .open = sync_open,
    .sync = sync_fsync,
    .send = sync_send,
    .stop = sync_stop,
};

static void make_tree(void)
{
    char path[128];
    struct rlimit rl = {.rlim_cur = 256, .rlim_max = 256};

    if (!mkdtemp(g_dir))
        abort();
    snprintf(path, sizeof(path), "%s/d", g_dir);
    mkdir(path, 0755);
    snprintf(path, sizeof(path), "%s/f", g_dir);
    close(open(path, O_CREAT | O_WRONLY, 0644));
    snprintf(path, sizeof(path), "%s/l", g_dir);
    if (symlink("d", path) < 0)
        abort();
    setrlimit(RLIMIT_NOFILE, &rl);
    umask(0);
    log_init(open("/dev/null", O_WRONLY), LOG_FORMAT_TEXT, LOG_ERROR, "fuzz");
}

static void remove_new(void)
{
    char command[128];

    /* Requests may have made names; a bounded number of them is fine, more slow the run down. */
    snprintf(command, sizeof(command), "find %s -mindepth 1 ! -name d ! -name f ! -name l -delete",
             g_dir);
    if (system(command) != 0)
        return;
}

struct target {
    struct server sv;
    int pair[2];
    bool up;
};

static void target_up(struct target *t)
{
    struct gofer_tree tree = {.host_path = g_dir};
    struct gofer_config config = {.trees = &tree, .count = 1, .unjailed = true};
    int root = open(g_dir, O_PATH | O_CLOEXEC);
    struct gofer_isolation iso = {.root_fds = &root, .can_chown = geteuid() == 0};

    iso.proc_fd = open("/proc/self/fd", O_PATH | O_DIRECTORY | O_CLOEXEC);
    if (socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, t->pair) < 0)
        abort();
    tree.conn_fd = t->pair[0];
    if (server_init(&t->sv, &config, &iso) < 0 || server_start(&t->sv, &g_sync) < 0)
        abort();
    t->up = true;
}

static void target_down(struct target *t)
{
    server_destroy(&t->sv);
    close(t->pair[1]);
    t->up = false;
}

static void feed(struct target *t, const uint8_t *packet, size_t size)
{
    struct session *s = &t->sv.sessions[0];
    struct op *op = server_op_get(s);
    uint8_t drop[64];

    if (!op)
        abort(); /* every operation ends before feed returns */
    memcpy(op->in_buf, packet, size);
    op->msg.msg_flags = 0;
    server_received(op, (int)size);
    while (recv(t->pair[1], drop, sizeof(drop), MSG_DONTWAIT | MSG_TRUNC) > 0)
        continue;
    if (s->state == SESSION_DEAD)
        target_down(t);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static unsigned runs;
    struct target t = {.up = false};
    struct rbuf in;

    if (runs == 0)
        make_tree();
    if (++runs % 4096 == 0)
        remove_new();
    rbuf_init(&in, data, size);
    while (rbuf_left(&in) >= 2) {
        size_t n = rbuf_u16(&in);
        const uint8_t *packet;

        if (n > rbuf_left(&in))
            n = rbuf_left(&in);
        packet = rbuf_bytes(&in, n);
        if (n == 0)
            continue;
        if (!t.up)
            target_up(&t);
        feed(&t, packet, n);
    }
    if (t.up)
        target_down(&t);
    return 0;
}
