/* SPDX-License-Identifier: Apache-2.0 */
/* runsc-c features: the runtime-spec features object. */
#include <stdio.h>

#include "runsc-c/cmd.h"
#include "runsc-c/oci/spec.h"
#include "runsc-c/support/options.h"
#include "runsc-c/version.h"

static const char *const g_mount_options[] = {
    "async",      "atime",      "bind",       "defaults",      "dev",         "diratime",
    "dirsync",    "exec",       "idmap",      "iversion",      "lazytime",    "loud",
    "mand",       "noatime",    "nodev",      "nodiratime",    "noexec",      "noiversion",
    "nolazytime", "nomand",     "norelatime", "nostrictatime", "nosuid",      "private",
    "rbind",      "relatime",   "remount",    "ridmap",        "ro",          "rprivate",
    "rro",        "rrw",        "rshared",    "rslave",        "runbindable", "rw",
    "shared",     "silent",     "slave",      "strictatime",   "suid",        "sync",
    "tmpcopyup",  "unbindable",
};
static const char *const g_namespaces[] = {"cgroup", "ipc",  "mount", "network",
                                           "pid",    "time", "user",  "uts"};
static const char *const g_hooks[] = {"prestart",       "createRuntime", "createContainer",
                                      "startContainer", "poststart",     "poststop"};
static const char *const g_actions[] = {
    "SCMP_ACT_ALLOW",       "SCMP_ACT_ERRNO", "SCMP_ACT_KILL",  "SCMP_ACT_KILL_PROCESS",
    "SCMP_ACT_KILL_THREAD", "SCMP_ACT_LOG",   "SCMP_ACT_TRACE", "SCMP_ACT_TRAP"};
static const char *const g_operators[] = {"SCMP_CMP_EQ", "SCMP_CMP_GE", "SCMP_CMP_GT",
                                          "SCMP_CMP_LE", "SCMP_CMP_LT", "SCMP_CMP_MASKED_EQ",
                                          "SCMP_CMP_NE"};
static const char *const g_archs[] = {"SCMP_ARCH_X86", "SCMP_ARCH_X86_64", "SCMP_ARCH_X32"};

static json_t *strings(const char *const *list, size_t count)
{
    json_t *v = json_array();

    for (size_t i = 0; i < count; i++)
        json_array_append_new(v, json_string(list[i]));
    return v;
}

#define STRINGS(list) strings(list, ARRAY_COUNT(list))

static json_t *features(void)
{
    return json_pack(
        "{s:s, s:s, s:o, s:o, s:{s:o, s:o, s:{s:b, s:b, s:b, s:b}, s:{s:b, s:o, s:o, s:o}, "
        "s:{s:b}, s:{s:b}, s:{s:{s:b}}}, s:{s:s, s:s, s:s}}",
        "ociVersionMin", "1.0.0", "ociVersionMax", "1.0.2-dev", "hooks", STRINGS(g_hooks),
        "mountOptions", STRINGS(g_mount_options), "linux", "namespaces", STRINGS(g_namespaces),
        "capabilities", spec_capability_names(), "cgroup", "v1", 1, "v2", 1, "systemd", 1,
        "systemdUser", 0, "seccomp", "enabled", 1, "actions", STRINGS(g_actions), "operators",
        STRINGS(g_operators), "archs", STRINGS(g_archs), "apparmor", "enabled", 0, "selinux",
        "enabled", 0, "mountExtensions", "idmap", "enabled", 1, "annotations",
        "org.runsc-c.version", RUNSC_C_VERSION, "org.runsc-c.annotations",
        "dev.gvisor.flag.* dev.gvisor.spec.mount.* dev.gvisor.spec.rootfs.* org.runsc-c.*",
        "org.runsc-c.ignored",
        "process.apparmorProfile process.selinuxLabel linux.mountLabel linux.intelRdt");
}

int cmd_features(int argc, char **argv, struct err *e)
{
    json_t *v;

    if (options_only_operands("features", "", "Shows what is supported, as JSON.", &argc, &argv, 0,
                              0, e) < 0)
        return e->msg[0] ? -1 : 0;
    v = features();
    if (!v || json_dumpf(v, stdout, JSON_INDENT(4)) < 0) {
        json_decref(v);
        return err_set(e, "features: out of memory, or stdout cannot be written");
    }
    putchar('\n');
    json_decref(v);
    return 0;
}
