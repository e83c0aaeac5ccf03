/* SPDX-License-Identifier: Apache-2.0 */
/* runsc-c exec [OPTIONS] ID COMMAND [ARGS] | --process FILE ID */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "runsc-c/cmd.h"
#include "runsc-c/container/create.h"
#include "runsc-c/container/exec.h"
#include "runsc-c/oci/spec.h"
#include "runsc-c/support/json.h"
#include "runsc-c/support/options.h"

struct exec_options {
    const char *cwd, *user, *process, *process_label, *apparmor, *cgroup;
    struct option_list env, caps, gids;
    bool tty, no_new_privs, ignore_paused;
};

/* The process's user, made when there is none. */
static json_t *user_of(json_t *process)
{
    json_t *user = json_object_get(process, "user");

    if (!user) {
        user = json_object();
        json_object_set_new(process, "user", user);
    }
    return user;
}

/* What is not given stays the container's: group, further groups. */
static int set_user(json_t *process, const char *text, struct err *e)
{
    json_t *user = user_of(process);
    char *end;
    unsigned long uid = strtoul(text, &end, 10), gid = 0;

    if (end == text || (*end && *end != ':'))
        return err_set(e, "--user: \"%s\" is not UID[:GID]", text);
    if (*end == ':') {
        const char *rest = end + 1;

        gid = strtoul(rest, &end, 10);
        if (end == rest || *end)
            return err_set(e, "--user: \"%s\" is not UID[:GID]", text);
        json_object_set_new(user, "gid", json_integer((json_int_t)gid));
    }
    json_object_set_new(user, "uid", json_integer((json_int_t)uid));
    return 0;
}

static void add_capabilities(json_t *process, const struct option_list *caps)
{
    static const char *const sets[] = {"bounding", "effective", "permitted", "ambient"};
    json_t *all = json_object_get(process, "capabilities");

    if (!all) {
        all = json_object();
        json_object_set_new(process, "capabilities", all);
    }
    for (size_t i = 0; i < ARRAY_COUNT(sets); i++) {
        json_t *list = json_object_get(all, sets[i]);

        if (!list) {
            list = json_array();
            json_object_set_new(all, sets[i], list);
        }
        for (size_t k = 0; k < caps->count; k++)
            json_array_append_new(list, json_string(caps->items[k]));
    }
}

static int add_groups(json_t *process, const struct option_list *gids, struct err *e)
{
    json_t *user = user_of(process), *list;

    list = json_object_get(user, "additionalGids");
    if (!list) {
        list = json_array();
        json_object_set_new(user, "additionalGids", list);
    }
    for (size_t i = 0; i < gids->count; i++) {
        char *end;
        long gid = strtol(gids->items[i], &end, 10);

        if (*end || end == gids->items[i] || gid < 0)
            return err_set(e, "--additional-gids: \"%s\" is not a group id", gids->items[i]);
        json_array_append_new(list, json_integer(gid));
    }
    return 0;
}

/* The container's own process object with what the options say. */
static json_t *build_process(const struct container *c, const struct exec_options *o, char **args,
                             struct err *e)
{
    json_t *spec = container_spec(c, e), *process, *list = json_array(), *env;
    int ret = 0;

    if (!spec)
        return NULL;
    process = json_deep_copy(json_object_get(spec, "process"));
    json_decref(spec);
    for (; *args; args++)
        json_array_append_new(list, json_bytes(*args));
    json_object_set_new(process, "args", list);
    json_object_set_new(process, "terminal", json_boolean(o->tty));
    (void)json_object_del(json_object_get(process, "user"), "umask"); /* as with runc */
    if (o->cwd)
        json_object_set_new(process, "cwd", json_bytes(o->cwd));
    if (o->no_new_privs)
        json_object_set_new(process, "noNewPrivileges", json_true());
    env = json_object_get(process, "env");
    if (!env) {
        env = json_array();
        json_object_set_new(process, "env", env);
    }
    for (size_t i = 0; i < o->env.count; i++)
        json_array_append_new(env, json_bytes(o->env.items[i]));
    if (o->caps.count)
        add_capabilities(process, &o->caps);
    if (o->user)
        ret = set_user(process, o->user, e);
    if (ret == 0 && o->gids.count)
        ret = add_groups(process, &o->gids, e);
    if (ret == 0)
        ret = spec_check_process(process, e);
    if (ret < 0) {
        json_decref(process);
        return NULL;
    }
    return process;
}

