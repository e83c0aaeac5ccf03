/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Device rules in a v2 tree: the kernel asks a program of type BPF_PROG_TYPE_CGROUP_DEVICE in each group from the
 * process's own to the root, and all of them must agree.
 *
 * The program goes through the rules from the last to the first with the kinds of access that are still
 * undecided: a rule that allows takes its kinds away, nothing left is a yes; one that forbids any of
 * those left is a no. What no rule is about is allowed, as in a new group of a v1 hierarchy.
 *
 *   r2 type, r3 undecided access, r4 major, r5 minor
 *
 * Ours is known by its name, so that new rules take the place of the old ones and other programs stay.
 */
#include <assert.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/bpf.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "runsc-c/cgroup/cgroup_internal.h"

#define PROGRAM_NAME "runsc_c_devices"

static_assert(sizeof(PROGRAM_NAME) <= BPF_OBJ_NAME_LEN, "a name of the kernel's length");
static_assert(CGROUP_DEVICE_MKNOD == BPF_DEVCG_ACC_MKNOD &&
                  CGROUP_DEVICE_READ == BPF_DEVCG_ACC_READ &&
                  CGROUP_DEVICE_WRITE == BPF_DEVCG_ACC_WRITE,
              "the kernel's bits");

enum { TYPE = BPF_REG_2, ACCESS = BPF_REG_3, MAJOR = BPF_REG_4, MINOR = BPF_REG_5 };
enum { HEAD = 6, PER_RULE_MAX = 7, TAIL = 2, FOREIGN_MAX = 64 };

/* ---- the program ----------------------------------------------------------------------------- */

static void emit(struct bpf_insn *list, size_t *count, struct bpf_insn in)
{
    list[(*count)++] = in;
}

static struct bpf_insn load_field(uint8_t to, size_t off)
{
    return (struct bpf_insn){.code = BPF_LDX | BPF_MEM | BPF_W,
                             .dst_reg = to,
                             .src_reg = BPF_REG_1,
                             .off = (int16_t)off};
}

static struct bpf_insn with_number(uint8_t op, uint8_t reg, int32_t imm)
{
    return (struct bpf_insn){.code = BPF_ALU | BPF_K | op, .dst_reg = reg, .imm = imm};
}

static struct bpf_insn copy(uint8_t to, uint8_t from)
{
    return (struct bpf_insn){.code = BPF_ALU | BPF_X | BPF_MOV, .dst_reg = to, .src_reg = from};
}

/* The target is filled in by emit_rule. */
static struct bpf_insn jump(uint8_t op, uint8_t reg, int32_t imm)
{
    return (struct bpf_insn){.code = BPF_JMP | BPF_K | op, .dst_reg = reg, .imm = imm};
}

static void emit_verdict(struct bpf_insn *list, size_t *n, bool allow)
{
    emit(list, n, with_number(BPF_MOV, BPF_REG_0, allow));
    emit(list, n, (struct bpf_insn){.code = BPF_JMP | BPF_EXIT});
}

static void emit_rule(struct bpf_insn *list, size_t *n, const struct cgroup_device_rule *r)
{
    size_t first = *n;

    /* No device of the kernel has such a number. */
    if (!r->access || r->major > INT32_MAX || r->minor > INT32_MAX)
        return;
    if (r->type != 'a')
        emit(list, n,
             jump(BPF_JNE, TYPE, r->type == 'b' ? BPF_DEVCG_DEV_BLOCK : BPF_DEVCG_DEV_CHAR));
    if (r->major >= 0)
        emit(list, n, jump(BPF_JNE, MAJOR, (int32_t)r->major));
    if (r->minor >= 0)
        emit(list, n, jump(BPF_JNE, MINOR, (int32_t)r->minor));
    if (r->allow) {
        emit(list, n, with_number(BPF_AND, ACCESS, (int32_t)~r->access));
        emit(list, n, jump(BPF_JNE, ACCESS, 0));
    } else {
        emit(list, n, copy(BPF_REG_0, ACCESS));
        emit(list, n, with_number(BPF_AND, BPF_REG_0, (int32_t)r->access));
        emit(list, n, jump(BPF_JEQ, BPF_REG_0, 0));
    }
    emit_verdict(list, n, r->allow);
    for (size_t i = first; i < *n; i++) {
        if (BPF_CLASS(list[i].code) == BPF_JMP && BPF_OP(list[i].code) != BPF_EXIT)
            list[i].off = (int16_t)(*n - i - 1); /* the next rule */
    }
}

int cgroup_device_program(const struct cgroup_device_rule *rules, size_t count,
                          struct bpf_insn **out, size_t *out_count)
{
    struct bpf_insn *list = calloc(HEAD + count * (PER_RULE_MAX + 1) + TAIL, sizeof(*list));
    size_t n = 0;

