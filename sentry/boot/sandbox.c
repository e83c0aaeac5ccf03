/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A container is made on whatever thread asks for it: that thread's curr gets the container's file
 * system context while mounts are made and the program is looked up, and loses it afterwards.
 *
 * End of a process (on its own thread, in the exit hook): the state is published to whoever waits.
 * That may take a while, because terminals are drained and the rest of a container is killed first;
 * so it is done by a thread of its own, except for the first process of the sandbox, for which
 * main.c does it.
 *
 * Locks: g_sandbox.lock guards the lists; nothing blocks under it. control.c's lock comes after it,
 * never inside it.
 */
#include "sentry/boot/sandbox.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include "platform/base/log.h"
#include "sentry/abi/prctl.h"
#include "sentry/abi/signal.h"
#include "sentry/boot/control.h"
#include "sentry/boot/idmaps.h"
#include "sentry/boot/network.h"
#include "sentry/boot/resources.h"
#include "sentry/boot/timens.h"
#include "sentry/core/clock.h"
#include "sentry/core/pidns.h"
#include "sentry/core/userns.h"
#include "sentry/fs/dev/rules.h"
#include "sentry/fs/devpts/tty.h"
#include "sentry/fs/host/console.h"
#include "sentry/kernel/cgroup.h"
#include "sentry/kernel/task.h"
#include "sentry/kernel/task_info.h"
#include "sentry/kernel/timens.h"
#include "sentry/net/netns.h"

#define KILL_DEADLINE_NS (10 * NSEC_PER_SEC)

/*
 * Lifetime: refcounted; the table holds one until its first process has ended, each process one.
 * Keys: I immutable; a atomic; s g_sandbox.lock
 */
struct sandbox_container {
    struct refs refs;          /* a */
    struct list node;          /* s */
    struct list processes;     /* s: those that have not exited, the first one included */
    char *id;                  /* I */
    struct kcontainer *kernel; /* I, +1 */
    struct boot_mounts mounts; /* I */
    struct sandbox_process
        *init;                 /* I after create; borrowed: in the list until the container ends */
    uint32_t personality;      /* I: of all its processes */
    void *filter;              /* I: seccomp program of all its processes, or NULL */
    size_t filter_size;        /* I */
    struct dev_rules *devices; /* I, +1 or NULL: none are forbidden */
    struct boot_tree *trees;   /* I: watch_fd of each */
    size_t tree_count;         /* I */
    atomic_bool ended;         /* a: the gofer may leave */
    bool first;                /* I */
};

static struct {
    struct mutex lock; /* rank CONTROL */
    struct list containers;
    struct lx_rlimit limits[LX_RLIM_COUNT]; /* I */
    struct pidns *pidns;                    /* I after the first container: its namespaces */
    struct netns *netns;
    struct ipcns *ipcns;
} g_sandbox = {.lock = {.rank = RANK_CONTROL}, .containers = LIST_INIT(g_sandbox.containers)};

void sandbox_init(const struct lx_rlimit *limits)
{
    memcpy(g_sandbox.limits, limits, sizeof(g_sandbox.limits));
}

/* ---- references ---------------------------------------------------------------------------- */

struct sandbox_container *sandbox_container_get(struct sandbox_container *sc)
{
    refs_get(&sc->refs);
    return sc;
}

void sandbox_container_put(struct sandbox_container *sc)
{
    if (!sc || !refs_put(&sc->refs))
        return;
    if (sc->mounts.devpts)
        super_put(sc->mounts.devpts);
    if (sc->mounts.ns)
        mntns_put(sc->mounts.ns);
    kcontainer_put(sc->kernel);
    dev_rules_put(sc->devices);
    free(sc->filter);
    free(sc->trees);
    free(sc->id);
    free(sc);
}

struct sandbox_process *sandbox_process_get(struct sandbox_process *p)
{
    refs_get(&p->refs);
    return p;
}

void sandbox_process_put(struct sandbox_process *p)
{
    if (!p || !refs_put(&p->refs))
        return;
    if (p->task)
        task_put(p->task);
    sandbox_container_put(p->container);
    free(p);
}

struct sandbox_container *sandbox_find_get(const char *id)
{
    struct sandbox_container *sc, *found = NULL;

    mutex_lock(&g_sandbox.lock);
    list_for_each_entry(sc, &g_sandbox.containers, node) {
        if (id ? !strcmp(sc->id, id) : sc->first) {
            found = sandbox_container_get(sc);
            break;
        }
    }
    mutex_unlock(&g_sandbox.lock);
    return found;
}

