#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# Archives through pipes and onto disk.
set -e
tar cz -C /usr/share common-licenses perl5 doc/bash 2>/dev/null | tar tz | sort | md5sum
tar c -C /usr/share common-licenses | tar x
find common-licenses -type f -exec md5sum {} + | sort
cp -a common-licenses copy
diff -r common-licenses copy && echo equal
ln common-licenses/GPL-3 hard
stat -c %h hard
tar cf a.tar copy
tar tf a.tar | wc -l
rm -r copy common-licenses a.tar
