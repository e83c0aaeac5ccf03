/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The sentry's configuration as C. The JSON comes from our own command, which checked it; a member
 * of the wrong type is a bug there and ends the sentry with a message.
 */
#pragma once

#include <jansson.h>

#include "platform/base/compiler.h"
#include "platform/platform.h"

/* Number of the first donated descriptor in a configuration. */
enum { BOOT_FD_FIRST = 3 };

struct boot_tree {
    int fd;       /* gofer session */
    int watch_fd; /* the same, kept by boot to see its end */
    int mount;    /* index into spec.mounts, -1: the root */
    bool readonly, shared;
};

enum boot_overlay { BOOT_OVERLAY_MEMORY, BOOT_OVERLAY_NONE };

struct boot_config {
    json_t *json; /* owned; strings below are borrowed from it */
    const json_t *spec;
    const char *id, *platform, *network;
    enum platform_lanes lanes;
    bool rseq;
    enum boot_overlay overlay;
    uint64_t overlay_size;   /* bytes that fit into the overlay in memory, 0: the default */
    struct boot_tree *trees; /* owned */
    size_t tree_count;
    int control_fd, listen_fd, console_fd, strace_fd, log_fd; /* -1: none */
    int device_fd;                                            /* platform_device's, or -1 */
    uint64_t started; /* of the command, for log_phases_from */
    bool strace_json, log_json, debug;
    int stdio[3];   /* host descriptors of the program's 0-2, -1: it starts without */
    int *preserved; /* owned; its 3, 4, ... */
    size_t preserved_count;
    bool standalone; /* `do`: the first process has no pid-1 protection */
    bool share_pid;  /* a container that joins the pid namespace of the sandbox's first one */
};

/* Reads the JSON in fd. received: NULL when descriptors have the numbers that the configuration
 * says (a sandbox's start), else the array that number FIRST + i stands for (a request). */
int boot_config_load(int fd, const int *received, size_t received_count, struct boot_config *out);
void boot_config_destroy(struct boot_config *c);

/* The JSON that fd holds, read in large pieces; NULL and *error, which may be NULL. */
json_t *boot_json_load(int fd, json_error_t *error);

/* Member as a string of bytes: a JSON string or {"hex": "..."}. Allocated; NULL when absent or out
 * of memory. */
char *boot_bytes(const json_t *v);
/* The bytes of a string of hexadecimal digits; *out_size of them, allocated. */
void *boot_hex(const char *hex, size_t *out_size);
/* NULL-terminated array of boot_bytes of a JSON array; NULL when out of memory. */
char **boot_strings(const json_t *array);
void boot_strings_free(char **strings);
const char *boot_string(const json_t *obj, const char *name, const char *fallback);
int64_t boot_int(const json_t *obj, const char *name, int64_t fallback);