struct sandbox_process *sandbox_container_init(struct sandbox_container *sc)
{
    return sc->init;
}

struct kcontainer *sandbox_container_kernel(struct sandbox_container *sc)
{
    return sc->kernel;
}

bool sandbox_container_is_first(const struct sandbox_container *sc)
{
    return sc->first;
}

const char *sandbox_container_status(struct sandbox_container *sc)
{
    switch ((enum process_state)atomic_load(&sc->init->state)) {
    case PROCESS_CREATED:
        return "created";
    case PROCESS_RUNNING:
        return kernel_paused(sc->kernel) ? "paused" : "running";
    case PROCESS_EXITED:
        return "stopped";
    }
    return "stopped";
}

/* ---- the gofer's end ------------------------------------------------------------------------- */

/* A guest that asks for no file would not notice that the gofer is gone: this thread sleeps until
 * the other end of a session is. Holds one reference of the container. */
static void watch_gofer(void *arg)
{
    struct sandbox_container *sc = arg;
    struct pollfd *fds = calloc(sc->tree_count, sizeof(*fds));

    for (size_t i = 0; fds && i < sc->tree_count; i++)
        fds[i] = (struct pollfd){.fd = sc->trees[i].watch_fd}; /* POLLHUP needs no asking */
    while (fds && poll(fds, sc->tree_count, -1) < 0 && errno == EINTR)
        ;
    if (!atomic_load(&sc->ended)) {
        log_error(LOG_BOOT, "the gofer of %s is gone", sc->id);
        if (sc->first)
            boot_end_sandbox(W_EXITCODE(0, SIGKILL), "the gofer is gone");
        else if (sc->init)
            sandbox_process_abandon(sc->init);
    }
    for (size_t i = 0; i < sc->tree_count; i++)
        close(sc->trees[i].watch_fd);
    free(fds);
    sandbox_container_put(sc);
}

/* gofer_mount takes the sockets over; the watch has its own descriptors of them. */
static int start_gofer_watch(struct sandbox_container *sc)
{
    int ret;

    for (size_t i = 0; i < sc->tree_count; i++) {
        sc->trees[i].watch_fd = fcntl(sc->trees[i].fd, F_DUPFD_CLOEXEC, BOOT_FD_FIRST);
        if (sc->trees[i].watch_fd < 0)
            return -errno;
    }
    ret = thread_start("gofer-watch", watch_gofer, sandbox_container_get(sc));
    if (ret < 0)
        sandbox_container_put(sc);
    return ret;
}

/* Ends the watch and, with it, the last descriptors of the sessions. */
static void stop_gofer_watch(struct sandbox_container *sc)
{
    atomic_store(&sc->ended, true);
    for (size_t i = 0; i < sc->tree_count; i++)
        (void)shutdown(sc->trees[i].watch_fd, SHUT_RDWR); /* the gofer may have closed it first */
}

/* ---- processes ------------------------------------------------------------------------------- */

/* Whoever takes it detaches it. */
static struct console *take_console(struct sandbox_process *p)
{
    struct console *console;

    mutex_lock(&g_sandbox.lock);
    console = p->console;
    p->console = NULL;
    mutex_unlock(&g_sandbox.lock);
    return console;
}

static void process_ended(void *arg)
{
    struct sandbox_process *p = arg;
    struct sandbox_container *sc = p->container;

    console_detach(take_console(p));
    if (p->is_init) {
        /* Those that share a pid namespace with others do not die with their first process. */
        if (kernel_kill_all(sc->kernel, deadline_after(KILL_DEADLINE_NS)) < 0)
            log_error(LOG_BOOT, "container %s: processes survive SIGKILL", sc->id);
        stop_gofer_watch(sc);
        mutex_lock(&g_sandbox.lock);
        list_del(&sc->node);
        mutex_unlock(&g_sandbox.lock);
    }
    if (p->is_init)
        control_let_others_end(p);
    mutex_lock(&g_sandbox.lock);
    list_del(&p->node);
    mutex_unlock(&g_sandbox.lock);
    atomic_store(&p->state, PROCESS_EXITED);
    control_process_exited(p);
    if (p->is_init)
        sandbox_container_put(sc); /* the table's */
    sandbox_process_put(p);        /* the list's */
}

