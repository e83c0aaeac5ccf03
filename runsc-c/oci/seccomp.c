/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The guest's system calls are those of x86-64 alone, so the profile's other architectures have no
 * meaning. Several conditions on one argument of a rule are alternatives: libseccomp takes one
 * condition per argument, so they become rules of their own, as with runc.
 */
#include "runsc-c/oci/seccomp.h"

#include <errno.h>
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <seccomp.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "platform/base/compiler.h"
#include "platform/base/log.h"
#include "runsc-c/support/json.h"

enum { ARGS_MAX = 6, PROGRAM_MAX = 32768 * 8 };

static int parse_action(const char *name, unsigned errnum, uint32_t *out, struct err *e)
{
    const struct {
        const char *name;
        uint32_t action;
    } actions[] = {
        {"SCMP_ACT_KILL", SCMP_ACT_KILL_THREAD},
        {"SCMP_ACT_KILL_THREAD", SCMP_ACT_KILL_THREAD},
        {"SCMP_ACT_KILL_PROCESS", SCMP_ACT_KILL_PROCESS},
        {"SCMP_ACT_TRAP", SCMP_ACT_TRAP},
        {"SCMP_ACT_ERRNO", SCMP_ACT_ERRNO(errnum)},
        {"SCMP_ACT_TRACE", SCMP_ACT_TRACE(errnum)},
        {"SCMP_ACT_ALLOW", SCMP_ACT_ALLOW},
        {"SCMP_ACT_LOG", SCMP_ACT_LOG},
    };

    for (size_t i = 0; i < ARRAY_COUNT(actions); i++) {
        if (!strcmp(actions[i].name, name)) {
            *out = actions[i].action;
            return 0;
        }
    }
    return err_set(e, "linux.seccomp: action \"%s\" is not supported", name);
}

static int parse_condition(const json_t *v, struct scmp_arg_cmp *out, struct err *e)
{
    static const struct {
        const char *name;
        enum scmp_compare op;
    } ops[] = {
        {"SCMP_CMP_NE", SCMP_CMP_NE},
        {"SCMP_CMP_LT", SCMP_CMP_LT},
        {"SCMP_CMP_LE", SCMP_CMP_LE},
        {"SCMP_CMP_EQ", SCMP_CMP_EQ},
        {"SCMP_CMP_GE", SCMP_CMP_GE},
        {"SCMP_CMP_GT", SCMP_CMP_GT},
        {"SCMP_CMP_MASKED_EQ", SCMP_CMP_MASKED_EQ},
    };
    const char *name = json_get_string(v, "op", "");
    json_int_t index = json_integer_value(json_object_get(v, "index"));

    *out = (struct scmp_arg_cmp){
        .arg = (unsigned)index,
        .datum_a = (scmp_datum_t)json_integer_value(json_object_get(v, "value")),
        .datum_b = (scmp_datum_t)json_integer_value(json_object_get(v, "valueTwo"))};
    if (index < 0 || index >= ARGS_MAX)
        return err_set(e, "linux.seccomp.syscalls[].args[].index %lld is not an argument",
                       (long long)index);
    for (size_t i = 0; i < ARRAY_COUNT(ops); i++) {
        if (!strcmp(ops[i].name, name)) {
            out->op = ops[i].op;
            return 0;
        }
    }
    return err_set(e, "linux.seccomp.syscalls[].args[].op \"%s\" is not known", name);
}

static bool one_per_argument(const struct scmp_arg_cmp *conditions, size_t count)
{
    unsigned seen = 0;

    for (size_t i = 0; i < count; i++) {
        if (seen & 1u << conditions[i].arg)
            return false;
        seen |= 1u << conditions[i].arg;
    }
    return true;
}

static int add_rules(scmp_filter_ctx ctx, uint32_t action, int nr,
                     const struct scmp_arg_cmp *conditions, size_t count)
{
    if (one_per_argument(conditions, count))
        return seccomp_rule_add_array(ctx, action, nr, (unsigned)count, conditions);
    for (size_t i = 0; i < count; i++) {
        int ret = seccomp_rule_add_array(ctx, action, nr, 1, &conditions[i]);

        if (ret < 0)
            return ret;
    }
    return 0;
}

