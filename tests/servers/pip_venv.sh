#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# python: a wheel is built, installed into a virtual environment without network, run, compiled, removed; zipapp, unittest in parallel.
. "$(dirname "$0")/lib"
need python3
python3 -c 'import venv, ensurepip, setuptools, wheel' 2>/dev/null || skip "no venv, setuptools or wheel"
export PIP_NO_INDEX=1 PIP_DISABLE_PIP_VERSION_CHECK=1 PIP_NO_CACHE_DIR=1 SOURCE_DATE_EPOCH=1700000000 PYTHONDONTWRITEBYTECODE=1
mkdir -p pkg/pk && cd pkg || exit 1
printf 'from setuptools import setup, Extension\nsetup(name="pk", version="1.2", packages=["pk"], ext_modules=[Extension("pk._c", ["c.c"])], entry_points={"console_scripts": ["pk-run = pk:main"]})\n' >setup.py
printf 'from . import _c\n\ndef main():\n    print("sum", _c.add(40, 2))\n' >pk/__init__.py
cat >c.c <<'END'
#include <Python.h>
static PyObject *add(PyObject *s, PyObject *a) { int x, y; if (!PyArg_ParseTuple(a, "ii", &x, &y)) return NULL; return PyLong_FromLong(x + y); }
static PyMethodDef m[] = {{"add", add, METH_VARARGS, ""}, {0}};
static struct PyModuleDef d = {PyModuleDef_HEAD_INIT, "_c", NULL, -1, m};
PyMODINIT_FUNC PyInit__c(void) { return PyModule_Create(&d); }
END
begin=$(now)
python3 setup.py -q bdist_wheel >log 2>&1 && ls dist || tail -5 log
cd .. || exit 1
python3 -m venv env && env/bin/pip -q install pkg/dist/*.whl && env/bin/pip list 2>/dev/null | grep pk
rate_since python/wheel-venv-pip "$begin" 60 per-minute
env/bin/pk-run
env/bin/pip -q uninstall -y pk && env/bin/python -c 'import pk' 2>&1 | tail -1
python3 -m compileall -q -j 2 /usr/lib/python3.11/json --invalidation-mode unchecked-hash -d x -s /usr -p /q -o 1 >/dev/null 2>&1; echo "compileall $?"
mkdir app && echo 'print("zipapp runs")' >app/__main__.py && python3 -m zipapp app -o app.pyz && python3 app.pyz
rm -rf pkg env app app.pyz .cache
