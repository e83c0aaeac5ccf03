/* SPDX-License-Identifier: Apache-2.0 */
/* runsc-c install, uninstall: registers with container engines. See install/install.h. */
#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "runsc-c/cmd.h"
#include "runsc-c/install/install.h"
#include "runsc-c/support/options.h"

struct engine {
    const char *name, *program;
    bool chosen;
    int (*run)(const struct install_request *rq, struct err *e);
    const char *next; /* what the operator does now */
};

static bool in_path(const char *program)
{
    static const char *const dirs[] = {"/usr/local/sbin", "/usr/local/bin", "/usr/sbin",
                                       "/usr/bin",        "/sbin",          "/bin"};
    char path[256];

    for (size_t i = 0; i < sizeof(dirs) / sizeof(dirs[0]); i++) {
        snprintf(path, sizeof(path), "%s/%s", dirs[i], program);
        if (access(path, X_OK) == 0)
            return true;
    }
    return false;
}

static bool valid_name(const char *name)
{
    return *name && strlen(name) < 64 &&
           name[strspn(name, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789-_")] ==
               '\0';
}

static void print_runtime_class(const char *name)
{
    printf("\n# kubectl apply -f -\napiVersion: node.k8s.io/v1\nkind: RuntimeClass\nmetadata:\n"
           "  name: %s\nhandler: %s\n",
           name, name);
}

static int check_binary(const struct install_request *rq, char *buf, size_t size,
                        const char **binary, struct err *e)
{
    ssize_t n;

    if (!*binary) {
        n = readlink("/proc/self/exe", buf, size - 1);
        if (n < 0)
            return err_errno(e, errno, "/proc/self/exe");
        buf[n] = '\0';
        *binary = buf;
    }
    if (**binary != '/' || strpbrk(*binary, "\"\\\n"))
        return err_set(e, "--binary %s: an absolute path without quotes is needed", *binary);
    if (!rq->remove && !*rq->prefix && access(*binary, X_OK) < 0)
        return err_errno(e, errno, "--binary %s", *binary);
    return 0;
}

static int run_engines(struct engine *engines, size_t count, const struct install_request *rq,
                       struct err *e)
{
    bool any = false, all = true;

    for (size_t i = 0; i < count; i++)
        all = all && !engines[i].chosen;
    for (size_t i = 0; i < count; i++) {
        if (!engines[i].chosen && !(all && (rq->remove || in_path(engines[i].program))))
            continue;
        any = true;
        if (engines[i].run(rq, e) < 0)
            return err_wrap(e, "%s", engines[i].name);
        if (!rq->remove && !rq->dry_run)
            printf("%s: %s\n", engines[i].name, engines[i].next);
    }
    if (!any)
        return err_set(e,
                       "no container engine found; choose with --docker, --podman, --containerd");
    return 0;
}

static int run(int argc, char **argv, bool remove, struct err *e)
{
    struct engine engines[] = {
        {"docker", "dockerd", false, install_docker,
         "reload with `systemctl reload docker` (or SIGHUP), then `docker run --runtime=runsc-c`"},
        {"podman", "podman", false, install_podman, "`podman --runtime runsc-c run` works at once"},
        {"containerd", "containerd", false, install_containerd,
         "restart containerd, then `ctr run --runc-binary` or a RuntimeClass"},
    };
    struct install_request rq = {.name = "runsc-c", .prefix = "", .remove = remove};
    bool help = false;
    char self[4096];
    const struct option_def options[] = {
        {"docker", 0, OPTION_FLAG, &engines[0].chosen, "Docker (default: every engine found)"},
        {"podman", 0, OPTION_FLAG, &engines[1].chosen, "podman"},
        {"containerd", 0, OPTION_FLAG, &engines[2].chosen, "containerd, for Kubernetes"},
        {"name", 0, OPTION_STRING, &rq.name, "name of the runtime (default: runsc-c)"},
        {"binary", 0, OPTION_STRING, &rq.binary, "path to register (default: this program)"},
        {"prefix", 0, OPTION_STRING, &rq.prefix, "directory in front of the engines' files"},
        {"dry-run", 0, OPTION_FLAG, &rq.dry_run, "show what would be written"},
        {"help", 'h', OPTION_FLAG, &help, "show this text"},
        {NULL, 0, OPTION_FLAG, NULL, NULL},
    };
    int index = 1;

    if (options_parse(options, argc, argv, &index, e) < 0)
        return -1;
    if (help) {
        printf("Usage: runsc-c %s [OPTIONS]%s\n\n", argv[0],
               remove ? "" : " [-- RUNTIME OPTIONS...]");
        options_help(options);
        return 0;
    }
    if (remove && index < argc)
        return err_set(e, "uninstall: unexpected argument \"%s\"", argv[index]);
    if (!valid_name(rq.name))
        return err_set(e, "--name \"%s\": letters, digits, - and _ only", rq.name);
    rq.args = (const char *const *)(argv + index);
    rq.arg_count = (size_t)(argc - index);
    if (check_binary(&rq, self, sizeof(self), &rq.binary, e) < 0 ||
        run_engines(engines, sizeof(engines) / sizeof(engines[0]), &rq, e) < 0)
        return -1;
    if (!remove)
        print_runtime_class(rq.name);
    return 0;
}

int cmd_install(int argc, char **argv, struct err *e)
{
    return run(argc, argv, /*remove=*/false, e);
}

int cmd_uninstall(int argc, char **argv, struct err *e)
{
    return run(argc, argv, /*remove=*/true, e);
}
