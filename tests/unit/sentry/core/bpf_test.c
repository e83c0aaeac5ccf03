/* SPDX-License-Identifier: Apache-2.0 */
/* Seccomp's BPF: programs that must be refused, arithmetic and jumps of those that are not. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <errno.h>
#include <linux/filter.h>
#include <stdlib.h>
#include <string.h>

#include "sentry/core/bpf.h"

#define STMT(code, k)                                                                              \
    {                                                                                              \
        code, 0, 0, k                                                                              \
    }
#define JUMP(code, k, jt, jf)                                                                      \
    {                                                                                              \
        code, jt, jf, k                                                                            \
    }

static uint32_t run(const struct lx_sock_filter *f, uint32_t count, uint64_t arg0)
{
    struct lx_seccomp_data data = {.nr = 39, .arch = LX_AUDIT_ARCH_X86_64, .args = {arg0}};

    assert_int_equal(bpf_check(BPF_KIND_SECCOMP, f, count), 0);
    return bpf_run(f, &data);
}

static void a_filter_by_number(void **state)
{
    const struct lx_sock_filter f[] = {
        STMT(BPF_LD | BPF_W | BPF_ABS, 0),
        JUMP(BPF_JMP | BPF_JEQ | BPF_K, 39, 0, 1),
        STMT(BPF_RET | BPF_K, LX_SECCOMP_RET_ERRNO | 1),
        STMT(BPF_RET | BPF_K, LX_SECCOMP_RET_ALLOW),
    };

    (void)state;
    assert_int_equal(run(f, 4, 0), LX_SECCOMP_RET_ERRNO | 1);
}

static void arithmetic_and_memory(void **state)
{
    const struct lx_sock_filter f[] = {
        STMT(BPF_LD | BPF_W | BPF_ABS, 16), /* low half of args[0] */
        STMT(BPF_ST, 3),
        STMT(BPF_ALU | BPF_ADD | BPF_K, 5),
        STMT(BPF_MISC | BPF_TAX, 0),
        STMT(BPF_LD | BPF_MEM, 3),
        STMT(BPF_ALU | BPF_MUL | BPF_X, 0),
        STMT(BPF_ALU | BPF_XOR | BPF_K, 0xf0),
        STMT(BPF_ALU | BPF_RSH | BPF_K, 1),
        STMT(BPF_ALU | BPF_NEG, 0),
        STMT(BPF_RET | BPF_A, 0),
    };
    uint32_t a = 7;

    (void)state;
    assert_int_equal(run(f, ARRAY_COUNT(f), a),
                     (uint32_t) - (int32_t)(((a * (a + 5)) ^ 0xf0) >> 1));
}

static void division_by_zero_ends_the_program(void **state)
{
    const struct lx_sock_filter f[] = {
        STMT(BPF_LD | BPF_IMM, 8),
        STMT(BPF_LDX | BPF_IMM, 0),
        STMT(BPF_ALU | BPF_DIV | BPF_X, 0),
        STMT(BPF_RET | BPF_K, LX_SECCOMP_RET_ALLOW),
    };

    (void)state;
    assert_int_equal(run(f, 4, 0), LX_SECCOMP_RET_KILL_THREAD);
}

static void refuse(struct lx_sock_filter first)
{
    const struct lx_sock_filter f[] = {first, STMT(BPF_RET | BPF_K, LX_SECCOMP_RET_ALLOW)};

    assert_int_equal(bpf_check(BPF_KIND_SECCOMP, f, 2), -EINVAL);
}

