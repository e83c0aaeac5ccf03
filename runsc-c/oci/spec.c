/* SPDX-License-Identifier: Apache-2.0 */
#include "runsc-c/oci/spec.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "runsc-c/support/json.h"

static const char *const g_capabilities[] = {
    "CAP_CHOWN",
    "CAP_DAC_OVERRIDE",
    "CAP_DAC_READ_SEARCH",
    "CAP_FOWNER",
    "CAP_FSETID",
    "CAP_KILL",
    "CAP_SETGID",
    "CAP_SETUID",
    "CAP_SETPCAP",
    "CAP_LINUX_IMMUTABLE",
    "CAP_NET_BIND_SERVICE",
    "CAP_NET_BROADCAST",
    "CAP_NET_ADMIN",
    "CAP_NET_RAW",
    "CAP_IPC_LOCK",
    "CAP_IPC_OWNER",
    "CAP_SYS_MODULE",
    "CAP_SYS_RAWIO",
    "CAP_SYS_CHROOT",
    "CAP_SYS_PTRACE",
    "CAP_SYS_PACCT",
    "CAP_SYS_ADMIN",
    "CAP_SYS_BOOT",
    "CAP_SYS_NICE",
    "CAP_SYS_RESOURCE",
    "CAP_SYS_TIME",
    "CAP_SYS_TTY_CONFIG",
    "CAP_MKNOD",
    "CAP_LEASE",
    "CAP_AUDIT_WRITE",
    "CAP_AUDIT_CONTROL",
    "CAP_SETFCAP",
    "CAP_MAC_OVERRIDE",
    "CAP_MAC_ADMIN",
    "CAP_SYSLOG",
    "CAP_WAKE_ALARM",
    "CAP_BLOCK_SUSPEND",
    "CAP_AUDIT_READ",
    "CAP_PERFMON",
    "CAP_BPF",
    "CAP_CHECKPOINT_RESTORE",
};

int spec_capability(const char *name)
{
    for (size_t i = 0; i < ARRAY_COUNT(g_capabilities); i++) {
        if (!strcmp(g_capabilities[i], name))
            return (int)i;
    }
    return -1;
}

json_t *spec_capability_names(void)
{
    json_t *list = json_array();

    for (size_t i = 0; i < ARRAY_COUNT(g_capabilities); i++)
        json_array_append_new(list, json_string(g_capabilities[i]));
    return list;
}

static json_t *load_file(const char *path, struct err *e)
{
    json_error_t error;
    json_t *root;

    if (access(path, R_OK) < 0) {
        (void)err_errno(e, errno, "cannot read %s", path);
        return NULL;
    }
    root = json_load_file(path, JSON_REJECT_DUPLICATES, &error);
    if (!root)
        (void)err_set(e, "%s:%d:%d: not valid JSON: %s", path, error.line, error.column,
                      error.text);
    return root;
}

json_t *spec_load(const char *bundle, struct err *e)
{
    char path[4096];
    json_t *spec;

    if (access(bundle, F_OK) < 0) {
        (void)err_errno(e, errno, "bundle %s", bundle);
        return NULL;
    }
    snprintf(path, sizeof(path), "%s/config.json", bundle);
    if (access(path, F_OK) < 0) {
        (void)err_set(e, "JSON specification file %s not found; `runsc-c spec` makes one", path);
        return NULL;
    }
    spec = load_file(path, e);
    if (spec && spec_check(spec, e) < 0) {
        (void)err_wrap(e, "%s", path);
        json_decref(spec);
        return NULL;
    }
    return spec;
}

/* An image that makes /proc a link would lead what is written there elsewhere. In runc's words. */
static void check_pseudo_mounts(const json_t *spec, const char *rootfs, struct err *e)
{
    const json_t *mounts = json_object_get(spec, "mounts"), *m;
    char path[12300];
    struct stat st;
    size_t i;

    json_array_foreach(mounts, i, m)
    {
        const char *type = json_get_string(m, "type", "");

        if (strcmp(type, "proc") && strcmp(type, "sysfs"))
            continue;
        snprintf(path, sizeof(path), "%s/%s", rootfs, json_get_string(m, "destination", ""));
        if (lstat(path, &st) == 0 && !S_ISDIR(st.st_mode))
            (void)err_set(e, "filesystem \"%s\" must be mounted on ordinary directory", type);
    }
}

