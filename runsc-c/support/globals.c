/* SPDX-License-Identifier: Apache-2.0 */
#include "runsc-c/support/globals.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "platform/base/log.h"
#include "runsc-c/cgroup/cgroup.h"
#include "runsc-c/support/options.h"

struct globals g_options = {
    .log_format = "text",
    .platform = "auto",
    .lanes = "auto",
    .network = NULL, /* none for `do`, host for containers */
    .file_access = "shared",
    .strace_format = "text",
};

static const struct option_def g_defs[] = {
    {"root", 0, OPTION_STRING, &g_options.root, "directory for the state of containers"},
    {"log", 0, OPTION_STRING, &g_options.log_path,
     "file for log lines (default: errors to stderr)"},
    {"log-format", 0, OPTION_STRING, &g_options.log_format, "text or json"},
    {"debug", 0, OPTION_FLAG, &g_options.debug, "log everything"},
    {"systemd-cgroup", 0, OPTION_FLAG, &g_options.systemd_cgroup,
     "cgroupsPath is slice:prefix:name"},
    {"rootless", 0, OPTION_FLAG, &g_options.rootless,
     "accepted; an unprivileged caller is detected"},
    {"platform", 0, OPTION_STRING, &g_options.platform, "auto, ptrace, seccomp or kvm"},
    {"lanes", 0, OPTION_STRING, &g_options.lanes,
     "auto: cheaper ways for frequent calls where they pay; off; eager: always (for tests)"},
    {"network", 0, OPTION_STRING, &g_options.network,
     "none (loopback only) or host (sockets of the container's network namespace)"},
    {"overlay", 0, OPTION_STRING, &g_options.overlay,
     "root:memory or none (writes go to the host; the default for OCI containers)"},
    {"file-access", 0, OPTION_STRING, &g_options.file_access,
     "shared (others may change a container's root) or exclusive"},
    {"rseq", 0, OPTION_FLAG, &g_options.rseq,
     "offer restartable sequences; processes and threads start a little slower"},
    {"strace", 0, OPTION_OPTIONAL, &g_options.strace,
     "trace system calls to stderr or --strace=FILE"},
    {"strace-format", 0, OPTION_STRING, &g_options.strace_format, "text or json"},
    {"allow-flag-override", 0, OPTION_FLAG, &g_options.allow_flag_override,
     "a container's annotations may set any of these options (dev.gvisor.flag.NAME)"},
    {"help", 'h', OPTION_FLAG, &g_options.help, "show this text"},
    {"version", 'v', OPTION_FLAG, &g_options.version, "print the version"},
    {NULL, 0, OPTION_FLAG, NULL, NULL},
};

static int one_of(const char *option, const char *value, const char *const *allowed, struct err *e)
{
    for (const char *const *a = allowed; *a; a++) {
        if (!strcmp(*a, value))
            return 0;
    }
    return err_set(e, "--%s: \"%s\" is not a value that this version has; see --help", option,
                   value);
}

static int check(struct err *e)
{
    static const char *const platforms[] = {"auto", "ptrace", "seccomp", "systrap", "kvm", NULL};
    static const char *const lanes[] = {"auto", "off", "eager", NULL};
    static const char *const networks[] = {"none", "host", NULL};
    static const char *const overlays[] = {"root:memory", "memory", "none", NULL};
    static const char *const accesses[] = {"shared", "exclusive", NULL};
    static const char *const formats[] = {"text", "json", NULL};

    if (one_of("platform", g_options.platform, platforms, e) < 0 ||
        one_of("lanes", g_options.lanes, lanes, e) < 0 ||
        (g_options.network && one_of("network", g_options.network, networks, e) < 0) ||
        (g_options.overlay && one_of("overlay", g_options.overlay, overlays, e) < 0) ||
        one_of("file-access", g_options.file_access, accesses, e) < 0 ||
        one_of("log-format", g_options.log_format, formats, e) < 0 ||
        one_of("strace-format", g_options.strace_format, formats, e) < 0)
        return -1;
    return 0;
}

/* runc's: /run/NAME for root, $XDG_RUNTIME_DIR/NAME else, also for root of an ordinary user's
 * namespace (podman). */
static const char *default_root(void)
{
    static char path[512];
    const char *runtime_dir = getenv("XDG_RUNTIME_DIR"), *user = getenv("USER");

    if (geteuid() == 0 && (!cgroup_rootless_default() || !runtime_dir || !*runtime_dir ||
                           (user && !strcmp(user, "root"))))
        return "/run/runsc-c";
    if (runtime_dir && *runtime_dir)
        snprintf(path, sizeof(path), "%s/runsc-c", runtime_dir);
    else
        snprintf(path, sizeof(path), "/tmp/runsc-c-%u", geteuid());
    return path;
}

static int start_log(struct err *e)
{
    int fd = -1;

    if (g_options.log_path) {
        fd = open(g_options.log_path, O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0644);
        if (fd < 0)
            return err_errno(e, errno, "--log %s", g_options.log_path);
    } else if (g_options.debug) {
        fd = fcntl(STDERR_FILENO, F_DUPFD_CLOEXEC, 3);
    }
    log_init(fd, strcmp(g_options.log_format, "json") ? LOG_FORMAT_TEXT : LOG_FORMAT_JSON,
             g_options.debug ? LOG_DEBUG : LOG_WARN, "runsc-c");
    return 0;
}

int globals_parse(int argc, char **argv, int *index, struct err *e)
{
    return options_parse(g_defs, argc, argv, index, e);
}

int globals_settle(struct err *e)
{
    if (!g_options.root)
        g_options.root = default_root();
    return check(e) < 0 || start_log(e) < 0 ? -1 : 0;
}

int globals_override(const char *name, const char *value, struct err *e)
{
    bool debug = g_options.debug;
    char *copy = strdup(value); /* for as long as the process lives */
    int ret = copy ? options_set(g_defs, name, copy, e) : err_errno(e, ENOMEM, "--%s", name);

    if (ret == 0)
        ret = check(e);
    return ret == 0 && debug != g_options.debug ? start_log(e) : ret;
}

void globals_help(void)
{
    options_help(g_defs);
}
