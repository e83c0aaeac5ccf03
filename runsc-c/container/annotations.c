/* SPDX-License-Identifier: Apache-2.0 */
#include "runsc-c/container/annotations.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "platform/base/log.h"
#include "runsc-c/sandbox/trees.h"
#include "runsc-c/support/globals.h"
#include "runsc-c/support/json.h"

static const char *const g_prefixes[] = {"dev.gvisor.", "org.runsc-c."};

/* Is key PREFIX group REST for one of the prefixes? Then the rest. */
static const char *below(const char *key, size_t prefix, const char *group)
{
    size_t n = strlen(g_prefixes[prefix]), m = strlen(group);

    return !strncmp(key, g_prefixes[prefix], n) && !strncmp(key + n, group, m) ? key + n + m : NULL;
}

/* Calls fn for every annotation of the group, ours last; stops at an error. */
static int for_each(const json_t *annotations, const char *group,
                    int (*fn)(const char *rest, const char *key, const char *value, void *arg,
                              struct err *e),
                    void *arg, struct err *e)
{
    int ret = 0;

    for (size_t p = 0; p < ARRAY_COUNT(g_prefixes); p++) {
        const char *key;
        json_t *v;

        /* SAFETY: jansson's iteration takes a non-const object but does not change it. */
        json_object_foreach((json_t *)(uintptr_t)annotations, key, v)
        {
            const char *rest = below(key, p, group);

            if (ret == 0 && rest && json_is_string(v)) /* the state file may say anything */
                ret = fn(rest, key, json_string_value(v), arg, e);
        }
    }
    return ret;
}

/* ---- flag.* ---------------------------------------------------------------------------------- */

enum flag_right {
    FLAG_NEVER,   /* the operator's alone */
    FLAG_ALLOWED, /* with --allow-flag-override */
    FLAG_FREE, /* anybody's, for the value that makes the sandbox stricter; NULL: for any value */
};

static const struct flag_rule {
    const char *name;   /* as in the annotation */
    const char *option; /* as on the command line; NULL: nothing is to be set */
    enum flag_right right;
    const char *strict;
} g_flags[] = {
    {"platform", "platform", FLAG_ALLOWED, NULL},
    {"lanes", "lanes", FLAG_ALLOWED, NULL},
    {"network", "network", FLAG_FREE, "none"},
    {"overlay", "overlay", FLAG_FREE, "root:memory"},
    {"overlay2", "overlay", FLAG_FREE, "root:memory"},
    {"file-access", "file-access", FLAG_ALLOWED, NULL},
    {"rseq", "rseq", FLAG_FREE, NULL},
    {"debug", "debug", FLAG_ALLOWED, NULL}, /* a guest could fill the host's disk */
    {"strace", "strace", FLAG_ALLOWED, NULL},
    {"strace-format", "strace-format", FLAG_ALLOWED, NULL},
    {"oci-seccomp", NULL, FLAG_FREE, "true"}, /* it always is enforced */
    {"root", NULL, FLAG_NEVER, NULL},
    {"log", NULL, FLAG_NEVER, NULL},
    {"log-format", NULL, FLAG_NEVER, NULL},
    {"systemd-cgroup", NULL, FLAG_NEVER, NULL},
    {"rootless", NULL, FLAG_NEVER, NULL},
    {"allow-flag-override", NULL, FLAG_NEVER, NULL},
};

static int set_flag(const char *name, const char *key, const char *value, void *arg, struct err *e)
{
    const struct flag_rule *rule = NULL;
    bool strict;

    (void)arg;
    for (size_t i = 0; i < ARRAY_COUNT(g_flags); i++) {
        if (!strcmp(g_flags[i].name, name))
            rule = &g_flags[i];
    }
    if (!rule && !below(key, 0, "flag."))
        return err_set(e, "annotations.%s: there is no such option", key);
    if (!rule) {
        log_warn(LOG_CLI, "annotations.%s has no meaning here", key);
        return 0;
    }
    if (rule->right == FLAG_NEVER)
        return err_set(e, "annotations.%s: an annotation cannot set this option", key);
    strict = rule->right == FLAG_FREE && (!rule->strict || !strcmp(rule->strict, value));
    if (!strict && !g_options.allow_flag_override)
        return err_set(e,
                       "annotations.%s: \"%s\" needs --allow-flag-override among the runtime's "
                       "options",
                       key, value);
    if (!rule->option)
        return strict ? 0 : err_set(e, "annotations.%s: \"%s\" is not possible here", key, value);
    /* A file would be one of the host's. */
    if (!strcmp(name, "strace") && strcmp(value, "true") && strcmp(value, "false"))
        return err_set(e, "annotations.%s: true or false, not \"%s\"", key, value);
    return globals_override(rule->option, value, e) < 0 ? err_wrap(e, "annotations.%s", key) : 0;
}

