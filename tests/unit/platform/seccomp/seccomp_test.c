/* SPDX-License-Identifier: Apache-2.0 */
/* The seccomp back end through the platform contract, and guests that attack it. */
#define CONTRACT_MAPPINGS_MAX 4
#define CONTRACT_MORE(X)                                                                           \
    X(test_every_call)                                                                             \
    X(test_every_byte)                                                                             \
    X(test_forged_ring)                                                                            \
    X(test_forged_return)                                                                          \
    X(test_blocked_pull) X(test_rewritten_slot) X(test_killed_control) X(test_recycled_slot)
#include "platform/seccomp/seccomp_internal.h"
#include "tests/support/platform_contract.h"

#include <fcntl.h>

extern const struct platform_ops g_platform_seccomp_ops;
const struct platform_ops *const ops = &g_platform_seccomp_ops;

pid_t backend_pid(struct platform_ctx *c)
{
    return atomic_load(&c->watch.pid);
}

bool backend_int_is_illegal(struct platform *p)
{
    (void)p;
    return false;
}

bool backend_many_threads(void)
{
    return true;
}

uaddr_t backend_stub_start(struct platform *p)
{
    return p->stub_base;
}

uaddr_t backend_stub_end(struct platform *p)
{
    return p->stub_base + STUB_SLOTS_OFF + SLOT_COUNT * p->stacks.size;
}

/* --- guests that attack the stub -------------------------------------------------------------- */

extern const uint8_t g_seccomp_code[], g_seccomp_code_end[], g_seccomp_setup[],
    g_seccomp_setup_end[];

static size_t code_size(void)
{
    return (size_t)(g_seccomp_code_end - g_seccomp_code);
}

static int g_pipe[2]; /* what a stub must not write to */

/* Nothing outside of the guest has changed, and its page is still there. */
static void check_intact(struct platform_space *s, struct platform_ctx *c)
{
    struct lx_regs r = entry(guest_load, DATA + 3 * PAGE, 0);
    struct platform_event ev;
    char byte;

    assert_int_equal(read(g_pipe[0], &byte, 1), -1);
    assert_int_equal(errno, EAGAIN);
    assert_true(fcntl(g_pipe[1], F_GETFD) >= 0);
    expect(c, &r, PLATFORM_SYSCALL, &ev);
    assert_int_equal(r.orig_rax, 1);
    (void)s;
}

/* The stub's pages cannot be written or named in changes of mappings. */
void test_hostile(void)
{
    static const uaddr_t pages[] = {0, STUB_DATA_OFF, STUB_REQUEST_OFF};
    struct platform_space *s;
    struct platform_ctx *c = fresh(&s);
    struct platform_event ev;
    struct lx_regs r;

    for (size_t i = 0; i < ARRAY_COUNT(pages); i++) {
        r = entry(guest_store, g_p->stub_base + pages[i], 1);
        expect(c, &r, PLATFORM_FAULT, &ev);
        assert_int_equal(ev.fault_access, PLATFORM_ACCESS_WRITE);
    }
    assert_int_equal(ops->space_map(s, g_p->stub_base, PAGE, PROT_READ, g_mem, 0, 0), -EINVAL);
    assert_int_equal(ops->space_unmap(s, g_p->base.high - PAGE, 2 * PAGE), -EINVAL);
    assert_int_equal(ops->space_unmap(s, DATA, (size_t)-PAGE), -EINVAL);
    ops->ctx_free(c);
    ops->space_free(s);
}