json_t *spec_load_bundle(const char *bundle, char *absolute, size_t size, struct err *e)
{
    char *real = realpath(bundle, NULL);
    char rootfs[8200];
    const char *root;
    struct stat st;
    json_t *spec;

    if (!real) {
        (void)err_errno(e, errno, "chdir %s", bundle);
        return NULL;
    }
    snprintf(absolute, size, "%s", real);
    free(real);
    spec = spec_load(absolute, e);
    if (!spec)
        return NULL;
    root = json_string_value(json_object_get(json_object_get(spec, "root"), "path"));
    snprintf(rootfs, sizeof(rootfs), "%s%s%s", root[0] == '/' ? "" : absolute,
             root[0] == '/' ? "" : "/", root);
    if (stat(rootfs, &st) < 0)
        (void)err_errno(e, errno, "invalid rootfs: stat %s", rootfs);
    else if (!S_ISDIR(st.st_mode))
        (void)err_set(e, "invalid rootfs: %s is not a directory", rootfs);
    else
        check_pseudo_mounts(spec, rootfs, e);
    if (!e->msg[0])
        return spec;
    json_decref(spec);
    return NULL;
}

json_t *spec_load_process(const char *path, struct err *e)
{
    json_t *process = load_file(path, e);

    if (process && spec_check_process(process, e) < 0) {
        (void)err_wrap(e, "%s", path);
        json_decref(process);
        return NULL;
    }
    return process;
}

static json_t *capability_set(const char *const *names, size_t count)
{
    json_t *list = json_array();

    for (size_t i = 0; i < count; i++)
        json_array_append_new(list, json_string(names[i]));
    return list;
}

static json_t *capabilities(const char *const *names, size_t count)
{
    json_t *caps = json_object();

    json_object_set_new(caps, "bounding", capability_set(names, count));
    json_object_set_new(caps, "effective", capability_set(names, count));
    json_object_set_new(caps, "permitted", capability_set(names, count));
    return caps;
}

static void add_mount(json_t *mounts, const char *destination, const char *type, const char *source,
                      const char *options)
{
    json_t *m =
        json_pack("{s:s, s:s, s:s}", "destination", destination, "type", type, "source", source);
    json_t *list = json_array();
    char *copy = strdup(options), *save = NULL;

    for (char *o = strtok_r(copy, ",", &save); o; o = strtok_r(NULL, ",", &save))
        json_array_append_new(list, json_string(o));
    free(copy);
    if (json_array_size(list))
        json_object_set(m, "options", list);
    json_decref(list);
    json_array_append_new(mounts, m);
}

static json_t *default_mounts(void)
{
    json_t *m = json_array();

    add_mount(m, "/proc", "proc", "proc", "");
    add_mount(m, "/dev", "tmpfs", "tmpfs", "nosuid,strictatime,mode=755,size=65536k");
    add_mount(m, "/dev/pts", "devpts", "devpts",
              "nosuid,noexec,newinstance,ptmxmode=0666,mode=0620,gid=5");
    add_mount(m, "/dev/shm", "tmpfs", "shm", "nosuid,noexec,nodev,mode=1777,size=65536k");
    add_mount(m, "/dev/mqueue", "mqueue", "mqueue", "nosuid,noexec,nodev");
    add_mount(m, "/sys", "sysfs", "sysfs", "nosuid,noexec,nodev,ro");
    add_mount(m, "/sys/fs/cgroup", "cgroup", "cgroup", "nosuid,noexec,nodev,relatime,ro");
    return m;
}

static json_t *default_namespaces(void)
{
    return json_pack("[{s:s},{s:s},{s:s},{s:s},{s:s}]", "type", "pid", "type", "network", "type",
                     "ipc", "type", "uts", "type", "mount");
}

