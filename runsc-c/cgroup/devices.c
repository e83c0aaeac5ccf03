/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Which devices a container's processes on the host may open: linux.resources.devices, then what every container may
 * have, as runc adds it. The last rule that fits decides, for each kind of access. The guest's devices are the sentry's
 * own, which asks the same rules; those here hold for the processes of the sandbox. A v1 hierarchy takes the rules as
 * text, a v2 tree as a program: devices_bpf.c.
 */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "runsc-c/cgroup/cgroup_internal.h"
#include "runsc-c/support/json.h"

static const struct {
    char type;
    int major, minor;
    uint32_t access;
} g_defaults[] = {
    {'c', -1, -1, CGROUP_DEVICE_MKNOD}, {'b', -1, -1, CGROUP_DEVICE_MKNOD},
    {'c', 1, 3, CGROUP_DEVICE_ALL},     {'c', 1, 5, CGROUP_DEVICE_ALL},
    {'c', 1, 7, CGROUP_DEVICE_ALL},     {'c', 1, 8, CGROUP_DEVICE_ALL},
    {'c', 1, 9, CGROUP_DEVICE_ALL},     {'c', 5, 0, CGROUP_DEVICE_ALL},
    {'c', 5, 1, CGROUP_DEVICE_ALL},     {'c', 136, -1, CGROUP_DEVICE_ALL},
    {'c', 5, 2, CGROUP_DEVICE_ALL},     {'c', 10, 200, CGROUP_DEVICE_ALL},
};

enum { DEFAULTS = sizeof(g_defaults) / sizeof(g_defaults[0]) };

/* Any is -1, and so are all negative numbers. */
static int64_t device_number(const json_t *rule, const char *member)
{
    const json_t *v = json_object_get(rule, member);

    return json_is_integer(v) && json_integer_value(v) >= 0 ? json_integer_value(v) : -1;
}

/* As runc: what is not r, w or m is nothing. */
static uint32_t access_bits(const char *letters)
{
    return (strchr(letters, 'r') ? CGROUP_DEVICE_READ : 0) |
           (strchr(letters, 'w') ? CGROUP_DEVICE_WRITE : 0) |
           (strchr(letters, 'm') ? CGROUP_DEVICE_MKNOD : 0);
}

int cgroup_device_rules(const json_t *configured, struct cgroup_device_rule **out,
                        size_t *out_count, struct err *e)
{
    size_t count = json_array_size(configured), i;
    struct cgroup_device_rule *rules = calloc(count + DEFAULTS, sizeof(*rules));
    const json_t *v;

    if (!rules)
        return err_errno(e, ENOMEM, "linux.resources.devices");
    json_array_foreach(configured, i, v)
    {
        const char *type = json_get_string(v, "type", "");

        if (*type && (strlen(type) != 1 || !strchr("abc", *type))) {
            free(rules);
            return err_set(
                e, "linux.resources.devices[%zu].type: invalid cgroup device type \"%s\"", i, type);
        }
        rules[i] = (struct cgroup_device_rule){
            .allow = json_is_true(json_object_get(v, "allow")),
            .type = *type ? *type : 'a',
            .major = device_number(v, "major"),
            .minor = device_number(v, "minor"),
            .access = access_bits(json_get_string(v, "access", "rwm")),
        };
    }
    for (i = 0; i < DEFAULTS; i++)
        rules[count + i] = (struct cgroup_device_rule){.allow = true,
                                                       .by_default = true,
                                                       .type = g_defaults[i].type,
                                                       .major = g_defaults[i].major,
                                                       .minor = g_defaults[i].minor,
                                                       .access = g_defaults[i].access};
    *out = rules;
    *out_count = count + DEFAULTS;
    return 0;
}

static void number_or_any(int64_t v, char out[24])
{
    if (v < 0)
        strcpy(out, "*");
    else
        snprintf(out, 24, "%lld", (long long)v);
}

int cgroup_apply_devices_v1(const struct cgroup *cg, const char *dir, const json_t *configured,
                            struct err *e)
{
    struct cgroup_device_rule *rules;
    size_t count;
    int ret = 0;

    if (!json_array_size(configured))
        return 0;
    if (cgroup_device_rules(configured, &rules, &count, e) < 0)
        return -1;
    for (size_t i = 0; i < count && ret == 0; i++) {
        const struct cgroup_device_rule *r = &rules[i];
        char text[96], major[24], minor[24];

        number_or_any(r->major, major);
        number_or_any(r->minor, minor);
        snprintf(text, sizeof(text), "%c %s:%s %s%s%s", r->type, major, minor,
                 r->access & CGROUP_DEVICE_READ ? "r" : "",
                 r->access & CGROUP_DEVICE_WRITE ? "w" : "",
                 r->access & CGROUP_DEVICE_MKNOD ? "m" : "");
        ret = cgroup_write(dir, r->allow ? "devices.allow" : "devices.deny", text);
        if (ret < 0 && (r->by_default || cg->rootless))
            ret = 0; /* the parent may forbid */
        else if (ret < 0)
            ret = err_errno(e, -ret, "failed to write \"%s\": write %s/devices", text, dir);
    }
    free(rules);
    return ret;
}
