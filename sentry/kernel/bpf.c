/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Classic BPF for seccomp. The set of instructions is the one Linux's seccomp accepts: 32-bit loads
 * of absolute offsets into seccomp_data, immediates, scratch memory, arithmetic, forward jumps and
 * returns. bpf_run trusts what bpf_check has seen and nothing else.
 */
#include "sentry/kernel/bpf.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

enum {
    BPF_LD_ = 0x00,
    BPF_LDX_ = 0x01,
    BPF_ST_ = 0x02,
    BPF_STX_ = 0x03,
    BPF_ALU_ = 0x04,
    BPF_JMP_ = 0x05,
    BPF_RET_ = 0x06,
    BPF_MISC_ = 0x07,
    BPF_W_ = 0x00,
    BPF_IMM_ = 0x00,
    BPF_ABS_ = 0x20,
    BPF_MEM_ = 0x60,
    BPF_LEN_ = 0x80,
    BPF_K_ = 0x00,
    BPF_X_ = 0x08,
    BPF_A_ = 0x10,
    BPF_TAX_ = 0x00,
    BPF_TXA_ = 0x80,
    BPF_JA_ = 0x00,
    BPF_JEQ_ = 0x10,
    BPF_JGT_ = 0x20,
    BPF_JGE_ = 0x30,
    BPF_JSET_ = 0x40,
    BPF_ADD_ = 0x00,
    BPF_SUB_ = 0x10,
    BPF_MUL_ = 0x20,
    BPF_DIV_ = 0x30,
    BPF_OR_ = 0x40,
    BPF_AND_ = 0x50,
    BPF_LSH_ = 0x60,
    BPF_RSH_ = 0x70,
    BPF_NEG_ = 0x80,
    BPF_XOR_ = 0xa0,
    MEMWORDS = 16,
};

/* One instruction by itself: does seccomp know it, are its operands in range? */
static bool insn_valid(const struct lx_sock_filter *f, uint32_t pc, uint32_t count)
{
    uint32_t left = count - pc - 1;

    switch (f->code) {
    case BPF_LD_ | BPF_W_ | BPF_ABS_:
        return !(f->k & 3) && f->k < sizeof(struct lx_seccomp_data);
    case BPF_LD_ | BPF_W_ | BPF_LEN_:
    case BPF_LDX_ | BPF_W_ | BPF_LEN_:
    case BPF_LD_ | BPF_IMM_:
    case BPF_LDX_ | BPF_IMM_:
    case BPF_MISC_ | BPF_TAX_:
    case BPF_MISC_ | BPF_TXA_:
    case BPF_RET_ | BPF_K_:
    case BPF_RET_ | BPF_A_:
    case BPF_ALU_ | BPF_ADD_ | BPF_K_:
    case BPF_ALU_ | BPF_ADD_ | BPF_X_:
    case BPF_ALU_ | BPF_SUB_ | BPF_K_:
    case BPF_ALU_ | BPF_SUB_ | BPF_X_:
    case BPF_ALU_ | BPF_MUL_ | BPF_K_:
    case BPF_ALU_ | BPF_MUL_ | BPF_X_:
    case BPF_ALU_ | BPF_DIV_ | BPF_X_:
    case BPF_ALU_ | BPF_AND_ | BPF_K_:
    case BPF_ALU_ | BPF_AND_ | BPF_X_:
    case BPF_ALU_ | BPF_OR_ | BPF_K_:
    case BPF_ALU_ | BPF_OR_ | BPF_X_:
    case BPF_ALU_ | BPF_XOR_ | BPF_K_:
    case BPF_ALU_ | BPF_XOR_ | BPF_X_:
    case BPF_ALU_ | BPF_LSH_ | BPF_X_:
    case BPF_ALU_ | BPF_RSH_ | BPF_X_:
    case BPF_ALU_ | BPF_NEG_:
        return true;
    case BPF_ALU_ | BPF_DIV_ | BPF_K_:
        return f->k != 0;
    case BPF_ALU_ | BPF_LSH_ | BPF_K_:
    case BPF_ALU_ | BPF_RSH_ | BPF_K_:
        return f->k < 32;
    case BPF_LD_ | BPF_MEM_:
    case BPF_LDX_ | BPF_MEM_:
    case BPF_ST_:
    case BPF_STX_:
        return f->k < MEMWORDS;
    case BPF_JMP_ | BPF_JA_:
        return f->k < left;
    case BPF_JMP_ | BPF_JEQ_ | BPF_K_:
    case BPF_JMP_ | BPF_JEQ_ | BPF_X_:
    case BPF_JMP_ | BPF_JGE_ | BPF_K_:
    case BPF_JMP_ | BPF_JGE_ | BPF_X_:
    case BPF_JMP_ | BPF_JGT_ | BPF_K_:
    case BPF_JMP_ | BPF_JGT_ | BPF_X_:
    case BPF_JMP_ | BPF_JSET_ | BPF_K_:
    case BPF_JMP_ | BPF_JSET_ | BPF_X_:
        return f->jt < left && f->jf < left;
    default:
        return false;
    }
}

