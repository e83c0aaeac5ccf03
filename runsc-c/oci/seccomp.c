/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The guest's system calls are those of x86-64 alone, so the profile's other architectures have no
 * meaning. Several conditions on one argument of a rule are alternatives: libseccomp takes one
 * condition per argument, so they become rules of their own, as with runc.
 */
#include "runsc-c/oci/seccomp.h"

#include <errno.h>
#include <seccomp.h>
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
                     struct err *e)
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

        if (nr == __NR_SCMP_ERROR || action == default_action)
            continue; /* a name of another kernel; a rule that says nothing */
        ret = add_rules(ctx, action, nr, conditions, count);
        if (ret < 0 && ret != -EEXIST)
            return err_errno(e, -ret, "linux.seccomp: rule for %s", json_string_value(name));
    }
    return 0;
}

static json_t *export(scmp_filter_ctx ctx, struct err *e)
{
    static const char digits[] = "0123456789abcdef";
    int fd = memfd_create("seccomp", MFD_CLOEXEC), ret;
    unsigned char *program = malloc(PROGRAM_MAX);
    char *hex = malloc(2 * PROGRAM_MAX + 1);
    json_t *v = NULL;
    ssize_t n;

    ret = fd < 0 || !program || !hex ? -ENOMEM : seccomp_export_bpf(ctx, fd);
    n = ret < 0 ? -1 : pread(fd, program, PROGRAM_MAX, 0);
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
    size_t i;
    int ret = 0;

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
            ret = add_entry(ctx, entry, action, e);
    }
    if (ret == 0)
        v = export(ctx, e);
    seccomp_release(ctx);
    return v;
}