/* On a thread of the process that has ended. */
static void process_exit_hook(void *arg, int wait_status)
{
    struct sandbox_process *p = arg;

    p->status = wait_status;
    if (p->is_init && p->container->first) {
        boot_end_sandbox(wait_status, NULL);
        return;
    }
    if (thread_start("process-end", process_ended, p) < 0)
        process_ended(p);
}

/* A terminal belongs to the user of its process; its group is the mount's. */
static int give_terminal(struct file *console, const json_t *process)
{
    const struct fs_attr attr = {
        .mask = ATTR_UID, .uid = (lx_uid_t)boot_int(json_object_get(process, "user"), "uid", 0)};

    return inode_setattr(console->path.dentry->inode, &attr);
}

static int attach_console(struct sandbox_container *sc, int fd, struct sandbox_process *p,
                          const json_t *process, struct file **out, struct boot_error *e)
{
    int ret = sc->mounts.devpts ? console_attach(sc->mounts.devpts, fd, &p->console, out) : -ENODEV;

    if (ret == 0)
        ret = give_terminal(*out, process);
    if (ret < 0)
        return boot_error_set(e, 1, "console: %s%s", strerror(-ret),
                              sc->mounts.devpts ? "" : " (no devpts mount in the configuration)");
    if (!p->is_init)
        return 0;
    ret = boot_mount_console(*out);
    return ret < 0 ? boot_error_set(e, 1, "/dev/console: %s", strerror(-ret)) : 0;
}

static int set_filter(struct sandbox_process *p, struct boot_error *e)
{
    const struct sandbox_container *sc = p->container;
    int ret = kernel_process_filter(p->task, sc->filter, sc->filter_size);

    if (ret == 0)
        return 0;
    kernel_process_abort(p->task); /* consumes the reference */
    p->task = NULL;
    return boot_error_set(e, 1, "linux.seccomp: the program is refused: %s", strerror(-ret));
}

/* Takes c's console over. p is not in any list yet. */
static int create_process(struct sandbox_process *p, struct boot_config *c,
                          struct container_process *cp, struct boot_error *e)
{
    struct file *console = NULL;
    int ret = 0;

    cp->container = p->container->kernel;
    cp->personality = p->container->personality;
    cp->on_exit = (struct process_exit_hook){process_exit_hook, p};
    memcpy(cp->host_limits, g_sandbox.limits, sizeof(cp->host_limits));
    if (c->console_fd >= 0) {
        ret = attach_console(p->container, c->console_fd, p, cp->process, &console, e);
        c->console_fd = -1;
    }
    if (ret == 0) {
        ret = container_stdio(c->stdio, console, c->preserved, c->preserved_count, &cp->files);
        if (ret < 0)
            ret = boot_error_set(e, 1, "standard descriptors: %s", strerror(-ret));
    }
    if (ret == 0) {
        ret = container_process_create(cp, &p->task, e);
        fdtable_put(cp->files);
    }
    if (ret == 0 && p->container->filter)
        ret = set_filter(p, e);
    if (ret == 0 && console)
        tty_acquire_controlling(console, p->task->curr.tgid, p->task->curr.tgid);
    if (console)
        file_put(console);
    if (ret < 0)
        console_detach(take_console(p));
    return ret;
}

static struct sandbox_process *process_new(struct sandbox_container *sc, bool is_init)
{
    struct sandbox_process *p = calloc(1, sizeof(*p));

    if (!p)
        return NULL;
    refs_init(&p->refs);
    list_init(&p->node);
    p->container = sandbox_container_get(sc);
    p->is_init = is_init;
    return p;
}

/* The list's reference is the one of process_new; the caller gets another. */
static struct sandbox_process *process_publish(struct sandbox_process *p)
{
    mutex_lock(&g_sandbox.lock);
    list_add_tail(&p->container->processes, &p->node);
    mutex_unlock(&g_sandbox.lock);
    return sandbox_process_get(p);
}

static void close_descriptors(struct boot_config *c)
{
    for (int i = 0; i < 3; i++) {
        if (c->stdio[i] >= BOOT_FD_FIRST)
            close(c->stdio[i]);
        c->stdio[i] = -1;
    }
    for (size_t i = 0; i < c->preserved_count; i++)
        close(c->preserved[i]);
    c->preserved_count = 0;
    if (c->console_fd >= 0)
        close(c->console_fd);
    c->console_fd = -1;
}

/* ---- containers ------------------------------------------------------------------------------ */

static struct sandbox_container *container_new(struct boot_config *c)
{
    struct sandbox_container *sc = calloc(1, sizeof(*sc));

