/* SPDX-License-Identifier: Apache-2.0 */
/* Machine code at call sites; see site_code.h. Forms are those of gcc, clang and Go for x86-64. */
#include "platform/seccomp/site_code.h"

#include <errno.h>
#include <string.h>

#include "platform/seccomp/layout.h"

enum {
    SHORT_JUMP_SIZE = 2,
    SHORT_REACH = 127, /* bytes from the end of a short jump */
    LEA_SIZE = 7,
    RET = 0xc3,
    PATH_MAX_INSNS = 4,
};

/* --- room for a jump --- */

/* The length of the instruction at code + i if it is one of those that stand between a system call and
 * the return of its function, on the way where the call did not fail. 0: it is something else. */
static unsigned after_call(const uint8_t *code, unsigned i, unsigned end)
{
    if (i + 6 > end)
        return 0;
    if (code[i] == 0x48 && code[i + 1] == 0x3d) /* cmp $imm32, %rax */
        return 6;
    if (code[i] == 0x48 && code[i + 1] == 0x83 && code[i + 2] == 0xf8) /* cmp $imm8, %rax */
        return 4;
    if (code[i] >= 0x72 && code[i] <= 0x77 && code[i] != 0x74 && code[i] != 0x75)
        return 2; /* jb, jae, jbe, ja */
    if (code[i] == 0x0f && code[i + 1] >= 0x82 && code[i + 1] <= 0x87 && code[i + 1] != 0x84 &&
        code[i + 1] != 0x85)
        return 6; /* the same, far */
    return 0;
}

/* Are there SITE_JUMP_SIZE bytes from i on that are padding, provided that nothing runs into them? */
static bool is_padding(const uint8_t *code, unsigned i, unsigned end)
{
    static const uint8_t nops[][10] = {
        {0x0f, 0x1f, 0x44, 0x00, 0x00},                               /* 5 bytes */
        {0x66, 0x0f, 0x1f, 0x44, 0x00, 0x00},                         /* 6 */
        {0x0f, 0x1f, 0x80, 0x00, 0x00, 0x00, 0x00},                   /* 7 */
        {0x0f, 0x1f, 0x84, 0x00, 0x00, 0x00, 0x00, 0x00},             /* 8 */
        {0x66, 0x0f, 0x1f, 0x84, 0x00, 0x00, 0x00, 0x00, 0x00},       /* 9 */
        {0x66, 0x2e, 0x0f, 0x1f, 0x84, 0x00, 0x00, 0x00, 0x00, 0x00}, /* 10 */
    };

    for (unsigned k = 0; k < ARRAY_COUNT(nops); k++) {
        if (i + k + SITE_JUMP_SIZE <= end && memcmp(code + i, nops[k], k + SITE_JUMP_SIZE) == 0)
            return true;
    }
    return false;
}

/*
 * Five bytes within reach of a short jump at at that nobody executes: no-ops behind a return, traps
 * behind one. 0: none.
 *
 * That a byte is a return, and not the end of another instruction behind which no-ops are run into (they
 * align loops too), shows only who comes to it from a known place: the instructions after the call are
 * followed. Traps need no such proof: nobody runs into those either way.
 */
static unsigned find_pad(const uint8_t *code, unsigned at, unsigned call)
{
    static const uint8_t traps[] = {RET, 0xcc, 0xcc, 0xcc, 0xcc, 0xcc}; /* Go */
    const unsigned end = LX_PAGE_SIZE;
    const unsigned reach = MIN(at + SHORT_JUMP_SIZE + SHORT_REACH, end - 1);
    unsigned i = call + SITE_SYSCALL_SIZE, length = 1;

    for (unsigned n = 0; n < PATH_MAX_INSNS && length != 0 && i < end; n++) {
        if (code[i] == RET) {
            if (i + 1 <= reach && is_padding(code, i + 1, end))
                return i + 1;
            break;
        }
        length = after_call(code, i, end);
        i += length;
    }
    for (i = call + SITE_SYSCALL_SIZE; i + 1 <= reach && i + sizeof(traps) <= end; i++) {
        if (memcmp(code + i, traps, sizeof(traps)) == 0)
            return i + 1;
    }
    return 0;
}

/* --- what can be replaced --- */

/* mov $nr, %eax that ends at end; not the end of a longer instruction. */
static bool loads_nr(const uint8_t *code, unsigned end, uint32_t nr)
{
    uint32_t imm;

    if (end < 6 || code[end - 5] != 0xb8 || (code[end - 6] & 0xf0) == 0x40)
        return false;
    memcpy(&imm, code + end - 4, sizeof(imm));
    return imm == nr;
}

/* The length of a move or exclusive or of two registers that ends at end, when what stands before it
 * shows that it is one: the load of the number, or the whole of Go's Syscall6. 0: no. */
static unsigned move_before(const uint8_t *code, unsigned end, uint32_t nr)
{
    static const uint8_t go[] = {0x49, 0x89, 0xf2, 0x48, 0x89, 0xfa,
                                 0x48, 0x89, 0xce, 0x48, 0x89, 0xdf};

    if (end >= sizeof(go) && memcmp(code + end - sizeof(go), go, sizeof(go)) == 0)
        return 3;
    if (end < 9 || code[end - 1] < 0xc0 || (code[end - 2] != 0x89 && code[end - 2] != 0x31))
        return 0;
    if ((code[end - 3] & 0xf0) == 0x40 && loads_nr(code, end - 3, nr))
        return 3;
    return loads_nr(code, end - 2, nr) ? 2 : 0;
}

