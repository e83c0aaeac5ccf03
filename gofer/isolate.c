/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The gofer's jail, in stages; README.md says what each one takes away from an attacker who owns
 * this process. A stage that cannot be done stops the start, except where a comment says otherwise.
 *
 *   1 namespaces   own mount, ipc, uts, network and cgroup namespace (and user namespace when the
 *                  caller is not privileged and has none yet); mounts are private. The network
 *                  namespace may be the sentry's, when that is an empty one
 *   2 proc         a descriptor of /proc/self/fd, the only way to open what an O_PATH descriptor
 *                  names; from a procfs of our own pid namespace that shows nobody else
 *   3 trees        each tree becomes a detached copy of its mounts: nosuid, nodev, read-only when
 *                  asked; held by descriptor, attached nowhere
 *   4 root         an empty read-only tmpfs takes the place of the host's root, which is unmounted
 *   5 privileges   capabilities, bounding set, no_new_privs, not dumpable
 *   6 filter       seccomp; after the loop made its ring and threads (isolate_seal)
 */
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/mount.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <linux/securebits.h>

#include <cap-ng.h>

#include "gofer/gofer_internal.h"
#include "platform/host/seccomp.h"

static int fail(const char *what, int ret)
{
    log_error(LOG_GOFER, "isolation: %s: %s", what, strerror(-ret));
    return ret;
}

/* ---- 1 ------------------------------------------------------------------------------------- */

static int write_file(const char *path, const char *text)
{
    int fd = open(path, O_WRONLY | O_CLOEXEC);
    int ret = fd < 0 ? -errno : 0;

    if (fd >= 0) {
        if (write(fd, text, strlen(text)) < 0)
            ret = -errno;
        close(fd);
    }
    return ret;
}

static int enter_user_namespace(unsigned flags)
{
    uid_t uid = geteuid();
    gid_t gid = getegid();
    char map[64];
    int ret;

    if (unshare((int)(flags | CLONE_NEWUSER)) < 0)
        return fail("a user namespace cannot be made", -errno);
    (void)write_file("/proc/self/setgroups", "deny"); /* kernels before 3.19 have no such file */
    snprintf(map, sizeof(map), "0 %u 1", uid);
    ret = write_file("/proc/self/uid_map", map);
    if (ret == 0) {
        snprintf(map, sizeof(map), "0 %u 1", gid);
        ret = write_file("/proc/self/gid_map", map);
    }
    return ret < 0 ? fail("ids cannot be mapped", ret) : 0;
}

/* A network namespace costs the host more than all the others. That of a sentry without host
 * sockets is as empty as one of our own, and neither process can make a socket in it. */
static bool share_network_namespace(int fd)
{
    bool shared = fd > 0 && setns(fd, CLONE_NEWNET) == 0;

    if (fd > 0)
        close(fd);
    return shared;
}

static int stage_namespaces(const struct gofer_config *config)
{
    unsigned flags = CLONE_NEWNS | CLONE_NEWIPC | CLONE_NEWUTS | CLONE_NEWCGROUP;

    if (!share_network_namespace(config->netns_fd))
        flags |= CLONE_NEWNET;

    if (unshare((int)flags) < 0) {
        int ret = errno == EPERM ? enter_user_namespace(flags) : fail("namespaces", -errno);

        if (ret < 0)
            return ret;
    }
    if (mount("", "/", NULL, MS_REC | MS_PRIVATE, NULL) < 0)
        return fail("mounts cannot be made private", -errno);
    return 0;
}

/* ---- 2 ------------------------------------------------------------------------------------- */

enum { OPEN_TREE_CLONE_FLAG = 1, MOVE_MOUNT_EMPTY_FROM = 4 };

