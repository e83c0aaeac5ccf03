/* SPDX-License-Identifier: Apache-2.0 */
/* Device rules as a program: in an interpreter against the rules' plain meaning, and by the kernel where there is a v2 tree. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <errno.h>
#include <fcntl.h>
#include <linux/bpf.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/statfs.h>
#include <sys/wait.h>
#include <unistd.h>

#include "runsc-c/cgroup/cgroup_internal.h"

enum { CGROUP2_MAGIC = 0x63677270, STEPS_MAX = 100000 };

static uint64_t alu(const struct bpf_insn *in, uint64_t reg[11])
{
    uint32_t by = BPF_SRC(in->code) == BPF_X ? (uint32_t)reg[in->src_reg] : (uint32_t)in->imm;
    uint32_t old = (uint32_t)reg[in->dst_reg];

    switch (BPF_OP(in->code)) {
    case BPF_MOV:
        return by;
    case BPF_AND:
        return old & by;
    case BPF_RSH:
        return old >> by;
    default:
        fail_msg("operation %#x", in->code);
    }
    return 0;
}

/* The few instructions that there are: 32-bit arithmetic, 64-bit comparisons. */
static bool interpret(const struct bpf_insn *list, size_t count,
                      const struct bpf_cgroup_dev_ctx *ctx)
{
    uint64_t reg[11] = {0};
    size_t at = 0;

    for (int steps = 0; steps < STEPS_MAX; steps++) {
        const struct bpf_insn *in = &list[at++];
        bool equal;

        assert_true(at <= count);
        switch (BPF_CLASS(in->code)) {
        case BPF_LDX:
            assert_int_equal(in->code, BPF_LDX | BPF_MEM | BPF_W);
            assert_int_equal(in->src_reg, BPF_REG_1);
            assert_true(in->off >= 0 && in->off <= 8);
            reg[in->dst_reg] = *(const uint32_t *)((const char *)ctx + in->off);
            break;
        case BPF_ALU:
            reg[in->dst_reg] = alu(in, reg);
            break;
        case BPF_JMP:
            if (BPF_OP(in->code) == BPF_EXIT)
                return reg[BPF_REG_0] != 0;
            equal = reg[in->dst_reg] == (uint64_t)(int64_t)in->imm;
            assert_true(BPF_OP(in->code) == BPF_JEQ || BPF_OP(in->code) == BPF_JNE);
            assert_true(in->off > 0);
            at += equal == (BPF_OP(in->code) == BPF_JEQ) ? (size_t)in->off : 0;
            break;
        default:
            fail_msg("class of %#x", in->code);
        }
    }
    fail_msg("no end");
    return false;
}

/* For each kind of access, what the last rule that fits says. */
static bool plain(const struct cgroup_device_rule *rules, size_t count,
                  const struct bpf_cgroup_dev_ctx *ctx)
{
    uint32_t denied = 0, wanted = ctx->access_type >> 16;
    char type = (ctx->access_type & 0xffff) == BPF_DEVCG_DEV_BLOCK ? 'b' : 'c';

    for (size_t i = 0; i < count; i++) {
        const struct cgroup_device_rule *r = &rules[i];

        if ((r->type != 'a' && r->type != type) || (r->major >= 0 && r->major != ctx->major) ||
            (r->minor >= 0 && r->minor != ctx->minor))
            continue;
        denied = r->allow ? denied & ~r->access : denied | r->access;
    }
    return !(denied & wanted);
}

static bool decide(const char *configured, char type, uint32_t major, uint32_t minor,
                   uint32_t access)
{
    json_t *json = json_loads(configured, 0, NULL);
    struct bpf_cgroup_dev_ctx ctx = {
        .access_type = access << 16 | (type == 'b' ? BPF_DEVCG_DEV_BLOCK : BPF_DEVCG_DEV_CHAR),
        .major = major,
        .minor = minor};
    struct cgroup_device_rule *rules;
    struct bpf_insn *list;
    size_t count, insns;
    struct err e = {0};
    bool yes;

    assert_non_null(json);
    assert_int_equal(cgroup_device_rules(json, &rules, &count, &e), 0);
    json_decref(json);
    assert_int_equal(cgroup_device_program(rules, count, &list, &insns), 0);
    yes = interpret(list, insns, &ctx);
    assert_int_equal(yes, plain(rules, count, &ctx));
    free(rules);
    free(list);
    return yes;
}

