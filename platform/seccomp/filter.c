/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The filters of stub processes. The most restrictive answer of a process's filters wins, in the
 * order kill, errno, notify, allow; a notification goes to the newest filter that asked for it, and
 * where nobody listens the call fails with ENOSYS.
 *
 *   control   host.tbl, role control, for calls of the code page; notify for all others. Installed by
 *             the master, inherited by every stub. A control stub has no listener, so what is not
 *             listed does nothing there.
 *   thread    with a listener, installed by each guest thread's process. Allows host.tbl's role
 *             thread at the five instructions on the way back to guest code, and the setup range;
 *             notify for all others, so every call of guest code reaches the sentry, from whatever
 *             address, in whatever entry mode (a filter sees 32-bit entries and legacy vsyscalls).
 *   lock      refuses the setup range. Installed last: it makes "thread" strict.
 *
 * The programs of thread and lock lie in the stub's data pages: a process installs them itself.
 */
#include <errno.h>
#include <linux/filter.h>
#include <stddef.h>
#include <string.h>

#include "platform/host/seccomp.h"
#include "platform/seccomp/seccomp_internal.h"

/* struct sock_fprog with an address of the stub's address space. */
struct program {
    uint16_t count;
    uint16_t pad[3];
    uint64_t code;
};
static_assert(sizeof(struct program) == sizeof(struct sock_fprog), "kernel's layout");

#define LOAD(field)           BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(struct seccomp_data, field))
#define LOAD_HI(field)        BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(struct seccomp_data, field) + 4)
#define RETURN(action)        BPF_STMT(BPF_RET | BPF_K, action)
#define JUMP(op, value, t, f) BPF_JUMP(BPF_JMP | (op) | BPF_K, (uint32_t)(value), t, f)

static unsigned build_thread(const struct platform *p, struct sock_filter *code)
{
    const struct stub_address *at = &p->at;
    const struct host_filter *allowed = host_filter(HOST_ROLE_THREAD);
    const uaddr_t rseq = p->base.has_rseq ? at->rseq : at->sigreturn;
    const uaddr_t unrseq = p->base.has_rseq ? at->unrseq : at->sigreturn;
    const struct sock_filter prefix[] = {
        LOAD_HI(instruction_pointer),    JUMP(BPF_JEQ, p->stub_base >> 32, 0, 9),
        LOAD(instruction_pointer),       JUMP(BPF_JEQ, at->sigreturn, 8, 0),
        JUMP(BPF_JEQ, rseq, 7, 0),       JUMP(BPF_JEQ, unrseq, 6, 0),
        JUMP(BPF_JEQ, at->set_fs, 5, 0), JUMP(BPF_JEQ, at->set_gs, 4, 0),
        JUMP(BPF_JGT, at->setup, 0, 2),  JUMP(BPF_JGT, at->setup_end, 1, 0),
        RETURN(SECCOMP_RET_ALLOW),       RETURN(SECCOMP_RET_USER_NOTIF),
    };

    memcpy(code, prefix, sizeof(prefix));
    memcpy(code + ARRAY_COUNT(prefix), allowed->code, allowed->count * sizeof(code[0]));
    return (unsigned)ARRAY_COUNT(prefix) + allowed->count;
}

static unsigned build_lock(const struct platform *p, struct sock_filter *code)
{
    const struct sock_filter lock[] = {
        LOAD_HI(instruction_pointer),
        JUMP(BPF_JEQ, p->stub_base >> 32, 0, 4),
        LOAD(instruction_pointer),
        JUMP(BPF_JGT, p->at.setup, 0, 2),
        JUMP(BPF_JGT, p->at.setup_end, 1, 0),
        RETURN(SECCOMP_RET_ERRNO | EPERM),
        RETURN(SECCOMP_RET_ALLOW),
    };

    memcpy(code, lock, sizeof(lock));
    return ARRAY_COUNT(lock);
}

int seccomp_data_build(const struct platform *p, uint8_t data[STUB_DATA_SIZE])
{
    /* SAFETY: data is page aligned; the offsets are multiples of 8. */
    uint64_t *tables = (uint64_t *)(void *)(data + DATA_TABLES);
    struct program *thread = (struct program *)(void *)(data + DATA_PROG_THREAD);
    struct program *lock = (struct program *)(void *)(data + DATA_PROG_LOCK);
    struct sock_filter *code = (struct sock_filter *)(void *)(data + DATA_CODE);
    const uaddr_t base = p->stub_base + STUB_DATA_OFF;
    const size_t room = (STUB_DATA_SIZE - DATA_CODE) / sizeof(*code);
    unsigned count;

    if (host_filter(HOST_ROLE_THREAD)->count + 32 > room)
        return -E2BIG;
    for (unsigned digit = 0; digit < 3; digit++) {
        for (uint64_t i = 0; i < 256; i++)
            tables[digit * 256 + i] = i << (digit * 8);
    }
    *(uint64_t *)(void *)(data + DATA_DONE) = REPORT_DONE;
    count = build_thread(p, code);
    *thread = (struct program){.count = (uint16_t)count, .code = base + DATA_CODE};
    *lock = (struct program){.count = (uint16_t)build_lock(p, code + count),
                             .code = base + DATA_CODE + count * sizeof(*code)};
    return 0;
}