/* A detached mount of a file system; option may be NULL. */
static int mount_new(const char *type, const char *key, const char *value)
{
    int fs = (int)syscall(SYS_fsopen, type, 1u /* FSOPEN_CLOEXEC */), ret;

    if (fs < 0)
        return -errno;
    if (key && syscall(SYS_fsconfig, fs, 1 /* FSCONFIG_SET_STRING */, key, value, 0) < 0) {
        ret = -errno;
    } else if (syscall(SYS_fsconfig, fs, 6 /* FSCONFIG_CMD_CREATE */, NULL, NULL, 0) < 0) {
        ret = -errno;
    } else {
        ret =
            (int)syscall(SYS_fsmount, fs, 1u /* FSMOUNT_CLOEXEC */, 0xeu /* nosuid nodev noexec */);
        ret = ret < 0 ? -errno : ret;
    }
    close(fs);
    return ret;
}

/* A procfs of our own shows only us. Where the host refuses one (a masked /proc in a container),
 * the host's is used: the attacker could then read what of /proc the host shows to our user. */
static int stage_proc(int *out_fd)
{
    int mnt = -1, fd = -1;

    if (getpid() == 1) {
        mnt = mount_new("proc", "subset", "pid");
        if (mnt < 0)
            mnt = mount_new("proc", NULL, NULL);
    }
    if (mnt >= 0) {
        fd = openat(mnt, "self/fd", O_PATH | O_DIRECTORY | O_CLOEXEC);
        close(mnt);
    }
    if (fd < 0) {
        log_debug(LOG_GOFER, "isolation: no procfs of our own, using the host's");
        fd = open("/proc/self/fd", O_PATH | O_DIRECTORY | O_CLOEXEC);
    }
    if (fd < 0)
        return fail("/proc/self/fd", -errno);
    *out_fd = fd;
    return 0;
}

/* ---- 3 ------------------------------------------------------------------------------------- */

struct mount_attr_v0 {
    uint64_t attr_set, attr_clr, propagation, userns_fd;
};

int gofer_tree_mount(const char *path, bool readonly, bool recursive)
{
    struct mount_attr_v0 attr = {.attr_set = 0x2 | 0x4 /* nosuid, nodev */,
                                 .propagation = MS_PRIVATE};
    unsigned below = recursive ? AT_RECURSIVE : 0;
    int fd = (int)syscall(SYS_open_tree, AT_FDCWD, path, OPEN_TREE_CLONE_FLAG | below | O_CLOEXEC);

    /* In a user namespace what covers something cannot be left away. */
    if (fd < 0 && errno == EINVAL && !recursive) {
        below = AT_RECURSIVE;
        fd = (int)syscall(SYS_open_tree, AT_FDCWD, path, OPEN_TREE_CLONE_FLAG | below | O_CLOEXEC);
    }
    if (fd < 0)
        return -errno;
    if (readonly)
        attr.attr_set |= 0x1;
    if (syscall(SYS_mount_setattr, fd, "", AT_EMPTY_PATH | below, &attr, sizeof(attr)) < 0) {
        int ret = -errno;

        close(fd);
        return ret;
    }
    return fd;
}

static int stage_trees(const struct gofer_config *config, int *root_fds)
{
    for (size_t i = 0; i < config->count; i++) {
        const struct gofer_tree *tree = &config->trees[i];

        if (!tree->host_path)
            root_fds[i] = fcntl(tree->fd, F_DUPFD_CLOEXEC, 3);
        else if (config->unjailed)
            root_fds[i] = open(tree->host_path, O_PATH | O_CLOEXEC);
        else
            root_fds[i] = gofer_tree_mount(tree->host_path, tree->readonly, !tree->alone);
        if (root_fds[i] < 0) {
            int ret = tree->host_path && !config->unjailed ? root_fds[i] : -errno;

            log_error(LOG_GOFER, "isolation: %s: cannot be served: %s",
                      tree->host_path ? tree->host_path : "a mount", strerror(-ret));
            return ret;
        }
    }
    return 0;
}

/* ---- 4 ------------------------------------------------------------------------------------- */

