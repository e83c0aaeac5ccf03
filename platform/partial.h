/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Registers that a SYSCALL event does not deliver (platform.h), for back ends that have all of them
 * at hand: fake always hides them, ptrace does in debug builds, so that code which reads or changes
 * one without ctx_regs_pull meets a wrong value on every back end.
 */
#pragma once

#include "platform/platform.h"

/* Lifetime: embedded in the ctx; its owner's. */
struct partial_regs {
    struct lx_regs all;
    bool hidden;
};

#define PARTIAL_POISON 0x5ec0deadbeef5ec0ull

/* Copies what a SYSCALL event delivers. */
static inline void partial_copy_call(struct lx_regs *to, const struct lx_regs *from)
{
    to->rax = from->rax;
    to->orig_rax = from->orig_rax;
    to->rip = from->rip;
    to->rdi = from->rdi;
    to->rsi = from->rsi;
    to->rdx = from->rdx;
    to->r10 = from->r10;
    to->r8 = from->r8;
    to->r9 = from->r9;
    to->rcx = from->rcx;
    to->cs = from->cs;
    to->ss = from->ss;
}

/* At a SYSCALL event. */
static inline void partial_hide(struct partial_regs *p, struct lx_regs *r)
{
    p->all = *r;
    p->hidden = true;
    for (uint64_t *v = &r->r15; v <= &r->gs; v++)
        *v = PARTIAL_POISON;
    partial_copy_call(r, &p->all);
}

static inline void partial_pull(struct partial_regs *p, struct lx_regs *r)
{
    if (p->hidden) {
        partial_copy_call(&p->all, r);
        *r = p->all;
        p->hidden = false;
    }
}

/* Before a run: what guest code shall have. */
static inline void partial_push(struct partial_regs *p, struct lx_regs *r)
{
    if (p->hidden) {
        p->all.rax = r->rax;
        p->all.orig_rax = UINT64_MAX;
        *r = p->all;
        p->hidden = false;
    }
}
