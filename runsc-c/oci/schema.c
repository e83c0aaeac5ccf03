/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Schema check of config.json: a table per object, walked recursively, so that every message names
 * the member by its full path. Members that the table does not know are ignored, as the OCI runtime
 * specification asks; members it knows must have the right type.
 */
#include <stdio.h>
#include <string.h>

#include "platform/base/log.h"
#include "runsc-c/oci/spec.h"

enum kind { K_STRING, K_INT, K_BOOL, K_OBJECT, K_ARRAY, K_MAP };

struct member {
    const char *name; /* NULL ends a table */
    enum kind kind;
    bool required;
    const struct member *sub; /* object: its members; array of objects: members of the elements */
    enum kind element;        /* array: kind of the elements */
};

static const struct member g_user[] = {
    {"uid", K_INT, false, NULL, 0},         {"gid", K_INT, false, NULL, 0},
    {"umask", K_INT, false, NULL, 0},       {"additionalGids", K_ARRAY, false, NULL, K_INT},
    {"username", K_STRING, false, NULL, 0}, {NULL, 0, false, NULL, 0},
};
static const struct member g_console_size[] = {
    {"height", K_INT, true, NULL, 0},
    {"width", K_INT, true, NULL, 0},
    {NULL, 0, false, NULL, 0},
};
static const struct member g_rlimit[] = {
    {"type", K_STRING, true, NULL, 0},
    {"hard", K_INT, true, NULL, 0},
    {"soft", K_INT, true, NULL, 0},
    {NULL, 0, false, NULL, 0},
};
static const struct member g_capabilities[] = {
    {"bounding", K_ARRAY, false, NULL, K_STRING},    {"effective", K_ARRAY, false, NULL, K_STRING},
    {"inheritable", K_ARRAY, false, NULL, K_STRING}, {"permitted", K_ARRAY, false, NULL, K_STRING},
    {"ambient", K_ARRAY, false, NULL, K_STRING},     {NULL, 0, false, NULL, 0},
};
static const struct member g_process[] = {
    {"terminal", K_BOOL, false, NULL, 0},
    {"consoleSize", K_OBJECT, false, g_console_size, 0},
    {"cwd", K_STRING, true, NULL, 0},
    {"env", K_ARRAY, false, NULL, K_STRING},
    {"args", K_ARRAY, false, NULL, K_STRING},
    {"user", K_OBJECT, false, g_user, 0},
    {"rlimits", K_ARRAY, false, g_rlimit, K_OBJECT},
    {"capabilities", K_OBJECT, false, g_capabilities, 0},
    {"noNewPrivileges", K_BOOL, false, NULL, 0},
    {"oomScoreAdj", K_INT, false, NULL, 0},
    {NULL, 0, false, NULL, 0},
};
static const struct member g_root[] = {
    {"path", K_STRING, true, NULL, 0},
    {"readonly", K_BOOL, false, NULL, 0},
    {NULL, 0, false, NULL, 0},
};
static const struct member g_id_mapping[] = {
    {"containerID", K_INT, true, NULL, 0},
    {"hostID", K_INT, true, NULL, 0},
    {"size", K_INT, true, NULL, 0},
    {NULL, 0, false, NULL, 0},
};
static const struct member g_mount[] = {
    {"destination", K_STRING, true, NULL, 0},
    {"type", K_STRING, false, NULL, 0},
    {"source", K_STRING, false, NULL, 0},
    {"options", K_ARRAY, false, NULL, K_STRING},
    {"uidMappings", K_ARRAY, false, g_id_mapping, K_OBJECT},
    {"gidMappings", K_ARRAY, false, g_id_mapping, K_OBJECT},
    {NULL, 0, false, NULL, 0},
};
static const struct member g_namespace[] = {
    {"type", K_STRING, true, NULL, 0},
    {"path", K_STRING, false, NULL, 0},
    {NULL, 0, false, NULL, 0},
};
static const struct member g_memory[] = {
    {"limit", K_INT, false, NULL, 0},
    {"reservation", K_INT, false, NULL, 0},
    {"swap", K_INT, false, NULL, 0},
    {"kernel", K_INT, false, NULL, 0},
    {"kernelTCP", K_INT, false, NULL, 0},
    {"swappiness", K_INT, false, NULL, 0},
    {"disableOOMKiller", K_BOOL, false, NULL, 0},
    {"useHierarchy", K_BOOL, false, NULL, 0},
    {NULL, 0, false, NULL, 0},
};
static const struct member g_cpu[] = {
    {"shares", K_INT, false, NULL, 0},         {"quota", K_INT, false, NULL, 0},
    {"period", K_INT, false, NULL, 0},         {"realtimeRuntime", K_INT, false, NULL, 0},
    {"realtimePeriod", K_INT, false, NULL, 0}, {"cpus", K_STRING, false, NULL, 0},
    {"mems", K_STRING, false, NULL, 0},        {NULL, 0, false, NULL, 0},
};
static const struct member g_pids[] = {
    {"limit", K_INT, false, NULL, 0},
    {NULL, 0, false, NULL, 0},
};
static const struct member g_weight_device[] = {
    {"major", K_INT, true, NULL, 0},   {"minor", K_INT, true, NULL, 0},
    {"weight", K_INT, false, NULL, 0}, {"leafWeight", K_INT, false, NULL, 0},
    {NULL, 0, false, NULL, 0},
};
static const struct member g_throttle_device[] = {
    {"major", K_INT, true, NULL, 0},
    {"minor", K_INT, true, NULL, 0},
    {"rate", K_INT, false, NULL, 0},
    {NULL, 0, false, NULL, 0},
};
static const struct member g_block_io[] = {
    {"weight", K_INT, false, NULL, 0},
    {"leafWeight", K_INT, false, NULL, 0},
    {"weightDevice", K_ARRAY, false, g_weight_device, K_OBJECT},
    {"throttleReadBpsDevice", K_ARRAY, false, g_throttle_device, K_OBJECT},
    {"throttleWriteBpsDevice", K_ARRAY, false, g_throttle_device, K_OBJECT},
    {"throttleReadIOPSDevice", K_ARRAY, false, g_throttle_device, K_OBJECT},
    {"throttleWriteIOPSDevice", K_ARRAY, false, g_throttle_device, K_OBJECT},
    {NULL, 0, false, NULL, 0},
};
static const struct member g_hugepage_limit[] = {
    {"pageSize", K_STRING, true, NULL, 0},
    {"limit", K_INT, true, NULL, 0},
    {NULL, 0, false, NULL, 0},
};
static const struct member g_device_rule[] = {
    {"allow", K_BOOL, true, NULL, 0},     {"type", K_STRING, false, NULL, 0},
    {"major", K_INT, false, NULL, 0},     {"minor", K_INT, false, NULL, 0},
    {"access", K_STRING, false, NULL, 0}, {NULL, 0, false, NULL, 0},
};
static const struct member g_resources[] = {
    {"memory", K_OBJECT, false, g_memory, 0},
    {"cpu", K_OBJECT, false, g_cpu, 0},
    {"pids", K_OBJECT, false, g_pids, 0},
    {"blockIO", K_OBJECT, false, g_block_io, 0},
    {"hugepageLimits", K_ARRAY, false, g_hugepage_limit, K_OBJECT},
    {"devices", K_ARRAY, false, g_device_rule, K_OBJECT},
    {"unified", K_MAP, false, NULL, K_STRING},
    {NULL, 0, false, NULL, 0},
};
static const struct member g_device[] = {
    {"path", K_STRING, true, NULL, 0},   {"type", K_STRING, true, NULL, 0},
    {"major", K_INT, false, NULL, 0},    {"minor", K_INT, false, NULL, 0},
    {"fileMode", K_INT, false, NULL, 0}, {"uid", K_INT, false, NULL, 0},
    {"gid", K_INT, false, NULL, 0},      {NULL, 0, false, NULL, 0},
};
static const struct member g_seccomp_arg[] = {
    {"index", K_INT, true, NULL, 0},     {"value", K_INT, true, NULL, 0},
    {"valueTwo", K_INT, false, NULL, 0}, {"op", K_STRING, true, NULL, 0},
    {NULL, 0, false, NULL, 0},
};
static const struct member g_seccomp_rule[] = {
    {"names", K_ARRAY, true, NULL, K_STRING},
    {"action", K_STRING, true, NULL, 0},
    {"errnoRet", K_INT, false, NULL, 0},
    {"args", K_ARRAY, false, g_seccomp_arg, K_OBJECT},
    {NULL, 0, false, NULL, 0},
};
static const struct member g_seccomp[] = {
    {"defaultAction", K_STRING, true, NULL, 0},
    {"defaultErrnoRet", K_INT, false, NULL, 0},
    {"architectures", K_ARRAY, false, NULL, K_STRING},
    {"flags", K_ARRAY, false, NULL, K_STRING},
    {"syscalls", K_ARRAY, false, g_seccomp_rule, K_OBJECT},
    {NULL, 0, false, NULL, 0},
};
static const struct member g_personality[] = {
    {"domain", K_STRING, true, NULL, 0},
    {"flags", K_ARRAY, false, NULL, K_STRING},
    {NULL, 0, false, NULL, 0},
};
static const struct member g_time_offset[] = {
    {"secs", K_INT, false, NULL, 0},
    {"nanosecs", K_INT, false, NULL, 0},
    {NULL, 0, false, NULL, 0},
};
static const struct member g_time_offsets[] = {
    {"monotonic", K_OBJECT, false, g_time_offset, 0},
    {"boottime", K_OBJECT, false, g_time_offset, 0},
    {NULL, 0, false, NULL, 0},
};
static const struct member g_linux[] = {
    {"resources", K_OBJECT, false, g_resources, 0},
    {"namespaces", K_ARRAY, false, g_namespace, K_OBJECT},
    {"uidMappings", K_ARRAY, false, g_id_mapping, K_OBJECT},
    {"gidMappings", K_ARRAY, false, g_id_mapping, K_OBJECT},
    {"devices", K_ARRAY, false, g_device, K_OBJECT},
    {"cgroupsPath", K_STRING, false, NULL, 0},
    {"maskedPaths", K_ARRAY, false, NULL, K_STRING},
    {"readonlyPaths", K_ARRAY, false, NULL, K_STRING},
    {"sysctl", K_MAP, false, NULL, K_STRING},
    {"seccomp", K_OBJECT, false, g_seccomp, 0},
    {"personality", K_OBJECT, false, g_personality, 0},
    {"timeOffsets", K_OBJECT, false, g_time_offsets, 0},
    {"rootfsPropagation", K_STRING, false, NULL, 0},
    {"mountLabel", K_STRING, false, NULL, 0},
    {NULL, 0, false, NULL, 0},
};
static const struct member g_hook[] = {
    {"path", K_STRING, true, NULL, 0},
    {"args", K_ARRAY, false, NULL, K_STRING},
    {"env", K_ARRAY, false, NULL, K_STRING},
    {"timeout", K_INT, false, NULL, 0},
    {NULL, 0, false, NULL, 0},
};
static const struct member g_hooks[] = {
    {"prestart", K_ARRAY, false, g_hook, K_OBJECT},
    {"createRuntime", K_ARRAY, false, g_hook, K_OBJECT},
    {"createContainer", K_ARRAY, false, g_hook, K_OBJECT},
    {"startContainer", K_ARRAY, false, g_hook, K_OBJECT},
    {"poststart", K_ARRAY, false, g_hook, K_OBJECT},
    {"poststop", K_ARRAY, false, g_hook, K_OBJECT},
    {NULL, 0, false, NULL, 0},
};
static const struct member g_spec[] = {
    {"ociVersion", K_STRING, true, NULL, 0},       {"process", K_OBJECT, false, g_process, 0},
    {"root", K_OBJECT, false, g_root, 0},          {"hostname", K_STRING, false, NULL, 0},
    {"domainname", K_STRING, false, NULL, 0},      {"mounts", K_ARRAY, false, g_mount, K_OBJECT},
    {"annotations", K_MAP, false, NULL, K_STRING}, {"hooks", K_OBJECT, false, g_hooks, 0},
    {"linux", K_OBJECT, false, g_linux, 0},        {NULL, 0, false, NULL, 0},
};

