/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The systemd driver: a transient scope with the first process in it, asked for with busctl, which
 * every systemd host has. Limits are written to the cgroup files as without systemd, and told to it
 * as properties of the scope: it writes what it knows, or its defaults, when the scope starts and after
 * each daemon-reload (systemd.resource-control(5)); Delegate=yes is about what is below.
 */
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <spawn.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "runsc-c/cgroup/cgroup_internal.h"

bool cgroup_systemd_running(void)
{
    struct stat st;

    return lstat("/run/systemd/system", &st) == 0 && S_ISDIR(st.st_mode);
}

char *cgroup_systemd_slice_path(const char *slice)
{
    size_t len = strlen(slice), used = 0;
    char *out;

    if (!strcmp(slice, "-.slice"))
        return strdup("");
    if (len <= 6 || strcmp(slice + len - 6, ".slice") != 0 || strchr(slice, '/') ||
        slice[0] == '-' || slice[len - 7] == '-' || strstr(slice, "--"))
        return NULL;
    out = calloc(1, len * (len + 8));
    if (!out)
        return NULL;
    for (size_t i = 0; i < len - 5; i++) {
        if (slice[i] == '-' || i == len - 6) {
            memcpy(out + used, slice, i);
            memcpy(out + used + i, ".slice/", 7);
            used += i + 7;
        }
    }
    out[used - 1] = '\0';
    return out;
}

enum { WORDS_MAX = 640, MASK_BYTES = 128 /* 1024 CPUs */ };

/* Arguments of busctl. */
struct words {
    char *at[WORDS_MAX + 1]; /* owned, NULL at the end */
    size_t count;
    bool bad; /* no memory, or too many */
};

__attribute__((format(printf, 2, 3))) static void say(struct words *w, const char *format, ...)
{
    va_list ap;

    va_start(ap, format);
    if (w->count == WORDS_MAX || vasprintf(&w->at[w->count], format, ap) < 0) {
        w->at[w->count] = NULL;
        w->bad = true;
    } else {
        w->count++;
    }
    va_end(ap);
}

static void begin(struct words *w, const char *method, const char *signature)
{
    *w = (struct words){0};
    say(w, "busctl");
    if (geteuid() != 0)
        say(w, "--user");
    say(w, "call");
    say(w, "org.freedesktop.systemd1");
    say(w, "/org/freedesktop/systemd1");
    say(w, "org.freedesktop.systemd1.Manager");
    say(w, "%s", method);
    say(w, "%s", signature);
}

/* Runs busctl; its words go into e. Frees w. */
static int call(struct words *w, struct err *e)
{
    posix_spawn_file_actions_t fa;
    char text[512] = "";
    int out[2], status, ret = ENOMEM;
    ssize_t n;
    pid_t pid;

    if (w->bad)
        goto fail;
    if (pipe2(out, O_CLOEXEC) < 0) {
        ret = errno;
        goto fail;
    }
    posix_spawn_file_actions_init(&fa);
    posix_spawn_file_actions_adddup2(&fa, out[1], STDERR_FILENO);
    posix_spawn_file_actions_addopen(&fa, STDOUT_FILENO, "/dev/null", O_WRONLY, 0);
    ret = posix_spawnp(&pid, w->at[0], &fa, NULL, w->at, environ);
    posix_spawn_file_actions_destroy(&fa);
    close(out[1]);
    if (ret == 0) {
        n = read(out[0], text, sizeof(text) - 1);
        text[n > 0 ? n : 0] = '\0';
        text[strcspn(text, "\n")] = '\0';
        waitpid(pid, &status, 0);
    }
    close(out[0]);
fail:
    for (size_t i = 0; i < w->count; i++)
        free(w->at[i]);
    if (ret)
        return err_errno(e, ret, "cannot ask systemd: busctl");
    if (!WIFEXITED(status) || WEXITSTATUS(status) != 0)
        return err_set(e, "systemd refuses the container's scope: %s", text);
    return 0;
}

/* ---- limits as properties ------------------------------------------------------------------- */

/* name: a list of numbers, "0-2,5", as the bytes of a mask. What is no list is the cgroup file's to refuse. */
static void say_mask(struct words *w, const char *name, const char *list, unsigned *count)
{
    uint8_t mask[MASK_BYTES] = {0};
    size_t used = 0;

    while (*list) {
        char *end;
        unsigned long first = strtoul(list, &end, 10), last = first;

        if (end == list)
            return;
        if (*end == '-') {
            list = end + 1;
            last = strtoul(list, &end, 10);
        }
        if (end == list || last < first || last >= 8 * sizeof(mask) || (*end && *end != ','))
            return;
        for (unsigned long i = first; i <= last; i++)
            mask[i / 8] |= (uint8_t)(1u << i % 8);
        used = used > last / 8 + 1 ? used : last / 8 + 1;
        list = end + (*end == ',');
    }
    if (!used)
        return;
    say(w, "%s", name);
    say(w, "ay");
    say(w, "%zu", used);
    for (size_t i = 0; i < used; i++)
        say(w, "%u", mask[i]);
    (*count)++;
}

static void say_u64(struct words *w, const char *name, int64_t value, unsigned *count)
{
    say(w, "%s", name);
    say(w, "t");
    say(w, "%llu", value < 0 ? ULLONG_MAX : (unsigned long long)value);
    (*count)++;
}

static int64_t limit_of(const json_t *r, const char *group, const char *name)
{
    return json_integer_value(json_object_get(json_object_get(r, group), name));
}

static const char *list_of(const json_t *r, const char *name)
{
    const char *s = json_string_value(json_object_get(json_object_get(r, "cpu"), name));

    return s ? s : "";
}

