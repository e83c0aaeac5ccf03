/* SPDX-License-Identifier: Apache-2.0 */
#include "runsc-c/container/pod.h"

#include <string.h>

#include "runsc-c/oci/namespaces.h"
#include "runsc-c/support/json.h"

static const struct {
    const char *type, *sandbox;
} g_annotations[] = {
    {"io.kubernetes.cri.container-type", "io.kubernetes.cri.sandbox-id"},
    {"io.kubernetes.cri-o.ContainerType", "io.kubernetes.cri-o.SandboxID"},
    {"org.runsc-c.container-type", "org.runsc-c.sandbox-id"},
};

const char *pod_sandbox_of(const json_t *spec)
{
    const json_t *a = json_object_get(spec, "annotations");

    for (size_t i = 0; i < ARRAY_COUNT(g_annotations); i++) {
        if (!strcmp(json_get_string(a, g_annotations[i].type, ""), "container"))
            return json_string_value(json_object_get(a, g_annotations[i].sandbox));
    }
    return NULL;
}

bool pod_shares_pid(const json_t *spec)
{
    const json_t *list = json_object_get(json_object_get(spec, "linux"), "namespaces");

    return *json_get_string(namespaces_find(list, "pid"), "path", "") != '\0';
}