json_t *spec_example(bool rootless)
{
    static const char *const caps[] = {"CAP_AUDIT_WRITE", "CAP_KILL", "CAP_NET_BIND_SERVICE"};
    json_t *spec = json_pack(
        "{s:s, s:{s:b, s:{s:i,s:i}, s:[s], s:[s,s], s:s, s:o, s:[{s:s,s:i,s:i}], s:b}, "
        "s:{s:s, s:b}, s:s, s:o, s:{s:o, s:[s,s,s,s,s,s,s,s,s,s], s:[s,s,s,s,s]}}",
        "ociVersion", "1.0.2-dev", "process", "terminal", 1, "user", "uid", 0, "gid", 0, "args",
        "sh", "env", "PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin",
        "TERM=xterm", "cwd", "/", "capabilities", capabilities(caps, ARRAY_COUNT(caps)), "rlimits",
        "type", "RLIMIT_NOFILE", "hard", 1024, "soft", 1024, "noNewPrivileges", 1, "root", "path",
        "rootfs", "readonly", 1, "hostname", "runsc-c", "mounts", default_mounts(), "linux",
        "namespaces", default_namespaces(), "maskedPaths", "/proc/acpi", "/proc/asound",
        "/proc/kcore", "/proc/keys", "/proc/latency_stats", "/proc/timer_list", "/proc/timer_stats",
        "/proc/sched_debug", "/sys/firmware", "/proc/scsi", "readonlyPaths", "/proc/bus",
        "/proc/fs", "/proc/irq", "/proc/sys", "/proc/sysrq-trigger");

    /* As runc's, where they are without effect too: nothing is inheritable. */
    json_object_set_new(json_object_get(json_object_get(spec, "process"), "capabilities"),
                        "ambient", capability_set(caps, ARRAY_COUNT(caps)));
    /* As runc's: devices that nobody allows are forbidden; tools add limits beside it. */
    if (spec && !rootless)
        json_object_set_new(json_object_get(spec, "linux"), "resources",
                            json_pack("{s:[{s:b, s:s}]}", "devices", "allow", 0, "access", "rwm"));
    if (spec && rootless) {
        json_t *ns = json_object_get(json_object_get(spec, "linux"), "namespaces");

        json_array_append_new(ns, json_pack("{s:s}", "type", "user"));
        json_object_set_new(
            json_object_get(spec, "linux"), "uidMappings",
            json_pack("[{s:i,s:i,s:i}]", "containerID", 0, "hostID", (int)geteuid(), "size", 1));
        json_object_set_new(
            json_object_get(spec, "linux"), "gidMappings",
            json_pack("[{s:i,s:i,s:i}]", "containerID", 0, "hostID", (int)getegid(), "size", 1));
    }
    return spec;
}

json_t *spec_for_do(char **args, const char *cwd, bool terminal)
{
    json_t *list = json_array(), *env = json_array(), *mounts = json_array();
    char hostname[65] = "";

    /* The host's name: its /etc/hosts, which the command sees, has a line for it. */
    (void)gethostname(hostname, sizeof(hostname) - 1); /* empty then: none is set */
    for (; *args; args++)
        json_array_append_new(list, json_bytes(*args));
    for (char **v = environ; *v; v++)
        json_array_append_new(env, json_bytes(*v));
    add_mount(mounts, "/proc", "proc", "proc", "nosuid,nodev,noexec");
    add_mount(mounts, "/dev", "tmpfs", "tmpfs", "nosuid,strictatime,mode=755");
    add_mount(mounts, "/dev/pts", "devpts", "devpts",
              "nosuid,noexec,newinstance,ptmxmode=0666,mode=0620");
    add_mount(mounts, "/dev/shm", "tmpfs", "shm", "nosuid,nodev,mode=1777");
    add_mount(mounts, "/dev/mqueue", "mqueue", "mqueue", "nosuid,noexec,nodev");
    add_mount(mounts, "/sys", "sysfs", "sysfs", "nosuid,noexec,nodev,ro");
    add_mount(mounts, "/sys/fs/cgroup", "cgroup", "cgroup", "nosuid,noexec,nodev,relatime");
    return json_pack("{s:s, s:{s:b, s:{s:i,s:i}, s:o, s:o, s:o, s:o}, s:{s:s,s:b}, s:o, s:o, "
                     "s:{s:o, s:[{s:s, s:s, s:i, s:i, s:i}]}}",
                     "ociVersion", "1.0.2", "process", "terminal", terminal ? 1 : 0, "user", "uid",
                     0, "gid", 0, "args", list, "env", env, "cwd", json_bytes(cwd), "capabilities",
                     capabilities(g_capabilities, ARRAY_COUNT(g_capabilities)), "root", "path", "/",
                     "readonly", 0, "hostname", json_bytes(hostname), "mounts", mounts, "linux",
                     "namespaces", default_namespaces(), "devices", "path", "/dev/console", "type",
                     "c", "major", 5, "minor", 1, "fileMode", 0600);
}