/* The same conversions as in apply_v2.c, where systemd has the same units. Returns how many. */
static unsigned say_limits(struct words *w, const json_t *r, bool v2)
{
    int64_t memory = limit_of(r, "memory", "limit"), swap = limit_of(r, "memory", "swap"),
            low = limit_of(r, "memory", "reservation"), shares = limit_of(r, "cpu", "shares"),
            quota = limit_of(r, "cpu", "quota"), period = limit_of(r, "cpu", "period"),
            pids = limit_of(r, "pids", "limit"), weight = limit_of(r, "blockIO", "weight");
    unsigned count = 0;

    if (memory)
        say_u64(w, v2 ? "MemoryMax" : "MemoryLimit", memory, &count);
    if (v2 && swap > 0 && memory > 0 && swap >= memory)
        say_u64(w, "MemorySwapMax", swap - memory, &count);
    else if (v2 && swap < 0)
        say_u64(w, "MemorySwapMax", -1, &count);
    if (v2 && low)
        say_u64(w, "MemoryLow", low, &count);
    if (shares)
        say_u64(w, v2 ? "CPUWeight" : "CPUShares", v2 ? cgroup_cpu_weight(shares) : shares, &count);
    if (quota || period) {
        const int64_t step = 10000, of = period ? period : 100000;
        int64_t per_second = quota > 0 && quota < INT64_MAX / 1000000 ? quota * 1000000 / of : -1;

        /* systemd counts in hundredths: never less than was asked for. */
        if (per_second > 0)
            per_second = (per_second + step - 1) / step * step;
        say_u64(w, "CPUQuotaPeriodUSec", of, &count);
        say_u64(w, "CPUQuotaPerSecUSec", per_second, &count);
    }
    if (v2) {
        say_mask(w, "AllowedCPUs", list_of(r, "cpus"), &count);
        say_mask(w, "AllowedMemoryNodes", list_of(r, "mems"), &count);
    }
    if (pids)
        say_u64(w, "TasksMax", pids, &count);
    if (weight)
        say_u64(w, v2 ? "IOWeight" : "BlockIOWeight", v2 ? cgroup_io_weight(weight) : weight,
                &count);
    return count;
}

/* Count, then name, signature and value of each. */
static void append(struct words *w, const struct words *properties, unsigned count)
{
    say(w, "%u", count);
    for (size_t i = 0; i < properties->count; i++)
        say(w, "%s", properties->at[i]);
    w->bad |= properties->bad;
}

static void drop(struct words *w)
{
    for (size_t i = 0; i < w->count; i++)
        free(w->at[i]);
}

/* ---- the scope ------------------------------------------------------------------------------ */

/* systemd answers before the process has moved. */
static bool in_scope(pid_t pid, const char *scope)
{
    char dir[64], *all;
    bool found;

    snprintf(dir, sizeof(dir), "/proc/%d", pid);
    all = cgroup_read_all(dir, "cgroup");
    found = all && strstr(all, scope);
    free(all);
    return found;
}

static void say_bool(struct words *w, const char *name, bool value, unsigned *count)
{
    say(w, "%s", name);
    say(w, "b");
    say(w, value ? "true" : "false");
    (*count)++;
}

int cgroup_systemd_start(struct cgroup *cg, pid_t pid, struct err *e)
{
    struct words w, properties = {0};
    unsigned count = 3;

    say(&properties, "Description");
    say(&properties, "s");
    say(&properties, "runsc-c container %s", cg->scope);
    say(&properties, "Slice");
    say(&properties, "s");
    say(&properties, "%s", cg->slice);
    say(&properties, "PIDs");
    say(&properties, "au");
    say(&properties, "1");
    say(&properties, "%d", pid);
    say_bool(&properties, "Delegate", true, &count);
    say_bool(&properties, "DefaultDependencies", false, &count);
    say_bool(&properties, "MemoryAccounting", true, &count);
    say_bool(&properties, "CPUAccounting", true, &count);
    say_bool(&properties, cg->unified ? "IOAccounting" : "BlockIOAccounting", true, &count);
    say_bool(&properties, "TasksAccounting", true, &count);
    count += say_limits(&properties, cg->limits, cg->unified);
    begin(&w, "StartTransientUnit", "ssa(sv)a(sa(sv))");
    say(&w, "%s", cg->scope);
    say(&w, "replace");
    append(&w, &properties, count);
    say(&w, "0");
    drop(&properties);
    if (call(&w, e) < 0)
        return -1;
    for (int i = 0; i < 1000; i++) {
        struct timespec pause = {0, 5000000};

        if (in_scope(pid, cg->scope))
            return 0;
        nanosleep(&pause, NULL);
    }
    return err_set(e, "timed out while waiting for systemd to start %s", cg->scope);
}

int cgroup_systemd_limit(struct cgroup *cg, const json_t *resources, struct err *e)
{
    struct words w, properties = {0};
    unsigned count = say_limits(&properties, resources, cg->unified);
    int ret = 0;

    if (count) {
        begin(&w, "SetUnitProperties", "sba(sv)");
        say(&w, "%s", cg->scope);
        say(&w, "true");
        append(&w, &properties, count);
        ret = call(&w, e);
    }
    drop(&properties);
    return ret;
}

void cgroup_systemd_stop(struct cgroup *cg)
{
    struct err ignored = {0}; /* a scope whose processes are gone ends by itself */
    struct words w;

    begin(&w, "StopUnit", "ss");
    say(&w, "%s", cg->scope);
    say(&w, "replace");
    (void)call(&w, &ignored);
}
