/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The page: one file, no resource from elsewhere, and a policy that forbids any (nothing but the
 * style and the script with this page's random nonce runs). Everything that comes from a program
 * passes put_text, the only way to write a string that is not a constant of this file.
 */
#include <errno.h>
#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>
#include <unistd.h>

#include "runsc-c/compat/compat.h"
#include "runsc-c/version.h"

extern const char g_page_css[], g_page_js[]; /* page_assets.S */

/* ---- writing --------------------------------------------------------------------------------- */

static void put_bytes(FILE *f, const char *s, size_t size)
{
    for (size_t i = 0; i < size; i++) {
        switch (s[i]) {
        case '<':
            fputs("&lt;", f);
            break;
        case '>':
            fputs("&gt;", f);
            break;
        case '&':
            fputs("&amp;", f);
            break;
        case '"':
            fputs("&quot;", f);
            break;
        case '\'':
            fputs("&#39;", f);
            break;
        case '\0':
            fputs("\\0", f);
            break;
        default:
            fputc(s[i], f);
        }
    }
}

static void put_text(FILE *f, const char *s)
{
    put_bytes(f, s ? s : "", s ? strlen(s) : 0);
}

static const char *member(const json_t *v, const char *name)
{
    const char *s = json_string_value(json_object_get(v, name));

    return s ? s : "";
}

static void put_member(FILE *f, const json_t *v, const char *name)
{
    put_text(f, member(v, name));
}

static json_int_t number(const json_t *v, const char *name)
{
    return json_integer_value(json_object_get(v, name));
}

static void put_verdict(FILE *f, const json_t *side)
{
    const bool expected = json_object_get(side, "expected") != NULL;

    fprintf(f, "<span class=\"v %s%s\">%s</span>", member(side, "verdict"),
            expected ? " expected" : "", member(side, "verdict"));
    if (expected)
        fputs(" <span class=num>expected</span>", f);
    if (json_is_real(json_object_get(side, "seconds")))
        fprintf(f, " <span class=num>%.2f s</span>",
                json_real_value(json_object_get(side, "seconds")));
}

/* ---- the parts of a program ------------------------------------------------------------------ */

/* A window of a stream; lines that are not the other side's are marked. */
static void put_window(FILE *f, const char *text, const char *other)
{
    fputs("<pre tabindex=0>", f);
    while (*text) {
        size_t n = strcspn(text, "\n"), m = strcspn(other, "\n");
        bool same = n == m && strncmp(text, other, n) == 0;

        fputs(same ? "" : "<b>", f);
        put_bytes(f, text, n);
        fputs(same ? "\n" : "</b>", f);
        text += n + (text[n] == '\n');
        other += m + (other[m] == '\n');
    }
    fputs("</pre>", f);
}

static void put_stream(FILE *f, const json_t *d)
{
    fputs("<h4>", f);
    put_member(f, d, "what");
    fprintf(f, ": first difference in line %" JSON_INTEGER_FORMAT " (", number(d, "line"));
    put_member(f, d, "text");
    fputs(")</h4><div class=two><div><span>Linux</span>", f);
    put_window(f, member(d, "native"), member(d, "sandbox"));
    fputs("</div><div><span>sandbox</span>", f);
    put_window(f, member(d, "sandbox"), member(d, "native"));
    fputs("</div></div>", f);
}

static void put_differences(FILE *f, const json_t *side)
{
    const char *what;
    bool files = false;
    json_t *d;
    size_t i;

    json_array_foreach(json_object_get(side, "differences"), i, d)
    {
        what = member(d, "what");
        if (!strcmp(what, "status")) {
            fputs("<h4>status: ", f);
            put_member(f, d, "native");
            fputs(" on Linux, ", f);
            put_member(f, d, "sandbox");
            fputs(" in the sandbox</h4>", f);
        } else if (!strcmp(what, "file")) {
            fputs(files ? "" : "<h4>files</h4>", f);
            files = true;
            fputs("<div class=mono>", f);
            put_member(f, d, "name");
            fputs(": ", f);
            put_member(f, d, "text");
            fputs("</div>", f);
        } else {
            put_stream(f, d);
        }
    }
}

static void put_divergence(FILE *f, const json_t *v)
{
    const json_t *native = json_object_get(v, "native"), *sandbox = json_object_get(v, "sandbox");
    const json_t *same = json_object_get(v, "same");
    size_t n = json_array_size(native), m = json_array_size(sandbox);
    json_int_t at = number(v, "at"), first = number(v, "first");

    if (!v)
        return;
    fputs("<h4>system calls: ", f);
    put_member(f, v, "text");
    if (native)
        fprintf(f, " (thread %" JSON_INTEGER_FORMAT ", call %" JSON_INTEGER_FORMAT ")",
                number(v, "thread") + 1, first + at);
    fputs("</h4>", f);
    if (!native)
        return;
    fputs("<div class=scroll tabindex=0><table><thead><tr><th scope=col>call<th scope=col>Linux "
          "(strace)"
          "<th scope=col>sandbox (--strace)<tbody class=mono>",
          f);
    for (size_t i = 0; i < MAX(n, m); i++) {
        fprintf(f, "<tr%s><td>%" JSON_INTEGER_FORMAT "<td>",
                (json_int_t)i == at                     ? " class=at"
                : json_is_true(json_array_get(same, i)) ? ""
                                                        : " class=other",
                first + (json_int_t)i);
        put_text(f, i < n ? json_string_value(json_array_get(native, i)) : "");
        fputs("<td>", f);
        put_text(f, i < m ? json_string_value(json_array_get(sandbox, i)) : "");
    }
    fputs("</table></div>", f);
}

static void put_calls(FILE *f, const json_t *calls)
{
    static const char *const order[] = {"none", "stub", "partial", "impl"};
    json_t *c;
    size_t i;

    if (json_array_size(calls) == 0)
        return;
    fprintf(f, "<h4>%zu system calls used</h4><ul class=calls>", json_array_size(calls));
    for (size_t k = 0; k < ARRAY_COUNT(order); k++) {
        json_array_foreach(calls, i, c)
        {
            if (strcmp(member(c, "status"), order[k]))
                continue;
            fprintf(f, "<li class=\"mono %s\" title=\"%s%s", order[k], order[k],
                    *member(c, "note") ? ": " : "");
            put_member(f, c, "note");
            fputs("\">", f);
            put_member(f, c, "name");
            fprintf(f, " <small>&times;%" JSON_INTEGER_FORMAT, number(c, "count"));
            if (number(c, "errors"))
                fprintf(f, ", %" JSON_INTEGER_FORMAT " failed", number(c, "errors"));
            if (k < 3)
                fprintf(f, ", %s", order[k]);
            fputs("</small></li>", f);
        }
    }
    fputs("</ul>", f);
}

static void put_side(FILE *f, const char *platform, const json_t *side)
{
    fputs("<section class=side><h3>", f);
    put_text(f, platform);
    fputs(" ", f);
    put_verdict(f, side);
    fputs("</h3>", f);
    if (json_object_get(side, "expected")) {
        fputs("<p class=note>Expected: ", f);
        put_member(f, side, "expected");
        fputs("</p>", f);
    }
    if (json_object_get(side, "text")) {
        fputs("<p class=note>", f);
        put_member(f, side, "text");
        fputs("</p>", f);
    }
    put_differences(f, side);
    put_divergence(f, json_object_get(side, "divergence"));
    put_calls(f, json_object_get(side, "calls"));
    fputs("</section>", f);
}

/* ---- a program ------------------------------------------------------------------------------- */

/* Names of calls are searched for as well: "which programs use io_uring_setup?" */
static void put_search_text(FILE *f, const json_t *program)
{
    const char *name = member(program, "name"), *platform;
    json_t *side, *c;
    size_t i;

    for (; *name; name++) {
        char lower = (char)(*name >= 'A' && *name <= 'Z' ? *name + 32 : *name);

        put_bytes(f, &lower, 1);
    }
    json_object_foreach(json_object_get(program, "platforms"), platform, side)
    {
        json_array_foreach(json_object_get(side, "calls"), i, c)
        {
            fputc(' ', f);
            put_member(f, c, "name");
        }
    }
}

static size_t count_calls(const json_t *program, size_t *out_missing)
{
    const char *platform;
    size_t most = 0, i;
    json_t *side, *c;

    *out_missing = 0;
    json_object_foreach(json_object_get(program, "platforms"), platform, side)
    {
        const json_t *calls = json_object_get(side, "calls");
        size_t missing = 0;

        json_array_foreach(calls, i, c) missing +=
            !strcmp(member(c, "status"), "none") || !strcmp(member(c, "status"), "stub");
        *out_missing = MAX(*out_missing, missing);
        most = MAX(most, json_array_size(calls));
    }
    return most;
}

static void put_command(FILE *f, const json_t *argv)
{
    json_t *word;
    size_t i;

    fputs("<p class=\"note mono\">$", f);
    json_array_foreach(argv, i, word)
    {
        fputc(' ', f);
        put_text(f, json_string_value(word));
    }
    fputs("</p>", f);
}

static void put_program(FILE *f, const json_t *program, size_t index)
{
    const json_t *native = json_object_get(program, "native");
    const json_t *platforms = json_object_get(program, "platforms");
    size_t missing, calls = count_calls(program, &missing);
    const char *platform;
    json_t *side;

    fprintf(
        f,
        "<details class=p id=p%zu data-index=%zu data-calls=%zu data-seconds=%.3f data-verdicts=\"",
        index, index, calls, json_real_value(json_object_get(native, "seconds")));
    if (json_object_size(platforms) == 0)
        fputs(member(native, "verdict"), f);
    json_object_foreach((json_t *)(uintptr_t)platforms, platform, side) fprintf(
        f, "%s%s",
        side == json_object_iter_value(json_object_iter((json_t *)(uintptr_t)platforms)) ? "" : " ",
        member(side, "verdict"));
    fputs("\" data-name=\"", f);
    put_member(f, program, "name");
    fputs("\" data-text=\"", f);
    put_search_text(f, program);
    fputs("\"><summary><div class=row><span class=name>", f);
    put_member(f, program, "name");
    fputs("</span><span>", f);
    put_verdict(f, native);
    fputs("</span>", f);
    json_object_foreach((json_t *)(uintptr_t)platforms, platform, side)
    {
        fputs("<span>", f);
        put_verdict(f, side);
        fputs("</span>", f);
    }
    fprintf(f, "<span class=num>%zu calls", calls);
    if (missing)
        fprintf(f, ", %zu missing", missing);
    fputs("</span></div></summary><div class=body>", f);
    put_command(f, json_object_get(program, "argv"));
    if (*member(native, "text"))
        put_side(f, "native", native);
    json_object_foreach((json_t *)(uintptr_t)platforms, platform, side) put_side(f, platform, side);
    fputs("</div></details>\n", f);
}

/* ---- the page -------------------------------------------------------------------------------- */

static void put_card(FILE *f, const char *platform, const json_t *counts)
{
    json_int_t total = 0, pass = number(counts, "pass");

    for (int i = 0; i < COMPAT_VERDICTS; i++)
        total += number(counts, g_compat_verdicts[i]);
    fputs("<div class=card data-platform=\"", f);
    put_text(f, platform);
    fputs("\"><h3>", f);
    put_text(f, strcmp(platform, "native") ? platform : "Linux, natively");
    fprintf(f,
            "</h3><div class=figure>%" JSON_INTEGER_FORMAT " <small>of %" JSON_INTEGER_FORMAT
            " pass</small></div><div class=bar aria-hidden=true>",
            pass, total);
    for (int i = 0; i < COMPAT_VERDICTS; i++) {
        if (number(counts, g_compat_verdicts[i]))
            fprintf(f, "<i class=%s style=\"flex-grow:%" JSON_INTEGER_FORMAT "\"></i>",
                    g_compat_verdicts[i], number(counts, g_compat_verdicts[i]));
    }
    fputs("</div><div class=counts>", f);
    for (int i = 1; i < COMPAT_VERDICTS; i++)
        fprintf(f, "%" JSON_INTEGER_FORMAT " %s, ", number(counts, g_compat_verdicts[i]),
                g_compat_verdicts[i]);
    fprintf(f, "%" JSON_INTEGER_FORMAT " expected</div></div>", number(counts, "expected"));
}

/* Drawn after the programs have run: none of them knows it. */
static void draw_nonce(char nonce[33])
{
    unsigned char random[16] = {0};

    (void)!getrandom(random, sizeof(random), 0); /* cannot fail for 16 bytes */
    for (size_t i = 0; i < sizeof(random); i++)
        snprintf(nonce + 2 * i, 3, "%02x", random[i]);
}

static void put_head(FILE *f, const json_t *result, const char *nonce)
{
    fprintf(
        f,
        "<!doctype html>\n<html lang=en><head><meta charset=utf-8>"
        "<meta name=viewport content=\"width=device-width, initial-scale=1\">"
        "<meta http-equiv=Content-Security-Policy content=\"default-src 'none'; "
        "style-src 'unsafe-inline'; script-src 'nonce-%s'; base-uri 'none'; form-action 'none'\">"
        "<title>compat: ",
        nonce);
    put_member(f, result, "suite");
    fprintf(f, "</title><style>%s</style></head><body>\n", g_page_css);
}

static void put_tools(FILE *f)
{
    fputs("<div class=tools role=search hidden><input id=query type=search placeholder=\"Filter by "
          "name or "
          "system call  ( / )\" aria-label=\"Filter by name or system call\">",
          f);
    for (int i = 0; i < COMPAT_VERDICTS; i++)
        fprintf(f, "<button type=button data-verdict=%s aria-pressed=true>%s</button>",
                g_compat_verdicts[i], g_compat_verdicts[i]);
    fputs("<button type=button id=open>Open / close all</button>"
          "<span class=shown id=shown role=status aria-live=polite></span></div>",
          f);
}

static void put_columns(FILE *f, const json_t *platforms)
{
    json_t *name;
    size_t i;

    fputs("<div class=\"row head\"><button type=button data-sort=name>program</button>"
          "<button type=button data-sort=seconds>Linux</button>",
          f);
    json_array_foreach(platforms, i, name)
    {
        fprintf(f, "%s", i == 0 ? "<button type=button data-sort=verdict>" : "<span>");
        put_text(f, json_string_value(name));
        fputs(i == 0 ? "</button>" : "</span>", f);
    }
    fputs("<button type=button data-sort=calls>system calls</button></div>", f);
}

static void put_page(FILE *f, const json_t *result)
{
    const json_t *platforms = json_object_get(result, "platforms");
    const char *platform;
    char nonce[33];
    json_t *v;
    size_t i;

    draw_nonce(nonce);
    put_head(f, result, nonce);
    fputs("<header><h1>", f);
    put_member(f, result, "suite");
    fputs("</h1><p class=meta>", f);
    put_member(f, result, "date");
    fputs(", Linux ", f);
    put_member(f, result, "kernel");
    fprintf(f, ", runsc-c %s</p><div class=cards>", RUNSC_C_VERSION);
    json_object_foreach(json_object_get(result, "totals"), platform, v) put_card(f, platform, v);
    fprintf(f, "</div></header><main style=\"--sides:%zu\">", 1 + json_array_size(platforms));
    put_tools(f);
    put_columns(f, platforms);
    fputs("<div id=programs>", f);
    json_array_foreach(json_object_get(result, "programs"), i, v) put_program(f, v, i);
    fputs("</div><p class=empty id=empty hidden>No program matches.</p>", f);
    json_array_foreach(json_object_get(result, "unexpected_passes"), i, v)
    {
        fputs("<p class=note>Unexpected pass: take ", f);
        put_text(f, json_string_value(v));
        fputs(" off the list of expected differences.</p>", f);
    }
    fputs("<footer>Each program ran on Linux and in a fresh sandbox on each platform; status, "
          "output and "
          "files were compared.</footer></main>",
          f);
    fprintf(f, "<script nonce=%s>%s</script></body></html>\n", nonce, g_page_js);
}

int html_write(const json_t *result, const char *path, struct err *e)
{
    FILE *f = fopen(path, "we");
    int ret = 0;

    if (!f)
        return err_errno(e, errno, "--report %s", path);
    put_page(f, result);
    if (ferror(f))
        ret = err_errno(e, errno, "--report %s", path);
    if (fclose(f) != 0 && ret == 0)
        ret = err_errno(e, errno, "--report %s", path);
    return ret;
}
