/* SPDX-License-Identifier: Apache-2.0 */
/*
 * runsc-c doctor [--format text|json]: what this host allows, which platform --platform=auto takes
 * and why, what one system call costs on each, and what to change on the host to make it better.
 * Exit code 1 when no sandbox can run here.
 */
#include <fcntl.h>
#include <jansson.h>
#include <sched.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/utsname.h>
#include <sys/wait.h>
#include <unistd.h>

#include "platform/platform.h"
#include "runsc-c/cmd.h"
#include "runsc-c/support/options.h"

enum { PLATFORM_MAX = 4, ADVICE_MAX = 8, MAP_COUNT_LOW = 65530, FILES_LOW = 4096 };

struct finding {
    const char *name;
    struct platform_probe probe;
};

struct diagnosis {
    struct utsname host;
    struct finding platforms[PLATFORM_MAX];
    unsigned platform_count;
    const struct finding *picked; /* NULL: none is usable */
    bool user_namespaces;
    char advice[ADVICE_MAX][200];
    unsigned advice_count;
};

static void advise(struct diagnosis *d, const char *fmt, ...) __attribute__((format(printf, 2, 3)));
static void advise(struct diagnosis *d, const char *fmt, ...)
{
    va_list ap;

    if (d->advice_count == ADVICE_MAX)
        return;
    va_start(ap, fmt);
    vsnprintf(d->advice[d->advice_count++], sizeof(d->advice[0]), fmt, ap);
    va_end(ap);
}

static bool kernel_before(const struct diagnosis *d, int major, int minor)
{
    int a = 0, b = 0;

    return sscanf(d->host.release, "%d.%d", &a, &b) == 2 &&
           (a < major || (a == major && b < minor));
}

static long read_number(const char *path)
{
    FILE *f = fopen(path, "re");
    long v = -1;

    if (f) {
        if (fscanf(f, "%ld", &v) != 1)
            v = -1;
        fclose(f);
    }
    return v;
}

/* May this user make the namespaces of a sandbox? Asked in a child. */
static bool try_user_namespace(void)
{
    int status = 1;
    pid_t pid = fork();

    if (pid == 0)
        _exit(unshare(CLONE_NEWUSER | CLONE_NEWPID | CLONE_NEWNET) < 0);
    return pid > 0 && waitpid(pid, &status, 0) == pid && status == 0;
}

static void probe_platforms(struct diagnosis *d)
{
    for (size_t i = 0; g_platforms[i] && i < PLATFORM_MAX; i++) {
        struct finding *f = &d->platforms[d->platform_count++];

        f->name = g_platforms[i]->name;
        if (g_platforms[i]->probe(&f->probe) < 0)
            f->probe.usable = false;
        if (f->probe.for_auto && !d->picked)
            d->picked = f;
    }
}

static void look_for_advice(struct diagnosis *d)
{
    struct rlimit files;

    for (unsigned i = 0; i < d->platform_count; i++) {
        const struct finding *f = &d->platforms[i];

        if (!f->probe.usable && (!g_platforms[i]->preferred || g_platforms[i]->preferred()))
            advise(d, "platform %s: %s", f->name, f->probe.reason);
        else if (d->picked && f->probe.usable &&
                 f->probe.switch_ns * 5 < d->picked->probe.switch_ns * 4)
            advise(d, "platform %s is cheaper here than %s: use --platform=%s", f->name,
                   d->picked->name, f->name);
    }
    if (kernel_before(d, 6, 6))
        advise(d, "Linux 6.6 or newer makes the seccomp platform faster (this is %s)",
               d->host.release);
    if (geteuid() != 0 && !d->user_namespaces)
        advise(d, "an unprivileged user cannot make namespaces: set "
                  "kernel.unprivileged_userns_clone=1 or allow it in AppArmor, or run as root");
    if (read_number("/proc/sys/vm/max_map_count") <= MAP_COUNT_LOW)
        advise(d, "vm.max_map_count=262144 lets programs with many small mappings keep them all");
    if (getrlimit(RLIMIT_NOFILE, &files) == 0 && files.rlim_max < FILES_LOW)
        advise(d, "the hard limit of open files is %lu: guests share it, raise it to 65536",
               (unsigned long)files.rlim_max);
    if (sysconf(_SC_NPROCESSORS_ONLN) < 2)
        advise(d, "one CPU only: guest threads never run in parallel");
}

static void print_text(const struct diagnosis *d)
{
    printf("host       Linux %s %s, %ld CPUs\n", d->host.release, d->host.machine,
           sysconf(_SC_NPROCESSORS_ONLN));
    printf("user       %s%s\n", geteuid() == 0 ? "root" : "unprivileged",
           d->user_namespaces ? ", user namespaces allowed" : ", no user namespaces");
    for (unsigned i = 0; i < d->platform_count; i++) {
        const struct finding *f = &d->platforms[i];

        printf("platform   %-8s %s%s\n", f->name, f->probe.reason,
               f->probe.usable && !f->probe.for_auto
                   ? ", not for auto: no hardware virtualization of its own"
                   : "");
    }
    if (d->picked)
        printf("auto       %s: the first of these that works well here\n", d->picked->name);
    else
        printf("auto       none works here\n");
    for (unsigned i = 0; i < d->advice_count; i++)
        printf("advice     %s\n", d->advice[i]);
}

static void print_json(const struct diagnosis *d)
{
    json_t *root = json_object(), *platforms = json_array(), *advice = json_array();

    for (unsigned i = 0; i < d->platform_count; i++) {
        const struct finding *f = &d->platforms[i];

        json_array_append_new(platforms, json_pack("{s:s, s:b, s:b, s:s, s:I}", "name", f->name,
                                                   "usable", f->probe.usable, "forAuto",
                                                   f->probe.for_auto, "reason", f->probe.reason,
                                                   "nullCallNs", (json_int_t)f->probe.switch_ns));
    }
    for (unsigned i = 0; i < d->advice_count; i++)
        json_array_append_new(advice, json_string(d->advice[i]));
    json_object_set_new(root, "kernel", json_string(d->host.release));
    json_object_set_new(root, "userNamespaces", json_boolean(d->user_namespaces));
    json_object_set_new(root, "platforms", platforms);
    json_object_set_new(root, "auto", d->picked ? json_string(d->picked->name) : json_null());
    json_object_set_new(root, "advice", advice);
    json_dumpf(root, stdout, JSON_INDENT(2));
    putchar('\n');
    json_decref(root);
}

int cmd_doctor(int argc, char **argv, struct err *e)
{
    const char *format = "text";
    const struct option_def defs[] = {
        {"format", 'f', OPTION_STRING, &format, "text or json"},
        {NULL, 0, OPTION_FLAG, NULL, NULL},
    };
    struct diagnosis d = {0};
    int index = 1;

    if (options_parse(defs, argc, argv, &index, e) < 0)
        return -1;
    if (index != argc)
        return err_set(e, "doctor takes no arguments");
    if (strcmp(format, "text") && strcmp(format, "json"))
        return err_set(e, "--format: text or json");
    uname(&d.host);
    d.user_namespaces = try_user_namespace();
    probe_platforms(&d);
    look_for_advice(&d);
    if (strcmp(format, "json") == 0)
        print_json(&d);
    else
        print_text(&d);
    return d.picked ? 0 : 1;
}
