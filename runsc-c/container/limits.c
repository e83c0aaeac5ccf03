/* SPDX-License-Identifier: Apache-2.0 */
#include "runsc-c/container/limits.h"

#include <stdlib.h>
#include <unistd.h>

#include "platform/base/log.h"
#include "runsc-c/support/globals.h"
#include "runsc-c/support/json.h"

/* What others left in the directories, as runc takes it: processes are a warning; a freezer that nobody
 * would thaw is an error. */
static int check_found(const struct cgroup *cg, struct err *e)
{
    struct err ignored = {0}; /* without permission to look there is nothing to say */
    pid_t *pids = NULL;
    size_t count = 0;

    if (cgroup_frozen(cg))
        return err_set(e, "container's cgroup unexpectedly frozen");
    if (cgroup_pids(cg, &pids, &count, &ignored) == 0 && count)
        log_warn(LOG_CLI, "container's cgroup is not empty: %zu process(es) found", count);
    free(pids);
    return 0;
}

/* Before the directories are made. */
static int remember(void *arg, const struct cgroup *cg, struct err *e)
{
    struct container *c = arg;

    if (check_found(cg, e) < 0)
        return -1;
    json_decref(c->cgroup);
    c->cgroup = cgroup_save(cg);
    return container_save(c, e);
}

int limits_make(struct container *c, const json_t *spec, struct cgroup **out, struct err *e)
{
    const json_t *linux_spec = json_object_get(spec, "linux");
    const struct cgroup_config config = {
        .id = c->id,
        .path = json_string_value(json_object_get(linux_spec, "cgroupsPath")),
        .resources = json_object_get(linux_spec, "resources"),
        .systemd = g_options.systemd_cgroup,
        .rootless = g_options.rootless || cgroup_rootless_default(),
        .named = remember,
        .named_arg = c,
    };
    json_t *made;
    bool same;

    if (cgroup_create(&config, out, e) < 0)
        return -1;
    made = cgroup_save(*out);
    same =
        json_equal(made, c->cgroup); /* with what remember() wrote: all that was named was made */
    json_decref(c->cgroup);
    c->cgroup = made;
    if (!same && container_save(c, e) < 0)
        return -1;
    return limits_apply(*out, config.resources, e);
}

int limits_apply(struct cgroup *cg, const json_t *resources, struct err *e)
{
    json_t *limits = cgroup_sandbox_resources(resources);
    int ret = cgroup_apply(cg, limits, e);

    json_decref(limits);
    return ret;
}

void limits_thaw(const struct container *c)
{
    struct err ignored = {0}; /* then the kills that follow say what is wrong */
    struct cgroup *cg;

    if (cgroup_load(c->cgroup, &cg, &ignored) < 0)
        return;
    if (cgroup_frozen(cg))
        (void)cgroup_freeze(cg, false, &ignored);
    cgroup_free(cg);
}

int limits_kill(const struct container *c, struct err *e)
{
    struct cgroup *cg;
    int ret;

    if (cgroup_load(c->cgroup, &cg, e) < 0)
        return -1;
    ret = cgroup_frozen(cg) ? cgroup_kill(cg, e) : 0;
    cgroup_free(cg);
    return ret;
}

int limits_remove(const struct container *c, struct err *e)
{
    struct cgroup *cg;
    int ret;

    if (cgroup_load(c->cgroup, &cg, e) < 0)
        return -1;
    ret = cgroup_delete(cg, e);
    cgroup_free(cg);
    return ret;
}
