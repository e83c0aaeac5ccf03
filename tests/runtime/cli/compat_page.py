#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""compat_page.py PAGE [PICTURES]: checks the page that compat_page.sh made; writes pictures to a folder."""
import os
import sys

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "../../support"))
from chromium import Page  # noqa: E402

VISIBLE = "[...document.querySelectorAll('details.p')].filter(d => !d.hidden)"
failed = []


def check(what, got, want):
    if got != want:
        failed.append(what)
        print("%s: %r, wanted %r" % (what, got, want))


def main(path, pictures):
    url = "file://" + path
    page = Page(url)
    try:
        check("programs", page.eval("document.querySelectorAll('details.p').length"), 9)
        check("shown", page.eval("document.getElementById('shown').textContent"), "9 of 9 programs")
        check("figure", page.eval("document.querySelector('[data-platform=ptrace] .figure').textContent"), "3 of 9 pass")
        check("differ", page.eval("document.querySelector('[data-platform=ptrace] .counts').textContent"),
              "5 differ, 0 fail, 1 skip, 0 timeout, 0 expected")
        # Hostile output is text.
        check("title", page.eval("document.title.startsWith('compat: ')"), True)
        check("elements", page.eval("document.querySelectorAll('img, iframe, object, script[src]').length"), 0)
        check("output", page.eval("document.body.textContent.includes('<script>document.title=\"owned\"')"), True)
        check("requests", [r for r in page.requests() if r != url], [])
        # Filter by verdict, by name, by system call.
        page.eval("document.querySelector('[data-verdict=differ]').click()")
        check("without differ", page.eval(VISIBLE + ".length"), 4)
        page.eval("document.querySelector('[data-verdict=differ]').click()")
        page.key("/")
        for letter in "output_d":
            page.key(letter)
        check("by name", page.eval(VISIBLE + ".map(d => d.dataset.name).join()"), "output_differs")
        page.key("Escape")
        check("all again", page.eval(VISIBLE + ".length"), 9)
        page.eval("query.value = 'mkdir'; query.dispatchEvent(new Event('input'))")
        check("by call", page.eval(VISIBLE + ".map(d => d.dataset.name).sort().join()"), "leaves_links,same")
        page.eval("query.value = 'nothing like it'; query.dispatchEvent(new Event('input'))")
        check("empty", page.eval("document.getElementById('empty').hidden"), False)
        page.eval("query.value = ''; query.dispatchEvent(new Event('input'))")
        # Sort: descending names at the second click.
        page.eval("document.querySelector('[data-sort=name]').click()")
        page.eval("document.querySelector('[data-sort=name]').click()")
        check("sorted", page.eval(VISIBLE + "[0].dataset.name"), "status_differs")
        page.eval("document.querySelector('[data-sort=verdict]').click()")
        check("by verdict", page.eval(VISIBLE + ".at(-1).dataset.name"), "skips")
        # A row opens with the keyboard and shows both sides.
        page.eval("document.querySelector('[data-name=output_differs] summary').focus()")
        page.key("Enter", "\r")
        check("open", page.eval("document.querySelector('[data-name=output_differs]').open"), True)
        check("marked", page.eval("[...document.querySelectorAll('[data-name=output_differs] pre b')].length"), 2)
        check("calls", page.eval("document.querySelectorAll('[data-name=output_differs] .calls li').length > 10"), True)
        if os.path.exists("/usr/bin/strace"):
            check("traces", page.eval("document.querySelectorAll('[data-name=output_differs] tr.at').length"), 1)
        check("wide", page.eval("document.documentElement.scrollWidth <= innerWidth"), True)
        if pictures:
            page.picture(os.path.join(pictures, "light.png"))
    finally:
        page.close()
    page = Page(url, dark=True, width=500)
    try:
        check("dark", page.eval("getComputedStyle(document.body).backgroundColor"), "rgb(20, 23, 28)")
        check("narrow", page.eval("document.documentElement.scrollWidth <= innerWidth"), True)
        page.eval("document.getElementById('open').click()")
        check("all open", page.eval("document.querySelectorAll('details.p[open]').length"), 9)
        check("narrow and open", page.eval("document.documentElement.scrollWidth <= innerWidth"), True)
        if pictures:
            page.picture(os.path.join(pictures, "dark.png"))
    finally:
        page.close()
    return 1 if failed else 0


sys.exit(main(sys.argv[1], sys.argv[2] if len(sys.argv) > 2 else ""))