static int stage_root(void)
{
    static const char *const places[] = {"/proc", "/sys", "/tmp", "/mnt"};
    int mnt = mount_new("tmpfs", "size", "4096"), ret = -ENOENT;

    if (mnt < 0)
        return fail("an empty root cannot be made", mnt);
    for (size_t i = 0; i < ARRAY_COUNT(places) && ret < 0; i++) {
        ret = syscall(SYS_move_mount, mnt, "", AT_FDCWD, places[i], MOVE_MOUNT_EMPTY_FROM) < 0
                  ? -errno
                  : 0;
    }
    if (ret == 0 && (fchdir(mnt) < 0 || syscall(SYS_pivot_root, ".", ".") < 0))
        ret = -errno;
    close(mnt);
    if (ret < 0)
        return fail("pivot_root", ret);
    /* The old root lies on top of the new one now; "." is the new one's mount point. */
    if (umount2(".", MNT_DETACH) < 0 || chdir("/") < 0)
        return fail("the host's root cannot be unmounted", -errno);
    if (mount("", "/", NULL, MS_REMOUNT | MS_BIND | MS_RDONLY | MS_NOSUID | MS_NODEV | MS_NOEXEC,
              NULL) < 0)
        return fail("the empty root cannot be made read-only", -errno);
    return 0;
}

/* ---- 5 ------------------------------------------------------------------------------------- */

static int stage_privileges(bool writable, bool *out_can_chown)
{
    static const unsigned keep[] = {CAP_DAC_READ_SEARCH, CAP_DAC_OVERRIDE, CAP_CHOWN, CAP_FOWNER,
                                    CAP_FSETID};
    size_t count = writable ? ARRAY_COUNT(keep) : 1;
    bool have[ARRAY_COUNT(keep)], may_set;

    if (capng_get_caps_process() < 0)
        return fail("capabilities", -EPERM);
    may_set = capng_have_capability(CAPNG_EFFECTIVE, CAP_SETPCAP);
    for (size_t i = 0; i < count; i++)
        have[i] = capng_have_capability(CAPNG_EFFECTIVE, keep[i]);
    capng_clear(CAPNG_SELECT_ALL);
    /* The bounding set and the secure bits need CAP_SETPCAP, so they go first. */
    if (may_set && capng_apply(CAPNG_SELECT_BOUNDS) != 0)
        return fail("bounding set", -EPERM);
    if (may_set && prctl(PR_SET_SECUREBITS,
                         SECBIT_NOROOT | SECBIT_NOROOT_LOCKED | SECBIT_NO_SETUID_FIXUP |
                             SECBIT_NO_SETUID_FIXUP_LOCKED,
                         0, 0, 0) < 0)
        return fail("securebits", -errno);
    (void)prctl(PR_CAP_AMBIENT, PR_CAP_AMBIENT_CLEAR_ALL, 0, 0, 0); /* none before Linux 4.3 */
    for (size_t i = 0; i < count; i++) {
        if (have[i])
            (void)capng_update(CAPNG_ADD, CAPNG_EFFECTIVE | CAPNG_PERMITTED, keep[i]); /* valid */
    }
    *out_can_chown = capng_have_capability(CAPNG_EFFECTIVE, CAP_CHOWN);
    if (capng_apply(CAPNG_SELECT_CAPS) != 0)
        return fail("capset", -EPERM);
    if (prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) < 0 || prctl(PR_SET_DUMPABLE, 0, 0, 0, 0) < 0)
        return fail("prctl", -errno);
    return 0;
}

int isolate_enter(const struct gofer_config *config, struct gofer_isolation *out)
{
    bool writable = false;
    int ret;

    for (size_t i = 0; i < config->count; i++)
        writable |= !config->trees[i].readonly;
    umask(0);
    ret = config->unjailed ? 0 : stage_namespaces(config);
    if (ret == 0)
        ret = stage_trees(config, out->root_fds);
    if (ret == 0)
        ret = stage_proc(&out->proc_fd);
    out->can_chown = geteuid() == 0;
    if (config->unjailed || ret < 0)
        return ret;
    ret = stage_root();
    if (ret == 0)
        ret = stage_privileges(writable, &out->can_chown);
    return ret;
}

/* ---- 6 ------------------------------------------------------------------------------------- */

int isolate_seal(void)
{
    int ret = host_seccomp_install(HOST_ROLE_GOFER);

    return ret < 0 ? fail("seccomp", ret) : 0;
}
