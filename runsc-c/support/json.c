/* SPDX-License-Identifier: Apache-2.0 */
#include "runsc-c/support/json.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

json_t *json_bytes(const char *s)
{
    static const char digits[] = "0123456789abcdef";
    json_t *v = json_string(s);
    size_t len = strlen(s);
    char *hex;

    if (v)
        return v;
    hex = malloc(2 * len + 1);
    if (!hex)
        return NULL;
    for (size_t i = 0; i < len; i++) {
        hex[2 * i] = digits[(unsigned char)s[i] >> 4];
        hex[2 * i + 1] = digits[s[i] & 15];
    }
    hex[2 * len] = '\0';
    v = json_pack("{s:s}", "hex", hex);
    free(hex);
    return v;
}

const char *json_get_string(const json_t *obj, const char *name, const char *fallback)
{
    const char *s = json_string_value(json_object_get(obj, name));

    return s ? s : fallback;
}

int json_save(const json_t *v, const char *path, struct err *e)
{
    char tmp[4200];

    snprintf(tmp, sizeof(tmp), "%s.tmp", path);
    if (json_dump_file(v, tmp, JSON_INDENT(2)) < 0)
        return err_errno(e, errno, "cannot write %s", tmp);
    if (rename(tmp, path) < 0)
        return err_errno(e, errno, "cannot rename %s to %s", tmp, path);
    return 0;
}
