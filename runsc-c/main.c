/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The runsc-c command: global options, then a command of the table below. Two hidden commands are
 * the roles that sandbox/launch.c re-executes: internal-sentry and internal-gofer.
 */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "platform/base/log.h"
#include "runsc-c/cmd.h"
#include "runsc-c/sandbox/launch.h"
#include "runsc-c/support/globals.h"
#include "runsc-c/support/title.h"
#include "runsc-c/version.h"

struct command {
    const char *name;
    int (*run)(int argc, char **argv, struct err *e);
    const char *help; /* NULL: hidden */
};

static int cmd_help(int argc, char **argv, struct err *e);

/* As it was called: it may be installed in runc's place, under runc's name. */
static const char *g_program = "runsc-c";

static int cmd_version(int argc, char **argv, struct err *e)
{
    (void)argc;
    (void)argv;
    (void)e;
    printf("%s version %s\ncommit: %s\nspec: 1.0.2-dev\n", g_program, RUNSC_C_VERSION,
           RUNSC_C_VERSION);
    return 0;
}

static const struct command g_commands[] = {
    {"do", cmd_do, "run a command with the host's root below a throw-away overlay"},
    {"run", cmd_run, "create and start a container from an OCI bundle"},
    {"spec", cmd_spec, "write an example config.json"},
    {"create", cmd_create, "create a container, whose program `start` lets run"},
    {"start", cmd_start, "let the program of a created container run"},
    {"exec", cmd_exec, "run a further process in a container"},
    {"state", cmd_state, "print the state of a container as JSON"},
    {"kill", cmd_kill, "send a signal to a container's first process"},
    {"delete", cmd_delete, "remove a stopped container"},
    {"pause", cmd_pause, "stop all processes of a container"},
    {"resume", cmd_resume, "let a paused container go on"},
    {"ps", cmd_ps, "show the processes of a container"},
    {"events", cmd_events, "show resource statistics and out-of-memory events"},
    {"update", cmd_update, "change the limits of a container"},
    {"features", cmd_features, "show what of the OCI specification is supported, as JSON"},
    {"wait", cmd_wait, "wait for the end of a container"},
    {"list", cmd_list, "list the containers"},
    {"compat", cmd_compat, "run programs on Linux and here, and show the difference"},
    {"doctor", cmd_doctor, "show what this host allows and what auto picks"},
    {"syscalls", cmd_syscalls, "show which system calls are implemented"},
    {"install", cmd_install, "register with Docker, podman and containerd"},
    {"uninstall", cmd_uninstall, "undo install"},
    {"version", cmd_version, "print the version"},
    {"help", cmd_help, "show this text"},
    {NULL, NULL, NULL},
};

static int cmd_help(int argc, char **argv, struct err *e)
{
    (void)argc;
    (void)argv;
    (void)e;
    printf("NAME:\n   %s - Open Container Initiative runtime: untrusted Linux programs in an "
           "application kernel\n\n"
           "Usage: %s [OPTIONS] COMMAND [ARGS]\n\nCommands:\n",
           g_program, g_program);
    for (const struct command *c = g_commands; c->name; c++)
        printf("  %-12s %s\n", c->name, c->help);
    printf("\nOptions:\n");
    globals_help();
    return 0;
}

static int run(int argc, char **argv, struct err *e)
{
    int index = 1;

    if (globals_parse(argc, argv, &index, e) < 0)
        return -1;
    if (g_options.version)
        return cmd_version(argc, argv, e);
    if (g_options.help)
        return cmd_help(argc, argv, e);
    if (index == argc) {
        cmd_help(argc, argv, e);
        return 1;
    }
    if (globals_settle(e) < 0)
        return -1;
    for (const struct command *c = g_commands; c->name; c++) {
        if (!strcmp(c->name, argv[index]))
            return c->run(argc - index, argv + index, e);
    }
    if (!strcmp(argv[index], "checkpoint") || !strcmp(argv[index], "restore"))
        return err_set(e, "%s is not supported",
                       argv[index]); /* podman asks for their --help to know */
    if (index + 1 < argc && (!strcmp(argv[index + 1], "-h") || !strcmp(argv[index + 1], "--help")))
        return err_set(e, "No help topic for '%s'", argv[index]);
    return err_set(e, "unknown command \"%s\"; `runsc-c help` lists the commands", argv[index]);
}

#ifdef __SANITIZE_ADDRESS__
/* The roles start with an empty environment. An allocation that is too large is -ENOMEM here, as it
 * is without the sanitizer; leaks cannot be looked for in a traced or jailed process. */
const char *__asan_default_options(void);
const char *__asan_default_options(void)
{
    return "allocator_may_return_null=1:detect_leaks=0";
}
#endif

#ifdef __SANITIZE_THREAD__
/* A jailed process can open no files: reports name the offset in the program (tests/support/tsan_report). The guest's
 * faults end in handlers that it does not see as such. */
const char *__tsan_default_options(void);
const char *__tsan_default_options(void)
{
    return "symbolize=0:report_signal_unsafe=0:handle_segv=0:handle_sigbus=0:die_after_fork=0:"
           "history_size=4";
}
#endif

/* Descriptors 0-2 that are closed would be given to the next file that is opened, and then to the
 * program as its standard output. */
static void reserve_stdio(void)
{
    for (int fd = 0; fd < 3; fd++) {
        if (fcntl(fd, F_GETFD) >= 0 || errno != EBADF)
            continue;
        g_options.stdio_closed[fd] = true;
        if (open("/dev/null", O_RDWR) != fd)
            exit(1);
    }
}

int main(int argc, char **argv)
{
    struct err e = {0};
    int ret;

    if (argc == 3 && !strcmp(argv[1], "internal-sentry"))
        return sandbox_sentry_main(argc, argv);
    if (argc == 3 && !strcmp(argv[1], "internal-gofer"))
        return sandbox_gofer_main(argc, argv);
    if (argc)
        g_program = strrchr(argv[0], '/') ? strrchr(argv[0], '/') + 1 : argv[0];
    g_options.started = log_phases_from(0);
    title_init(argc, argv);
    reserve_stdio();
    while (fcntl(3 + g_options.inherited_fds, F_GETFD) >= 0)
        g_options.inherited_fds++; /* before anything of ours is opened */
    ret = run(argc, argv, &e);
    if (ret >= 0)
        return ret;
    /* Engines read the last error line of --log; people read stderr. */
    if (g_options.log_path)
        log_error(LOG_CLI, "%s", e.msg);
    fprintf(stderr, "runsc-c: %s\n", e.msg);
    return e.exit_code ? e.exit_code : 1;
}
