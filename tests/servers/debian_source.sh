#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# Real Debian source packages: zlib and hello are configured, built with gcc and make -j, and their test suites run.
# The sources are fetched once, outside of the sandbox; without network or deb-src the test is skipped.
. "$(dirname "$0")/lib"
need gcc make dpkg-source curl
cache=/tmp/runsc-c-test-sources
fetch() { # FILE DIRECTORY-IN-THE-POOL
    [ -s "$cache/$1" ] && return 0
    mkdir -p $cache
    curl -sf -m 60 -o "$cache/$1.part" "http://deb.debian.org/debian/pool/main/$2/$1" && mv "$cache/$1.part" "$cache/$1"
}
fetch zlib_1.2.13.dfsg.orig.tar.bz2 z/zlib || skip "no network for the sources of zlib"
fetch hello_2.10.orig.tar.gz h/hello || skip "no network for the sources of hello"
tar xf $cache/zlib_1.2.13.dfsg.orig.tar.bz2 && cd zlib* || exit 1
begin=$(now)
CFLAGS=-O1 ./configure >/dev/null && make -s -j2 >/dev/null 2>&1 && make -s test 2>&1 | grep -E '\*\*\*'
rate_since debian/zlib "$begin" 60 per-minute
cd .. && rm -rf zlib*
tar xf $cache/hello_2.10.orig.tar.gz && cd hello-* || exit 1
begin=$(now)
./configure -q >log 2>&1 && make -s -j2 >>log 2>&1 && make -k check 2>&1 | grep -E '^# (TOTAL|PASS|FAIL|ERROR)|^PASS|^FAIL'
rate_since debian/hello "$begin" 60 per-minute
./hello -g 'built here'
cd .. && rm -rf hello-*