    if (!list)
        return -ENOMEM;
    emit(list, &n, load_field(TYPE, offsetof(struct bpf_cgroup_dev_ctx, access_type)));
    emit(list, &n, copy(ACCESS, TYPE));
    emit(list, &n, with_number(BPF_AND, TYPE, 0xffff));
    emit(list, &n, with_number(BPF_RSH, ACCESS, 16));
    emit(list, &n, load_field(MAJOR, offsetof(struct bpf_cgroup_dev_ctx, major)));
    emit(list, &n, load_field(MINOR, offsetof(struct bpf_cgroup_dev_ctx, minor)));
    for (size_t i = count; i-- > 0;)
        emit_rule(list, &n, &rules[i]);
    emit_verdict(list, &n, /*allow=*/true);
    *out = list;
    *out_count = n;
    return 0;
}

/* ---- the kernel ------------------------------------------------------------------------------ */

static int bpf(enum bpf_cmd command, union bpf_attr *attr)
{
    int ret = (int)syscall(SYS_bpf, command, attr, sizeof(*attr));

    return ret < 0 ? -errno : ret;
}

static uint64_t address(const void *p)
{
    return (uint64_t)(uintptr_t)p;
}

static int load(const struct bpf_insn *insns, size_t count)
{
    union bpf_attr attr = {.prog_type = BPF_PROG_TYPE_CGROUP_DEVICE,
                           .insn_cnt = (uint32_t)count,
                           .insns = address(insns),
                           .license = address("Apache-2.0"),
                           .prog_name = PROGRAM_NAME};
    struct rlimit before, none = {RLIM_INFINITY, RLIM_INFINITY};
    int ret = bpf(BPF_PROG_LOAD, &attr);

    /* Linux: before 5.11 programs are counted as locked memory of their user. */
    if (ret == -EPERM && getrlimit(RLIMIT_MEMLOCK, &before) == 0 &&
        setrlimit(RLIMIT_MEMLOCK, &none) == 0) {
        ret = bpf(BPF_PROG_LOAD, &attr);
        setrlimit(RLIMIT_MEMLOCK, &before);
    }
    return ret;
}

/* The program of these rules that is attached already, or -1. */
static int attached(int dir)
{
    uint32_t ids[FOREIGN_MAX] = {0};
    union bpf_attr query = {.query = {.target_fd = (uint32_t)dir,
                                      .attach_type = BPF_CGROUP_DEVICE,
                                      .prog_ids = address(ids),
                                      .prog_cnt = FOREIGN_MAX}};

    if (bpf(BPF_PROG_QUERY, &query) < 0)
        return -1;
    for (uint32_t i = 0; i < query.query.prog_cnt; i++) {
        struct bpf_prog_info info = {0};
        union bpf_attr get = {.prog_id = ids[i]};
        int fd = bpf(BPF_PROG_GET_FD_BY_ID, &get);
        union bpf_attr ask = {
            .info = {.bpf_fd = (uint32_t)fd, .info_len = sizeof(info), .info = address(&info)}};

        if (fd >= 0 && bpf(BPF_OBJ_GET_INFO_BY_FD, &ask) == 0 && !strcmp(info.name, PROGRAM_NAME))
            return fd;
        if (fd >= 0)
            close(fd);
    }
    return -1;
}

static int attach(int dir, int program)
{
    int old = attached(dir), ret;
    union bpf_attr attr = {.target_fd = (uint32_t)dir,
                           .attach_bpf_fd = (uint32_t)program,
                           .attach_type = BPF_CGROUP_DEVICE,
                           .attach_flags = BPF_F_ALLOW_MULTI};

    if (old >= 0) {
        attr.attach_flags |= BPF_F_REPLACE;
        attr.replace_bpf_fd = (uint32_t)old;
    }
    ret = bpf(BPF_PROG_ATTACH, &attr);
    if (old >= 0)
        close(old);
    return ret;
}

int cgroup_apply_devices_v2(const struct cgroup *cg, const char *dir, const json_t *configured,
                            struct err *e)
{
    struct cgroup_device_rule *rules;
    struct bpf_insn *insns = NULL;
    size_t rule_count, count;
    int ret, program = -1, fd = -1;

    if (!json_array_size(configured))
        return 0;
    if (cgroup_device_rules(configured, &rules, &rule_count, e) < 0)
        return -1;
    ret = cgroup_device_program(rules, rule_count, &insns, &count);
    free(rules);
    if (ret == 0)
        ret = program = load(insns, count);
    free(insns);
    if (program >= 0) {
        fd = open(dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
        ret = fd < 0 ? -errno : attach(fd, program);
        close(program);
    }
    if (fd >= 0)
        close(fd);
    if (ret >= 0 || (cg->rootless && cgroup_forgivable(-ret)))
        return 0;
    return err_errno(e, -ret, "cannot set device rules (a BPF program) of %s", dir);
}