    if (!sc)
        return NULL;
    refs_init(&sc->refs);
    list_init(&sc->node);
    list_init(&sc->processes);
    sc->trees = c->trees;
    sc->tree_count = c->tree_count;
    c->trees = NULL;
    c->tree_count = 0;
    if (!strcmp(boot_string(json_object_get(json_object_get(c->spec, "linux"), "personality"),
                            "domain", ""),
                "LINUX32"))
        sc->personality = LX_PER_LINUX32;
    if (boot_string(c->json, "seccomp", NULL))
        sc->filter = boot_hex(boot_string(c->json, "seccomp", ""), &sc->filter_size);
    sc->id = strdup(c->id);
    if (!sc->id || kcontainer_new(c->id, &sc->kernel) < 0) {
        sandbox_container_put(sc);
        return NULL;
    }
    return sc;
}

static int enter_namespaces(const struct boot_config *c, struct kcgroup *cg)
{
    struct curr *self = curr();
    int ret = cgroupns_new(cg, userns_init_get(), &self->cgroupns);

    if (ret < 0)
        return ret;
    memcg_task_set(self, cgroup_memcg(cg)); /* who pays for what its mounts take */

    if (!g_sandbox.netns) {
        ret = netns_new(userns_init_get(), &g_sandbox.netns);
        if (ret < 0)
            return ret;
        netns_set_lo_up(g_sandbox.netns, true);
        netns_set_ping_groups(g_sandbox.netns, 0, INT32_MAX); /* as systemd and Docker do */
        ret = boot_network_attach(c, g_sandbox.netns);
    }
    if (ret == 0 && !g_sandbox.ipcns)
        ret = ipcns_new(userns_init_get(), &g_sandbox.ipcns);
    if (ret < 0)
        return ret;
    self->ipcns = ipcns_get(g_sandbox.ipcns);
    if (g_sandbox.pidns && c->share_pid)
        self->pidns = pidns_get(g_sandbox.pidns);
    else
        ret = pidns_new(NULL, userns_init_get(), &self->pidns);
    if (ret == 0)
        self->netns = netns_get(g_sandbox.netns);
    return ret;
}

/* The calling thread's curr back to what a service thread has. */
static void leave_namespaces(void)
{
    struct curr *self = curr();

    if (self->fs)
        fs_ctx_put(self->fs);
    if (self->mntns)
        mntns_put(self->mntns);
    if (self->netns)
        netns_put(self->netns);
    if (self->pidns)
        pidns_put(self->pidns);
    if (self->ipcns)
        ipcns_put(self->ipcns);
    cgroupns_put(self->cgroupns);
    memcg_task_set(self, MEMCG_ROOT);
    timens_put(self->timens);
    self->timens = NULL;
    self->cgroupns = NULL;
    self->ipcns = NULL;
    self->fs = NULL;
    self->mntns = NULL;
    self->netns = NULL;
    self->pidns = NULL;
}

static int build(struct sandbox_container *sc, struct boot_config *c, struct boot_error *e)
{
    const json_t *linux_spec = json_object_get(c->spec, "linux");
    struct container_process cp = {
        .process = json_object_get(c->spec, "process"),
        .make_cwd = true,
        .hostname = boot_string(c->spec, "hostname", NULL),
        /* Docker's way. */
        .domainname = boot_string(json_object_get(linux_spec, "sysctl"), "kernel.domainname",
                                  boot_string(c->spec, "domainname", NULL)),
        .killable_init = c->standalone,
    };
    struct kcgroup *cg = kcontainer_cgroup(sc->kernel);
    struct boot_config view = *c;
    const char *what = "";
    int ret = start_gofer_watch(sc);

    if (ret < 0)
        return boot_error_set(e, 1, "gofer watch: %s", strerror(-ret));
    ret = boot_resources(json_object_get(linux_spec, "resources"), cg, sc->first, e);
    if (ret < 0)
        return ret;
    ret = sc->first ? boot_idmaps(c->spec) : 0;
    if (ret < 0)
        return boot_error_set(e, 1, "linux.uidMappings: %s", strerror(-ret));
    ret = enter_namespaces(c, cg);
    if (ret < 0)
        return boot_error_set(e, 1, "namespaces: %s", strerror(-ret));
    ret = boot_time_namespace(c->spec, &curr()->timens, e);
    if (ret < 0)
        return ret;
    view.trees = sc->trees;
    view.tree_count = sc->tree_count;
    ret = boot_mounts(&view, &sc->mounts, &what);
    if (ret < 0)
        return boot_error_set(e, 1, "error mounting \"%s\": %s", what, strerror(-ret));
    ret = boot_sysctls(c, e);
    if (ret < 0)
        return ret;
    ret = boot_mounts_protect(c, &what);
    if (ret < 0)
        return boot_error_set(e, 1, "cannot protect \"%s\": %s", what, strerror(-ret));
    ret = boot_devices(json_object_get(json_object_get(linux_spec, "resources"), "devices"),
                       &sc->devices);
    if (ret < 0)
        return boot_error_set(e, 1, "linux.resources.devices: %s", strerror(-ret));
    fs_ctx_set_devices(curr()->fs, sc->devices);
    sc->init = process_new(sc, /*is_init=*/true);
    if (!sc->init)
        return boot_error_set(e, 1, "container: out of memory");
    return create_process(sc->init, c, &cp, e);
}