int annotations_set_options(const json_t *annotations, struct err *e)
{
    return for_each(annotations, "flag.", set_flag, NULL, e);
}

/* ---- spec.rootfs.* --------------------------------------------------------------------------- */

static int parse_size(const char *text, uint64_t *out)
{
    static const char units[] = "kmgt";
    char *end;
    const char *unit;
    unsigned shift = 0;

    errno = 0;
    *out = strtoull(text, &end, 10);
    unit = *end ? strchr(units, *end | 0x20) : NULL;
    if (unit) {
        shift = 10 * (unsigned)(unit - units + 1);
        end++;
    }
    if (errno || end == text || text[0] == '-' || *end || *out << shift >> shift != *out || !*out)
        return -1;
    *out <<= shift;
    return 0;
}

static int set_rootfs(const char *field, const char *key, const char *value, void *arg,
                      struct err *e)
{
    struct rootfs_hint *h = arg;

    if (!strcmp(field, "overlay")) {
        if (!strcmp(value, "none") && g_options.overlay && strcmp(g_options.overlay, "none") &&
            !g_options.allow_flag_override)
            return err_set(e,
                           "annotations.%s: \"%s\" needs --allow-flag-override among the "
                           "runtime's options",
                           key, value);
        if (strcmp(value, "none") && strcmp(value, "memory"))
            log_warn(LOG_CLI, "annotations.%s: the overlay is kept in memory, not in \"%s\"", key,
                     value);
        h->overlay = strcmp(value, "none") ? "root:memory" : "none";
        return 0;
    }
    if (!strcmp(field, "options"))
        return strncmp(value, "size=", 5) || parse_size(value + 5, &h->size) < 0
                   ? err_set(e, "annotations.%s: \"%s\" is not size=BYTES", key, value)
                   : 0;
    if (!strcmp(field, "type") && !strcmp(value, "bind"))
        return 0;
    return err_set(e, "annotations.%s: the root file system is the one that root.path names", key);
}

int annotations_rootfs(const json_t *annotations, struct rootfs_hint *out, struct err *e)
{
    *out = (struct rootfs_hint){.overlay = NULL};
    return for_each(annotations, "spec.rootfs.", set_rootfs, out, e);
}

/* ---- spec.mount.* ---------------------------------------------------------------------------- */

/* hints: by volume, its fields. A name without a field or an empty one is refused, a value that means nothing is not. */
static int add_hint(const char *rest, const char *key, const char *value, void *arg, struct err *e)
{
    static const char *const fields[] = {"source", "type", "share", "options", "lifecycle"};
    json_t *hints = arg, *hint;
    const char *dot = strchr(rest, '.');
    char name[256];

    if (!dot || dot == rest || strchr(dot + 1, '.') || (size_t)(dot - rest) >= sizeof(name))
        return err_set(e, "annotations.%s: invalid mount annotation", key);
    snprintf(name, sizeof(name), "%.*s", (int)(dot - rest), rest);
    for (size_t i = 0; i < ARRAY_COUNT(fields); i++) {
        if (strcmp(fields[i], dot + 1))
            continue;
        hint = json_object_get(hints, name);
        if (!hint) {
            hint = json_object();
            json_object_set_new(hints, name, hint);
        }
        json_object_set_new(hint, fields[i], json_string(value));
        return 0;
    }
    log_warn(LOG_CLI, "annotations.%s has no meaning here", key);
    return 0;
}

static bool is_one_of(const char *value, const char *a, const char *b, const char *c)
{
    return !strcmp(value, a) || !strcmp(value, b) || (c && !strcmp(value, c));
}

static int check_hints(json_t *hints, struct err *e)
{
    const char *name, *other;
    json_t *hint, *h;
    void *next;

    json_object_foreach_safe(hints, next, name, hint)
    {
        if (!is_one_of(json_get_string(hint, "type", ""), "tmpfs", "bind", NULL) ||
            !is_one_of(json_get_string(hint, "share", ""), "container", "pod", "shared")) {
            log_warn(LOG_CLI,
                     "annotations spec.mount.%s.*: ignored, type (tmpfs, bind) or share "
                     "(container, pod, shared) is missing or unknown",
                     name);
            json_object_del(hints, name);
        }
    }
    json_object_foreach(hints, name, hint)
    {
        const char *source = json_get_string(hint, "source", "");

        json_object_foreach(hints, other, h)
        {
            if (*source && strcmp(name, other) && !strcmp(source, json_get_string(h, "source", "")))
                return err_set(e, "annotations: mounts \"%s\" and \"%s\" have the same source %s",
                               name, other, source);
        }
    }
    return 0;
}

