#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# Builds: make -j4 with a job server, cmake with ninja and ctest, a shared library, a static one, gcc -flto, pkg-config, install, strip, ar.
. "$(dirname "$0")/../../servers/lib"
need gcc make cmake ninja
mkdir p && cd p || exit 1
for i in $(seq 24); do printf '#include "p.h"\nint f%d(int x) { return x + %d; }\n' "$i" "$i" >"f$i.c"; done
{ echo '#pragma once'; for i in $(seq 24); do echo "int f$i(int);"; done; } >p.h
{ echo '#include "p.h"'; echo '#include <stdio.h>'; echo 'int main(void) { int s = 0;'; for i in $(seq 24); do echo "s = f$i(s);"; done; echo 'printf("%d\n", s); return s != 300; }'; } >main.c
cat >CMakeLists.txt <<'END'
cmake_minimum_required(VERSION 3.20)
project(p C)
file(GLOB fs f*.c)
add_library(fs SHARED ${fs})
add_library(fa STATIC ${fs})
add_executable(shared main.c)
target_link_libraries(shared fs)
add_executable(static main.c)
target_link_libraries(static fa)
enable_testing()
add_test(NAME shared COMMAND shared)
add_test(NAME static COMMAND static)
install(TARGETS shared fs fa RUNTIME DESTINATION bin LIBRARY DESTINATION lib ARCHIVE DESTINATION lib)
END
cat >Makefile <<'END'
objs := $(patsubst %.c,%.o,$(wildcard *.c))
prog: $(objs)
	$(CC) -flto=2 -o $@ $^
%.o: %.c p.h
	$(CC) -O2 -flto -c -o $@ $<
sub: ; +$(MAKE) --no-print-directory -C . -f Makefile prog
clean: ; rm -f prog $(objs)
END
begin=$(now)
make -s -j4 sub && ./prog
rate_since build/make-j4 "$begin" 25 compiles/s
make -s -j4 prog
touch p.h && make -n prog | wc -l
make -s clean
begin=$(now)
cmake -G Ninja -B b -DCMAKE_BUILD_TYPE=Release -DCMAKE_INSTALL_PREFIX="$PWD/inst" . >/dev/null && ninja -C b -j4 | tail -1 | grep -o '100%\|\[[0-9]*/[0-9]*\] Linking.*' | sed 's/ .*//'
rate_since build/cmake-ninja "$begin" 50 compiles/s
ninja -C b -n | tail -1
(cd b && ctest -j2 2>/dev/null | grep 'tests passed')
cmake --install b --strip >/dev/null && find inst -type f -o -type l | sort && LD_LIBRARY_PATH=inst/lib inst/bin/shared
ar t b/libfa.a | wc -l
nm -D --defined-only b/libfs.so | grep -c ' T f'
cd .. && rm -rf p
