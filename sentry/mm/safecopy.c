// SPDX-License-Identifier: Apache-2.0
/*
 * The handler behind safecopy.h: a SIGSEGV or SIGBUS whose rip lies in one of the routines resumes
 * at the routine's fix-up; any other is a bug of the sentry and ends it with a register dump.
 */
#include "sentry/mm/safecopy.h"

#include <errno.h>
#include <signal.h>
#include <string.h>
#include <ucontext.h>

#include "platform/base/assert.h"
#include "platform/host/proc.h"

struct safecopy_entry {
    uint64_t start, end, fixup;
};
/* Defined in safecopy_x86_64.S. */
extern const struct safecopy_entry safecopy_table[], safecopy_table_end[];

static void dump_and_panic(int signo, const siginfo_t *si, const greg_t *g)
{
    panic("sentry got signal %d code %d addr %p rip %llx rsp %llx rbp %llx rax %llx rbx %llx "
          "rcx %llx rdx %llx rsi %llx rdi %llx r8 %llx r9 %llx r10 %llx r11 %llx r12 %llx "
          "r13 %llx r14 %llx r15 %llx",
          signo, si->si_code, si->si_addr, g[REG_RIP], g[REG_RSP], g[REG_RBP], g[REG_RAX],
          g[REG_RBX], g[REG_RCX], g[REG_RDX], g[REG_RSI], g[REG_RDI], g[REG_R8], g[REG_R9],
          g[REG_R10], g[REG_R11], g[REG_R12], g[REG_R13], g[REG_R14], g[REG_R15]);
}

/* Whatever faults from here on ends the process at once. */
static void restore_default(void)
{
    struct sigaction sa = {.sa_handler = SIG_DFL};

    if (host_sigaction(SIGSEGV, &sa, NULL) < 0 || host_sigaction(SIGBUS, &sa, NULL) < 0)
        host_exit_group(127);
}

static void on_fault(int signo, siginfo_t *si, void *context)
{
    ucontext_t *uc = context;
    uint64_t rip = (uint64_t)uc->uc_mcontext.gregs[REG_RIP];
    const struct safecopy_entry *e;

    for (e = safecopy_table; e < safecopy_table_end; e++) {
        if (rip >= e->start && rip < e->end) {
            uc->uc_mcontext.gregs[REG_RIP] = (greg_t)e->fixup;
            return;
        }
    }
    restore_default();
    dump_and_panic(signo, si, uc->uc_mcontext.gregs);
}

int uaccess_fault_init(void)
{
    struct sigaction sa;
    int ret;

    memset(&sa, 0, sizeof(sa));
    sa.sa_sigaction = on_fault;
    sa.sa_flags = SA_SIGINFO | SA_ONSTACK | SA_NODEFER;
    ret = host_sigaction(SIGSEGV, &sa, NULL);
    if (ret == 0)
        ret = host_sigaction(SIGBUS, &sa, NULL);
    return ret;
}