/* Jumps to every system call instruction of the stub, with calls that would hurt. */
void test_every_call(void)
{
    struct platform_space *s;
    struct platform_ctx *c = fresh(&s);
    struct platform_event ev;
    unsigned sites = 0;

    assert_int_equal(pipe2(g_pipe, O_NONBLOCK), 0);
    {
        const struct lx_regs calls[] = {
            {.rax = SYS_munmap, .rdi = DATA + 3 * PAGE, .rsi = PAGE},
            {.rax = SYS_mprotect, .rdi = DATA + 3 * PAGE, .rsi = PAGE, .rdx = PROT_NONE},
            {.rax = SYS_mmap,
             .rdi = DATA + 3 * PAGE,
             .rsi = PAGE,
             .rdx = PROT_NONE,
             .r10 = MAP_SHARED | MAP_FIXED,
             .r8 = (uint64_t)g_mem},
            {.rax = SYS_write, .rdi = (uint64_t)g_pipe[1], .rsi = CODE, .rdx = 8},
            {.rax = SYS_close, .rdi = (uint64_t)g_pipe[1]},
            {.rax = SYS_clone, .rdi = CLONE_FILES | CLONE_FS | CLONE_PARENT | SIGCHLD},
            {.rax = SYS_exit},
            {.rax = SYS_exit_group},
            {.rax = SYS_kill, .rdi = (uint64_t)getpid(), .rsi = SIGTERM},
            {.rax = SYS_seccomp, .rdi = 1, .rdx = g_p->stub_base + STUB_DATA_OFF + DATA_PROG_LOCK},
            {.rax = SYS_prctl, .rdi = PR_SET_PDEATHSIG, .rsi = SIGKILL},
            {.rax = SYS_arch_prctl, .rdi = 0x2003 /* ARCH_MAP_VDSO_64 */, .rsi = 0x10000000},
        };

        for (size_t at = 0; at + 2 <= code_size(); at++) {
            const uaddr_t site = g_p->stub_base + at, after = site + 2;
            bool setup = after > g_p->at.setup && after <= g_p->at.setup_end;

            if (g_seccomp_code[at] != 0x0f || g_seccomp_code[at + 1] != 0x05)
                continue;
            sites++;
            for (size_t i = 0; i < ARRAY_COUNT(calls); i++) {
                struct lx_regs r = calls[i];

                r.rip = site;
                r.rsp = DATA + PAGE;
                r.rbx = r.r12 = r.r13 = r.r14 = r.r15 = CODE;
                r.cs = 0x33;
                r.eflags = 0x202;
                assert_int_equal(ops->ctx_run(c, &r, &ev), 0);
                ops->ctx_regs_pull(c, &r);
                if (!setup && ev.kind == PLATFORM_SYSCALL) {
                    assert_int_equal(r.orig_rax, calls[i].rax);
                    assert_int_equal(r.rip, after);
                } else if (ev.kind == PLATFORM_DEAD) {
                    assert_int_equal(after, g_p->at.bell); /* rang without a frame */
                    ops->ctx_free(c);
                    ops->space_free(s);
                    c = fresh(&s);
                } else {
                    /* Refused; stub code went on with the guest's registers and failed. */
                    assert_true(setup || after == g_p->at.set_fs || after == g_p->at.set_gs ||
                                after == g_p->at.sigreturn);
                }
                check_intact(s, c);
            }
        }
    }
    assert_in_range(sites, 10, 30);
    ops->ctx_free(c);
    ops->space_free(s);
}

/* Jumps to every byte, with registers that point at what could be of use. The guest may lose its
 * thread; nobody else may notice. */
