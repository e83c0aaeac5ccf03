#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# 64 MiB through a pipe.
head -c 67108864 /dev/zero | cat | md5sum
head -c 67108864 /dev/zero | tr '\0' 'x' | dd bs=64k 2>/dev/null | wc -c
yes | head -c 1000000 | md5sum
