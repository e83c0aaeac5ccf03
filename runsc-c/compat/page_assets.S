/* SPDX-License-Identifier: Apache-2.0 */
/* The style and the script of the page, as bytes: g_page_css, g_page_js, each NUL-terminated. */
    .section .rodata
    .globl g_page_css
    .type g_page_css, @object
g_page_css:
    .incbin PAGE_CSS
    .byte 0
    .size g_page_css, . - g_page_css
    .globl g_page_js
    .type g_page_js, @object
g_page_js:
    .incbin PAGE_JS
    .byte 0
    .size g_page_js, . - g_page_js
    .section .note.GNU-stack, "", @progbits
