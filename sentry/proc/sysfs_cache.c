/* SPDX-License-Identifier: Apache-2.0 */
/*
 * /sys/devices/system/cpu/cpuN/cache from the cpuid instruction, which guests can execute
 * themselves. The sandbox shows one socket of single-threaded cores: caches of level 3 are shared by
 * all, those below belong to one CPU.
 */
#include <cpuid.h>
#include <stdio.h>
#include <string.h>

#include "sentry/proc/proc_internal.h"
#include "sentry/proc/sysfs_internal.h"

enum {
    LEAF_INTEL = 4,
    LEAF_AMD = 0x8000001d,
    INDEX_MAX = 16,
    SHARED_LEVEL = 3,
    TYPE_DATA = 1,
    TYPE_INSTRUCTION = 2,
};

struct cache {
    uint32_t type, level, line, partitions, ways, sets;
};

static bool read_leaf(uint32_t leaf, uint32_t index, struct cache *out)
{
    uint32_t a, b, c, d;

    if (!__get_cpuid_count(leaf, index, &a, &b, &c, &d) || (a & 0x1f) == 0)
        return false;
    *out = (struct cache){
        .type = a & 0x1f,
        .level = (a >> 5) & 7,
        .line = (b & 0xfff) + 1,
        .partitions = ((b >> 12) & 0x3ff) + 1,
        .ways = (b >> 22) + 1,
        .sets = c + 1,
    };
    return true;
}

static bool read_cache(uint32_t index, struct cache *out)
{
    struct cache first;

    if (index >= INDEX_MAX)
        return false;
    return read_leaf(read_leaf((uint32_t)LEAF_AMD, 0, &first) ? (uint32_t)LEAF_AMD : LEAF_INTEL,
                     index, out);
}

/* arg of a cache's node: CPU below, index above. */
static uint32_t cpu_of(const struct pseudo_node *n)
{
    return (uint32_t)n->arg;
}

static struct cache cache_of(const struct pseudo_node *n)
{
    struct cache c = {0};

    (void)read_cache((uint32_t)(n->arg >> 32), &c); /* it was there when the node was made */
    return c;
}

static int show_level(struct pseudo_node *n, struct pbuf *b)
{
    pbuf_printf(b, "%u\n", cache_of(n).level);
    return 0;
}

static int show_type(struct pseudo_node *n, struct pbuf *b)
{
    uint32_t type = cache_of(n).type;

    pbuf_puts(b, type == TYPE_DATA          ? "Data\n"
                 : type == TYPE_INSTRUCTION ? "Instruction\n"
                                            : "Unified\n");
    return 0;
}

static int show_size(struct pseudo_node *n, struct pbuf *b)
{
    struct cache c = cache_of(n);

    pbuf_printf(b, "%lluK\n", (unsigned long long)c.line * c.partitions * c.ways * c.sets / 1024);
    return 0;
}

static int show_line(struct pseudo_node *n, struct pbuf *b)
{
    pbuf_printf(b, "%u\n", cache_of(n).line);
    return 0;
}

static int show_partitions(struct pseudo_node *n, struct pbuf *b)
{
    pbuf_printf(b, "%u\n", cache_of(n).partitions);
    return 0;
}

static int show_sets(struct pseudo_node *n, struct pbuf *b)
{
    pbuf_printf(b, "%u\n", cache_of(n).sets);
    return 0;
}

static int show_ways(struct pseudo_node *n, struct pbuf *b)
{
    pbuf_printf(b, "%u\n", cache_of(n).ways);
    return 0;
}

static int show_id(struct pseudo_node *n, struct pbuf *b)
{
    pbuf_printf(b, "%u\n", cache_of(n).level >= SHARED_LEVEL ? 0 : cpu_of(n));
    return 0;
}

static int show_shared_map(struct pseudo_node *n, struct pbuf *b)
{
    if (cache_of(n).level >= SHARED_LEVEL)
        sysfs_put_cpu_mask(b, kernel_cpus());
    else
        sysfs_put_one_cpu(b, cpu_of(n));
    return 0;
}

static int show_shared_list(struct pseudo_node *n, struct pbuf *b)
{
    if (cache_of(n).level >= SHARED_LEVEL)
        pbuf_put_cpu_list(b, kernel_cpus());
    else
        pbuf_printf(b, "%u", cpu_of(n));
    pbuf_putc(b, '\n');
    return 0;
}

static const struct pseudo_entry index_table[] = {
    PSEUDO_FILE("coherency_line_size", 0444, show_line),
    PSEUDO_FILE("id", 0444, show_id),
    PSEUDO_FILE("level", 0444, show_level),
    PSEUDO_FILE("number_of_sets", 0444, show_sets),
    PSEUDO_FILE("physical_line_partition", 0444, show_partitions),
    PSEUDO_FILE("shared_cpu_list", 0444, show_shared_list),
    PSEUDO_FILE("shared_cpu_map", 0444, show_shared_map),
    PSEUDO_FILE("size", 0444, show_size),
    PSEUDO_FILE("type", 0444, show_type),
    PSEUDO_FILE("ways_of_associativity", 0444, show_ways),
    {0},
};

static const struct pseudo_entry index_entry = {
    .name = "index",
    .mode = 0040755,
    .children = index_table,
};

static int cache_lookup(struct pseudo_node *dir, const char *name, size_t len,
                        struct pseudo_node **out)
{
    int64_t nr = len > 5 && memcmp(name, "index", 5) == 0 ? pseudo_parse_nr(name + 5, len - 5) : -1;
    struct cache c;
    int ret;

    *out = NULL;
    if (nr < 0 || nr >= INDEX_MAX || !read_cache((uint32_t)nr, &c))
        return 0;
    ret = pseudo_node_new(dir, &index_entry, name, len, out);
    if (ret == 0)
        (*out)->arg = (uint64_t)nr << 32 | cpu_of(dir);
    return ret;
}

static int cache_next(struct pseudo_node *dir, uint64_t *cookie, struct pseudo_name *out)
{
    struct cache c;

    if (*cookie >= INDEX_MAX || !read_cache((uint32_t)*cookie, &c))
        return 0;
    snprintf(out->name, sizeof(out->name), "index%u", (uint32_t)*cookie);
    out->mode = 0040755;
    *cookie += 1;
    return 1;
}

const struct pseudo_dir sysfs_cache_dir = {.lookup = cache_lookup, .next = cache_next};