void test_every_byte(void)
{
    struct platform_space *s, *other;
    struct platform_ctx *c = fresh(&s), *witness = fresh(&other);
    struct platform_event ev;
    uint64_t seed = 88172645463325252ull;

    assert_int_equal(pipe2(g_pipe, O_NONBLOCK), 0);
    for (size_t at = 0; at < code_size(); at++) {
        const uint64_t useful[] = {
            DATA,
            g_p->stub_base + STUB_REQUEST_OFF,
            seccomp_slot_addr(g_p, c->thread.slot),
            g_p->stub_base + STUB_DATA_OFF,
            SYS_munmap,
            SYS_write,
            (uint64_t)g_pipe[1],
            0,
            UINT64_MAX,
            g_p->stub_base,
            (uint64_t)witness->thread.pid,
        };

        for (int round = 0; round < 4; round++) {
            struct lx_regs r;
            uint64_t *v = &r.r15;

            for (size_t i = 0; i < sizeof(r) / sizeof(*v); i++) {
                seed ^= seed << 13;
                seed ^= seed >> 7;
                seed ^= seed << 17;
                v[i] = useful[seed % ARRAY_COUNT(useful)];
            }
            r.rip = g_p->stub_base + at;
            r.cs = 0x33;
            r.eflags = 0x202;
            for (int runs = 0; runs < 4; runs++) {
                assert_int_equal(ops->ctx_run(c, &r, &ev), 0);
                if (ev.kind == PLATFORM_DEAD)
                    break;
                if (ev.kind == PLATFORM_SYSCALL)
                    r.rax = useful[seed % ARRAY_COUNT(useful)];
            }
            if (ev.kind == PLATFORM_DEAD) {
                ops->ctx_free(c);
                ops->space_free(s);
                c = fresh(&s);
            }
        }
        if (at % 16 == 0)
            check_intact(other, witness);
    }
    check_intact(other, witness);
    ops->ctx_free(c);
    ops->space_free(s);
    ops->ctx_free(witness);
    ops->space_free(other);
}

/* The sentry's view of a ctx's slot; the guest writes there as well. */
static uint8_t *slot_of(struct platform_ctx *c)
{
    return slots_at(&g_p->stacks, c->thread.slot);
}

/* Rings as the signal handler does, without a signal. */
void test_forged_ring(void)
{
    struct platform_space *s;
    struct platform_ctx *c = fresh(&s);
    const uint32_t off = 0x800;
    struct lx_rt_sigframe frame = {0};
    struct platform_event ev;
    struct lx_regs r = entry(guest_calls, 0, 0);
    uaddr_t slot;

    expect(c, &r, PLATFORM_SYSCALL, &ev);
    slot = seccomp_slot_addr(g_p, c->thread.slot);
    frame.info.signo = SIGSEGV;
    frame.info.code = SEGV_MAPERR;
    frame.info.fault.addr = 0xdead000;
    frame.uc.mcontext.rip = at(guest_calls);
    frame.uc.mcontext.cs = 0x33;
    frame.uc.mcontext.trapno = 14;
    memcpy(slot_of(c) + off, &frame, sizeof(frame));
    r = entry(guest_calls, 0, 0);
    r.rip = g_p->at.bell - 2;
    r.rdx = slot + off + offsetof(struct lx_rt_sigframe, uc);
    expect(c, &r, PLATFORM_FAULT, &ev); /* as if it had really done that */
    assert_int_equal(ev.fault_addr, 0xdead000);
    assert_int_equal(r.rip, at(guest_calls));
    expect(c, &r, PLATFORM_SYSCALL, &ev);
    assert_int_equal(r.orig_rax, 39);
    /* A signal number that no fault has: nothing happened. */
    frame.info.signo = SIGKILL;
    memcpy(slot_of(c) + off, &frame, sizeof(frame));
    r.rip = g_p->at.bell - 2;
    r.rdx = slot + off + offsetof(struct lx_rt_sigframe, uc);
    expect(c, &r, PLATFORM_SYSCALL, &ev);
    assert_int_equal(r.orig_rax, 39);
    /* Frames elsewhere, or with an image elsewhere: the thread is lost, alone. */
    for (int i = 0; i < 5; i++) {
        const uaddr_t bad[] = {DATA, slot, slot + g_p->stacks.size - 8, UINT64_MAX - 3,
                               slot + off + 1};

        r = entry(guest_calls, 0, 0);
        r.rip = g_p->at.bell - 2;
        r.rdx = bad[i];
        expect(c, &r, PLATFORM_DEAD, &ev);
        ops->ctx_free(c);
        ops->space_free(s);
        c = fresh(&s);
        r = entry(guest_calls, 0, 0);
        expect(c, &r, PLATFORM_SYSCALL, &ev);
        slot = seccomp_slot_addr(g_p, c->thread.slot);
    }
    frame.uc.mcontext.fpstate = slot + g_p->stacks.size - 64;
    memcpy(slot_of(c) + off, &frame, sizeof(frame));
    r = entry(guest_calls, 0, 0);
    r.rip = g_p->at.bell - 2;
    r.rdx = slot + off + offsetof(struct lx_rt_sigframe, uc);
    expect(c, &r, PLATFORM_DEAD, &ev);
    ops->ctx_free(c);
    ops->space_free(s);
}

