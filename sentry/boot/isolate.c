/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What the sentry keeps is listed here; everything else goes.
 *
 * Before this code: runsc-c cloned the process into new user, pid, mount, ipc, uts, cgroup and
 * (unless --network=host) network namespaces, mapped a single id, closed every descriptor that is
 * not donated, and made it leader of its own session.
 *
 * Stage 1 (isolate_root): a fresh tmpfs becomes the root, the host's tree is detached, the tmpfs is
 * made read-only: no path leads anywhere. Not earlier: the program must be executed from the host's
 * tree. Then isolate_memory_file makes the file for guest memory, on a file system that is mounted
 * nowhere. Stage 2 (isolate_privileges): all capability sets are emptied and the bounding set dropped,
 * no_new_privs is set; with --network=host in a network namespace of the sandbox's own, the two
 * capabilities that sockets ask for may stay (boot/network.c). Not earlier: pivot_root needs
 * CAP_SYS_ADMIN of the namespace. Stage 3 (isolate_filter): the generated seccomp filter. Not
 * earlier: the platform forks its first stub and installs that one's own filter before.
 */
#include "sentry/boot/isolate.h"

#include <cap-ng.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/securebits.h>
#include <signal.h>
#include <stddef.h>
#include <sys/mount.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "platform/base/compiler.h"
#include "platform/host/proc.h"
#include "platform/host/seccomp.h"

static int enter_empty_root(void)
{
    /* Any directory that exists on every host will do as the place of the new root. */
    static const char *const places[] = {"/tmp", "/proc", "/dev", "/usr", "/etc"};
    size_t i;

    if (mount(NULL, "/", NULL, MS_REC | MS_PRIVATE, NULL) < 0)
        return -errno;
    for (i = 0; i < ARRAY_COUNT(places); i++) {
        if (mount("none", places[i], "tmpfs", MS_NOSUID | MS_NODEV | MS_NOEXEC,
                  "size=4k,nr_inodes=2,mode=0555") == 0)
            break;
    }
    if (i == ARRAY_COUNT(places) || chdir(places[i]) < 0)
        return -errno;
    if (syscall(SYS_pivot_root, ".", ".") < 0 || umount2(".", MNT_DETACH) < 0 || chdir("/") < 0)
        return -errno;
    if (mount(NULL, "/", NULL, MS_REMOUNT | MS_BIND | MS_RDONLY | MS_NOSUID | MS_NODEV | MS_NOEXEC,
              NULL) < 0)
        return -errno;
    return 0;
}

int isolate_root(void)
{
    struct rlimit core = {0, 0};
    int ret = enter_empty_root();

    if (ret < 0)
        return ret;
    if (setrlimit(RLIMIT_CORE, &core) < 0)
        return -errno;
    (void)host_fds_prepare();
    /* A guest that writes to a closed host pipe gets its own SIGPIPE from the kernel layer. */
    signal(SIGPIPE, SIG_IGN);
    signal(SIGHUP, SIG_IGN);
    umask(0);
    return 0;
}

int isolate_memory_file(int *out_fd)
{
    int fs = fsopen("tmpfs", FSOPEN_CLOEXEC), dir = -1, ret = 0;

    if (fs < 0)
        return -errno;
    if (fsconfig(fs, FSCONFIG_SET_STRING, "huge", "advise", 0) < 0 ||
        fsconfig(fs, FSCONFIG_SET_STRING, "size", "0", 0) < 0 ||
        fsconfig(fs, FSCONFIG_CMD_CREATE, NULL, NULL, 0) < 0 ||
        (dir = fsmount(fs, FSMOUNT_CLOEXEC, MOUNT_ATTR_NOSUID | MOUNT_ATTR_NODEV)) < 0 ||
        (*out_fd = openat(dir, ".", O_TMPFILE | O_RDWR | O_CLOEXEC, 0600)) < 0)
        ret = -errno;
    close(fs);
    if (dir >= 0)
        close(dir); /* no path ever led there: only the file keeps it */
    return ret;
}

int isolate_privileges(uint64_t keep)
{
    const int securebits = SECBIT_NOROOT | SECBIT_NOROOT_LOCKED | SECBIT_NO_SETUID_FIXUP |
                           SECBIT_NO_SETUID_FIXUP_LOCKED | SECBIT_KEEP_CAPS_LOCKED |
                           SECBIT_NO_CAP_AMBIENT_RAISE | SECBIT_NO_CAP_AMBIENT_RAISE_LOCKED;

    /* The bounding set and the secure bits need CAP_SETPCAP, so they go first. */
    capng_clear(CAPNG_SELECT_ALL);
    if (capng_apply(CAPNG_SELECT_BOUNDS) != 0)
        return -EPERM;
    if (prctl(PR_SET_SECUREBITS, securebits, 0, 0, 0) < 0)
        return -errno;
    if (prctl(PR_CAP_AMBIENT, PR_CAP_AMBIENT_CLEAR_ALL, 0, 0, 0) < 0)
        return -errno;
    for (unsigned cap = 0; cap < 64; cap++) {
        if (keep >> cap & 1)
            (void)capng_update(CAPNG_ADD, CAPNG_EFFECTIVE | CAPNG_PERMITTED, cap);
    }
    if (capng_apply(CAPNG_SELECT_CAPS) != 0)
        return -EPERM;
    if (prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) < 0)
        return -errno;
    /* Dropping capabilities cleared it; without it the sentry could not trace its own stubs. */
    return prctl(PR_SET_DUMPABLE, 1, 0, 0, 0) < 0 ? -errno : 0;
}

int isolate_filter(bool host_sockets)
{
    return host_seccomp_install(host_sockets ? HOST_ROLE_HOSTNET : HOST_ROLE_SENTRY);
}