static int run(const char *id, const struct exec_options *o, struct exec_call_options *rq,
               char **args, struct err *e)
{
    struct container c;
    json_t *process = NULL;
    const char *status;
    int ret = -1;

    if (container_load(id, &c, e) < 0)
        return -1;
    status = container_status(&c);
    if (!strcmp(status, "stopped") || !strcmp(status, "creating"))
        (void)err_set(e, "cannot exec in a stopped container");
    else if (!strcmp(status, "paused") && !o->ignore_paused)
        (void)err_set(e, "cannot exec in a paused container (use --ignore-paused to override)");
    else
        process = o->process ? spec_load_process(o->process, e) : build_process(&c, o, args, e);
    if (process && o->process && o->tty)
        json_object_set_new(process, "terminal", json_true());
    rq->process = process;
    /* Inside there is one hierarchy: which controllers are meant makes no difference. */
    if (o->cgroup)
        rq->cgroup = strrchr(o->cgroup, ':') ? strrchr(o->cgroup, ':') + 1 : o->cgroup;
    if (process && container_preserved(process, &rq->preserve_fds, e) == 0)
        ret = exec_run(&c, rq, e);
    json_decref(process);
    container_destroy(&c);
    return ret;
}

int cmd_exec(int argc, char **argv, struct err *e)
{
    struct exec_options o = {0};
    struct exec_call_options rq = {0};
    bool help = false;
    const struct option_def options[] = {
        {"console-socket", 0, OPTION_STRING, &rq.console_socket,
         "socket that gets the master of the process's terminal"},
        {"cwd", 0, OPTION_STRING, &o.cwd, "working directory in the container"},
        {"env", 'e', OPTION_LIST, &o.env, "NAME=VALUE, may be repeated"},
        {"tty", 't', OPTION_FLAG, &o.tty, "give the process a terminal"},
        {"user", 'u', OPTION_STRING, &o.user, "UID[:GID]"},
        {"additional-gids", 'g', OPTION_LIST, &o.gids, "further group, may be repeated"},
        {"process", 'p', OPTION_STRING, &o.process, "file with an OCI process object"},
        {"detach", 'd', OPTION_FLAG, &rq.detach, "leave the process running in the background"},
        {"pid-file", 0, OPTION_STRING, &rq.pid_file, "file for the process id"},
        {"process-label", 0, OPTION_STRING, &o.process_label, "accepted; there are no labels"},
        {"apparmor", 0, OPTION_STRING, &o.apparmor, "accepted; there are no profiles"},
        {"no-new-privs", 0, OPTION_FLAG, &o.no_new_privs, "set-id programs gain nothing"},
        {"cap", 'c', OPTION_LIST, &o.caps, "further capability, may be repeated"},
        {"preserve-fds", 0, OPTION_INT, &rq.preserve_fds, "pass that many descriptors from 3 on"},
        {"cgroup", 0, OPTION_STRING, &o.cgroup,
         "[CONTROLLERS:]PATH of a cgroup inside the container"},
        {"ignore-paused", 0, OPTION_FLAG, &o.ignore_paused, "also in a paused container"},
        {"help", 'h', OPTION_FLAG, &help, "show this text"},
        {NULL, 0, OPTION_FLAG, NULL, NULL},
    };
    int index = 1, ret;

    if (options_parse(options, argc, argv, &index, e) < 0)
        return -1;
    if (help) {
        printf("Usage: runsc-c exec [OPTIONS] ID COMMAND [ARGS]\n"
               "       runsc-c exec [OPTIONS] --process FILE ID\n\n"
               "Runs a further process in a container.\n\n");
        options_help(options);
        return 0;
    }
    if (options_operands("exec", argc - index, o.process ? 1 : 2, 100000, e) < 0)
        return -1;
    ret = run(argv[index], &o, &rq, argv + index + 1, e);
    free(o.env.items);
    free(o.caps.items);
    free(o.gids.items);
    if (ret >= 0)
        return ret;
    e->exit_code = 255; /* runc's, so that it differs from most programs' own */
    return err_wrap(e, "exec failed");
}
