/* SPDX-License-Identifier: Apache-2.0 */
/* Inside of loader/: the plan between loader_prepare and loader_commit. */
#pragma once

#include "sentry/abi/elf.h"
#include "sentry/loader/loader.h"
#include "sentry/mm/mm.h"

#define SCRIPT_LINE_SIZE 256 /* bytes of a file that are looked at first (BINPRM_BUF_SIZE) */
#define SCRIPT_DEPTH_MAX 5
#define ARG_STRING_MAX   (32 * LX_PAGE_SIZE)

/* A checked ELF file. Lifetime: embedded in exec_plan. */
struct elf_file {
    struct file *file; /* +1 or NULL */
    struct lx_elf64_ehdr ehdr;
    struct lx_elf64_phdr *phdrs; /* owned, ehdr.e_phnum of them */
};

struct exec_plan {
    struct elf_file main, interp; /* interp.file NULL: none */
    bool exec_stack;
};

/* ELF header and program headers of f; takes a reference on success. not_elf: the errno for a file
 * that is no loadable ELF (-ENOEXEC for programs, -ELIBBAD for interpreters). */
int MUST_CHECK elf_read(struct file *f, int not_elf, struct elf_file *out);
void elf_release(struct elf_file *e);
/* Name in PT_INTERP, allocated; *out NULL: none. */
int MUST_CHECK elf_interp_name(const struct elf_file *e, char **out);
/* Bytes from the first to the end of the last PT_LOAD, page aligned; 0: none. */
uint64_t elf_mapping_size(const struct elf_file *e);
/* Largest sane p_align of the PT_LOADs, or 0. */
uint64_t elf_alignment(const struct elf_file *e);

struct elf_placed {
    uaddr_t bias; /* address of vaddr 0 */
    uaddr_t phdr; /* address of the program headers, 0 unknown */
    uaddr_t start_code, end_code, start_data, end_data, brk;
};
/* Maps all PT_LOADs. base: address for the lowest segment of an ET_DYN (0: anywhere). */
int MUST_CHECK elf_map(const struct elf_file *e, struct mm *mm, uaddr_t base,
                       struct elf_placed *out);

/* `#!`: 1 with argv rewritten and *out_name (allocated) the interpreter, 0: no script, -errno. */
int MUST_CHECK script_parse(const char line[SCRIPT_LINE_SIZE], struct exec_request *rq,
                            const char *script_name, char **out_name);
/* E2BIG rules on the strings. */
int MUST_CHECK args_check(const struct exec_request *rq);
/* argv[0] = "" when there is none. */
int MUST_CHECK args_default(struct exec_request *rq);

/* Strings, random bytes, auxv and pointers on the new stack; *out_sp: where argc lies. */
struct stack_info {
    const struct exec_request *rq;
    const char *execfn;
    const struct elf_placed *main;
    uint16_t phnum;
    uaddr_t entry, interp_base, vdso;
    bool exec_stack;
};
int MUST_CHECK stack_build(struct mm *mm, const struct stack_info *info, uaddr_t *out_sp);

bool loader_readable(struct file *f);
