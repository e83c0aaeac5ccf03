/* SPDX-License-Identifier: Apache-2.0 */
/* Host calls on /dev/kvm and what is made with it (Documentation/virt/kvm/api.rst of Linux). */
#pragma once

#include "platform/base/compiler.h"

/* -errno, or what the request returns. request: KVM_*, arg: a number. */
int host_kvm_number(int fd, unsigned long request, unsigned long arg);
/* arg: what the request points to. */
int host_kvm(int fd, unsigned long request, void *arg);
