/* SPDX-License-Identifier: Apache-2.0 */
/* runsc-c events [--stats] [--interval 5s] ID: one JSON object a line. */
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/pidfd.h>
#include <unistd.h>

#include "runsc-c/cgroup/cgroup.h"
#include "runsc-c/cmd.h"
#include "runsc-c/container/state.h"
#include "runsc-c/support/options.h"

/* "5s", "100ms", "1m", or seconds. Milliseconds, -1 when it is none of these. */
static long parse_interval(const char *text)
{
    char *end;
    double n = strtod(text, &end);

    if (end == text || n <= 0)
        return -1;
    if (!strcmp(end, "ms"))
        return (long)n;
    if (!*end || !strcmp(end, "s"))
        return (long)(n * 1000);
    return !strcmp(end, "m") ? (long)(n * 60000) : !strcmp(end, "h") ? (long)(n * 3600000) : -1;
}

static void print_event(const char *id, const char *type, json_t *data)
{
    json_t *v = json_pack("{s:s, s:s, s:o*}", "type", type, "id", id, "data", data);

    json_dumpf(v, stdout, JSON_COMPACT);
    putchar('\n');
    fflush(stdout);
    json_decref(v);
}

static int print_stats(const struct container *c, struct cgroup *cg, struct err *e)
{
    json_t *data;

    if (cgroup_stats(cg, &data, e) < 0)
        return -1;
    print_event(c->id, "stats", data);
    return 0;
}

/* Until the container ends. */
static int watch(const struct container *c, struct cgroup *cg, long interval, struct err *e)
{
    struct err ignored = {0}; /* a host that cannot tell: statistics alone */
    struct pollfd fds[] = {{.fd = pidfd_open(c->proxy.pid, 0), .events = POLLIN},
                           {.fd = cgroup_oom_open(cg, &ignored), .events = POLLIN}};
    int ret = 0;

    while (ret == 0 && fds[0].fd >= 0 && process_alive(&c->proxy)) {
        int n = poll(fds, 2, (int)interval);

        if (n < 0 || fds[0].revents)
            break;
        if (n == 0)
            ret = print_stats(c, cg, e);
        else if (!cgroup_oom_read(cg, fds[1].fd))
            fds[1].fd = -1;
        else
            print_event(c->id, "oom", NULL);
    }
    if (fds[0].fd >= 0)
        close(fds[0].fd);
    return ret;
}

int cmd_events(int argc, char **argv, struct err *e)
{
    const char *interval = "5s";
    bool stats = false, help = false;
    const struct option_def options[] = {
        {"interval", 0, OPTION_STRING, &interval, "time between statistics (default: 5s)"},
        {"stats", 0, OPTION_FLAG, &stats, "show the statistics once"},
        {"help", 'h', OPTION_FLAG, &help, "show this text"},
        {NULL, 0, OPTION_FLAG, NULL, NULL},
    };
    struct container c;
    struct cgroup *cg;
    int index = 1, ret;
    long ms;

    if (options_parse_anywhere(options, argc, argv, &index, e) < 0)
        return -1;
    if (help) {
        printf("Usage: runsc-c events [OPTIONS] ID\n\n");
        options_help(options);
        return 0;
    }
    if (options_operands("events", argc - index, 1, 1, e) < 0)
        return -1;
    ms = parse_interval(interval);
    if (ms <= 0)
        return err_set(e, "duration interval must be greater than 0");
    if (container_load(argv[index], &c, e) < 0)
        return -1;
    if (container_is(&c, "stopped")) {
        ret = err_set(e, "container with id %s is not running", c.id);
    } else {
        ret = cgroup_load(c.cgroup, &cg, e);
        if (ret == 0) {
            ret = stats ? print_stats(&c, cg, e) : watch(&c, cg, ms, e);
            cgroup_free(cg);
        }
    }
    container_destroy(&c);
    return ret;
}
