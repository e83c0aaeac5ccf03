/* SPDX-License-Identifier: Apache-2.0 */
#include "sentry/boot/config.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "platform/base/log.h"

const char *boot_string(const json_t *obj, const char *name, const char *fallback)
{
    const char *s = json_string_value(json_object_get(obj, name));

    return s ? s : fallback;
}

int64_t boot_int(const json_t *obj, const char *name, int64_t fallback)
{
    const json_t *v = json_object_get(obj, name);

    return json_is_integer(v) ? json_integer_value(v) : fallback;
}

static int hex_digit(char c)
{
    return c >= 'a' ? c - 'a' + 10 : c - '0';
}

void *boot_hex(const char *hex, size_t *out_size)
{
    size_t len = strlen(hex) / 2;
    char *out = malloc(len + 1);

    if (!out)
        return NULL;
    for (size_t i = 0; i < len; i++)
        out[i] = (char)(hex_digit(hex[2 * i]) << 4 | hex_digit(hex[2 * i + 1]));
    out[len] = '\0';
    *out_size = len;
    return out;
}

char *boot_bytes(const json_t *v)
{
    const char *hex;
    size_t len;

    if (json_is_string(v))
        return strdup(json_string_value(v));
    hex = json_string_value(json_object_get(v, "hex"));
    return hex ? boot_hex(hex, &len) : NULL;
}

char **boot_strings(const json_t *array)
{
    size_t count = json_array_size(array), i;
    char **out = calloc(count + 1, sizeof(char *));
    const json_t *v;

    if (!out)
        return NULL;
    json_array_foreach(array, i, v)
    {
        out[i] = boot_bytes(v);
        if (!out[i]) {
            boot_strings_free(out);
            return NULL;
        }
    }
    return out;
}

void boot_strings_free(char **strings)
{
    if (!strings)
        return;
    for (char **s = strings; *s; s++)
        free(*s);
    free(strings);
}

struct fd_source {
    const int *received; /* or NULL */
    size_t count;
};

static int donated(const struct fd_source *src, int64_t number)
{
    if (number < 0 || !src->received)
        return (int)number;
    number -= BOOT_FD_FIRST;
    return number >= 0 && (size_t)number < src->count ? src->received[number] : -1;
}

static int load_trees(struct boot_config *c, const struct fd_source *src)
{
    const json_t *list = json_object_get(c->json, "trees"), *v;
    size_t i;

    c->tree_count = json_array_size(list);
    c->trees = calloc(c->tree_count ? c->tree_count : 1, sizeof(struct boot_tree));
    if (!c->trees)
        return -ENOMEM;
    json_array_foreach(list, i, v)
    {
        c->trees[i] = (struct boot_tree){
            .fd = donated(src, boot_int(v, "fd", -1)),
            .watch_fd = -1,
            .mount = (int)boot_int(v, "mount", -1),
            .readonly = json_is_true(json_object_get(v, "readonly")),
            .shared = json_is_true(json_object_get(v, "shared")),
        };
    }
    return 0;
}

static int load_descriptors(struct boot_config *c, const struct fd_source *src)
{
    const json_t *list = json_object_get(c->json, "preserved"), *v;
    size_t i;

    for (i = 0; i < 3; i++) {
        v = json_array_get(json_object_get(c->json, "stdio"), i);
        c->stdio[i] = json_is_integer(v) ? donated(src, json_integer_value(v)) : -1;
    }
    c->console_fd = donated(src, boot_int(c->json, "console", -1));
    c->preserved_count = json_array_size(list);
    c->preserved = calloc(c->preserved_count + 1, sizeof(int));
    if (!c->preserved)
        return -ENOMEM;
    json_array_foreach(list, i, v)
    {
        c->preserved[i] = donated(src, json_integer_value(v));
    }
    return load_trees(c, src);
}

static size_t read_chunk(void *buf, size_t size, void *fd)
{
    ssize_t n = read(*(const int *)fd, buf, size);

    return n < 0 ? (size_t)-1 : (size_t)n;
}

/* json_loadfd reads byte by byte: thousands of host calls for a config.json. */
json_t *boot_json_load(int fd, json_error_t *error)
{
    return json_load_callback(read_chunk, &fd, 0, error);
}

int boot_config_load(int fd, const int *received, size_t received_count, struct boot_config *c)
{
    const struct fd_source src = {received, received_count};
    const json_t *log, *strace;
    const char *lanes;
    json_error_t error;

    *c = (struct boot_config){.json = boot_json_load(fd, &error)};
    if (!c->json) {
        log_error(LOG_BOOT, "configuration: %s at %d:%d", error.text, error.line, error.column);
        return -EINVAL;
    }
    log = json_object_get(c->json, "log");
    strace = json_object_get(c->json, "strace");
    c->spec = json_object_get(c->json, "spec");
    c->id = boot_string(c->json, "id", "?");
    c->platform = boot_string(c->json, "platform", "auto");
    lanes = boot_string(c->json, "lanes", "auto");
    c->lanes = !strcmp(lanes, "off")     ? PLATFORM_LANES_OFF
               : !strcmp(lanes, "eager") ? PLATFORM_LANES_EAGER
                                         : PLATFORM_LANES_AUTO;
    c->network = boot_string(c->json, "network", "none");
    c->overlay = strcmp(boot_string(c->json, "overlay", ""), "none") ? BOOT_OVERLAY_MEMORY
                                                                     : BOOT_OVERLAY_NONE;
    c->overlay_size = (uint64_t)boot_int(c->json, "overlay_size", 0);
    c->rseq = json_is_true(json_object_get(c->json, "rseq"));
    c->control_fd = (int)boot_int(c->json, "control", -1);
    c->listen_fd = (int)boot_int(c->json, "listen", -1);
    c->device_fd = (int)boot_int(c->json, "device", -1);
    c->strace_fd = (int)boot_int(strace, "fd", -1);
    c->strace_json = !strcmp(boot_string(strace, "format", "text"), "json");
    c->log_fd = (int)boot_int(log, "fd", -1);
    c->log_json = !strcmp(boot_string(log, "format", "text"), "json");
    c->debug = json_is_true(json_object_get(log, "debug"));
    c->started = (uint64_t)boot_int(log, "started", 0);
    c->standalone = json_is_true(json_object_get(c->json, "standalone"));
    c->share_pid = json_is_true(json_object_get(c->json, "share_pid"));
    return load_descriptors(c, &src);
}

void boot_config_destroy(struct boot_config *c)
{
    json_decref(c->json);
    free(c->trees);
    free(c->preserved);
    *c = (struct boot_config){0};
}