static const char *const g_kind_names[] = {
    [K_STRING] = "a string",  [K_INT] = "an integer", [K_BOOL] = "true or false",
    [K_OBJECT] = "an object", [K_ARRAY] = "an array", [K_MAP] = "an object of strings",
};

static bool kind_matches(const json_t *v, enum kind kind)
{
    switch (kind) {
    case K_STRING:
        return json_is_string(v);
    case K_INT:
        return json_is_integer(v);
    case K_BOOL:
        return json_is_boolean(v);
    case K_OBJECT:
    case K_MAP:
        return json_is_object(v);
    case K_ARRAY:
        return json_is_array(v);
    }
    return false;
}

static int check_object(const json_t *obj, const struct member *table, const char *path,
                        struct err *e);

static int check_value(const json_t *v, enum kind kind, const struct member *sub, const char *path,
                       struct err *e)
{
    if (!kind_matches(v, kind))
        return err_set(e, "%s must be %s", path, g_kind_names[kind]);
    if (kind == K_STRING && strlen(json_string_value(v)) != json_string_length(v))
        return err_set(e, "%s contains a NUL character", path);
    if (kind == K_OBJECT && sub)
        return check_object(v, sub, path, e);
    return 0;
}

static int check_array(const json_t *array, const struct member *m, const char *path, struct err *e)
{
    char element[300];
    const json_t *v;
    size_t i;

    json_array_foreach(array, i, v)
    {
        snprintf(element, sizeof(element), "%s[%zu]", path, i);
        if (check_value(v, m->element, m->sub, element, e) < 0)
            return -1;
    }
    return 0;
}

