/* SPDX-License-Identifier: Apache-2.0 */
/* How a process becomes a stub; see process.h. */
#include "platform/stub/process.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/capability.h>
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <signal.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/rseq.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "platform/host/mem.h"

enum {
    GUEST_LOW_DEFAULT = 0x10000, /* vm.mmap_min_addr */
    RSEQ_FLAG_UNREGISTER_BIT = 1,
    RSEQ_SIZE_FIRST = 32,
    SIGNAL_COUNT = 64,
};

uaddr_t stub_guest_low(void)
{
    char text[32];
    unsigned long low = 0;
    int fd = open("/proc/sys/vm/mmap_min_addr", O_RDONLY | O_CLOEXEC);
    ssize_t n;

    if (fd >= 0) {
        n = read(fd, text, sizeof(text) - 1);
        close(fd);
        if (n > 0) {
            text[n] = '\0';
            low = strtoul(text, NULL, 10);
        }
    }
    low = low > GUEST_LOW_DEFAULT ? low : GUEST_LOW_DEFAULT;
    return align_up(low, LX_PAGE_SIZE);
}

int stub_image_file(const uint8_t *image, size_t size)
{
    uint8_t page[LX_PAGE_SIZE];
    int fd = host_memfd_create("stub-code", MFD_CLOEXEC | MFD_ALLOW_SEALING);

    if (fd < 0)
        return fd;
    for (size_t at = 0; at < size; at += sizeof(page)) {
        memset(page, 0xcc, sizeof(page)); /* int3 */
        memcpy(page, image + at, MIN(size - at, sizeof(page)));
        if (write(fd, page, sizeof(page)) != (ssize_t)sizeof(page))
            goto fail;
    }
    if (fcntl(fd, F_ADD_SEALS, F_SEAL_WRITE | F_SEAL_GROW | F_SEAL_SHRINK | F_SEAL_SEAL) == 0)
        return fd;
fail : {
    int err = -errno;

    close(fd);
    return err;
}
}

static int leave_rseq(void)
{
    void *area = (char *)__builtin_thread_pointer() + __rseq_offset;

    if (__rseq_size == 0)
        return 0;
    /* The kernel would write to this area for ever. Registered with its full size by newer C
     * libraries, with the original 32 bytes otherwise. */
    if (syscall(SYS_rseq, area, RSEQ_SIZE_FIRST, RSEQ_FLAG_UNREGISTER_BIT, RSEQ_SIG) < 0 &&
        syscall(SYS_rseq, area, __rseq_size, RSEQ_FLAG_UNREGISTER_BIT, RSEQ_SIG) < 0)
        return -errno;
    return 0;
}

int stub_drop_rights(const char *volatile *out_stage)
{
    struct __user_cap_header_struct head = {_LINUX_CAPABILITY_VERSION_3, 0};
    struct __user_cap_data_struct none[2] = {{0}, {0}};
    stack_t no_stack = {.ss_flags = SS_DISABLE};
    struct {
        uint64_t handler, flags, restorer, mask;
    } dfl = {0};
    uint64_t no_signals = 0;
    int ret;

    *out_stage = "reset signals";
    /* Own session: signals of the terminal reach the sentry, never the stubs. */
    (void)syscall(SYS_setsid); /* fails only where it already leads one */
    for (int sig = 1; sig <= SIGNAL_COUNT; sig++)
        (void)syscall(SYS_rt_sigaction, sig, &dfl, NULL, 8); /* SIGKILL and SIGSTOP refuse */
    if (syscall(SYS_sigaltstack, &no_stack, NULL) < 0 ||
        syscall(SYS_rt_sigprocmask, SIG_SETMASK, &no_signals, NULL, 8) < 0)
        return -errno;
    *out_stage = "leave rseq";
    ret = leave_rseq();
    if (ret < 0)
        return ret;
    *out_stage = "give up caps";
    (void)prctl(PR_SET_NAME, "stub", 0, 0, 0); /* for debuggers */
    return syscall(SYS_capset, &head, none) < 0 ? -errno : 0;
}

unsigned stub_filter_build(struct sock_filter *code, const struct host_filter *f, uaddr_t start,
                           uaddr_t end, uint32_t action)
{
    uint32_t hi = (uint32_t)(start >> 32), lo = (uint32_t)start;
    const struct sock_filter prefix[] = {
        BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(struct seccomp_data, instruction_pointer) + 4),
        BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, hi, 0, 3),
        BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(struct seccomp_data, instruction_pointer)),
        BPF_JUMP(BPF_JMP | BPF_JGE | BPF_K, lo, 0, 1),
        BPF_JUMP(BPF_JMP | BPF_JGE | BPF_K, (uint32_t)end, 0, 1),
        BPF_STMT(BPF_RET | BPF_K, action),
    };

    memcpy(code, prefix, sizeof(prefix));
    memcpy(code + ARRAY_COUNT(prefix), f->code, f->count * sizeof(code[0]));
    return (unsigned)ARRAY_COUNT(prefix) + f->count;
}

int stub_filter_install(const struct host_filter *f, uaddr_t start, uaddr_t end, uint32_t action)
{
    struct sock_filter code[HOST_FILTER_MAX + 8];
    struct sock_fprog prog = {.filter = code};

    if (f->count > HOST_FILTER_MAX)
        return -E2BIG;
    prog.len = (unsigned short)stub_filter_build(code, f, start, end, action);
    return syscall(SYS_seccomp, SECCOMP_SET_MODE_FILTER, 0, &prog) < 0 ? -errno : 0;
}
