/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Fuzz target: a hostile gofer. A thread answers every request with the next piece of the input as
 * the body, under a header that fits (so the input reaches the decoders), while the file system is
 * mounted, walked, listed, read and changed. Input: {u8 kind, u16 length, body} per answer; kind
 * bit 0: a descriptor comes along, bit 1: the status is an error, bit 2: the header is the input's
 * own.
 */
#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <unistd.h>

#include "gofer/proto/proto.h"
#include "platform/base/log.h"
#include "sentry/abi/fcntl.h"
#include "sentry/core/curr.h"
#include "sentry/fs/gofer/gofer_fs.h"
#include "sentry/fs/vfs.h"
#include "sentry/mm/hostmem_internal.h"
#include "sentry/mm/memfile.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

const struct fs_type *const g_fs_types[] = {NULL};

struct hostile {
    int sock;
    struct rbuf in;
};

static int g_gift; /* a regular file to donate */

static void answer(struct hostile *h, const uint8_t *request)
{
    static uint8_t out[GP_MSG_MAX];
    union {
        struct cmsghdr align;
        char bytes[CMSG_SPACE(sizeof(int))];
    } control = {0};
    struct iovec iov = {.iov_base = out};
    struct msghdr msg = {.msg_iov = &iov, .msg_iovlen = 1};
    uint8_t kind = rbuf_u8(&h->in);
    size_t n = rbuf_u16(&h->in);
    uint16_t type, tag;
    struct wbuf b;

    memcpy(&type, request + 4, 2);
    memcpy(&tag, request + 6, 2);
    if (n > rbuf_left(&h->in))
        n = rbuf_left(&h->in);
    wbuf_init(&b, out, sizeof(out));
    if (!(kind & 4))
        gp_begin(&b, (uint16_t)(type | GP_REPLY), tag);
    if (n > 0)
        wbuf_put(&b, rbuf_bytes(&h->in, n), n);
    if (!(kind & 4) && !gp_finish(&b, 0, kind & 2 ? -ENOENT : 0))
        return;
    iov.iov_len = b.off;
    if (kind & 1) {
        control.align.cmsg_level = SOL_SOCKET;
        control.align.cmsg_type = SCM_RIGHTS;
        control.align.cmsg_len = CMSG_LEN(sizeof(int));
        memcpy(CMSG_DATA(&control.align), &g_gift, sizeof(int));
        msg.msg_control = &control;
        msg.msg_controllen = sizeof(control);
    }
    (void)!sendmsg(h->sock, &msg, MSG_NOSIGNAL);
}

static void *hostile_main(void *arg)
{
    static uint8_t request[GP_MSG_MAX];
    struct hostile *h = arg;

    while (recv(h->sock, request, sizeof(request), 0) >= (ssize_t)GP_HEADER_SIZE) {
        uint16_t type;

        memcpy(&type, request + 4, 2);
        if (type == GP_CLUNK)
            continue;
        if (rbuf_left(&h->in) == 0)
            break;
        answer(h, request);
    }
    shutdown(h->sock, SHUT_RDWR);
    return NULL;
}

static struct curr g_self;

static uint64_t no_limit(int resource)
{
    (void)resource;
    return LX_RLIM_INFINITY;
}

static void no_signal(int signo)
{
    (void)signo;
}

static struct pid *nobody(void)
{
    return NULL;
}

static bool not_ignored(int signo)
{
    (void)signo;
    return false;
}

static bool no_leader(void)
{
    return false;
}

static const struct curr_ops g_ops = {.rlimit = no_limit,
                                      .raise_thread = no_signal,
                                      .raise_process = no_signal,
                                      .session_get = nobody,
                                      .pgrp_get = nobody,
                                      .signal_ignored_or_blocked = not_ignored,
                                      .is_session_leader = no_leader};

static void init_once(void)
{
    sleeper_init(&g_self.sleeper);
    g_self.cred = cred_kernel();
    g_curr = &g_self;
    g_curr_ops = &g_ops;
    log_init(open("/dev/null", O_WRONLY), LOG_FORMAT_TEXT, LOG_ERROR, "fuzz");
    hostmem_subsystem_init();
    g_gift = memfd_create("gift", 0);
    if (g_gift < 0 || memfile_init(0) < 0 || vfs_init() < 0)
        abort();
}

static bool ignore_entry(struct dir_emit *d, const char *name, size_t len, uint64_t ino,
                         uint8_t type, lx_loff_t next)
{
    (void)d;
    (void)name;
    (void)len;
    (void)ino;
    (void)type;
    (void)next;
    return true;
}

static void open_and_use(const char *name, uint32_t flags)
{
    struct open_how how = {.flags = flags | LX_O_NONBLOCK, .mode = 0644}; /* a FIFO must not wait */
    struct dir_emit emit = {.entry = ignore_entry};
    struct file *f;
    char buf[64];

    if (vfs_open(LX_AT_FDCWD, name, &how, &f) < 0)
        return;
    if (f->ops->readdir) {
        mutex_lock(&f->inode->lock);
        (void)f->ops->readdir(f, &emit);
        mutex_unlock(&f->inode->lock);
    } else {
        (void)file_read_kernel(f, buf, sizeof(buf), 0);
        (void)file_write_kernel(f, buf, 1, 0);
    }
    file_put(f);
}

static void use(void)
{
    char *text;
    struct fs_attr attr;
    struct path p;

    open_and_use("/a/b/c", LX_O_RDONLY);
    open_and_use("/", LX_O_RDONLY | LX_O_DIRECTORY);
    open_and_use("/a", LX_O_RDONLY);
    open_and_use("/new", LX_O_RDWR | LX_O_CREAT);
    (void)vfs_mkdir(LX_AT_FDCWD, "/d", 0755);
    (void)vfs_symlink("a", LX_AT_FDCWD, "/l");
    (void)vfs_link(LX_AT_FDCWD, "/a", LX_AT_FDCWD, "/h", 0);
    (void)vfs_rename(LX_AT_FDCWD, "/new", LX_AT_FDCWD, "/d/x", 0);
    if (vfs_walk(LX_AT_FDCWD, "/l", 0, &p) == 0) {
        if (vfs_readlink(&p, &text) == 0)
            free(text);
        (void)vfs_getattr(&p, &attr);
        path_put(&p);
    }
    (void)vfs_unlink(LX_AT_FDCWD, "/d/x");
    (void)vfs_rmdir(LX_AT_FDCWD, "/d");
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct hostile h;
    struct super *s;
    struct mntns *ns;
    struct path root;
    pthread_t thread;
    int pair[2];
    uint8_t flags;

    if (!g_curr)
        init_once();
    rbuf_init(&h.in, data, size);
    flags = rbuf_u8(&h.in);
    if (socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, pair) < 0)
        abort();
    h.sock = pair[1];
    if (pthread_create(&thread, NULL, hostile_main, &h) != 0)
        abort();
    if (gofer_mount(pair[0], flags & 1 ? GOFER_EXCLUSIVE : GOFER_SHARED, &s) == 0) {
        if (mntns_new(s, 0, &ns) == 0) {
            super_put(s);
            mntns_root(ns, &root);
            if (fs_ctx_new(&root, &root, 022, &g_self.fs) < 0)
                abort();
            path_put(&root);
            use();
            fs_ctx_put(g_self.fs);
            g_self.fs = NULL;
            mntns_put(ns);
        } else {
            super_put(s);
        }
    }
    pthread_join(thread, NULL);
    close(pair[1]);
    return 0;
}
