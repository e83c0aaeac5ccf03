#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# Positions, appends and block sizes.
set -e
seq 1 2000 >a
dd if=a bs=7 skip=3 count=10 2>/dev/null
dd if=a of=b bs=13 seek=5 2>/dev/null; cmp b - <b; stat -c %s b
printf X | dd of=b bs=1 seek=10 conv=notrunc 2>/dev/null; od -c b | head -3
echo tail >>a; tail -n 2 a
dd if=a iflag=fullblock bs=1M 2>/dev/null | md5sum
cat a a a >c; head -c -10 c | tail -c 20
exec 5<a; read -r x <&5; read -r y <&5; echo "$x $y"
(read -r z <&5; echo "$z"); read -r w <&5; echo "$w"
tee d e <a >/dev/null; cmp d e && echo same
shred -n 1 -u d; ls d 2>/dev/null || echo gone
fallocate -l 10000 f; stat -c %s f
sync a
install -m 0751 a g; stat -c %a g
xargs -n 3 echo <a | tail -1
find . -newer a -type f | sort