#define READ  CGROUP_DEVICE_READ
#define WRITE CGROUP_DEVICE_WRITE
#define MKNOD CGROUP_DEVICE_MKNOD

static void test_decisions(void **state)
{
    static const char none[] = "[{\"allow\":false}]";
    static const char kmsg[] =
        "[{\"allow\":false,\"access\":\"rwm\"},"
        "{\"allow\":true,\"type\":\"c\",\"major\":1,\"minor\":11,\"access\":\"r\"}]";
    static const char hole[] =
        "[{\"allow\":true,\"type\":\"b\",\"major\":8},"
        "{\"allow\":false,\"type\":\"b\",\"major\":8,\"minor\":1,\"access\":\"w\"}]";

    (void)state;
    assert_false(decide(none, 'c', 1, 11, READ));
    assert_false(decide(none, 'b', 8, 0, WRITE));
    assert_true(decide(none, 'c', 1, 3, READ | WRITE)); /* everybody's */
    assert_true(decide(none, 'c', 136, 77, READ | WRITE));
    assert_true(decide(none, 'b', 8, 0, MKNOD));
    assert_false(decide(none, 'b', 8, 0, MKNOD | READ));
    assert_true(decide(kmsg, 'c', 1, 11, READ));
    assert_false(decide(kmsg, 'c', 1, 11, READ | WRITE));
    assert_false(decide(kmsg, 'b', 1, 11, READ));
    assert_true(decide(hole, 'b', 8, 0, READ | WRITE));
    assert_true(decide(hole, 'b', 8, 1, READ));
    assert_false(decide(hole, 'b', 8, 1, READ | WRITE));
    assert_true(decide(hole, 'c', 240, 0, READ | WRITE)); /* no rule is about it */
    /* -1 and no number are any, letters that mean nothing are none, numbers that no device has fit nothing. */
    assert_false(
        decide("[{\"allow\":false,\"type\":\"c\",\"major\":-1,\"minor\":-1}]", 'c', 9, 9, READ));
    assert_true(decide("[{\"allow\":false,\"access\":\"x\"}]", 'c', 9, 9, READ));
    assert_true(decide("[{\"allow\":false,\"major\":4294967297}]", 'c', 1, 11, READ));
}

static void test_bad_type(void **state)
{
    json_t *json = json_loads("[{\"allow\":true},{\"allow\":false,\"type\":\"u\"}]", 0, NULL);
    struct cgroup_device_rule *rules;
    struct err e = {0};
    size_t count;

    (void)state;
    assert_int_equal(cgroup_device_rules(json, &rules, &count, &e), -1);
    assert_non_null(strstr(e.msg, "devices[1].type: invalid cgroup device type \"u\""));
    json_decref(json);
}

/* Random rules about few devices, so that they overlap. */
static void test_random(void **state)
{
    unsigned seed = 1;

    (void)state;
    for (int round = 0; round < 2000; round++) {
        struct cgroup_device_rule rules[12];
        size_t count = (size_t)rand_r(&seed) % 13, insns;
        struct bpf_insn *list;

        for (size_t i = 0; i < count; i++)
            rules[i] = (struct cgroup_device_rule){.allow = rand_r(&seed) % 2,
                                                   .type = "abc"[rand_r(&seed) % 3],
                                                   .major = rand_r(&seed) % 4 - 1,
                                                   .minor = rand_r(&seed) % 4 - 1,
                                                   .access = (uint32_t)rand_r(&seed) % 8};
        assert_int_equal(cgroup_device_program(rules, count, &list, &insns), 0);
        for (uint32_t i = 0; i < 2 * 8 * 9; i++) {
            struct bpf_cgroup_dev_ctx ctx = {.access_type = (i / 18) << 16 | (i % 2 + 1),
                                             .major = i / 2 % 3,
                                             .minor = i / 6 % 3};

            assert_int_equal(interpret(list, insns, &ctx), plain(rules, count, &ctx));
        }
        free(list);
    }
}

/* ---- the kernel ------------------------------------------------------------------------------ */

/* A group of its own in the host's v2 tree. */
static bool make_group(char *path, size_t size)
{
    static const char *const roots[] = {"/sys/fs/cgroup", "/sys/fs/cgroup/unified"};

    for (size_t i = 0; geteuid() == 0 && i < 2; i++) {
        struct statfs fs;

        snprintf(path, size, "%s/runsc-c-unit-dev-%d", roots[i], getpid());
        if (statfs(roots[i], &fs) == 0 && fs.f_type == CGROUP2_MAGIC)
            return mkdir(path, 0755) == 0;
    }
    return false;
}

