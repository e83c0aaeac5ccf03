/* SPDX-License-Identifier: Apache-2.0 */
/* execve(2), execveat(2). */
#include "sentry/kernel/exec.h"

#include <errno.h>
#include <stdlib.h>

#include "sentry/abi/fcntl.h"
#include "sentry/fs/vfs.h"
#include "sentry/kernel/task.h"
#include "sentry/mm/uaccess.h"
#if __has_include("gen/syscall_protos.h")
#include "gen/syscall_protos.h"
#endif

static long do_exec(struct task *t, int dirfd, uaddr_t pathname, uaddr_t argv, uaddr_t envp,
                    uint32_t flags)
{
    struct exec_call call = {.dirfd = dirfd, .at_flags = flags};
    size_t budget = exec_strings_budget(t);
    char *name;
    long ret = copy_in_path(pathname, flags & LX_AT_EMPTY_PATH, &name);

    if (ret < 0)
        return ret;
    call.name = name;
    ret = exec_strings_from_user(argv, &budget, &call.argv);
    if (ret == 0)
        ret = exec_strings_from_user(envp, &budget, &call.envp);
    if (ret == 0)
        ret = task_exec(t, &call); /* frees the strings */
    else
        exec_strings_free(&call.argv);
    free(name);
    return ret;
}

long sys_execve(struct task *t, uaddr_t pathname, uaddr_t argv, uaddr_t envp)
{
    return do_exec(t, LX_AT_FDCWD, pathname, argv, envp, 0);
}

long sys_execveat(struct task *t, int fd, uaddr_t filename, uaddr_t argv, uaddr_t envp, int flags)
{
    if (flags & ~(LX_AT_EMPTY_PATH | LX_AT_SYMLINK_NOFOLLOW))
        return -EINVAL;
    return do_exec(t, fd, filename, argv, envp, (uint32_t)flags);
}
