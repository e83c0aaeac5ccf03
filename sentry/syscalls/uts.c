/* SPDX-License-Identifier: Apache-2.0 */
/* Who the system says it is: names, memory, personality; and what only its administrator may do. */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "sentry/abi/prctl.h"
#include "sentry/abi/resource.h"
#include "sentry/abi/time.h"
#include "sentry/abi/version.h"
#include "sentry/core/kmsg.h"
#include "sentry/core/random.h"
#include "sentry/core/userns.h"
#include "sentry/fs/devpts/tty.h"
#include "sentry/kernel/kernel.h"
#include "sentry/kernel/settings.h"
#include "sentry/kernel/task.h"
#include "sentry/kernel/task_info.h"
#include "sentry/kernel/timens.h"
#include "sentry/mm/uaccess.h"
#if __has_include("gen/syscall_protos.h")
#include "gen/syscall_protos.h"
#endif

long sys_uname(struct task *t, uaddr_t name)
{
    struct lx_utsname u = {
        .sysname = LX_UTS_SYSNAME,
        .release = LX_UTS_RELEASE,
        .version = LX_UTS_VERSION,
        .machine = LX_UTS_MACHINE,
    };

    if ((task_personality(t) & LX_PER_MASK) == LX_PER_LINUX32)
        snprintf(u.machine, sizeof(u.machine), "i686");
    utsns_hostname(t->curr.utsns, u.nodename);
    utsns_domainname(t->curr.utsns, u.domainname);
    return put_user(&u, name);
}

static long set_uts_name(struct task *t, uaddr_t name, int len,
                         void (*set)(struct utsns *, const char *))
{
    char buf[65] = {0};

    if (!cred_ns_capable(t->curr.cred, utsns_owner(t->curr.utsns), LX_CAP_SYS_ADMIN))
        return -EPERM;
    if (len < 0 || len > 64)
        return -EINVAL;
    if (copy_in(buf, name, (size_t)len) < 0)
        return -EFAULT;
    set(t->curr.utsns, buf);
    return 0;
}

long sys_sethostname(struct task *t, uaddr_t name, int len)
{
    return set_uts_name(t, name, len, utsns_set_hostname);
}

long sys_setdomainname(struct task *t, uaddr_t name, int len)
{
    return set_uts_name(t, name, len, utsns_set_domainname);
}

long sys_sysinfo(struct task *t, uaddr_t info)
{
    struct lx_sysinfo out = {.mem_unit = 1};
    struct kernel_stats stats;

    (void)t;
    kernel_stats_get(&stats);
    out.uptime =
        (int64_t)((clock_boottime() + (uint64_t)timens_shift(LX_CLOCK_BOOTTIME)) / NSEC_PER_SEC);
    for (int i = 0; i < 3; i++)
        out.loads[i] = ((uint64_t)stats.load[i] << 16) / 100;
    out.totalram = stats.mem_total;
    out.freeram = stats.mem_free;
    out.procs = (uint16_t)MIN(stats.total_threads, 65535u);
    return put_user(&out, info);
}

long sys_personality(struct task *t, uint32_t personality)
{
    uint32_t old = task_personality(t);

    if (personality != 0xffffffffu)
        task_set_personality(t, personality);
    return old;
}

#define LX_GRND_NONBLOCK 1u
#define LX_GRND_RANDOM   2u
#define LX_GRND_INSECURE 4u

long sys_getrandom(struct task *t, uaddr_t ubuf, size_t len, uint32_t flags)
{
    uint8_t chunk[1024];
    size_t done = 0;

    (void)t;
    if ((flags & ~(LX_GRND_NONBLOCK | LX_GRND_RANDOM | LX_GRND_INSECURE)) ||
        (flags & (LX_GRND_RANDOM | LX_GRND_INSECURE)) == (LX_GRND_RANDOM | LX_GRND_INSECURE))
        return -EINVAL;
    len = MIN(len, (size_t)INT32_MAX);
    while (done < len) {
        size_t n = MIN(len - done, sizeof(chunk)), copied;
        int64_t got = random_bytes(chunk, n);

        if (got < 0)
            return done ? (long)done : (long)got;
        copied = copy_out_partial(ubuf + done, chunk, (size_t)got);
        done += copied;
        if (copied < (size_t)got)
            return done ? (long)done : -EFAULT;
        if (done < len && task_interrupted())
            break;
    }
    return (long)done;
}

/* ---- administration -------------------------------------------------------------------------- */

static long read_kernel_log(uaddr_t buf, size_t len, bool clear)
{
    char *text = malloc(KMSG_SIZE);
    size_t n;
    long ret;

    if (!text)
        return -ENOMEM;
    n = kmsg_read(text, MIN(len, KMSG_SIZE), clear);
    ret = copy_out(buf, text, n) < 0 ? -EFAULT : (long)n;
    free(text);
    return ret;
}

