/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Guest machine code around a system call: what of it can lead elsewhere, and the code that does
 * (sites.c has the picture). Functions of bytes only; what they are given is a guest's and may be
 * anything.
 */
#pragma once

#include "platform/base/compiler.h"
#include "sentry/abi/types.h"

enum {
    SITE_SYSCALL_SIZE = 2,
    SITE_JUMP_SIZE = 5,
    SITE_LENGTH_MAX = 8, /* of the instruction that is replaced */
};

/* An instruction that can be replaced, and where the jump to its entry can stand. Offsets in the
 * page. */
struct site_form {
    unsigned at, length;
    unsigned pad; /* where SITE_JUMP_SIZE bytes are free; at, when the instruction has that many */
    bool sets_nr; /* the instruction loads the number of the call */
};

/* code: the page (LX_PAGE_SIZE bytes) with the instruction before the system call, which starts at
 * offset end, at most LX_PAGE_SIZE. nr: what the call asked for. False: there is nothing to replace. */
bool site_find_form(const uint8_t *code, unsigned end, uint32_t nr, struct site_form *out);

/* Writes the jump into a version of the page, which is at address page. False: the pad is not what it
 * was in code (another site's jump stands there), or target is out of reach; *version is undefined then. */
bool site_write_jump(uint8_t *version, const uint8_t *code, uaddr_t page,
                     const struct site_form *form, uaddr_t target);

/* What an entry does. */
struct site_entry {
    uaddr_t at;              /* where it will stand */
    uaddr_t after;           /* after the system call instruction */
    uaddr_t lane;            /* lane code */
    const uint8_t *replaced; /* length bytes */
    uint8_t length;
    int answer; /* index of the slot's answer that may be returned at once; negative: none */
};

/* Writes at most ENTRY_SIZE bytes. False: something is out of reach. */
bool site_write_entry(uint8_t *to, const struct site_entry *entry);

/* Which of the slot's answers is the result of calls of this number; negative: none. */
int site_answer_index(uint32_t nr);
