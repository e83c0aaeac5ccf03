/* SPDX-License-Identifier: Apache-2.0 */
/*
 * SCM_RIGHTS, SCM_CREDENTIALS and the collector of unreachable in-flight sockets.
 *
 * A socket whose only references sit in receive queues of sockets that are themselves only in such
 * queues can never be read: a cycle that reference counting does not free. Every file sent counts
 * as in flight (inflight) under one leaf lock, and every queued scm is listed with the socket in
 * whose queue it waits. The collector then works as Linux's first one did: sockets whose file
 * references are all in flight are candidates; those referenced from a queue of a non-candidate are
 * reachable, with all they reach; the files queued in the rest are taken out and put.
 *
 * A put may close a socket whose queue holds more files, and so on, as deep as the guest nested
 * them; scm_free therefore never recurses but appends to the outermost call's list.
 */
#include "sentry/net/unix/scm.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "sentry/core/cred.h"
#include "sentry/net/unix/unix.h"

static struct mutex inflight_lock = {.rank = RANK_LEAF};
static struct list inflight_socks = LIST_INIT(inflight_socks); /* inflight_lock */
static uint64_t inflight_total;                                /* inflight_lock */

/* The endpoint behind an AF_UNIX socket file, or NULL. */
static struct unix_sock *unix_of_file(struct file *f)
{
    struct sock *sk;

    if (socket_from_file(f, &sk) < 0 || sk->family != LX_AF_UNIX)
        return NULL;
    return unix_of(sk);
}

/* ---- building ------------------------------------------------------------------------------ */

static int scm_add_rights(struct scm *scm, const uint8_t *data, size_t size)
{
    size_t count = size / sizeof(int32_t);
    struct file **grown;
    int32_t fd;
    int ret;

    if (count == 0)
        return 0;
    if (count > LX_SCM_MAX_FD || scm->file_count + count > LX_SCM_MAX_FD)
        return -EINVAL;
    grown = realloc(scm->files, (scm->file_count + count) * sizeof(*grown));
    if (!grown)
        return -ENOMEM;
    scm->files = grown;
    for (size_t i = 0; i < count; i++) {
        memcpy(&fd, data + i * sizeof(fd), sizeof(fd));
        ret = fdtable_lookup_any_get(curr()->files, fd, &scm->files[scm->file_count]);
        if (ret < 0)
            return ret;
        scm->file_count++;
    }
    return 0;
}

static int scm_set_cred(struct scm *scm, const uint8_t *data, size_t size)
{
    const struct cred *c = curr()->cred;
    struct lx_ucred uc;
    struct pid *pid;
    lx_uid_t uid;
    lx_gid_t gid;

    if (size != sizeof(uc))
        return -EINVAL;
    memcpy(&uc, data, sizeof(uc));
    uid = userns_to_kuid(c->userns, uc.uid);
    gid = userns_to_kgid(c->userns, uc.gid);
    if (uid == LX_ID_INVALID || gid == LX_ID_INVALID)
        return -EINVAL;
    if ((uc.pid != pid_nr(curr()->tgid) && !cred_ns_capable(c, c->userns, LX_CAP_SYS_ADMIN)) ||
        (uid != c->ruid && uid != c->euid && uid != c->suid &&
         !cred_ns_capable(c, c->userns, LX_CAP_SETUID)) ||
        (gid != c->rgid && gid != c->egid && gid != c->sgid &&
         !cred_ns_capable(c, c->userns, LX_CAP_SETGID)))
        return -EPERM;
    if (uc.pid != pid_nr(curr()->tgid)) {
        pid = g_pid_ops->find_get(uc.pid);
        if (!pid)
            return -ESRCH;
        pid_put(scm->pid);
        scm->pid = pid;
    }
    scm->uid = uid;
    scm->gid = gid;
    scm->explicit_cred = true;
    return 0;
}

int scm_from_msg(struct net_msg *m, struct scm **out)
{
    struct scm *scm = calloc(1, sizeof(*scm));
    struct lx_cmsghdr h;
    const uint8_t *data;
    size_t off = 0, size;
    int ret;

    if (!scm)
        return -ENOMEM;
    list_init(&scm->holder_node);
    scm->pid = pid_get(curr()->tgid);
    scm->uid = curr()->cred->ruid;
    scm->gid = curr()->cred->rgid;
    while ((ret = cmsg_next(m, &off, &h, &data, &size)) > 0) {
        if (h.level != LX_SOL_SOCKET)
            continue;
        if (h.type == LX_SCM_RIGHTS)
            ret = scm_add_rights(scm, data, size);
        else if (h.type == LX_SCM_CREDENTIALS)
            ret = scm_set_cred(scm, data, size);
        else
            ret = -EINVAL;
        if (ret < 0)
            break;
    }
    if (ret < 0) {
        scm_free(scm);
        return ret;
    }
    *out = scm;
    return 0;
}