/* Loads a signal frame of the guest's own: every signal blocked, and guest code at rip. */
static struct lx_regs forged_return(uaddr_t rip)
{
    struct lx_rt_sigframe frame = {0};
    struct lx_regs r = entry(guest_calls, 0, 0);

    frame.uc.flags = LX_UC_SIGCONTEXT_SS | LX_UC_STRICT_RESTORE_SS;
    frame.uc.stack = (struct lx_stack){.flags = LX_SS_DISABLE};
    frame.uc.sigmask = UINT64_MAX;
    frame.uc.mcontext.rip = rip;
    frame.uc.mcontext.rdi = DATA;
    frame.uc.mcontext.cs = 0x33;
    frame.uc.mcontext.ss = 0x2b;
    memcpy(g_map + PAGE, &frame, sizeof(frame));
    r.rip = g_p->at.sigreturn - 2;
    r.rax = SYS_rt_sigreturn;
    r.rsp = DATA + 8;
    return r;
}

/* A guest that blocks the kick: the interrupt still ends its run. */
void test_forged_return(void)
{
    struct platform_space *s;
    struct platform_ctx *c = fresh(&s);
    struct lx_regs r = forged_return(at(guest_spin));
    struct platform_event ev;
    pthread_t t;

    do { /* again when the interrupt came before the forged return */
        pthread_create(&t, NULL, interrupter, c);
        assert_int_equal(ops->ctx_run(c, &r, &ev), 0);
        pthread_join(t, NULL);
    } while (ev.kind == PLATFORM_INTERRUPTED);
    assert_int_equal(ev.kind, PLATFORM_DEAD);
    ops->ctx_free(c);
    ops->space_free(s);
    /* One that faults is ended by the host. */
    c = fresh(&s);
    r = forged_return(at(guest_ud));
    expect(c, &r, PLATFORM_DEAD, &ev);
    ops->ctx_free(c);
    ops->space_free(s);
    c = fresh(&s);
    r = entry(guest_calls, 0, 0);
    expect(c, &r, PLATFORM_SYSCALL, &ev);
    ops->ctx_free(c);
    ops->space_free(s);
}

/* A guest that blocks the kick and makes a call: its registers cannot be had. */
void test_blocked_pull(void)
{
    struct platform_space *s;
    struct platform_ctx *c = fresh(&s);
    struct lx_regs r = forged_return(at(guest_calls));
    struct platform_event ev;

    assert_int_equal(ops->ctx_run(c, &r, &ev), 0);
    assert_int_equal(ev.kind, PLATFORM_SYSCALL);
    ops->ctx_regs_pull(c, &r);
    assert_int_equal(r.orig_rax, 39);
    assert_int_equal(r.rbx, 0);
    expect(c, &r, PLATFORM_DEAD, &ev);
    ops->ctx_free(c);
    ops->space_free(s);
}