static void hostile_programs_are_refused(void **state)
{
    const struct lx_sock_filter no_return[] = {STMT(BPF_LD | BPF_IMM, 0)};
    const struct lx_sock_filter one_path[] = {
        STMT(BPF_LD | BPF_W | BPF_ABS, 0),
        JUMP(BPF_JMP | BPF_JEQ | BPF_K, 1, 0, 1),
        STMT(BPF_ST, 2),
        STMT(BPF_LD | BPF_MEM, 2), /* not stored when the jump was taken */
        STMT(BPF_RET | BPF_A, 0),
    };

    (void)state;
    assert_int_equal(bpf_check(BPF_KIND_SECCOMP, no_return, 1), -EINVAL);
    assert_int_equal(bpf_check(BPF_KIND_SECCOMP, no_return, 0), -EINVAL);
    assert_int_equal(bpf_check(BPF_KIND_SECCOMP, one_path, 5), -EINVAL);
    refuse((struct lx_sock_filter)STMT(BPF_LD | BPF_W | BPF_ABS, 64));
    refuse((struct lx_sock_filter)STMT(BPF_LD | BPF_W | BPF_ABS, 2));
    refuse((struct lx_sock_filter)STMT(BPF_LD | BPF_W | BPF_IND, 0));
    refuse((struct lx_sock_filter)STMT(BPF_LD | BPF_B | BPF_ABS, 0));
    refuse((struct lx_sock_filter)STMT(BPF_LD | BPF_MEM, 0));
    refuse((struct lx_sock_filter)STMT(BPF_LD | BPF_MEM, 16));
    refuse((struct lx_sock_filter)STMT(BPF_ST, 16));
    refuse((struct lx_sock_filter)STMT(BPF_ALU | BPF_DIV | BPF_K, 0));
    refuse((struct lx_sock_filter)STMT(BPF_ALU | BPF_LSH | BPF_K, 32));
    refuse((struct lx_sock_filter)STMT(BPF_JMP | BPF_JA, 1));
    refuse((struct lx_sock_filter)STMT(BPF_JMP | BPF_JA, 0xffffffff));
    refuse((struct lx_sock_filter)JUMP(BPF_JMP | BPF_JEQ | BPF_K, 0, 1, 0));
    refuse((struct lx_sock_filter)STMT(0xffff, 0));
}

static void random_programs_never_crash(void **state)
{
    static const uint16_t codes[] = {
        BPF_LD | BPF_W | BPF_ABS,
        BPF_LD | BPF_IMM,
        BPF_LD | BPF_MEM,
        BPF_LDX | BPF_MEM,
        BPF_ST,
        BPF_STX,
        BPF_ALU | BPF_DIV | BPF_X,
        BPF_ALU | BPF_LSH | BPF_X,
        BPF_ALU | BPF_ADD | BPF_K,
        BPF_JMP | BPF_JA,
        BPF_JMP | BPF_JEQ | BPF_K,
        BPF_JMP | BPF_JSET | BPF_X,
        BPF_RET | BPF_A,
        BPF_MISC | BPF_TAX,
    };
    struct lx_seccomp_data data = {0};
    struct lx_sock_filter f[12];
    int accepted = 0;

    (void)state;
    srand(1);
    for (int round = 0; round < 200000; round++) {
        for (size_t i = 0; i < ARRAY_COUNT(f); i++)
            f[i] = (struct lx_sock_filter){codes[(size_t)rand() % ARRAY_COUNT(codes)],
                                           (uint8_t)(rand() & 3), (uint8_t)(rand() & 3),
                                           (uint32_t)rand() & 12};
        f[11].code = BPF_RET | BPF_K;
        if (bpf_check(BPF_KIND_SECCOMP, f, 12) < 0)
            continue;
        accepted++;
        (void)bpf_run(f, &data);
    }
    assert_true(accepted > 100);
}

/* ---- sockets ---- */

static const uint8_t g_bytes[] = {0xaa, 0xbb, 0x08, 0x00, /* link header */
                                  0x45, 0x00, 0x12, 0x34, /* network header */
                                  1,    2,    3,    4,    0xff, 6, 7, 8, 9};

static uint32_t run_packet(const struct lx_sock_filter *f, uint32_t count)
{
    const struct bpf_packet p = {.bytes = g_bytes,
                                 .size = sizeof(g_bytes),
                                 .start = 8,
                                 .link = 0,
                                 .net = 4,
                                 .protocol = 0x0800,
                                 .hatype = 772,
                                 .ifindex = 1,
                                 .mark = 77};

    assert_int_equal(bpf_check(BPF_KIND_SOCKET, f, count), 0);
    return bpf_run_packet(f, &p);
}

#define CODE(c, k) ((struct lx_sock_filter){(c), 0, 0, (k)})
#define RESULT(...)                                                                                \
    run_packet((const struct lx_sock_filter[]){__VA_ARGS__, CODE(BPF_RET | BPF_A, 0)},             \
               sizeof((const struct lx_sock_filter[]){__VA_ARGS__}) / 8 + 1)

