/* SPDX-License-Identifier: Apache-2.0 */
/* runsc-c update [--resources FILE] [LIMITS] ID */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <unistd.h>

#include "runsc-c/cgroup/cgroup.h"
#include "runsc-c/cmd.h"
#include "runsc-c/container/limits.h"
#include "runsc-c/container/state.h"
#include "runsc-c/support/options.h"

/* Where each option goes in an OCI resources object. */
struct limit {
    const char *option, *group, *member;
    char kind; /* b: bytes with a unit, n: number, s: string */
    const char *value;
};

static struct limit g_limits[] = {
    {"blkio-weight", "blockIO", "weight", 'n', NULL},
    {"cpu-period", "cpu", "period", 'n', NULL},
    {"cpu-quota", "cpu", "quota", 'n', NULL},
    {"cpu-share", "cpu", "shares", 'n', NULL},
    {"cpu-rt-period", "cpu", "realtimePeriod", 'n', NULL},
    {"cpu-rt-runtime", "cpu", "realtimeRuntime", 'n', NULL},
    {"cpuset-cpus", "cpu", "cpus", 's', NULL},
    {"cpuset-mems", "cpu", "mems", 's', NULL},
    {"memory", "memory", "limit", 'b', NULL},
    {"memory-reservation", "memory", "reservation", 'b', NULL},
    {"memory-swap", "memory", "swap", 'b', NULL},
    {"pids-limit", "pids", "limit", 'n', NULL},
};

/* "64m" is 64 MiB, as Docker's units are. */
static int parse_number(const struct limit *l, json_int_t *out, struct err *e)
{
    static const char units[] = "bkmgt";
    const char *unit;
    char *end;

    errno = 0;
    *out = strtoll(l->value, &end, 10);
    if (errno || end == l->value)
        return err_set(e, "invalid value for %s: \"%s\"", l->option, l->value);
    if (l->kind == 'b' && *end) {
        unit = strchr(units, *end | 32);
        if (!unit || (end[1] && strcasecmp(end + 1, "b") && strcasecmp(end + 1, "ib")))
            return err_set(e, "invalid value for %s: \"%s\"", l->option, l->value);
        *out <<= 10 * (unit - units);
        return 0;
    }
    return *end ? err_set(e, "invalid value for %s: \"%s\"", l->option, l->value) : 0;
}

static int from_options(json_t *resources, struct err *e)
{
    for (size_t i = 0; i < ARRAY_COUNT(g_limits); i++) {
        const struct limit *l = &g_limits[i];
        json_t *group = json_object_get(resources, l->group);
        json_int_t number = 0;

        if (!l->value || !*l->value)
            continue;
        if (l->kind != 's' && parse_number(l, &number, e) < 0)
            return -1;
        if (!group) {
            group = json_object();
            json_object_set_new(resources, l->group, group);
        }
        json_object_set_new(group, l->member,
                            l->kind == 's' ? json_string(l->value) : json_integer(number));
    }
    return 0;
}

static json_t *from_file(const char *path, struct err *e)
{
    json_error_t error;
    json_t *v = strcmp(path, "-") ? json_load_file(path, 0, &error) : json_loadf(stdin, 0, &error);

    if (!json_is_object(v)) {
        (void)err_set(e, "--resources %s: %s", path, v ? "not an object" : error.text);
        json_decref(v);
        return NULL;
    }
    return v;
}

/* The saved specification says what is in force. */
static int remember(const struct container *c, const json_t *resources, struct err *e)
{
    json_t *spec = container_spec(c, e), *linux_spec, *old;
    int ret;

    if (!spec)
        return -1;
    linux_spec = json_object_get(spec, "linux");
    old = json_object_get(linux_spec, "resources");
    if (old)
        json_object_update_recursive(old, (json_t *)(uintptr_t)resources);
    else
        json_object_set(linux_spec, "resources", (json_t *)(uintptr_t)resources);
    ret = container_save_spec(c->id, spec, e);
    json_decref(spec);
    return ret;
}

/* What the sentry enforces: its own control group of the container. */
static int update_sentry(const struct container *c, json_t *resources, struct err *e)
{
    json_t *reply =
        container_request(c, json_pack("{s:s, s:O}", "op", "update", "resources", resources), e);

    json_decref(reply);
    return reply ? 0 : -1;
}

static int update_locked(const struct container *c, json_t *resources, struct err *e)
{
    struct cgroup *cg;
    int ret;

    if (container_is(c, "stopped"))
        return err_set(e, "container not running");
    if (cgroup_load(c->cgroup, &cg, e) < 0)
        return -1;
    /* A limit below what is used: version 1 refuses it and nothing has happened, version 2 makes room by killing, and
     * then the guests' choice of whom comes first. */
    if (cgroup_dir(cg, "memory")) {
        ret = limits_apply(cg, resources, e);
        ret = ret < 0 ? ret : update_sentry(c, resources, e);
    } else {
        ret = update_sentry(c, resources, e);
        ret = ret < 0 ? ret : limits_apply(cg, resources, e);
    }
    cgroup_free(cg);
    return ret < 0 ? ret : remember(c, resources, e);
}

static int update(const char *id, json_t *resources, struct err *e)
{
    int lock = container_lock(id, e), ret;
    struct container c;

    if (lock < 0)
        return -1;
    ret = container_load(id, &c, e);
    if (ret == 0) {
        ret = update_locked(&c, resources, e);
        container_destroy(&c);
    }
    close(lock);
    return ret;
}

int cmd_update(int argc, char **argv, struct err *e)
{
    const char *file = NULL, *unused = NULL;
    bool help = false;
    struct option_def options[ARRAY_COUNT(g_limits) + 7] = {
        {"resources", 'r', OPTION_STRING, &file, "file with an OCI resources object, - for stdin"},
        {"kernel-memory", 0, OPTION_STRING, &unused, "accepted; kernels have no such limit"},
        {"kernel-memory-tcp", 0, OPTION_STRING, &unused, "accepted; kernels have no such limit"},
        {"l3-cache-schema", 0, OPTION_STRING, &unused, "accepted; not supported"},
        {"mem-bw-schema", 0, OPTION_STRING, &unused, "accepted; not supported"},
        {"help", 'h', OPTION_FLAG, &help, "show this text"},
    };
    int index = 1, ret;
    json_t *resources;

    for (size_t i = 0; i < ARRAY_COUNT(g_limits); i++)
        options[6 + i] = (struct option_def){g_limits[i].option, 0, OPTION_STRING,
                                             &g_limits[i].value, "new limit"};
    if (options_parse_anywhere(options, argc, argv, &index, e) < 0)
        return -1;
    if (help) {
        printf("Usage: runsc-c update [OPTIONS] ID\n\nChanges the limits of a container.\n\n");
        options_help(options);
        return 0;
    }
    if (options_operands("update", argc - index, 1, 1, e) < 0)
        return -1;
    resources = file ? from_file(file, e) : json_object();
    if (!resources)
        return -1;
    ret = file ? 0 : from_options(resources, e);
    if (ret == 0)
        ret = update(argv[index], resources, e);
    json_decref(resources);
    return ret;
}
