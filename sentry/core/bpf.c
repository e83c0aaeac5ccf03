/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Classic BPF. For seccomp the set of instructions is the one Linux's seccomp accepts: 32-bit loads
 * of absolute offsets into seccomp_data, immediates, scratch memory, arithmetic, forward jumps and
 * returns. Sockets also load bytes and halves, in network order and relative to X, and ask for what
 * is known of a packet beside its bytes. bpf_run trusts what bpf_check has seen and nothing else.
 */
#include "sentry/core/bpf.h"

#include <errno.h>
#include <sched.h>
#include <stdlib.h>
#include <string.h>

#include "sentry/core/random.h"

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
    BPF_H_ = 0x08,
    BPF_B_ = 0x10,
    BPF_IMM_ = 0x00,
    BPF_ABS_ = 0x20,
    BPF_IND_ = 0x40,
    BPF_MEM_ = 0x60,
    BPF_LEN_ = 0x80,
    BPF_MSH_ = 0xa0,
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
    BPF_MOD_ = 0x90,
    BPF_XOR_ = 0xa0,
    MEMWORDS = 16,
};

/* Offsets that are none: what is known of a packet beside its bytes, and bytes of its headers. */
#define AD_OFF  0xfffff000u
#define NET_OFF 0xfff00000u
#define LL_OFF  0xffe00000u
enum {
    AD_PROTOCOL = 0,
    AD_PKTTYPE = 4,
    AD_IFINDEX = 8,
    AD_NLATTR = 12,
    AD_NLATTR_NEST = 16,
    AD_MARK = 20,
    AD_QUEUE = 24,
    AD_HATYPE = 28,
    AD_RXHASH = 32,
    AD_CPU = 36,
    AD_ALU_XOR_X = 40,
    AD_VLAN_TAG = 44,
    AD_VLAN_TAG_PRESENT = 48,
    AD_PAY_OFFSET = 52,
    AD_RANDOM = 56,
    AD_VLAN_TPID = 60,
    AD_MAX = 64,
};

static bool socket_load_valid(const struct lx_sock_filter *f)
{
    uint32_t ad = f->k - AD_OFF;

    return f->k < AD_OFF || (ad < AD_MAX && ad % 4 == 0);
}

