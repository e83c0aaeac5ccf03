/* SPDX-License-Identifier: Apache-2.0 */
/*
 * One program: natively first, then on each platform in a fresh directory of the same path, so that
 * paths in its output agree. What the native run left is kept beside it for the comparison. Only
 * when a platform differs the program runs natively once more, below strace.
 */
#include <errno.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "runsc-c/compat/output.h"
#include "runsc-c/compat/side.h"
#include "runsc-c/compat/trace.h"
#include "runsc-c/compat/tree.h"

#define SKIP_STATUS 77

struct program_run {
    const struct compat_options *o;
    const json_t *program;
    char work[PATH_MAX], native_files[PATH_MAX];
    double timeout;
    struct side_result native;
    struct trace *native_trace; /* made when first needed */
    bool native_trace_tried;
};

static int fresh_directory(const char *path)
{
    tree_remove(path);
    return mkdir(path, 0755) < 0 ? -errno : 0;
}

static int run_side(struct program_run *p, const char *platform, bool strace, struct trace *trace,
                    struct side_result *out)
{
    struct side_request rq = {.program = p->program,
                              .platform = platform,
                              .work = p->work,
                              .native_strace = strace,
                              .timeout = p->timeout,
                              .trace = trace ? trace_add : NULL,
                              .trace_arg = trace};
    int ret = fresh_directory(p->work);

    *out = (struct side_result){0};
    return ret < 0 ? ret : side_run(&rq, out);
}

static const char *find_strace(void)
{
    static const char *const paths[] = {"/usr/bin/strace", "/bin/strace", "/usr/local/bin/strace"};

    for (size_t i = 0; i < ARRAY_COUNT(paths); i++) {
        if (access(paths[i], X_OK) == 0)
            return paths[i];
    }
    return NULL;
}

static json_t *first_divergence(struct program_run *p, const struct trace *sandbox)
{
    struct side_result ignored;

    if (!find_strace())
        return json_pack(
            "{s:s}", "text",
            "strace is not installed on this machine: no native trace to compare with");
    if (!p->native_trace_tried) {
        p->native_trace_tried = true;
        p->native_trace = trace_new(TRACE_STRACE);
        if (p->native_trace && run_side(p, NULL, /*strace=*/true, p->native_trace, &ignored) == 0)
            side_result_destroy(&ignored);
    }
    if (!p->native_trace || trace_count(p->native_trace) == 0)
        return json_pack("{s:s}", "text", "strace could not trace the native run");
    return trace_diverge(p->native_trace, sandbox);
}

static int compare(struct program_run *p, const struct side_result *here, json_t *differences)
{
    const json_t *rules = json_object_get(p->program, "normalise");
    int ret = 0;

    if (p->native.status != here->status)
        json_array_append_new(differences, json_pack("{s:s, s:o, s:o}", "what", "status", "native",
                                                     json_sprintf("%d", p->native.status),
                                                     "sandbox", json_sprintf("%d", here->status)));
    ret = output_compare("stdout", &p->native.out, &here->out, rules, differences);
    if (ret == 0 && !json_is_false(json_object_get(p->program, "stderr")))
        ret = output_compare("stderr", &p->native.err, &here->err, rules, differences);
    if (ret == 0)
        ret = tree_compare(p->native_files, p->work, json_object_get(p->program, "files"),
                           differences);
    return ret;
}

static bool status_is_wrong(const struct program_run *p, int status)
{
    const json_t *want = json_object_get(p->program, "status");

    return want && json_integer_value(want) != status;
}

static const char *verdict_of(const struct program_run *p, const struct side_result *here,
                              const json_t *differences)
{
    if (here->timed_out)
        return "timeout";
    if (!here->launched || status_is_wrong(p, here->status))
        return "fail";
    return json_array_size(differences) > 0 ? "differ" : "pass";
}

static json_t *run_platform(struct program_run *p, const char *platform)
{
    struct trace *trace = trace_new(TRACE_JSON);
    struct side_result here;
    json_t *differences = json_array(), *v;
    const char *verdict;
    int ret = trace ? run_side(p, platform, false, trace, &here) : -ENOMEM;

    if (ret < 0) {
        trace_free(trace);
        json_decref(differences);
        return json_pack("{s:s, s:s}", "verdict", "fail", "text", strerror(-ret));
    }
    ret = compare(p, &here, differences);
    verdict = verdict_of(p, &here, differences);
    v = json_pack("{s:s, s:i, s:f, s:o, s:o}", "verdict", verdict, "status", here.status, "seconds",
                  here.seconds, "differences", differences, "calls", trace_calls(trace));
    if (ret < 0)
        json_object_set_new(v, "text", json_sprintf("not compared to its end: %s", strerror(-ret)));
    if (!here.launched)
        json_object_set_new(v, "text", text_visible(here.err.data, here.err.size, 2000));
    if (strcmp(verdict, "pass") != 0 && here.launched)
        json_object_set_new(v, "divergence", first_divergence(p, trace));
    side_result_destroy(&here);
    trace_free(trace);
    return v;
}

static const char *native_verdict(const struct program_run *p)
{
    if (p->native.timed_out)
        return "timeout";
    if (!p->native.launched)
        return "fail";
    if (status_is_wrong(p, p->native.status))
        return "fail";
    return p->native.status == SKIP_STATUS ? "skip" : "pass";
}

/* Without a native run that ended there is nothing to compare with. */
static const char *why_not_here(const char *native)
{
    if (!strcmp(native, "timeout"))
        return "it does not end natively";
    if (!strcmp(native, "skip"))
        return "the program skips itself natively (status 77)";
    return NULL;
}

static void run_platforms(struct program_run *p, const char *native, json_t *platforms)
{
    const char *why = p->native.launched ? why_not_here(native) : "it cannot be run natively";

    for (const char *const *name = p->o->platforms; *name; name++)
        json_object_set_new(platforms, *name,
                            why ? json_pack("{s:s, s:s}", "verdict", "skip", "text", why)
                                : run_platform(p, *name));
}

json_t *program_run(const struct compat_options *o, const json_t *program, const char *scratch)
{
    struct program_run p = {.o = o, .program = program};
    const json_t *timeout = json_object_get(program, "timeout");
    json_t *platforms = json_object(), *native;
    int ret;

    p.timeout = (double)(timeout ? json_integer_value(timeout) : o->timeout);
    snprintf(p.work, sizeof(p.work), "%s/work", scratch);
    snprintf(p.native_files, sizeof(p.native_files), "%s/native", scratch);
    ret = run_side(&p, NULL, false, NULL, &p.native);
    if (ret == 0 && rename(p.work, p.native_files) < 0)
        ret = -errno;
    if (ret < 0) {
        native = json_pack("{s:s, s:s}", "verdict", "fail", "text", strerror(-ret));
    } else {
        const char *verdict = native_verdict(&p);

        native =
            json_pack("{s:s, s:i, s:f, s:I, s:I}", "verdict", verdict, "status", p.native.status,
                      "seconds", p.native.seconds, "stdout_size", (json_int_t)p.native.out.total,
                      "stderr_size", (json_int_t)p.native.err.total);
        if (!p.native.launched)
            json_object_set_new(native, "text",
                                text_visible(p.native.err.data, p.native.err.size, 2000));
        run_platforms(&p, verdict, platforms);
    }
    side_result_destroy(&p.native);
    trace_free(p.native_trace);
    tree_remove(p.work);
    tree_remove(p.native_files);
    return json_pack("{s:O, s:O, s:o, s:o}", "name", json_object_get(program, "name"), "argv",
                     json_object_get(program, "argv"), "native", native, "platforms", platforms);
}
