/* SPDX-License-Identifier: Apache-2.0 */
/*
 * runsc-c ps [--format table|json] ID [ps options]
 *
 * Without options the table shows the processes as the sandbox numbers them. JSON is for engines
 * that look the pids up on the host: those of the proxies. With options the host's ps is asked for
 * them, as runc does.
 */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "runsc-c/cmd.h"
#include "runsc-c/container/state.h"
#include "runsc-c/support/json.h"
#include "runsc-c/support/options.h"
#include "runsc-c/support/users.h"

static long long member(const json_t *v, const char *name)
{
    return json_integer_value(json_object_get(v, name));
}

static void print_row(const json_t *v)
{
    long long cpu = member(v, "cpu_ns") / 1000000000, age = member(v, "age_ns") / 1000000000;
    time_t started = time(NULL) - (time_t)age;
    char stime[16], user[64];
    struct tm tm;

    strftime(stime, sizeof(stime), age < 86400 ? "%H:%M" : "%b%d", localtime_r(&started, &tm));
    user_name((unsigned)member(v, "uid"), user, sizeof(user));
    printf("%-8s %5lld %5lld %2lld %-5s %-8s %02lld:%02lld:%02lld %s\n", user, member(v, "pid"),
           member(v, "ppid"), age > 0 ? cpu * 100 / age : 0, stime, "?", cpu / 3600, cpu / 60 % 60,
           cpu % 60, json_get_string(v, "comm", ""));
}

static void print_table(const json_t *processes)
{
    const json_t *v;
    size_t i;

    printf("UID        PID  PPID  C STIME TTY          TIME CMD\n");
    json_array_foreach(processes, i, v)
    {
        print_row(v);
    }
}

static void print_json(const json_t *processes)
{
    const char *separator = "";
    const json_t *v;
    size_t i;

    putchar('[');
    json_array_foreach(processes, i, v)
    {
        if (member(v, "host_pid")) {
            printf("%s%lld", separator, member(v, "host_pid"));
            separator = ",";
        }
    }
    printf("]\n");
}

static bool is_ours(const json_t *processes, long pid)
{
    const json_t *v;
    size_t i;

    json_array_foreach(processes, i, v)
    {
        if (member(v, "host_pid") == pid)
            return true;
    }
    return false;
}

/* The lines of the host's ps that are about our processes, below its heading. */
static int filter_ps(const json_t *processes, FILE *in, struct err *e)
{
    char line[4096];
    int column = -1, i = 0;

    if (!fgets(line, sizeof(line), in))
        return err_set(e, "ps printed nothing");
    fputs(line, stdout);
    for (char *save, *word = strtok_r(line, " \n", &save); word;
         word = strtok_r(NULL, " \n", &save), i++) {
        if (!strcmp(word, "PID"))
            column = i;
    }
    if (column < 0)
        return err_set(e, "couldn't find PID field in ps output");
    while (fgets(line, sizeof(line), in)) {
        const char *p = line + strspn(line, " ");

        for (i = 0; i < column; i++) {
            p += strcspn(p, " ");
            p += strspn(p, " ");
        }
        if (is_ours(processes, strtol(p, NULL, 10)))
            fputs(line, stdout);
    }
    return 0;
}

static int host_ps(const json_t *processes, char **options, struct err *e)
{
    int fds[2], status, ret;
    FILE *in;
    pid_t pid;

    if (pipe(fds) < 0)
        return err_errno(e, errno, "pipe");
    fflush(NULL);
    pid = fork();
    if (pid == 0) {
        dup2(fds[1], STDOUT_FILENO);
        close(fds[0]);
        close(fds[1]);
        options[-1] = (char[]){"ps"};
        execvp("ps", options - 1);
        _exit(127);
    }
    close(fds[1]);
    in = fdopen(fds[0], "r");
    ret = pid < 0 || !in ? err_errno(e, errno, "ps") : filter_ps(processes, in, e);
    if (in)
        fclose(in);
    if (pid > 0)
        (void)waitpid(pid, &status, 0); /* what it printed is what counts */
    return ret;
}

static json_t *processes_of(const char *id, struct err *e)
{
    struct container c;
    json_t *reply = NULL, *list;

    if (container_load(id, &c, e) < 0)
        return NULL;
    if (container_is(&c, "stopped"))
        list = json_array();
    else {
        reply = container_request(&c, json_pack("{s:s}", "op", "ps"), e);
        list = json_incref(json_object_get(reply, "processes"));
    }
    json_decref(reply);
    container_destroy(&c);
    return list;
}

int cmd_ps(int argc, char **argv, struct err *e)
{
    const char *format = "table";
    bool help = false;
    const struct option_def options[] = {
        {"format", 'f', OPTION_STRING, &format, "table or json"},
        {"help", 'h', OPTION_FLAG, &help, "show this text"},
        {NULL, 0, OPTION_FLAG, NULL, NULL},
    };
    int index = 1, ret = 0;
    json_t *list;

    if (options_parse(options, argc, argv, &index, e) < 0)
        return -1;
    if (help) {
        printf("Usage: runsc-c ps [OPTIONS] ID [PS OPTIONS]\n\n");
        options_help(options);
        return 0;
    }
    if (options_operands("ps", argc - index, 1, 1000, e) < 0)
        return -1;
    if (strcmp(format, "table") && strcmp(format, "json"))
        return err_set(e, "invalid format option");
    list = processes_of(argv[index], e);
    if (!list)
        return -1;
    if (!strcmp(format, "json"))
        print_json(list);
    else if (index + 1 < argc)
        ret = host_ps(list, argv + index + 1, e);
    else
        print_table(list);
    json_decref(list);
    return ret;
}
