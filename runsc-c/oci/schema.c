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
static const struct member g_mount[] = {
    {"destination", K_STRING, true, NULL, 0},
    {"type", K_STRING, false, NULL, 0},
    {"source", K_STRING, false, NULL, 0},
    {"options", K_ARRAY, false, NULL, K_STRING},
    {NULL, 0, false, NULL, 0},
};
static const struct member g_namespace[] = {
    {"type", K_STRING, true, NULL, 0},
    {"path", K_STRING, false, NULL, 0},
    {NULL, 0, false, NULL, 0},
};
static const struct member g_memory[] = {
    {"limit", K_INT, false, NULL, 0},
    {NULL, 0, false, NULL, 0},
};
static const struct member g_resources[] = {
    {"memory", K_OBJECT, false, g_memory, 0},
    {NULL, 0, false, NULL, 0},
};
static const struct member g_linux[] = {
    {"resources", K_OBJECT, false, g_resources, 0},
    {"namespaces", K_ARRAY, false, g_namespace, K_OBJECT},
    {"cgroupsPath", K_STRING, false, NULL, 0},
    {"maskedPaths", K_ARRAY, false, NULL, K_STRING},
    {"readonlyPaths", K_ARRAY, false, NULL, K_STRING},
    {"sysctl", K_MAP, false, NULL, K_STRING},
    {"rootfsPropagation", K_STRING, false, NULL, 0},
    {NULL, 0, false, NULL, 0},
};
static const struct member g_spec[] = {
    {"ociVersion", K_STRING, true, NULL, 0},
    {"process", K_OBJECT, false, g_process, 0},
    {"root", K_OBJECT, false, g_root, 0},
    {"hostname", K_STRING, false, NULL, 0},
    {"domainname", K_STRING, false, NULL, 0},
    {"mounts", K_ARRAY, false, g_mount, K_OBJECT},
    {"annotations", K_MAP, false, NULL, K_STRING},
    {"linux", K_OBJECT, false, g_linux, 0},
    {NULL, 0, false, NULL, 0},
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

static int check_namespaces(const json_t *spec, struct err *e)
{
    static const char *const known[] = {"pid", "network", "mount",  "ipc",
                                        "uts", "user",    "cgroup", "time"};
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
    return 0;
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
    if (check_namespaces(spec, e) < 0)
        return -1;
    return check_mounts(json_object_get(spec, "mounts"), e);
}