static int check_map(json_t *map, const char *path, struct err *e)
{
    const char *key;
    json_t *v;

    json_object_foreach(map, key, v)
    {
        if (!json_is_string(v))
            return err_set(e, "%s[\"%s\"] must be a string", path, key);
    }
    return 0;
}

static int check_object(const json_t *obj, const struct member *table, const char *path,
                        struct err *e)
{
    for (const struct member *m = table; m->name; m++) {
        json_t *v = json_object_get(obj, m->name);
        char full[256];

        snprintf(full, sizeof(full), "%s%s%s", path, *path ? "." : "", m->name);
        if (!v || json_is_null(v)) {
            if (m->required)
                return err_set(e, "%s is missing", full);
            continue;
        }
        if (check_value(v, m->kind, m->sub, full, e) < 0)
            return -1;
        if (m->kind == K_ARRAY && check_array(v, m, full, e) < 0)
            return -1;
        if (m->kind == K_MAP && check_map(v, full, e) < 0)
            return -1;
    }
    return 0;
}

static int check_range(const json_t *obj, const char *name, json_int_t max, struct err *e)
{
    const json_t *v = json_object_get(obj, name);

    if (v && (json_integer_value(v) < 0 || json_integer_value(v) > max))
        return err_set(e, "process.user.%s is out of range", name);
    return 0;
}