/* A sibling scribbles over the slot of a thread that faults, calls and is asked for registers. */
void test_rewritten_slot(void)
{
    struct platform_space *s;
    struct platform_ctx *c = fresh(&s);
    atomic_bool stop = false;
    struct worker w = {.stop = &stop};
    struct platform_event ev;
    struct lx_regs r = entry(guest_calls, 0, 0);
    unsigned dead = 0;

    expect(c, &r, PLATFORM_SYSCALL, &ev);
    assert_int_equal(ops->ctx_new(s, c, &w.c), 0);
    /* The sibling's stores, at the moments that matter: between ring and answer. */
    for (int i = 0; i < 20000; i++) {
        const uaddr_t slot = seccomp_slot_addr(g_p, c->thread.slot);

        if (i % 64 == 0) {
            r = entry(i % 128 ? guest_load : guest_calls, 0x50000000, 0);
            r.rsp = DATA + PAGE;
        }
        for (unsigned k = 0; k < 8; k++)
            ((uint64_t *)(void *)slot_of(c))[(size_t)rand() % (g_p->stacks.size / 8)] =
                rand() % 3 ? (uint64_t)rand() : slot + (uint64_t)(rand() % 8192);
        assert_int_equal(ops->ctx_run(c, &r, &ev), 0);
        if (ev.kind == PLATFORM_SYSCALL && i % 3 == 0)
            ops->ctx_regs_pull(c, &r);
        if (ev.kind == PLATFORM_DEAD) {
            dead++;
            ops->ctx_free(c);
            assert_int_equal(ops->ctx_new(s, w.c, &c), 0);
            r = entry(guest_calls, 0, 0);
        }
        if (dead > 50)
            break;
    }
    w.regs = entry(guest_calls, 0, 0);
    expect(w.c, &w.regs, PLATFORM_SYSCALL, &ev);
    ops->ctx_free(w.c);
    ops->ctx_free(c);
    ops->space_free(s);
}

/* A program finds no registers of an earlier one in the stub it got from it. */
static bool slot_has(struct platform_ctx *c, uint64_t word)
{
    for (size_t i = 0; i + sizeof(word) <= g_p->stacks.size; i++) {
        if (memcmp(slot_of(c) + i, &word, sizeof(word)) == 0)
            return true;
    }
    return false;
}

void test_recycled_slot(void)
{
    const uint64_t secret = 0x5ec4e75ec4e75ec4;
    struct platform_space *s;
    struct platform_ctx *c = fresh(&s);
    struct lx_regs r = entry(guest_fpu, 0, secret);
    struct platform_event ev;
    pid_t pid;

    for (int pulled = 0; pulled < 2; pulled++) {
        r = entry(guest_fpu, 0, secret);
        r.r15 = secret;
        assert_int_equal(ops->ctx_run(c, &r, &ev), 0);
        if (pulled) {
            ops->ctx_regs_pull(c, &r);
            assert_true(slot_has(c, secret));
        }
        pid = backend_pid(c);
        ops->ctx_free(c);
        ops->space_free(s);
        c = fresh(&s);
        assert_int_equal(backend_pid(c), pid);
        r = entry(guest_calls, 0, 0);
        assert_int_equal(ops->ctx_run(c, &r, &ev), 0);
        assert_int_equal(ev.kind, PLATFORM_SYSCALL);
        assert_false(slot_has(c, secret));
        ops->ctx_regs_pull(c, &r);
        assert_false(slot_has(c, secret));
    }
    ops->ctx_free(c);
    ops->space_free(s);
}

/* The host kills a control stub: its space is lost, others are not, and nobody waits for ever. */
void test_killed_control(void)
{
    struct platform_space *s, *other;
    struct platform_ctx *c = fresh(&s), *cc = fresh(&other);
    struct lx_regs r = entry(guest_calls, 0, 0), rr = r;
    struct platform_event ev;

    expect(c, &r, PLATFORM_SYSCALL, &ev);
    kill(s->control.pid, SIGKILL);
    assert_int_equal(ops->space_unmap(s, DATA, PAGE), 0);
    expect(c, &r, PLATFORM_DEAD, &ev);
    expect(cc, &rr, PLATFORM_SYSCALL, &ev);
    ops->ctx_free(c);
    ops->space_free(s);
    ops->ctx_free(cc);
    ops->space_free(other);
    c = fresh(&s);
    r = entry(guest_calls, 0, 0);
    expect(c, &r, PLATFORM_SYSCALL, &ev);
    ops->ctx_free(c);
    ops->space_free(s);
}

int main(void)
{
    return contract_main();
}