static void remember_namespaces(struct sandbox_container *sc)
{
    struct task_namespaces ns;

    if (g_sandbox.pidns || task_namespaces_get(sc->init->task, &ns) < 0)
        return;
    g_sandbox.pidns = pidns_get(ns.pidns);
    task_namespaces_put(&ns);
}

static bool id_is_free(const char *id)
{
    struct sandbox_container *sc = sandbox_find_get(id);

    sandbox_container_put(sc);
    return !sc;
}

int sandbox_container_create(struct boot_config *c, struct sandbox_process **out,
                             struct boot_error *e)
{
    struct sandbox_container *sc = id_is_free(c->id) ? container_new(c) : NULL;
    int ret;

    if (!sc) {
        close_descriptors(c);
        return boot_error_set(e, 1, "container %s cannot be made in the sandbox", c->id);
    }
    sc->first = !g_sandbox.pidns;
    ret = build(sc, c, e);
    leave_namespaces();
    close_descriptors(c);
    if (ret < 0) {
        if (sc->init)
            sandbox_process_put(sc->init);
        sc->init = NULL;
        stop_gofer_watch(sc);
        sandbox_container_put(sc);
        return ret;
    }
    remember_namespaces(sc);
    *out = process_publish(sc->init);
    mutex_lock(&g_sandbox.lock);
    list_add_tail(&g_sandbox.containers, &sc->node); /* its reference is the table's */
    mutex_unlock(&g_sandbox.lock);
    return 0;
}

/* ---- exec ------------------------------------------------------------------------------------ */

/* Where a service manager handed on controllers, the container's own group may have no processes, and
 * one that slipped in keeps the manager from handing on more: with the first process then, as runc. */
static int enter_default_cgroup(struct sandbox_process *p)
{
    struct kcgroup *cg;
    int ret = cgroup_put_task(kcontainer_cgroup(p->container->kernel), p->task);

    if (ret != -EBUSY)
        return ret;
    cg = task_cgroup_get(p->container->init->task);
    ret = cgroup_put_task(cg, p->task);
    cgroup_put(cg);
    return ret;
}

static int enter_cgroup(struct sandbox_process *p, const char *path, struct boot_error *e)
{
    int ret = *path ? boot_enter_cgroup(kcontainer_cgroup(p->container->kernel), path, p->task)
                    : enter_default_cgroup(p);

    if (ret == 0)
        return 0;
    kernel_process_abort(p->task); /* consumes the reference */
    p->task = NULL;
    return boot_error_set(e, 1, "cannot enter cgroup %s: %s", path, strerror(-ret));
}

static int exec_in(struct sandbox_process *p, struct boot_config *c, struct boot_error *e)
{
    struct container_process cp = {.process = json_object_get(c->json, "process")};
    const char *cgroup = boot_string(c->json, "cgroup", "");
    struct curr *self = curr();
    int ret = task_namespaces_get(p->container->init->task, &cp.ns);

    if (ret < 0)
        return boot_error_set(e, 1, "cannot exec in a stopped container");
    ret = fs_ctx_new(&cp.ns.root, &cp.ns.root, 0, &self->fs);
    if (ret == 0) {
        fs_ctx_set_devices(self->fs, p->container->devices);
        self->mntns = mntns_get(cp.ns.mntns);
        ret = create_process(p, c, &cp, e);
        if (ret == 0)
            ret = enter_cgroup(p, cgroup, e);
    } else {
        ret = boot_error_set(e, 1, "exec: %s", strerror(-ret));
    }
    task_namespaces_put(&cp.ns);
    leave_namespaces();
    return ret;
}

