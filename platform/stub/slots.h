/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Numbered pieces of a memory file that sentry and stubs share: request pages, signal stacks. A
 * number is handed out to one owner at a time.
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "platform/base/compiler.h"
#include "platform/base/lock.h"

#define SLOT_NONE  0xffffu
#define SLOT_COUNT 0x8000u

/* Numbers that wait for their next user. Lifetime: embedded; all zero is an empty one. Not locked. */
struct slot_stack {
    uint16_t *numbers;
    uint32_t count, room;
};

/* False: there is no memory for it, and the number is lost. */
bool MUST_CHECK slot_stack_push(struct slot_stack *s, uint32_t slot);
/* SLOT_NONE: empty. */
uint32_t slot_stack_pop(struct slot_stack *s);
void slot_stack_free(struct slot_stack *s);

/* Lifetime: embedded in the platform. Keys: I immutable, l ->lock */
struct slots {
    int fd;                 /* I: sealed memory file */
    uint8_t *memory;        /* I: the same, mapped in the sentry */
    size_t size;            /* I: of one slot */
    struct mutex lock;      /* rank LEAF */
    uint32_t next;          /* l: never used from here on */
    struct slot_stack free; /* l: room for all */
};

int MUST_CHECK slots_init(struct slots *s, const char *name, size_t size);
void slots_destroy(struct slots *s);
/* SLOT_NONE: all in use. */
uint32_t slots_get(struct slots *s);
void slots_put(struct slots *s, uint32_t slot);
static inline void *slots_at(const struct slots *s, uint32_t slot)
{
    return s->memory + (size_t)slot * s->size;
}