static int check_rlimits(const json_t *rlimits, struct err *e)
{
    const json_t *v;
    size_t i;

    json_array_foreach(rlimits, i, v)
    {
        const char *type = json_string_value(json_object_get(v, "type"));
        json_int_t hard = json_integer_value(json_object_get(v, "hard"));
        json_int_t soft = json_integer_value(json_object_get(v, "soft"));

        if (strncmp(type, "RLIMIT_", 7))
            return err_set(e, "process.rlimits[%zu].type: unknown limit \"%s\"", i, type);
        /* Unsigned on the wire: -1 and 2^64-1 both mean no limit. */
        if ((uint64_t)soft > (uint64_t)hard)
            return err_set(e, "process.rlimits[%zu]: soft limit above the hard limit", i);
        for (size_t k = 0; k < i; k++) {
            if (!strcmp(type,
                        json_string_value(json_object_get(json_array_get(rlimits, k), "type"))))
                return err_set(e, "process.rlimits: %s is given twice", type);
        }
    }
    return 0;
}

int spec_check_process(const json_t *process, struct err *e)
{
    const json_t *user = json_object_get(process, "user");
    const json_t *args = json_object_get(process, "args");

    if (!json_is_object(process))
        return err_set(e, "process must be an object");
    if (check_object(process, g_process, "process", e) < 0)
        return -1;
    if (json_array_size(args) == 0)
        return err_set(e, "process.args is empty: there is no command to run");
    if (json_string_value(json_object_get(process, "cwd"))[0] != '/')
        return err_set(e, "process.cwd must be an absolute path");
    if (check_range(user, "uid", 0xfffffffe, e) < 0 ||
        check_range(user, "gid", 0xfffffffe, e) < 0 || check_range(user, "umask", 0777, e) < 0)
        return -1;
    return check_rlimits(json_object_get(process, "rlimits"), e);
}

/* As runc: offsets without a namespace to put them into are a mistake. */
static int check_time_offsets(const json_t *linux_spec, bool has_namespace, struct err *e)
{
    const json_t *offsets = json_object_get(linux_spec, "timeOffsets"), *v;
    const char *name;

    if (offsets && !has_namespace)
        return err_set(e, "linux.timeOffsets is set but linux.namespaces has no time namespace");
    json_object_foreach((json_t *)(uintptr_t)offsets, name, v)
    {
        json_int_t nsec = json_integer_value(json_object_get(v, "nanosecs"));

        if (nsec < 0 || nsec > 999999999)
            return err_set(e, "linux.timeOffsets.%s.nanosecs is out of range", name);
    }
    return 0;
}