bool site_find_form(const uint8_t *code, unsigned end, uint32_t nr, struct site_form *out)
{
    uint32_t imm;

    if (end > LX_PAGE_SIZE)
        return false;
    *out = (struct site_form){.sets_nr = true};
    if (end >= 7 && memcmp(code + end - 7, "\x48\xc7\xc0", 3) == 0) { /* mov $nr, %rax */
        memcpy(&imm, code + end - 4, sizeof(imm));
        out->length = 7;
        if (imm == nr)
            goto found;
    }
    if (loads_nr(code, end, nr)) {
        out->length = 5;
        goto found;
    }
    out->sets_nr = false;
    if (end >= 5 &&
        (memcmp(code + end - 5, "\x4c\x8b\x4c\x24\x08", 5) == 0 ||  /* mov 8(%rsp), %r9 */
         memcmp(code + end - 5, "\x4c\x89\x5c\x24\x08", 5) == 0)) { /* mov %r11, 8(%rsp) */
        out->length = 5;
        goto found;
    }
    out->length = move_before(code, end, nr);
    if (end >= 2 && nr == 0 && memcmp(code + end - 2, "\x31\xc0", 2) == 0) { /* xor %eax, %eax */
        out->length = 2;
        out->sets_nr = true;
    }
    out->at = end - out->length;
    out->pad = out->length ? find_pad(code, out->at, end) : 0;
    return out->pad != 0;
found:
    out->at = out->pad = end - out->length;
    return true;
}

/* --- writing --- */

/* A jump or lea whose last four bytes are the distance to a target. */
static bool put_rel32(uint8_t *to, uaddr_t next, uaddr_t target)
{
    int64_t rel = (int64_t)(target - next);
    int32_t rel32 = (int32_t)rel;

    if (rel != rel32)
        return false;
    memcpy(to, &rel32, sizeof(rel32));
    return true;
}

bool site_write_jump(uint8_t *version, const uint8_t *code, uaddr_t page,
                     const struct site_form *form, uaddr_t target)
{
    if (memcmp(version + form->pad, code + form->pad, SITE_JUMP_SIZE) != 0)
        return false;
    if (form->pad != form->at) {
        version[form->at] = 0xeb;
        version[form->at + 1] = (uint8_t)(form->pad - form->at - SHORT_JUMP_SIZE);
    }
    version[form->pad] = 0xe9;
    return put_rel32(version + form->pad + 1, page + form->pad + SITE_JUMP_SIZE, target);
}

int site_answer_index(uint32_t nr)
{
    static const uint16_t numbers[] = {39,  186, 102,
                                       104, 107, 108}; /* getpid, gettid, get[e][ug]id */

    static_assert(ARRAY_COUNT(numbers) <= ANSWER_NONE && ANSWER_NONE < ANSWER_COUNT, "in the slot");
    for (unsigned i = 0; i < ARRAY_COUNT(numbers); i++) {
        if (numbers[i] == nr)
            return (int)i;
    }
    return -ENOENT;
}

bool site_write_entry(uint8_t *to, const struct site_entry *e)
{
    const uint8_t magic[] = {0x65,
                             0x81,
                             0x3c,
                             0x25,
                             SLOT_MAGIC,
                             0,
                             0,
                             0, /* cmpl $MAGIC, %gs:.. */
                             LANE_MAGIC & 0xff,
                             LANE_MAGIC >> 8 & 0xff,
                             LANE_MAGIC >> 16 & 0xff,
                             LANE_MAGIC >> 24,
                             0x75,
                             0x16};                                   /* jne past the answer */
    const uint8_t load[] = {0x65, 0x48, 0x8b, 0x04, 0x25, 0, 0, 0, 0, /* mov %gs:.., %rax */
                            0x48, 0x85, 0xc0,                         /* test %rax, %rax */
                            0x79, 0x08,                               /* jns past the answer */
                            0x48, 0xf7, 0xd0};                        /* not %rax */
    unsigned n = 0;

    static_assert(SLOT_ANSWERS + 8 * ANSWER_COUNT < 256 && SLOT_MAGIC < 128, "one byte");
    static_assert(sizeof(magic) + sizeof(load) + 2 * SITE_JUMP_SIZE + SITE_LENGTH_MAX + LEA_SIZE <=
                      ENTRY_SIZE,
                  "an entry is whole");
    if (e->answer >= 0) {
        memcpy(to, magic, sizeof(magic));
        n = sizeof(magic);
        memcpy(to + n, load, sizeof(load));
        to[n + 5] = (uint8_t)(SLOT_ANSWERS + 8 * e->answer);
        n += sizeof(load);
        to[n] = 0xe9; /* jmp after */
        if (!put_rel32(to + n + 1, e->at + n + SITE_JUMP_SIZE, e->after))
            return false;
        n += SITE_JUMP_SIZE;
    }
    memcpy(to + n, e->replaced, e->length);
    n += e->length;
    memcpy(to + n, "\x48\x8d\x0d", 3); /* lea after(%rip), %rcx */
    if (!put_rel32(to + n + 3, e->at + n + LEA_SIZE, e->after))
        return false;
    n += LEA_SIZE;
    to[n] = 0xe9; /* jmp lane code */
    return put_rel32(to + n + 1, e->at + n + SITE_JUMP_SIZE, e->lane);
}