/* One instruction by itself: does the kind know it, are its operands in range? */
static bool insn_valid(enum bpf_kind kind, const struct lx_sock_filter *f, uint32_t pc,
                       uint32_t count)
{
    uint32_t left = count - pc - 1;
    bool socket = kind == BPF_KIND_SOCKET;

    switch (f->code) {
    case BPF_LD_ | BPF_W_ | BPF_ABS_:
        return socket ? socket_load_valid(f) : !(f->k & 3) && f->k < sizeof(struct lx_seccomp_data);
    case BPF_LD_ | BPF_H_ | BPF_ABS_:
    case BPF_LD_ | BPF_B_ | BPF_ABS_:
        return socket && socket_load_valid(f);
    case BPF_LD_ | BPF_W_ | BPF_IND_:
    case BPF_LD_ | BPF_H_ | BPF_IND_:
    case BPF_LD_ | BPF_B_ | BPF_IND_:
    case BPF_LDX_ | BPF_B_ | BPF_MSH_:
    case BPF_ALU_ | BPF_MOD_ | BPF_X_:
        return socket;
    case BPF_ALU_ | BPF_MOD_ | BPF_K_:
        return socket && f->k != 0;
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

int bpf_check(enum bpf_kind kind, const struct lx_sock_filter *insns, uint32_t count)
{
    if (!count || count > LX_BPF_MAXINSNS)
        return -EINVAL;
    for (uint32_t pc = 0; pc < count; pc++)
        if (!insn_valid(kind, &insns[pc], pc, count))
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
    case BPF_MOD_:
        return v ? a % v : 0;
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
        return 0u - a;
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

/* Where a program's loads come from. */
struct source {
    const struct lx_seccomp_data *data; /* BPF_KIND_SECCOMP, the first limit bytes of it */
    size_t limit;
    const struct bpf_packet *packet; /* BPF_KIND_SOCKET */
};

/* The attribute of the type among those that begin at `at`: its offset, or 0. */
static uint32_t find_attribute(const struct bpf_packet *p, uint64_t at, uint64_t end, uint32_t type)
{
    const uint8_t *data = p->bytes + p->start;
    uint16_t head[2];

    while (at + sizeof(head) <= end) {
        memcpy(head, data + at, sizeof(head));
        if (head[0] < sizeof(head) || at + head[0] > end)
            return 0;
        if ((head[1] & 0x3fff) == type)
            return (uint32_t)at;
        at += (head[0] + 3u) & ~3u;
    }
    return 0;
}

static uint32_t attribute(const struct bpf_packet *p, uint32_t a, uint32_t x, bool nested)
{
    uint64_t size = p->size - p->start, end = size;
    uint16_t len;

    if ((uint64_t)a + 4 > size)
        return 0;
    if (!nested)
        return find_attribute(p, a, end, x);
    memcpy(&len, p->bytes + p->start + a, sizeof(len));
    if (len < 4 || a + (uint64_t)len > size)
        return 0;
    return find_attribute(p, (uint64_t)a + 4, a + (uint64_t)len, x);
}

static uint32_t ancillary(const struct bpf_packet *p, uint32_t what, uint32_t a, uint32_t x)
{
    uint32_t word;

    switch (what) {
    case AD_PROTOCOL:
        return p->protocol;
    case AD_PKTTYPE:
        return p->type;
    case AD_IFINDEX:
        return p->ifindex;
    case AD_NLATTR:
        return attribute(p, a, x, /*nested=*/false);
    case AD_NLATTR_NEST:
        return attribute(p, a, x, /*nested=*/true);
    case AD_MARK:
        return p->mark;
    case AD_HATYPE:
        return p->hatype;
    case AD_CPU:
        return (uint32_t)MAX(sched_getcpu(), 0);
    case AD_ALU_XOR_X:
        return a ^ x;
    case AD_RANDOM:
        return random_bytes(&word, sizeof(word)) == sizeof(word) ? word : 0;
    default: /* no queues, no hashes, no VLANs */
        return 0;
    }
}

/* size bytes in network order at an offset that may be one of a header. False: outside. */
static bool load_bytes(const struct bpf_packet *p, uint32_t k, size_t size, uint32_t *out)
{
    size_t from = p->start;

    if (k >= NET_OFF)
        from = p->net;
    else if (k >= LL_OFF)
        from = p->link;
    if (k >= LL_OFF)
        k -= k >= NET_OFF ? NET_OFF : LL_OFF;
    else if ((int32_t)k < 0)
        return false;
    if (from == BPF_NO_HEADER || from > p->size || k > p->size - from || size > p->size - from - k)
        return false;
    *out = 0;
    for (size_t i = 0; i < size; i++)
        *out = *out << 8 | p->bytes[from + k + i];
    return true;
}

static bool load_packet(const struct bpf_packet *p, const struct lx_sock_filter *f, uint32_t a,
                        uint32_t x, uint32_t *out)
{
    size_t size = (f->code & 0x18) == BPF_B_ ? 1 : (f->code & 0x18) == BPF_H_ ? 2 : 4;

    switch (f->code & 0xe0) {
    case BPF_ABS_:
        if (f->k >= AD_OFF) {
            *out = ancillary(p, f->k - AD_OFF, a, x);
            return true;
        }
        return load_bytes(p, f->k, size, out);
    case BPF_IND_:
        return load_bytes(p, x + f->k, size, out);
    case BPF_LEN_:
        *out = (uint32_t)(p->size - p->start);
        return true;
    default: /* BPF_MSH_ */
        if (!load_bytes(p, f->k, 1, out))
            return false;
        *out = (*out & 0xf) << 2;
        return true;
    }
}

static inline bool load(const struct source *s, const struct lx_sock_filter *f, uint32_t a,
                        uint32_t x, uint32_t *out)
{
    if (s->packet)
        return load_packet(s->packet, f, a, x, out);
    if ((f->code & 0xe0) == BPF_LEN_) {
        *out = sizeof(*s->data);
        return true;
    }
    if (f->k >= s->limit)
        return false;
    /* SAFETY: bpf_check bounded k to an aligned offset inside the struct. */
    memcpy(out, (const char *)s->data + f->k, sizeof(*out));
    return true;
}

/* The verdict; false when the program loads something that is not there. */
static inline bool run(const struct lx_sock_filter *f, const struct source *s, uint32_t *out)
{
    uint32_t a = 0, x = 0, mem[MEMWORDS] = {0}, word;

    for (;; f++) {
        switch (f->code & 7) {
        case BPF_LD_:
        case BPF_LDX_:
            switch (f->code & 0xe0) {
            case BPF_MEM_:
                word = mem[f->k];
                break;
            case BPF_IMM_:
                word = f->k;
                break;
            default:
                if (!load(s, f, a, x, &word))
                    return false;
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
            if (((f->code & 0xf0) == BPF_DIV_ || (f->code & 0xf0) == BPF_MOD_) &&
                (f->code & BPF_X_) && !x) {
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
    const struct source s = {.data = data, .limit = sizeof(*data)};
    uint32_t verdict = 0;

    (void)run(insns, &s, &verdict); /* a checked program loads nothing beyond */
    return verdict;
}

bool bpf_allows_always(const struct lx_sock_filter *insns, int32_t nr, uint32_t arch)
{
    const struct lx_seccomp_data data = {.nr = nr, .arch = arch};
    const struct source s = {.data = &data,
                             .limit = offsetof(struct lx_seccomp_data, instruction_pointer)};
    uint32_t verdict;

    return run(insns, &s, &verdict) &&
           (verdict & LX_SECCOMP_RET_ACTION_FULL) == LX_SECCOMP_RET_ALLOW;
}

uint32_t bpf_run_packet(const struct lx_sock_filter *insns, const struct bpf_packet *packet)
{
    const struct source s = {.packet = packet};
    uint32_t verdict;

    return run(insns, &s, &verdict) ? verdict : 0;
}