static void packet_loads(void **state)
{
    (void)state;
    assert_int_equal(RESULT(CODE(BPF_LD | BPF_W | BPF_ABS, 0)), 0x01020304);
    assert_int_equal(RESULT(CODE(BPF_LD | BPF_H | BPF_ABS, 1)), 0x0203);
    assert_int_equal(RESULT(CODE(BPF_LD | BPF_B | BPF_ABS, 8)), 9);
    assert_int_equal(RESULT(CODE(BPF_LD | BPF_W | BPF_LEN, 0)), 9);
    assert_int_equal(RESULT(CODE(BPF_LD | BPF_H | BPF_ABS, (uint32_t)SKF_LL_OFF + 2)), 0x0800);
    assert_int_equal(RESULT(CODE(BPF_LD | BPF_H | BPF_ABS, (uint32_t)SKF_NET_OFF + 2)), 0x1234);
    assert_int_equal(RESULT(CODE(BPF_LDX | BPF_B | BPF_MSH, 4), CODE(BPF_MISC | BPF_TXA, 0)), 60);
    assert_int_equal(RESULT(CODE(BPF_LDX | BPF_IMM, 3), CODE(BPF_LD | BPF_B | BPF_IND, 2)), 6);
    /* X + k wraps as 32 bits do. */
    assert_int_equal(RESULT(CODE(BPF_LDX | BPF_IMM, 3), CODE(BPF_LD | BPF_B | BPF_IND, ~0u)), 3);
    assert_int_equal(RESULT(CODE(BPF_LD | BPF_IMM, 17), CODE(BPF_ALU | BPF_MOD | BPF_K, 5)), 2);
}

static void packet_ends(void **state)
{
    const struct lx_sock_filter past[] = {CODE(BPF_LD | BPF_W | BPF_ABS, 6), CODE(BPF_RET, 9)};
    const struct lx_sock_filter far[] = {CODE(BPF_LD | BPF_B | BPF_ABS, 0x7fffffff),
                                         CODE(BPF_RET, 9)};
    const struct lx_sock_filter none[] = {CODE(BPF_LD | BPF_B | BPF_ABS, 0x80000000),
                                          CODE(BPF_RET, 9)};
    const struct lx_sock_filter mod[] = {CODE(BPF_ALU | BPF_MOD | BPF_X, 0), CODE(BPF_RET, 9)};

    (void)state;
    assert_int_equal(run_packet(past, 2), 0);
    assert_int_equal(run_packet(far, 2), 0);
    assert_int_equal(run_packet(none, 2), 0);
    assert_int_equal(run_packet(mod, 2), 0);
}

static void ancillary_words(void **state)
{
    const struct lx_sock_filter unknown[] = {
        CODE(BPF_LD | BPF_W | BPF_ABS, (uint32_t)SKF_AD_OFF + 64), CODE(BPF_RET, 0)};
    const struct lx_sock_filter in_seccomp[] = {
        CODE(BPF_LD | BPF_W | BPF_ABS, (uint32_t)SKF_AD_OFF), CODE(BPF_RET, 0)};

    (void)state;
    assert_int_equal(RESULT(CODE(BPF_LD | BPF_W | BPF_ABS, (uint32_t)SKF_AD_OFF)), 0x0800);
    assert_int_equal(RESULT(CODE(BPF_LD | BPF_W | BPF_ABS, (uint32_t)SKF_AD_OFF + SKF_AD_IFINDEX)),
                     1);
    assert_int_equal(RESULT(CODE(BPF_LD | BPF_W | BPF_ABS, (uint32_t)SKF_AD_OFF + SKF_AD_MARK)),
                     77);
    assert_int_equal(
        RESULT(CODE(BPF_LD | BPF_IMM, 6), CODE(BPF_LDX | BPF_IMM, 3),
               CODE(BPF_LD | BPF_W | BPF_ABS, (uint32_t)SKF_AD_OFF + SKF_AD_ALU_XOR_X)),
        5);
    assert_int_equal(bpf_check(BPF_KIND_SOCKET, unknown, 2), -EINVAL);
    assert_int_equal(bpf_check(BPF_KIND_SECCOMP, in_seccomp, 2), -EINVAL);
}