/* What open(2) says in the group: 0 or errno. */
static int open_inside(struct cgroup *cg, const char *path, int flags)
{
    struct err e = {0};
    int go[2], status;
    char byte;
    pid_t pid;

    assert_int_equal(pipe(go), 0);
    pid = fork();
    if (pid == 0)
        _exit(read(go[0], &byte, 1) == 1 && open(path, flags | O_CLOEXEC) >= 0 ? 0 : errno);
    assert_int_equal(cgroup_join(cg, pid, &e), 0);
    assert_int_equal(write(go[1], "g", 1), 1);
    assert_int_equal(waitpid(pid, &status, 0), pid);
    close(go[0]);
    close(go[1]);
    assert_true(WIFEXITED(status));
    return WEXITSTATUS(status);
}

static void apply(struct cgroup *cg, const char *resources)
{
    json_t *r = json_loads(resources, 0, NULL);
    struct err e = {0};

    assert_non_null(r);
    if (cgroup_apply(cg, r, &e) < 0)
        fail_msg("%s", e.msg);
    json_decref(r);
}

static void test_kernel(void **state)
{
    char path[128], node[160];
    struct err e = {0};
    struct cgroup *cg;
    json_t *saved;

    (void)state;
    if (!make_group(path, sizeof(path)))
        skip();
    saved =
        json_pack("{s:[{s:s, s:s}], s:b}", "dirs", "controllers", "", "path", path, "unified", 1);
    assert_int_equal(cgroup_load(saved, &cg, &e), 0);
    json_decref(saved);
    /* The kernel's log, a device that is not everybody's. */
    snprintf(node, sizeof(node), "/tmp/runsc-c-unit-dev-%d", getpid());
    assert_int_equal(mknod(node, S_IFCHR | 0600, 1 << 8 | 11), 0);
    assert_int_equal(open_inside(cg, node, O_RDONLY), 0);
    apply(cg, "{\"devices\":[{\"allow\":false}]}");
    assert_int_equal(open_inside(cg, node, O_RDONLY), EPERM);
    assert_int_equal(open_inside(cg, "/dev/null", O_RDWR), 0);
    /* New rules take the place of the old ones. */
    apply(cg,
          "{\"devices\":[{\"allow\":false},{\"allow\":true,\"type\":\"c\",\"major\":1,\"minor\":11,"
          "\"access\":\"r\"}]}");
    assert_int_equal(open_inside(cg, node, O_RDONLY), 0);
    assert_int_equal(open_inside(cg, node, O_WRONLY), EPERM);
    apply(cg, "{\"pids\":{\"limit\":0}}"); /* nothing about devices: they stay */
    assert_int_equal(open_inside(cg, node, O_WRONLY), EPERM);
    apply(cg, "{\"devices\":[{\"allow\":true}]}");
    assert_int_equal(open_inside(cg, node, O_WRONLY), 0);
    unlink(node);
    assert_int_equal(cgroup_delete(cg, &e), 0);
    cgroup_free(cg);
}

/* Many rules; the kernel takes some 500 (its verifier looks at every pair of them). */
static void test_many(void **state)
{
    char path[128];
    json_t *list = json_array(), *r, *saved;
    struct cgroup *cg;
    struct err e = {0};

    (void)state;
    if (!make_group(path, sizeof(path)))
        skip();
    for (int i = 0; i < 300; i++)
        json_array_append_new(list, json_pack("{s:b, s:s, s:i, s:i, s:s}", "allow", i % 2, "type",
                                              "c", "major", i, "minor", i, "access", "rw"));
    saved =
        json_pack("{s:[{s:s, s:s}], s:b}", "dirs", "controllers", "", "path", path, "unified", 0);
    assert_int_equal(cgroup_load(saved, &cg, &e), 0);
    json_decref(saved);
    r = json_pack("{s:o}", "devices", list);
    if (cgroup_apply(cg, r, &e) < 0) /* of a host without the v1 hierarchy */
        fail_msg("%s", e.msg);
    json_decref(r);
    assert_int_equal(open_inside(cg, "/dev/null", O_RDWR), 0);
    assert_int_equal(cgroup_delete(cg, &e), 0);
    cgroup_free(cg);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_decisions), cmocka_unit_test(test_bad_type),
        cmocka_unit_test(test_random),    cmocka_unit_test(test_kernel),
        cmocka_unit_test(test_many),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