static int add_entry(scmp_filter_ctx ctx, const json_t *entry, uint32_t default_action,
                     int *highest, struct err *e)
{
    const json_t *errno_ret = json_object_get(entry, "errnoRet"), *name, *arg;
    struct scmp_arg_cmp conditions[32];
    size_t i, count = 0;
    uint32_t action;

    if (parse_action(json_get_string(entry, "action", ""),
                     errno_ret ? (unsigned)json_integer_value(errno_ret) : EPERM, &action, e) < 0)
        return -1;
    json_array_foreach(json_object_get(entry, "args"), i, arg)
    {
        if (count == ARRAY_COUNT(conditions))
            return err_set(e, "linux.seccomp.syscalls[].args has more than %zu conditions", count);
        if (parse_condition(arg, &conditions[count++], e) < 0)
            return -1;
    }
    json_array_foreach(json_object_get(entry, "names"), i, name)
    {
        int nr = seccomp_syscall_resolve_name(json_string_value(name)), ret;

        if (nr != __NR_SCMP_ERROR && nr > *highest)
            *highest = nr;
        if (nr == __NR_SCMP_ERROR || action == default_action)
            continue; /* a name of another kernel; a rule that says nothing */
        ret = add_rules(ctx, action, nr, conditions, count);
        if (ret < 0 && ret != -EEXIST)
            return err_errno(e, -ret, "linux.seccomp: rule for %s", json_string_value(name));
    }
    return 0;
}

/*
 * Calls that are newer than the profile are ENOSYS, whatever its default action says: programs fall
 * back then. Three instructions in front of the program: nr above the highest that the profile names.
 */
static ssize_t put_enosys(unsigned char *program, int highest)
{
    const struct sock_filter stub[] = {
        BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(struct seccomp_data, nr)),
        BPF_JUMP(BPF_JMP | BPF_JGT | BPF_K, (uint32_t)highest, 0, 1),
        BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ERRNO | ENOSYS),
    };

    memcpy(program, stub, sizeof(stub));
    return (ssize_t)sizeof(stub);
}

/* highest: of the calls that the profile names, or -1 when its default action allows. */
static json_t *export(scmp_filter_ctx ctx, int highest, struct err *e)
{
    static const char digits[] = "0123456789abcdef";
    int fd = memfd_create("seccomp", MFD_CLOEXEC), ret;
    unsigned char *program = malloc(PROGRAM_MAX);
    char *hex = malloc(2 * PROGRAM_MAX + 1);
    json_t *v = NULL;
    ssize_t n, start = 0;

    ret = fd < 0 || !program || !hex ? -ENOMEM : seccomp_export_bpf(ctx, fd);
    if (ret >= 0 && highest >= 0)
        start = put_enosys(program, highest);
    n = ret < 0 ? -1 : pread(fd, program + start, PROGRAM_MAX - (size_t)start, 0);
    n += n > 0 ? start : 0;
    if (n <= 0)
        (void)err_errno(e, ret < 0 ? -ret : errno, "linux.seccomp");
    for (ssize_t i = 0; i < n; i++) {
        hex[2 * i] = digits[program[i] >> 4];
        hex[2 * i + 1] = digits[program[i] & 15];
    }
    if (n > 0)
        v = json_stringn(hex, 2 * (size_t)n);
    if (fd >= 0)
        close(fd);
    free(program);
    free(hex);
    return v;
}

json_t *seccomp_compile(const json_t *spec, struct err *e)
{
    const json_t *profile = json_object_get(json_object_get(spec, "linux"), "seccomp"), *entry;
    const json_t *errno_ret = json_object_get(profile, "defaultErrnoRet");
    scmp_filter_ctx ctx;
    json_t *v = NULL;
    uint32_t action;
    int ret = 0, highest = -1;
    size_t i;

    if (!json_is_object(profile))
        return json_null();
    if (parse_action(json_get_string(profile, "defaultAction", ""),
                     errno_ret ? (unsigned)json_integer_value(errno_ret) : EPERM, &action, e) < 0)
        return NULL;
    ctx = seccomp_init(action);
    if (!ctx) {
        (void)err_set(e, "linux.seccomp: out of memory");
        return NULL;
    }
    (void)seccomp_attr_set(ctx, SCMP_FLTATR_CTL_OPTIMIZE, 2); /* a tree; older libraries: a list */
    json_array_foreach(json_object_get(profile, "syscalls"), i, entry)
    {
        if (ret == 0)
            ret = add_entry(ctx, entry, action, &highest, e);
    }
    if (ret == 0)
        v = export(ctx, action == SCMP_ACT_ALLOW || action == SCMP_ACT_LOG ? -1 : highest, e);
    seccomp_release(ctx);
    return v;
}