struct scm *scm_copy_cred(const struct scm *scm)
{
    struct scm *copy = calloc(1, sizeof(*copy));

    if (!copy)
        return NULL;
    list_init(&copy->holder_node);
    copy->pid = pid_get(scm->pid);
    copy->uid = scm->uid;
    copy->gid = scm->gid;
    copy->explicit_cred = scm->explicit_cred;
    return copy;
}

/* ---- in flight ----------------------------------------------------------------------------- */

static void flight_count(struct scm *scm, int delta)
{
    for (size_t i = 0; i < scm->file_count; i++) {
        struct unix_sock *u = unix_of_file(scm->files[i]);

        if (!u)
            continue;
        if (delta > 0 && u->inflight == 0)
            list_add_tail(&inflight_socks, &u->inflight_node);
        u->inflight += (uint32_t)delta;
        if (u->inflight == 0)
            list_del(&u->inflight_node);
    }
    inflight_total += (uint64_t)((int64_t)delta * (int64_t)scm->file_count);
}

int scm_enqueue(struct scm *scm, struct unix_sock *holder)
{
    uint64_t limit;
    int ret = 0;

    if (scm->file_count == 0)
        return 0;
    limit = g_curr_ops->rlimit(LX_RLIMIT_NOFILE);
    mutex_lock(&inflight_lock);
    if (inflight_total > limit && !cred_capable(curr()->cred, LX_CAP_SYS_RESOURCE) &&
        !cred_capable(curr()->cred, LX_CAP_SYS_ADMIN)) {
        ret = -ETOOMANYREFS;
    } else {
        scm->holder = holder;
        list_add_tail(&holder->scm_home->scm_list, &scm->holder_node);
        flight_count(scm, 1);
    }
    mutex_unlock(&inflight_lock);
    return ret;
}

void scm_dequeue(struct scm *scm)
{
    mutex_lock(&inflight_lock);
    if (scm->holder) {
        list_del(&scm->holder_node);
        scm->holder = NULL;
        flight_count(scm, -1);
    }
    mutex_unlock(&inflight_lock);
}

void scm_take_files(struct scm *dst, struct scm *src, bool peek)
{
    struct file **files = peek ? calloc(LX_SCM_MAX_FD, sizeof(struct file *)) : NULL;

    if (!peek)
        scm_dequeue(src);
    mutex_lock(&inflight_lock);
    if (!peek) {
        dst->files = src->files;
        dst->file_count = src->file_count;
        src->files = NULL;
        src->file_count = 0;
    } else if (files) {
        for (size_t i = 0; i < src->file_count; i++)
            files[i] = file_get(src->files[i]);
        dst->files = files;
        dst->file_count = src->file_count;
    }
    mutex_unlock(&inflight_lock);
}

void scm_move_holder(struct unix_sock *listener, struct unix_sock *conn)
{
    struct scm *scm, *tmp;

    mutex_lock(&inflight_lock);
    conn->scm_home = conn;
    list_for_each_entry_safe(scm, tmp, &listener->scm_list, holder_node) {
        if (scm->holder == conn) {
            list_del(&scm->holder_node);
            list_add_tail(&conn->scm_list, &scm->holder_node);
        }
    }
    mutex_unlock(&inflight_lock);
}

/* Files waiting to be put by the outermost scm_free of this thread. */
struct put_list {
    struct file **files; /* owned */
    size_t count, cap;
};
static _Thread_local struct put_list putting;
static _Thread_local bool is_putting;

static void put_files(struct file **files, size_t count)
{
    if (is_putting) {
        struct put_list *list = &putting;
        size_t cap = list->count + count > list->cap ? (list->count + count) * 2 : list->cap;
        struct file **grown = realloc(list->files, cap * sizeof(*grown));

        if (grown) {
            list->files = grown;
            list->cap = cap;
            memcpy(grown + list->count, files, count * sizeof(*files));
            list->count += count;
            return;
        }
        /* Out of memory: put them here, one level deeper. */
        for (size_t i = 0; i < count; i++)
            file_put(files[i]);
        return;
    }
    is_putting = true;
    for (size_t i = 0; i < count; i++)
        file_put(files[i]);
    while (putting.count > 0)
        file_put(putting.files[--putting.count]);
    is_putting = false;
    free(putting.files);
    putting = (struct put_list){0};
}

void scm_free(struct scm *scm)
{
    scm_dequeue(scm);
    pid_put(scm->pid);
    if (scm->file_count)
        put_files(scm->files, scm->file_count);
    free(scm->files);
    free(scm);
}

/* ---- receiving ----------------------------------------------------------------------------- */

