#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# openssl and xz: hashing, encryption, keys, compression and back.
for tool in openssl xz; do command -v $tool >/dev/null || { echo "no $tool" >&2; exit 77; }; done
set -e
cat /usr/share/common-licenses/* >in
openssl dgst -sha256 in
openssl enc -aes-256-cbc -pbkdf2 -S 0102030405060708 -pass pass:x -in in -out e; md5sum e
openssl enc -d -aes-256-cbc -pbkdf2 -S 0102030405060708 -pass pass:x -in e | cmp - in && echo same
openssl genpkey -algorithm ed25519 -out k 2>/dev/null
openssl pkey -in k -pubout -out p
openssl pkeyutl -sign -rawin -inkey k -in in -out s; openssl pkeyutl -verify -rawin -pubin -inkey p -sigfile s -in in
openssl rand -hex 8 | wc -c
xz -k -T2 in; xz -t in.xz; xz -dc in.xz | cmp - in && echo same
gzip -9 -c in | gzip -dc | md5sum; bzip2 -c in 2>/dev/null | bzip2 -dc | md5sum
rm -f k p s e in.xz