long sys_syslog(struct task *t, int type, uaddr_t buf, int len)
{
    enum {
        READ = 2,
        READ_ALL,
        READ_CLEAR,
        CLEAR,
        CONSOLE_OFF,
        CONSOLE_ON,
        CONSOLE_LEVEL,
        SIZE_UNREAD,
        SIZE_BUFFER
    };

    if (type < 0 || type > SIZE_BUFFER)
        return -EINVAL;
    if (type != READ_ALL && type != SIZE_BUFFER && !cred_capable(t->curr.cred, LX_CAP_SYSLOG) &&
        !cred_capable(t->curr.cred, LX_CAP_SYS_ADMIN))
        return -EPERM;
    switch (type) {
    case READ:
        /* DEVIATION: the reader that consumes lines and sleeps for more finds none. */
        return !buf || len < 0 ? -EINVAL : 0;
    case READ_ALL:
    case READ_CLEAR:
        return !buf || len < 0 ? -EINVAL : read_kernel_log(buf, (size_t)len, type == READ_CLEAR);
    case CLEAR:
        kmsg_clear();
        return 0;
    case CONSOLE_LEVEL:
        return len < 1 || len > 8 ? -EINVAL : 0;
    case SIZE_BUFFER:
        return KMSG_SIZE;
    default:
        return 0;
    }
}

#define REBOOT_MAGIC1 ((int)0xfee1dead)

long sys_reboot(struct task *t, int magic1, int magic2, uint32_t cmd, uaddr_t arg)
{
    enum { RESTART = 0x1234567 };
    const uint32_t halt = 0xcdef0123u, power_off = 0x4321fedcu, restart2 = 0xa1b2c3d4u;

    (void)arg;
    if (!cred_ns_capable(t->curr.cred, t->curr.cred->userns, LX_CAP_SYS_BOOT))
        return -EPERM;
    if (magic1 != REBOOT_MAGIC1 ||
        (magic2 != 672274793 && magic2 != 85072278 && magic2 != 369367448 && magic2 != 537993216))
        return -EINVAL;
    if (cmd == RESTART || cmd == restart2)
        return kernel_reboot(t, /*restart=*/true);
    if (cmd == halt || cmd == power_off)
        return kernel_reboot(t, /*restart=*/false);
    return -EINVAL; /* Ctrl-Alt-Del is the machine's; everything else does not exist */
}

long sys_vhangup(struct task *t)
{
    if (!cred_capable(t->curr.cred, LX_CAP_SYS_TTY_CONFIG))
        return -EPERM;
    tty_vhangup_current();
    return 0;
}

/* ---- membarrier ------------------------------------------------------------------------------ */

long sys_membarrier(struct task *t, int cmd, uint32_t flags, int cpu_id)
{
    enum {
        QUERY = 0,
        GLOBAL = 1,
        GLOBAL_EXPEDITED = 2,
        REGISTER_GLOBAL_EXPEDITED = 4,
        PRIVATE_EXPEDITED = 8,
        REGISTER_PRIVATE_EXPEDITED = 16,
        PRIVATE_EXPEDITED_SYNC_CORE = 32,
        REGISTER_PRIVATE_EXPEDITED_SYNC_CORE = 64,
        GET_REGISTRATIONS = 512,
    };

    (void)cpu_id;
    if (flags)
        return -EINVAL;
    switch (cmd) {
    case QUERY:
        return GLOBAL | GLOBAL_EXPEDITED | REGISTER_GLOBAL_EXPEDITED | PRIVATE_EXPEDITED |
               REGISTER_PRIVATE_EXPEDITED | PRIVATE_EXPEDITED_SYNC_CORE |
               REGISTER_PRIVATE_EXPEDITED_SYNC_CORE | GET_REGISTRATIONS;
    case REGISTER_GLOBAL_EXPEDITED:
    case REGISTER_PRIVATE_EXPEDITED:
    case REGISTER_PRIVATE_EXPEDITED_SYNC_CORE:
        task_membarrier_register(t, (uint32_t)cmd);
        return 0;
    case GET_REGISTRATIONS:
        return task_membarrier_registered(t);
    case PRIVATE_EXPEDITED:
    case PRIVATE_EXPEDITED_SYNC_CORE: /* threads come back to guest code by iret: a core barrier */
        if (!(task_membarrier_registered(t) & (uint32_t)cmd << 1))
            return -EPERM;
        FALLTHROUGH;
    case GLOBAL:
    case GLOBAL_EXPEDITED:
        task_membarrier(t);
        return 0;
    default:
        return -EINVAL;
    }
}