/* Every scratch word is stored on all paths before it is loaded. masks[pc]: words valid at pc. */
static bool memory_valid(const struct lx_sock_filter *f, uint32_t count)
{
    uint16_t *masks = malloc(count * sizeof(*masks)), valid = 0;
    bool ok = false;

    if (!masks)
        return false;
    memset(masks, 0xff, count * sizeof(*masks));
    for (uint32_t pc = 0; pc < count; pc++) {
        valid &= masks[pc];
        switch (f[pc].code) {
        case BPF_ST_:
        case BPF_STX_:
            valid |= (uint16_t)(1u << f[pc].k);
            break;
        case BPF_LD_ | BPF_MEM_:
        case BPF_LDX_ | BPF_MEM_:
            if (!(valid & 1u << f[pc].k))
                goto out;
            break;
        case BPF_JMP_ | BPF_JA_:
            masks[pc + 1 + f[pc].k] &= valid;
            valid = 0xffff;
            break;
        default:
            if ((f[pc].code & 7) == BPF_JMP_) {
                masks[pc + 1 + f[pc].jt] &= valid;
                masks[pc + 1 + f[pc].jf] &= valid;
                valid = 0xffff;
            }
            break;
        }
    }
    ok = true;
out:
    free(masks);
    return ok;
}

int bpf_check(const struct lx_sock_filter *insns, uint32_t count)
{
    if (!count || count > LX_BPF_MAXINSNS)
        return -EINVAL;
    for (uint32_t pc = 0; pc < count; pc++)
        if (!insn_valid(&insns[pc], pc, count))
            return -EINVAL;
    if ((insns[count - 1].code & 7) != BPF_RET_)
        return -EINVAL;
    return memory_valid(insns, count) ? 0 : -EINVAL;
}

static uint32_t alu(uint16_t code, uint32_t a, uint32_t v)
{
    switch (code & 0xf0) {
    case BPF_ADD_:
        return a + v;
    case BPF_SUB_:
        return a - v;
    case BPF_MUL_:
        return a * v;
    case BPF_DIV_:
        return v ? a / v : 0;
    case BPF_OR_:
        return a | v;
    case BPF_AND_:
        return a & v;
    case BPF_LSH_:
        return a << (v & 31);
    case BPF_RSH_:
        return a >> (v & 31);
    case BPF_XOR_:
        return a ^ v;
    default:
        return (uint32_t) - (int32_t)a;
    }
}

static bool jump_taken(uint16_t code, uint32_t a, uint32_t v)
{
    switch (code & 0xf0) {
    case BPF_JEQ_:
        return a == v;
    case BPF_JGT_:
        return a > v;
    case BPF_JGE_:
        return a >= v;
    default:
        return a & v;
    }
}

/* The verdict of a program that loads nothing at or beyond `limit` bytes of data on its way; false when
 * it does. */
static inline bool run(const struct lx_sock_filter *f, const struct lx_seccomp_data *data,
                       size_t limit, uint32_t *out)
{
    uint32_t a = 0, x = 0, mem[MEMWORDS] = {0}, word;

    for (;; f++) {
        switch (f->code & 7) {
        case BPF_LD_:
        case BPF_LDX_:
            switch (f->code & 0xe0) {
            case BPF_ABS_:
                if (f->k >= limit)
                    return false;
                /* SAFETY: bpf_check bounded k to an aligned offset inside the struct. */
                memcpy(&word, (const char *)data + f->k, sizeof(word));
                break;
            case BPF_MEM_:
                word = mem[f->k];
                break;
            case BPF_LEN_:
                word = sizeof(*data);
                break;
            default:
                word = f->k;
                break;
            }
            if ((f->code & 7) == BPF_LD_)
                a = word;
            else
                x = word;
            break;
        case BPF_ST_:
            mem[f->k] = a;
            break;
        case BPF_STX_:
            mem[f->k] = x;
            break;
        case BPF_ALU_:
            if ((f->code & 0xf0) == BPF_DIV_ && (f->code & BPF_X_) && !x) {
                *out = 0; /* as Linux: the program ends */
                return true;
            }
            a = alu(f->code, a, f->code & BPF_X_ ? x : f->k);
            break;
        case BPF_JMP_:
            if (f->code == (BPF_JMP_ | BPF_JA_))
                f += f->k;
            else
                f += jump_taken(f->code, a, f->code & BPF_X_ ? x : f->k) ? f->jt : f->jf;
            break;
        case BPF_RET_:
            *out = (f->code & 0x18) == BPF_A_ ? a : f->k;
            return true;
        default:
            if (f->code & BPF_TXA_)
                a = x;
            else
                x = a;
            break;
        }
    }
}

uint32_t bpf_run(const struct lx_sock_filter *insns, const struct lx_seccomp_data *data)
{
    uint32_t verdict = 0;

    (void)run(insns, data, sizeof(*data), &verdict); /* a checked program loads nothing beyond */
    return verdict;
}

bool bpf_allows_always(const struct lx_sock_filter *insns, int32_t nr, uint32_t arch)
{
    const struct lx_seccomp_data data = {.nr = nr, .arch = arch};
    uint32_t verdict;

    return run(insns, &data, offsetof(struct lx_seccomp_data, instruction_pointer), &verdict) &&
           (verdict & LX_SECCOMP_RET_ACTION_FULL) == LX_SECCOMP_RET_ALLOW;
}
