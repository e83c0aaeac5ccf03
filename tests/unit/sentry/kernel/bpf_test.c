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

#include "sentry/kernel/bpf.h"

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

    assert_int_equal(bpf_check(f, count), 0);
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

    assert_int_equal(bpf_check(f, 2), -EINVAL);
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
    assert_int_equal(bpf_check(no_return, 1), -EINVAL);
    assert_int_equal(bpf_check(no_return, 0), -EINVAL);
    assert_int_equal(bpf_check(one_path, 5), -EINVAL);
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
        if (bpf_check(f, 12) < 0)
            continue;
        accepted++;
        (void)bpf_run(f, &data);
    }
    assert_true(accepted > 100);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_filter_by_number),
        cmocka_unit_test(arithmetic_and_memory),
        cmocka_unit_test(division_by_zero_ends_the_program),
        cmocka_unit_test(hostile_programs_are_refused),
        cmocka_unit_test(random_programs_never_crash),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
