#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# gcc: a project of several files with make -j2, a shared library, and the program run.
for tool in gcc make; do command -v $tool >/dev/null || { echo "no $tool" >&2; exit 77; }; done
set -e
for i in 1 2 3 4 5 6; do
    printf '#include <stdio.h>\n#include "f.h"\nint f%d(int x) { printf("f%d %%d\\n", x); return x + %d; }\n' $i $i $i >f$i.c
done
{ echo '#pragma once'; for i in 1 2 3 4 5 6; do echo "int f$i(int);"; done; } >f.h
cat >main.c <<'END'
#include "f.h"
#include <math.h>
#include <stdio.h>
int main(void) { int x = f1(f2(f3(0))); x = f4(f5(f6(x))); printf("%d %.3f\n", x, sqrt(x)); return x; }
END
cat >Makefile <<'END'
O = f1.o f2.o f3.o main.o
all: prog
prog: $(O) libf.so
	gcc -o $@ $(O) -L. -lf -Wl,-rpath,'$$ORIGIN' -lm
libf.so: f4.c f5.c f6.c
	gcc -O2 -fPIC -shared -o $@ $^
%.o: %.c f.h
	gcc -O2 -g -c -o $@ $<
END
make -s -j2
./prog || echo "exit $?"
touch f2.c; make -n | grep -c gcc
ar rc libx.a f1.o f2.o; ar t libx.a
nm libf.so | grep -c ' T f'
echo 'int main(void) { return 7; }' | gcc -x c -static -o st - && { ./st || echo "static $?"; }
echo 'int main(void) { return 8; }' | gcc -x c -static-pie -fPIE -o sp - && { ./sp || echo "static-pie $?"; }
echo 'int main( { }' | gcc -x c - 2>/dev/null || echo "error $?"
rm -f prog libf.so ./*.o libx.a st sp