static int check_namespaces(const json_t *spec, struct err *e)
{
    static const char *const known[] = {"pid", "network", "mount",  "ipc",
                                        "uts", "user",    "cgroup", "time"};
    enum { TIME_NAMESPACE = ARRAY_COUNT(known) - 1 };
    const json_t *list = json_object_get(json_object_get(spec, "linux"), "namespaces"), *v;
    bool uts = false, seen[ARRAY_COUNT(known)] = {false};
    size_t i, k;

    json_array_foreach(list, i, v)
    {
        const char *type = json_string_value(json_object_get(v, "type"));

        for (k = 0; k < ARRAY_COUNT(known) && strcmp(known[k], type); k++)
            ;
        if (k == ARRAY_COUNT(known))
            return err_set(e, "linux.namespaces[%zu].type: unknown namespace \"%s\"", i, type);
        if (seen[k])
            return err_set(e, "linux.namespaces: %s is given twice", type);
        seen[k] = true;
        uts |= !strcmp(type, "uts");
    }
    if (list && json_object_get(spec, "hostname") && !uts &&
        json_string_length(json_object_get(spec, "hostname")))
        return err_set(e, "hostname is set but linux.namespaces has no uts namespace");
    return check_time_offsets(json_object_get(spec, "linux"), seen[TIME_NAMESPACE], e);
}

static int check_devices(const json_t *devices, struct err *e)
{
    const json_t *v;
    size_t i;

    json_array_foreach(devices, i, v)
    {
        const char *type = json_string_value(json_object_get(v, "type"));

        if (json_string_value(json_object_get(v, "path"))[0] != '/')
            return err_set(e, "linux.devices[%zu].path must be an absolute path", i);
        if (strlen(type) != 1 || !strchr("bcup", type[0]))
            return err_set(e, "linux.devices[%zu].type \"%s\" is not b, c, u or p", i, type);
    }
    return 0;
}

static int check_hooks(const json_t *hooks, struct err *e)
{
    for (const struct member *m = g_hooks; m->name; m++) {
        const json_t *list = json_object_get(hooks, m->name), *v;
        size_t i;

        json_array_foreach(list, i, v)
        {
            const json_t *timeout = json_object_get(v, "timeout");

            if (json_string_value(json_object_get(v, "path"))[0] != '/')
                return err_set(e, "hooks.%s[%zu].path must be an absolute path", m->name, i);
            if (timeout && json_integer_value(timeout) <= 0)
                return err_set(e, "hooks.%s[%zu].timeout must be above zero", m->name, i);
        }
    }
    return 0;
}

static bool has_namespace(const json_t *linux_spec, const char *type)
{
    const json_t *v;
    size_t i;

    json_array_foreach(json_object_get(linux_spec, "namespaces"), i, v)
    {
        if (!strcmp(json_string_value(json_object_get(v, "type")), type))
            return true;
    }
    return false;
}

/* In runc's words. What is set must belong to a namespace of the container. */
static int check_sysctl(const json_t *linux_spec, const char *name, struct err *e)
{
    static const char *const ipc[] = {"kernel.msgmax", "kernel.msgmnb",         "kernel.msgmni",
                                      "kernel.sem",    "kernel.shmall",         "kernel.shmmax",
                                      "kernel.shmmni", "kernel.shm_rmid_forced"};
    bool is_ipc = !strncmp(name, "fs.mqueue.", 10);

    for (size_t i = 0; i < ARRAY_COUNT(ipc); i++)
        is_ipc |= !strcmp(ipc[i], name);
    if (is_ipc && !has_namespace(linux_spec, "ipc"))
        return err_set(e, "linux.sysctl: \"%s\" is not allowed in the hosts ipc namespace", name);
    if (!strncmp(name, "net.", 4) && !has_namespace(linux_spec, "network"))
        return err_set(e, "linux.sysctl: \"%s\" not allowed in host network namespace", name);
    if (!strcmp(name, "kernel.domainname") && !has_namespace(linux_spec, "uts"))
        return err_set(e, "linux.sysctl: \"%s\" is not allowed in the hosts uts namespace", name);
    if (!is_ipc && strncmp(name, "net.", 4) && strcmp(name, "kernel.domainname"))
        return err_set(e, "linux.sysctl: \"%s\" is not in a separate kernel namespace", name);
    return 0;
}

