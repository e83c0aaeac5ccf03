/* SPDX-License-Identifier: Apache-2.0 */
/* runsc-c compat [OPTIONS] SUITE: the same programs on Linux and in sandboxes, side by side. */
#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "platform/platform.h"
#include "runsc-c/cmd.h"
#include "runsc-c/compat/compat.h"
#include "runsc-c/support/globals.h"
#include "runsc-c/support/json.h"
#include "runsc-c/support/options.h"

static int add_platform(struct compat_options *o, const char *name, struct err *e)
{
    size_t count = 0;

    while (o->platforms[count]) {
        if (!strcmp(o->platforms[count++], name))
            return 0;
    }
    if (count == COMPAT_MAX_PLATFORMS)
        return err_set(e, "compat: more than %d platforms", COMPAT_MAX_PLATFORMS);
    o->platforms[count] = name;
    return 0;
}

/* Every back end that this host can run. */
static int add_usable_platforms(struct compat_options *o, struct err *e)
{
    static const char *const names[] = {"ptrace", "seccomp", "kvm"};
    struct platform_probe probe;

    for (size_t i = 0; i < ARRAY_COUNT(names); i++) {
        if (platform_find(names[i], &probe) && probe.usable && add_platform(o, names[i], e) < 0)
            return -1;
    }
    return o->platforms[0] ? 0 : err_set(e, "compat: this host can run none of the platforms");
}

/* A list that was asked for is checked: a typing error is no suite that passes. */
static int parse_platforms(struct compat_options *o, char *list, struct err *e)
{
    struct platform_probe probe;

    for (char *name = strtok(list, ","); name; name = strtok(NULL, ",")) {
        if (!platform_find(name, &probe))
            return err_set(e, "compat: --platforms: %s: %s", name, probe.reason);
        if (add_platform(o, name, e) < 0)
            return -1;
    }
    return o->platforms[0] ? 0 : err_set(e, "compat: --platforms is empty");
}

static int write_reports(const struct compat_options *o, json_t *result, struct err *e)
{
    if (expected_apply(o->expected, result, e) < 0 || result_count(result) < 0)
        return -1;
    text_summary(result);
    if (o->json && json_save(result, o->json, e) < 0)
        return -1;
    if (o->report && html_write(result, o->report, e) < 0)
        return -1;
    return result_is_clean(result) ? 0 : 1;
}

static int compat_run(const struct compat_options *o, struct err *e)
{
    json_t *suite = suite_load(o->suite, e), *result = NULL;
    int ret;

    if (!suite)
        return -1;
    if (expected_check(o->expected, e) < 0) {
        json_decref(suite);
        return -1;
    }
    ret = pool_run(o, suite, &result, e);
    if (ret == 0)
        ret = write_reports(o, result, e);
    json_decref(suite);
    json_decref(result);
    return ret;
}

static void help_text(const struct option_def *options)
{
    printf("Usage: runsc-c compat [OPTIONS] SUITE\n\n"
           "Runs programs on Linux and in a fresh sandbox on each platform, and compares exit "
           "status,\n"
           "output and the files that they write. SUITE is a directory of executable files, or a\n"
           "manifest (see runsc-c/compat/README.md). The exit code is 0 when nothing differs that "
           "the\n"
           "list of expected differences does not name, and everything on the list still "
           "differs.\n\n");
    options_help(options);
}

int cmd_compat(int argc, char **argv, struct err *e)
{
    struct compat_options o = {.timeout = 60, .jobs = 1};
    const char *platforms = NULL;
    bool native = false, help = false;
    char list[256];
    const struct option_def options[] = {
        {"native", 0, OPTION_FLAG, &native, "only on Linux: does the suite itself work"},
        {"platforms", 0, OPTION_STRING, &platforms,
         "comma-separated (default: all that work here)"},
        {"report", 0, OPTION_STRING, &o.report, "write one self-contained HTML page"},
        {"json", 0, OPTION_STRING, &o.json, "write the results as JSON"},
        {"expected", 0, OPTION_STRING, &o.expected, "differences to expect, `NAME: reason` a line"},
        {"timeout", 0, OPTION_INT, &o.timeout, "seconds for a run (default: 60)"},
        {"jobs", 'j', OPTION_INT, &o.jobs, "programs at a time (default: 1)"},
        {"help", 'h', OPTION_FLAG, &help, "show this text"},
        {NULL, 0, OPTION_FLAG, NULL, NULL},
    };
    int index = 1;

    if (options_parse(options, argc, argv, &index, e) < 0)
        return -1;
    if (help || index == argc) {
        help_text(options);
        return help ? 0 : 1;
    }
    if (index + 1 < argc)
        return err_set(e, "compat: one SUITE, not \"%s\" as well; see --help", argv[index + 1]);
    if (o.timeout < 1 || o.jobs < 1)
        return err_set(e, "compat: --timeout and --jobs are at least 1");
    o.suite = argv[index];
    snprintf(list, sizeof(list), "%s", platforms ? platforms : "");
    if (platforms && strlen(platforms) >= sizeof(list))
        return err_set(e, "compat: --platforms is too long");
    if (!native && (platforms ? parse_platforms(&o, list, e) : add_usable_platforms(&o, e)) < 0)
        return -1;
    return compat_run(&o, e);
}