/* Kubernetes' emptyDir: .../pods/UID/volumes/kubernetes.io~empty-dir/NAME. */
static bool is_empty_dir(const char *source, const char *pod_uid, const char *name)
{
    char *tail = NULL, *pod = NULL;
    bool found = false;
    size_t n = strlen(source);

    if (asprintf(&tail, "/volumes/kubernetes.io~empty-dir/%s", name) < 0)
        return false;
    if (n > strlen(tail) && !strcmp(source + n - strlen(tail), tail)) {
        found = !*pod_uid;
        if (!found && asprintf(&pod, "/pods/%s/", pod_uid) >= 0)
            found = strstr(source, pod) != NULL;
    }
    free(tail);
    free(pod);
    return found;
}

static const char *hint_for(json_t *hints, const json_t *annotations, const char *source,
                            json_t **out)
{
    const char *uid = json_get_string(annotations, "io.kubernetes.cri.sandbox-uid", "");
    const char *name;
    json_t *hint;

    json_object_foreach(hints, name, hint)
    {
        const char *wanted = json_get_string(hint, "source", "");

        *out = hint;
        if (*wanted ? !strcmp(wanted, source) : is_empty_dir(source, uid, name))
            return name;
    }
    return NULL;
}

static bool has_mode_or_owner(const char *options)
{
    return strstr(options, "mode=") || strstr(options, "uid=") || strstr(options, "gid=");
}

/* The mount's own options without what makes it a bind mount, those of the hint, and the directory's mode and owner. */
static json_t *tmpfs_options(const json_t *mount, const char *hint_options, struct err *e)
{
    static const char *const bind_words[] = {"bind", "rbind", "idmap", "ridmap"};
    const char *source = json_get_string(mount, "source", "");
    json_t *list = json_array(), *o;
    char *copy = strdup(hint_options), *save = NULL;
    struct stat st;
    size_t i;

    if (!copy) {
        json_decref(list);
        (void)err_errno(e, ENOMEM, "annotations");
        return NULL;
    }
    json_array_foreach(json_object_get(mount, "options"), i, o)
    {
        const char *word = json_string_value(o);
        bool drop = false;

        for (size_t k = 0; k < ARRAY_COUNT(bind_words); k++)
            drop = drop || !strcmp(bind_words[k], word);
        if (!drop)
            json_array_append(list, o);
    }
    for (char *word = strtok_r(copy, ",", &save); word; word = strtok_r(NULL, ",", &save)) {
        if (strcmp(word, "rw")) /* the mount itself may say ro */
            json_array_append_new(list, json_string(word));
    }
    free(copy);
    if (!has_mode_or_owner(hint_options) && stat(source, &st) == 0)
        json_array_append_new(
            list, json_sprintf("mode=%o,uid=%u,gid=%u", st.st_mode & 07777, st.st_uid, st.st_gid));
    return list;
}

static int apply_hint(json_t *mount, const char *name, const json_t *hint, struct err *e)
{
    const char *share = json_get_string(hint, "share", "");
    json_t *options;

    if (strcmp(json_get_string(hint, "type", ""), "tmpfs")) {
        json_object_set_new(mount, "exclusive", json_boolean(!strcmp(share, "container")));
        return 0;
    }
    if (!strcmp(share, "shared"))
        return 0; /* others outside look at it */
    options = tmpfs_options(mount, json_get_string(hint, "options", ""), e);
    if (!options)
        return -1;
    json_object_set_new(mount, "options", options);
    json_object_set_new(mount, "type", json_string("tmpfs"));
    json_object_set_new(mount, "volume", json_string(name));
    json_object_del(mount, "uidMappings");
    json_object_del(mount, "gidMappings");
    return 0;
}

static int apply_hints(json_t *spec, json_t *hints, const json_t *annotations, struct err *e)
{
    json_t *mount, *hint;
    size_t i;

    json_array_foreach(json_object_get(spec, "mounts"), i, mount)
    {
        const char *source = json_get_string(mount, "source", ""), *name;

        name = sandbox_tree_is_bind(mount) ? hint_for(hints, annotations, source, &hint) : NULL;
        if (name && apply_hint(mount, name, hint, e) < 0)
            return -1;
    }
    return 0;
}

json_t *annotations_mounts(const json_t *annotations, const json_t *spec, struct err *e)
{
    json_t *hints = json_object(), *out = NULL;

    if (for_each(annotations, "spec.mount.", add_hint, hints, e) == 0 &&
        check_hints(hints, e) == 0) {
        /* SAFETY: only the reference count changes. */
        out =
            json_object_size(hints) ? json_deep_copy(spec) : json_incref((json_t *)(uintptr_t)spec);
        if (!out) {
            (void)err_errno(e, ENOMEM, "annotations");
        } else if (apply_hints(out, hints, annotations, e) < 0) {
            json_decref(out);
            out = NULL;
        }
    }
    json_decref(hints);
    return out;
}