static void install_files(struct net_msg *m, struct scm *scm)
{
    size_t room = cmsg_room(m) / sizeof(int32_t), done = 0;
    int32_t fds[LX_SCM_MAX_FD];
    bool cloexec = m->flags & LX_MSG_CMSG_CLOEXEC;

    while (done < scm->file_count && done < room) {
        int fd = fdtable_install_take(curr()->files, scm->files[done], 0, cloexec);

        if (fd < 0)
            break;
        fds[done++] = fd;
    }
    if (done)
        cmsg_put(m, LX_SOL_SOCKET, LX_SCM_RIGHTS, fds, done * sizeof(fds[0]));
    if (done < scm->file_count)
        m->out_flags |= LX_MSG_CTRUNC;
    put_files(scm->files + done, scm->file_count - done);
    scm->file_count = 0;
}

void scm_to_msg(struct sock *sk, struct net_msg *m, struct scm *scm)
{
    if (sk->flags & SOCK_F_PASSCRED) {
        const struct userns *ns = curr()->cred->userns;
        struct lx_ucred uc = {
            .pid = pid_nr(scm->pid),
            .uid = userns_from_kuid(ns, scm->uid),
            .gid = userns_from_kgid(ns, scm->gid),
        };

        if (m->cmsg.limit == 0)
            m->out_flags |= LX_MSG_CTRUNC;
        else
            cmsg_put(m, LX_SOL_SOCKET, LX_SCM_CREDENTIALS, &uc, sizeof(uc));
    }
    if (scm->file_count)
        install_files(m, scm);
}

/* ---- the collector -------------------------------------------------------------------------- */

/* Calls fn for each candidate socket whose file is queued in holder's name. */
static void each_queued_candidate(struct unix_sock *holder, void (*fn)(struct unix_sock *v, void *),
                                  void *arg)
{
    struct scm *scm;

    list_for_each_entry(scm, &holder->scm_list, holder_node) {
        for (size_t i = 0; i < scm->file_count; i++) {
            struct unix_sock *v = unix_of_file(scm->files[i]);

            if (v && v->gc_candidate)
                fn(v, arg);
        }
    }
}

static void count_down(struct unix_sock *v, void *arg)
{
    v->gc_count--;
}

static void reach(struct unix_sock *v, void *arg)
{
    struct list *reached = arg;

    v->gc_candidate = false;
    list_add_tail(reached, &v->gc_node);
}

/* Takes the files out of the queues of the garbage sockets: *out is an array of them. */
static size_t steal_garbage(struct file ***out)
{
    struct list garbage = LIST_INIT(garbage);
    struct file **files;
    size_t count = 0, cap = 0;
    struct unix_sock *u;
    struct scm *scm;

    list_for_each_entry(u, &inflight_socks, inflight_node) {
        if (!u->gc_candidate)
            continue;
        list_add_tail(&garbage, &u->gc_node);
        list_for_each_entry(scm, &u->scm_list, holder_node)
            cap += scm->file_count;
    }
    files = cap ? calloc(cap, sizeof(struct file *)) : NULL;
    while (!list_empty(&garbage)) {
        u = list_first_entry(&garbage, struct unix_sock, gc_node);
        list_del(&u->gc_node);
        while (files && !list_empty(&u->scm_list)) {
            scm = list_first_entry(&u->scm_list, struct scm, holder_node);
            memcpy(files + count, scm->files, scm->file_count * sizeof(struct file *));
            count += scm->file_count;
            list_del(&scm->holder_node);
            scm->holder = NULL;
            flight_count(scm, -1);
            scm->file_count = 0;
        }
    }
    *out = files;
    return count;
}

void scm_collect_garbage(void)
{
    struct list reached = LIST_INIT(reached);
    struct file **files = NULL;
    struct unix_sock *u;
    size_t count = 0;
    bool any = false;

    mutex_lock(&inflight_lock);
    list_for_each_entry(u, &inflight_socks, inflight_node) {
        u->gc_candidate = u->sk.file && refs_read(&u->sk.file->refs) == u->inflight;
        u->gc_count = u->inflight;
        any |= u->gc_candidate;
    }
    if (any) {
        list_for_each_entry(u, &inflight_socks, inflight_node) {
            if (u->gc_candidate)
                each_queued_candidate(u, count_down, NULL);
        }
        list_for_each_entry(u, &inflight_socks, inflight_node) {
            if (u->gc_candidate && u->gc_count > 0)
                reach(u, &reached);
        }
        while (!list_empty(&reached)) {
            u = list_first_entry(&reached, struct unix_sock, gc_node);
            list_del(&u->gc_node);
            each_queued_candidate(u, reach, &reached);
        }
        count = steal_garbage(&files);
    }
    mutex_unlock(&inflight_lock);
    if (count)
        put_files(files, count);
    free(files);
}
