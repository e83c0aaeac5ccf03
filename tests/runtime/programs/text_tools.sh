#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# Coreutils in pipes over real text.
set -e
cat /usr/share/common-licenses/* >all
sort all | uniq -c | sort -rn | head -20
tr -cs 'A-Za-z' '\n' <all | sort | uniq -c | sort -k1,1nr -k2 | head -30
wc all
sort -R --random-source=all all | sort | md5sum
split -l 500 all part.
cat part.* | cmp - all && echo same
cut -c1-20 all | paste -s -d, | md5sum
seq 1 100000 | shuf --random-source=all | sort -n | tail -1
head -c 100000 all | od -c | md5sum
comm -12 /etc/passwd /etc/passwd | wc -l
join -t: /etc/passwd /etc/passwd 2>/dev/null | wc -l
expr 6 \* 7
printf '%s\n' a b c | tac | rev | nl
grep -rl Copyright /usr/share/common-licenses | sort
sed -n 's/.*\(GNU[^ ]*\).*/\1/p' all | sort -u | head
awk '{ n += NF } END { print n }' all