static void netlink_attributes(void **state)
{
    /* type 1 {type 5 "x"}, type 2 "yy" */
    static const uint16_t attributes[] = {12, 1, 5, 5, 'x', 0, 6, 2, 'y', 0};
    struct bpf_packet p = {.bytes = (const uint8_t *)attributes,
                           .size = sizeof(attributes),
                           .link = BPF_NO_HEADER,
                           .net = BPF_NO_HEADER};
    struct lx_sock_filter f[] = {
        CODE(BPF_LD | BPF_IMM, 0), CODE(BPF_LDX | BPF_IMM, 2),
        CODE(BPF_LD | BPF_W | BPF_ABS, (uint32_t)SKF_AD_OFF + SKF_AD_NLATTR),
        CODE(BPF_RET | BPF_A, 0)};

    (void)state;
    assert_int_equal(bpf_check(BPF_KIND_SOCKET, f, 4), 0);
    assert_int_equal(bpf_run_packet(f, &p), 12);
    f[1].k = 3;
    assert_int_equal(bpf_run_packet(f, &p), 0);
    f[0].k = 1000;
    assert_int_equal(bpf_run_packet(f, &p), 0);
    f[0].k = 0;
    f[1].k = 5;
    f[2].k = (uint32_t)SKF_AD_OFF + SKF_AD_NLATTR_NEST;
    assert_int_equal(bpf_run_packet(f, &p), 4);
    /* No link header: a load of it ends the program. */
    f[2].k = (uint32_t)SKF_LL_OFF;
    assert_int_equal(bpf_run_packet(f, &p), 0);
}

/* Whatever the checker accepts runs to its end inside of the packet (ASan looks). */
static void any_accepted_socket_program_ends(void **state)
{
    static const uint16_t codes[] = {
        BPF_LD | BPF_W | BPF_ABS, BPF_LD | BPF_H | BPF_ABS,  BPF_LD | BPF_B | BPF_ABS,
        BPF_LD | BPF_W | BPF_IND, BPF_LD | BPF_H | BPF_IND,  BPF_LD | BPF_B | BPF_IND,
        BPF_LD | BPF_W | BPF_LEN, BPF_LDX | BPF_B | BPF_MSH, BPF_LDX | BPF_IMM,
        BPF_MISC | BPF_TAX,       BPF_ALU | BPF_MOD | BPF_X, BPF_ALU | BPF_NEG,
    };
    static const uint32_t offsets[] = {
        0, 8, 16, 17, ~0u, 0x7fffffff, 0x80000000, (uint32_t)SKF_LL_OFF, (uint32_t)SKF_NET_OFF + 3};
    uint8_t *bytes = malloc(17);
    struct bpf_packet p = {.bytes = bytes, .size = 17, .start = 3, .link = BPF_NO_HEADER, .net = 1};
    struct lx_sock_filter f[6];
    int accepted = 0;

    (void)state;
    assert_non_null(bytes);
    memset(bytes, 5, 17);
    srand(2);
    for (int round = 0; round < 200000; round++) {
        for (size_t i = 0; i < ARRAY_COUNT(f); i++) {
            uint32_t k = (uint32_t)rand() % 20;

            if (rand() & 1)
                k = offsets[(size_t)rand() % ARRAY_COUNT(offsets)];
            if (!(rand() & 3))
                k = (uint32_t)SKF_AD_OFF + ((uint32_t)rand() & 60);
            f[i] = CODE(codes[(size_t)rand() % ARRAY_COUNT(codes)], k);
        }
        f[5].code = BPF_RET | BPF_A;
        if (bpf_check(BPF_KIND_SOCKET, f, ARRAY_COUNT(f)) < 0)
            continue;
        accepted++;
        (void)bpf_run_packet(f, &p);
    }
    assert_true(accepted > 1000);
    free(bytes);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_filter_by_number),
        cmocka_unit_test(arithmetic_and_memory),
        cmocka_unit_test(division_by_zero_ends_the_program),
        cmocka_unit_test(hostile_programs_are_refused),
        cmocka_unit_test(random_programs_never_crash),
        cmocka_unit_test(packet_loads),
        cmocka_unit_test(packet_ends),
        cmocka_unit_test(ancillary_words),
        cmocka_unit_test(netlink_attributes),
        cmocka_unit_test(any_accepted_socket_program_ends),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