static int check_sysctls(const json_t *linux_spec, struct err *e)
{
    json_t *map = json_object_get(linux_spec, "sysctl"), *v;
    const char *name;

    json_object_foreach(map, name, v)
    {
        if (check_sysctl(linux_spec, name, e) < 0)
            return -1;
    }
    return 0;
}

static int check_personality(const json_t *personality, struct err *e)
{
    const char *domain = json_string_value(json_object_get(personality, "domain"));

    if (domain && strcmp(domain, "LINUX") && strcmp(domain, "LINUX32"))
        return err_set(e, "linux.personality.domain \"%s\" is not LINUX or LINUX32", domain);
    return 0;
}

static int check_propagation(const json_t *propagation, struct err *e)
{
    static const char *const words[] = {"private", "rprivate", "shared",     "rshared",
                                        "slave",   "rslave",   "unbindable", "runbindable"};
    const char *word = json_string_value(propagation);

    if (!word || !*word)
        return 0;
    for (size_t i = 0; i < ARRAY_COUNT(words); i++) {
        if (!strcmp(words[i], word))
            return 0;
    }
    return err_set(e, "rootfsPropagation=%s is not supported", word);
}

/* Members that mean something to a kernel we are not. */
static void say_what_is_ignored(const json_t *spec)
{
    const json_t *process = json_object_get(spec, "process");
    const json_t *linux_spec = json_object_get(spec, "linux");
    const struct {
        const json_t *object;
        const char *name, *path;
    } ignored[] = {
        {process, "apparmorProfile", "process.apparmorProfile"},
        {process, "selinuxLabel", "process.selinuxLabel"},
        {linux_spec, "mountLabel", "linux.mountLabel"},
        {linux_spec, "intelRdt", "linux.intelRdt"},
    };

    for (size_t i = 0; i < ARRAY_COUNT(ignored); i++) {
        const json_t *v = json_object_get(ignored[i].object, ignored[i].name);

        if (v && !json_is_null(v) && (!json_is_string(v) || json_string_length(v)))
            log_info(LOG_CLI, "%s has no meaning here and is ignored", ignored[i].path);
    }
}

static int check_mounts(const json_t *mounts, struct err *e)
{
    const json_t *v;
    size_t i;

    json_array_foreach(mounts, i, v)
    {
        const char *destination = json_string_value(json_object_get(v, "destination"));

        if (!*destination)
            return err_set(e, "mounts[%zu].destination is empty", i);
        if (destination[0] != '/')
            log_warn(LOG_CLI, "mounts[%zu].destination \"%s\" is relative; taken from /", i,
                     destination);
    }
    return 0;
}

int spec_check(const json_t *spec, struct err *e)
{
    const char *version;

    if (!json_is_object(spec))
        return err_set(e, "the top level must be an object");
    if (check_object(spec, g_spec, "", e) < 0)
        return -1;
    version = json_string_value(json_object_get(spec, "ociVersion"));
    if (strncmp(version, "1.", 2) && strncmp(version, "0.", 2))
        return err_set(e, "ociVersion \"%s\" is not supported (1.x is)", version);
    if (!json_object_get(spec, "root"))
        return err_set(e, "root is missing");
    if (!*json_string_value(json_object_get(json_object_get(spec, "root"), "path")))
        return err_set(e, "root.path is empty");
    if (json_object_get(spec, "vm") || json_object_get(spec, "windows"))
        return err_set(e, "this is a configuration for another platform (vm, windows)");
    if (!json_object_get(spec, "process"))
        return err_set(e, "process is missing");
    if (spec_check_process(json_object_get(spec, "process"), e) < 0)
        return -1;
    if (check_namespaces(spec, e) < 0 ||
        check_devices(json_object_get(json_object_get(spec, "linux"), "devices"), e) < 0 ||
        check_personality(json_object_get(json_object_get(spec, "linux"), "personality"), e) < 0 ||
        check_propagation(json_object_get(json_object_get(spec, "linux"), "rootfsPropagation"), e) <
            0 ||
        check_sysctls(json_object_get(spec, "linux"), e) < 0 ||
        check_hooks(json_object_get(spec, "hooks"), e) < 0)
        return -1;
    say_what_is_ignored(spec);
    return check_mounts(json_object_get(spec, "mounts"), e);
}
