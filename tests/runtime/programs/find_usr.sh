#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# A walk over the largest tree of the machine, names only.
find /usr/bin /usr/lib /usr/share -type f | sort | md5sum
find /usr/share -type l -printf '%p %l\n' | sort | md5sum
find /usr/bin -maxdepth 1 -printf '%m %u %g %s %T@ %n %p\n' | sort | sed 's/ [0-9]* \(\/usr\/bin\)$/ \1/' | md5sum
