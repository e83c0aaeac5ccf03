#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# A sparse file of 1 GiB: holes read as zeros, data where it was put.
set -e
truncate -s 1G big
printf begin | dd of=big conv=notrunc 2>/dev/null
printf end | dd of=big bs=1 seek=1073741821 conv=notrunc 2>/dev/null
stat -c '%s' big
[ "$(stat -c %b big)" -lt 1000 ] && echo sparse
head -c 8 big | od -c
tail -c 8 big | od -c
dd if=big bs=1M skip=512 count=1 2>/dev/null | md5sum
rm big