int sandbox_exec(struct sandbox_container *sc, struct boot_config *c, struct sandbox_process **out,
                 struct boot_error *e)
{
    struct sandbox_process *p = process_new(sc, /*is_init=*/false);
    int ret;

    if (!p)
        ret = boot_error_set(e, 1, "exec: out of memory");
    else if (atomic_load(&sc->init->state) == PROCESS_EXITED)
        ret = boot_error_set(e, 1, "cannot exec in a stopped container");
    else
        ret = exec_in(p, c, e);
    close_descriptors(c);
    if (ret < 0) {
        sandbox_process_put(p);
        return ret;
    }
    *out = process_publish(p);
    return 0;
}

/* ---- requests -------------------------------------------------------------------------------- */

int sandbox_process_start(struct sandbox_process *p)
{
    int created = PROCESS_CREATED;
    int ret;

    if (!atomic_compare_exchange_strong(&p->state, &created, PROCESS_RUNNING))
        return created == PROCESS_RUNNING ? -EALREADY : -ESRCH;
    ret = kernel_process_start(p->task);
    if (ret < 0)
        atomic_store(&p->state, PROCESS_CREATED);
    return ret;
}

void sandbox_process_abandon(struct sandbox_process *p)
{
    /* One that never ran has no thread that could die of a signal: it is started for it. */
    switch ((enum process_state)atomic_load(&p->state)) {
    case PROCESS_CREATED:
        if (p->is_init && p->container->first) {
            boot_end_sandbox(W_EXITCODE(0, SIGKILL), NULL);
            return;
        }
        (void)kernel_signal_process(p->task, LX_SIGKILL); /* queued before its first instruction */
        if (sandbox_process_start(p) < 0)
            log_error(LOG_BOOT, "an abandoned process of %s stays", p->container->id);
        break;
    case PROCESS_RUNNING:
        (void)kernel_signal_process(p->task, LX_SIGKILL); /* -ESRCH: it just ended */
        break;
    case PROCESS_EXITED:
        break;
    }
}

void sandbox_process_resize(struct sandbox_process *p, uint16_t rows, uint16_t cols)
{
    mutex_lock(&g_sandbox.lock);
    if (p->console)
        console_resize(p->console, rows, cols);
    mutex_unlock(&g_sandbox.lock);
}

void sandbox_drain_console(struct sandbox_process *p)
{
    console_detach(take_console(p));
}

/* ---- ps -------------------------------------------------------------------------------------- */

static json_t *describe(struct task *t, struct pidns *ns, int host_pid)
{
    struct cred *cred = task_cred_get(t);
    struct task_info info;
    json_t *v;

    task_info_get(t, ns, &info);
    v = json_pack("{s:i, s:i, s:i, s:s, s:I, s:I, s:i}", "pid", (int)info.tgid, "ppid",
                  (int)info.ppid, "uid", cred ? (int)cred->euid : 0, "comm", info.comm, "cpu_ns",
                  (json_int_t)(info.tg_utime + info.tg_stime), "age_ns",
                  (json_int_t)(clock_boottime() - info.start_boottime), "host_pid", host_pid);
    if (cred)
        cred_put(cred);
    return v;
}

static int host_pid_of(struct sandbox_container *sc, struct task *t)
{
    struct sandbox_process *p;
    int pid = 0;

    mutex_lock(&g_sandbox.lock);
    list_for_each_entry(p, &sc->processes, node) {
        if (p->task->tg == t->tg)
            pid = atomic_load(&p->host_pid);
    }
    mutex_unlock(&g_sandbox.lock);
    return pid;
}

json_t *sandbox_container_processes(struct sandbox_container *sc)
{
    json_t *list = json_array();
    struct task_namespaces ns;
    struct pid *pid;
    lx_pid_t nr = 0;

    if (task_namespaces_get(sc->init->task, &ns) < 0)
        return list;
    while ((pid = pidns_next_process_get(ns.pidns, nr + 1, &nr))) {
        struct task *t = pid_task_get(pid, PID_TGID);

        if (t && kcontainer_has_task(sc->kernel, t))
            json_array_append_new(list, describe(t, ns.pidns, host_pid_of(sc, t)));
        if (t)
            task_put(t);
        pid_put(pid);
    }
    task_namespaces_put(&ns);
    return list;
}
