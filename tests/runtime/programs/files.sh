#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# Making, linking, renaming, truncating and removing files.
set -e
mkdir -p a/b/c d
echo one >a/b/c/f
ln -s ../b/c/f a/b/link 2>/dev/null || true
ln -s c/f a/b/link2
cat a/b/link2
mv a/b/c/f a/b/g
cat a/b/link2 || echo dangling
ln a/b/g hard
chmod 0640 hard
stat -c '%a %h %s' a/b/g
truncate -s 5000 hard
stat -c '%s' a/b/g
dd if=/dev/zero of=sparse bs=1 count=0 seek=1M 2>/dev/null
stat -c '%s' sparse
rmdir d
rmdir a || echo "a: not empty"
mkdir x y
touch x/1 y/1
mv -T x y || echo "y: not empty"
rm y/1
mv -T x y
ls y
touch -d '2001-02-03 04:05:06.789' stamp
stat -c '%Y %y' stamp
cp -p stamp stamp2
[ stamp -ot hard ] && echo older
test -e nothing || echo nothing
mkfifo pipe
(echo through >pipe &) ; cat pipe
rm pipe
umask 027
touch u
stat -c %a u
