/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The fake back end: no guest code runs. Spaces record what is mapped, so that unit tests of mm and
 * kernel can ask for it and reach guest memory through the recorded descriptors; a ctx returns the
 * events a test gave it. It is also the shortest complete example of the contract.
 *
 * Changes take effect at once: there is no queue, and space_barrier only counts.
 */
#pragma once

#include "platform/platform.h"

extern const struct platform_ops g_platform_fake_ops;

struct fake_mapping {
    uaddr_t start, end;
    int prot, fd;
    uint64_t offset;
};

/* The mapping that covers addr; false when there is none. */
bool fake_space_find(struct platform_space *s, uaddr_t addr, struct fake_mapping *out);
/* How many mappings there are; neighbours that continue each other count once. */
unsigned fake_space_count(struct platform_space *s);
/* Guest memory as the guest would see it. -EFAULT: not mapped, or protection forbids it. */
int fake_space_read(struct platform_space *s, uaddr_t addr, void *buf, size_t size);
int fake_space_write(struct platform_space *s, uaddr_t addr, const void *buf, size_t size);

/* Calls since the platform was started. */
struct fake_calls {
    unsigned map, unmap, protect, clear, barrier, space_new, space_clone, run, interrupt;
};
const struct fake_calls *fake_calls(struct platform *p);

/* One step of a guest thread: regs may be NULL (registers stay). */
struct fake_step {
    struct platform_event event;
    const struct lx_regs *regs; /* borrowed until the step ran */
};
/* Appends a step. -ENOMEM. A ctx without steps left returns PLATFORM_DEAD, one that was interrupted
 * PLATFORM_INTERRUPTED, before any step. */
int fake_ctx_push(struct platform_ctx *c, const struct fake_step *step);
/* Instead of steps: fn plays the guest. */
void fake_ctx_play(struct platform_ctx *c,
                   void (*fn)(void *arg, struct lx_regs *regs, struct platform_event *out),
                   void *arg);
struct platform_space *fake_ctx_space(struct platform_ctx *c);
