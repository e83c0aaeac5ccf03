/* SPDX-License-Identifier: Apache-2.0 */
/* execve(2) of files that are no proper programs: errno or fatal signal as Linux gives it. */
#include "tests/support/guest_test.h"

#include <elf.h>
#include <stddef.h>
#include <sys/mman.h>

#define CODE_AT 0x400000ul

static char g_path[160];

/* mov $60, %eax; mov $42, %edi; syscall */
static const unsigned char g_exit42[] = {0xb8, 60, 0, 0, 0, 0xbf, 42, 0, 0, 0, 0x0f, 0x05};

struct image {
    Elf64_Ehdr eh;
    Elf64_Phdr ph[4];
    char interp[64];
    unsigned char code[64];
};

static void good(struct image *im)
{
    memset(im, 0, sizeof(*im));
    memcpy(im->eh.e_ident, ELFMAG, SELFMAG);
    im->eh.e_ident[EI_CLASS] = ELFCLASS64;
    im->eh.e_ident[EI_DATA] = ELFDATA2LSB;
    im->eh.e_ident[EI_VERSION] = EV_CURRENT;
    im->eh.e_type = ET_EXEC;
    im->eh.e_machine = EM_X86_64;
    im->eh.e_version = EV_CURRENT;
    im->eh.e_entry = CODE_AT + offsetof(struct image, code);
    im->eh.e_phoff = offsetof(struct image, ph);
    im->eh.e_ehsize = sizeof(im->eh);
    im->eh.e_phentsize = sizeof(im->ph[0]);
    im->eh.e_phnum = 1;
    im->ph[0] = (Elf64_Phdr){.p_type = PT_LOAD,
                             .p_flags = PF_R | PF_X,
                             .p_vaddr = CODE_AT,
                             .p_filesz = sizeof(*im),
                             .p_memsz = sizeof(*im),
                             .p_align = 4096};
    memcpy(im->code, g_exit42, sizeof(g_exit42));
}

static void put(const void *data, size_t size, int mode)
{
    int fd;

    snprintf(g_path, sizeof(g_path), "%s/prog", test_tmpdir());
    unlink(g_path);
    fd = open(g_path, O_CREAT | O_WRONLY, 0700);
    if (write(fd, data, size) != (ssize_t)size)
        test_say("short write\n");
    fchmod(fd, (mode_t)mode);
    close(fd);
}

/* Exit code of the program; -errno of execve; 1000 + signal. */
static int run_path(const char *path, char *const argv[])
{
    char *const env[] = {NULL};
    int pipes[2], err = 0, st;
    pid_t pid;

    if (pipe2(pipes, O_CLOEXEC))
        return -1;
    pid = fork();
    if (pid == 0) {
        execve(path, argv, env);
        err = errno;
        _exit(write(pipes[1], &err, sizeof(err)) != sizeof(err));
    }
    close(pipes[1]);
    if (read(pipes[0], &err, sizeof(err)) != sizeof(err))
        err = 0;
    close(pipes[0]);
    waitpid(pid, &st, 0);
    if (err)
        return -err;
    return WIFSIGNALED(st) ? 1000 + WTERMSIG(st) : WEXITSTATUS(st);
}

static int run(void)
{
    char *const argv[] = {(char *)"prog", NULL};

    return run_path(g_path, argv);
}

static int run_image(const struct image *im)
{
    put(im, sizeof(*im), 0700);
    return run();
}

TEST(header)
{
    struct image im;

    good(&im);
    CHECK_EQ(run_image(&im), 42);
    put(&im, sizeof(im), 0600);
    CHECK_EQ(run(), -EACCES);
    put(&im, 0, 0700);
    CHECK_EQ(run(), -ENOEXEC);
    put(&im, 30, 0700);
    CHECK_EQ(run(), -ENOEXEC);
    put(&im, 100, 0700);
    CHECK_EQ(run(), -ENOEXEC);
    put("hello there", 11, 0700);
    CHECK_EQ(run(), -ENOEXEC);
    im.eh.e_machine = EM_AARCH64;
    CHECK_EQ(run_image(&im), -ENOEXEC);
    good(&im);
    im.eh.e_type = ET_REL;
    CHECK_EQ(run_image(&im), -ENOEXEC);
    good(&im);
    im.eh.e_phentsize = 57;
    CHECK_EQ(run_image(&im), -ENOEXEC);
    good(&im);
    im.eh.e_phnum = 0;
    CHECK_EQ(run_image(&im), -ENOEXEC);
    good(&im);
    im.eh.e_phnum = 4000;
    CHECK_EQ(run_image(&im), -ENOEXEC);
    good(&im);
    im.eh.e_phoff = 1ul << 63;
    CHECK_EQ(run_image(&im), -ENOEXEC);
}

TEST(segments)
{
    struct image im;
    int ret;

    good(&im);
    im.ph[0].p_filesz = im.ph[0].p_memsz + 1;
    ret = run_image(&im);
    CHECK(ret == 1000 + SIGSEGV || ret == 1000 + SIGKILL);
    good(&im);
    im.ph[0].p_memsz = 1ul << 47;
    ret = run_image(&im);
    CHECK(ret == 1000 + SIGSEGV || ret == 1000 + SIGKILL);
    good(&im);
    im.ph[0].p_vaddr += 8; /* offset and address disagree within the page */
    ret = run_image(&im);
    CHECK(ret == 1000 + SIGSEGV || ret == 1000 + SIGKILL);
    /* No segment at all: the program starts in nothing. */
    good(&im);
    im.ph[0].p_type = PT_NOTE;
    ret = run_image(&im);
    CHECK(ret == 1000 + SIGSEGV || ret == 1000 + SIGKILL);
    /* Zeroed memory behind the file's part, over several pages. */
    good(&im);
    im.eh.e_phnum = 2;
    im.ph[0].p_flags |= PF_W;
    im.ph[0].p_memsz = 5 * 4096;
    im.ph[1] = (Elf64_Phdr){.p_type = PT_GNU_STACK, .p_flags = PF_R | PF_W};
    CHECK_EQ(run_image(&im), 42);
    /* An unknown segment type and a bad alignment do not matter. */
    im.ph[1].p_type = 0x12345;
    im.ph[0].p_align = 3;
    CHECK_EQ(run_image(&im), 42);
}

static void with_interp(struct image *im, const char *name, size_t size)
{
    good(im);
    im->eh.e_phnum = 2;
    im->ph[1] = (Elf64_Phdr){.p_type = PT_INTERP,
                             .p_offset = offsetof(struct image, interp),
                             .p_filesz = size,
                             .p_memsz = size};
    strcpy(im->interp, name);
}

TEST(interpreter)
{
    struct image im;

    with_interp(&im, "/no/such/thing", 15);
    CHECK_EQ(run_image(&im), -ENOENT);
    with_interp(&im, "/etc/passwd", 12);
    CHECK_EQ(run_image(&im), -EACCES);
    with_interp(&im, "/dev", 5);
    CHECK_EQ(run_image(&im), -EACCES);
    with_interp(&im, "/x", 1);
    CHECK_EQ(run_image(&im), -ENOEXEC);
    with_interp(&im, "/no/such/thing", 14); /* no NUL at the end */
    CHECK_EQ(run_image(&im), -ENOEXEC);
    with_interp(&im, "/no/such/thing", 5000);
    CHECK_EQ(run_image(&im), -ENOEXEC);
    with_interp(&im, "/no/such/thing", 15);
    im.ph[1].p_offset = 1 << 20;
    CHECK_EQ(run_image(&im), -EIO);
}

TEST(interpreter_is_no_elf)
{
    struct image im;
    char path[180];
    int fd;

    snprintf(path, sizeof(path), "%s/in", test_tmpdir());
    fd = open(path, O_CREAT | O_WRONLY | O_TRUNC, 0700);
    REQUIRE(write(fd, "just a text, long enough to be an ELF header, if only it were one....",
                  68) == 68);
    close(fd);
    if (strlen(path) >= sizeof(im.interp))
        SKIP("the name of the directory is too long");
    with_interp(&im, path, strlen(path) + 1);
    CHECK_EQ(run_image(&im), -ELIBBAD);
    REQUIRE(truncate(path, 20) == 0);
    CHECK_EQ(run_image(&im), -EIO);
}

TEST(scripts)
{
    char line[400], name[200];
    char *const argv[] = {(char *)"s", (char *)"7", NULL};
    struct image im;
    int i;

    put("#!/bin/sh\nexit 9\n", 17, 0700);
    CHECK_EQ(run(), 9);
    put("#! /bin/sh -e\nfalse\nexit 9\n", 27, 0700);
    CHECK_EQ(run(), 1);
    put("#!/bin/sh\nexit $1\n", 18, 0700);
    CHECK_EQ(run_path(g_path, argv), 7);
    put("#!/no/such/interpreter\n", 23, 0700);
    CHECK_EQ(run(), -ENOENT);
    put("#!\n", 3, 0700);
    CHECK_EQ(run(), -ENOEXEC);
    put("#!   \n", 6, 0700);
    CHECK_EQ(run(), -ENOEXEC);
    put("#!/etc\n", 7, 0700);
    CHECK_EQ(run(), -EACCES);
    memset(line, 'a', sizeof(line));
    memcpy(line, "#!/", 3);
    put(line, sizeof(line), 0700);
    CHECK_EQ(run(), -ENOEXEC);
    /* A chain of scripts: five are fine, more are not. */
    good(&im);
    put(&im, sizeof(im), 0700);
    snprintf(name, sizeof(name), "%s/c0", test_tmpdir());
    REQUIRE(rename(g_path, name) == 0);
    for (i = 1; i <= 6; i++) {
        int fd, n = snprintf(line, sizeof(line), "#!%s/c%d\n", test_tmpdir(), i - 1);

        snprintf(name, sizeof(name), "%s/c%d", test_tmpdir(), i);
        fd = open(name, O_CREAT | O_WRONLY, 0700);
        REQUIRE(write(fd, line, (size_t)n) == n);
        close(fd);
        CHECK_EQ(run_path(name, argv), i <= 5 ? 42 : -ELOOP);
    }
}

TEST(sizes)
{
    size_t big = 200 * 1024;
    char *s = malloc(big + 1), **many;
    char *const one[] = {(char *)"x", s, NULL};
    struct image im;
    int i;

    good(&im);
    put(&im, sizeof(im), 0700);
    memset(s, 'x', big);
    s[big] = 0;
    CHECK_EQ(run_path(g_path, one), -E2BIG);
    s[100 * 1024] = 0;
    CHECK_EQ(run_path(g_path, one), 42);
    many = calloc(100, sizeof(char *));
    for (i = 0; i < 99; i++)
        many[i] = s;
    CHECK_EQ(run_path(g_path, many), -E2BIG);
    free(many);
    free(s);
}

TEST(busy_text)
{
    struct image im;
    int fd;

    good(&im);
    put(&im, sizeof(im), 0700);
    fd = open(g_path, O_WRONLY);
    CHECK_EQ(run(), -ETXTBSY);
    close(fd);
    CHECK_EQ(run(), 42);
    CHECK_EQ(run_path("/", (char *const[]){(char *)"x", NULL}), -EACCES);
    CHECK_EQ(run_path("/dev/null", (char *const[]){(char *)"x", NULL}), -EACCES);
    CHECK_EQ(run_path("", (char *const[]){(char *)"x", NULL}), -ENOENT);
    CHECK_EQ(run_path("/etc/passwd/x", (char *const[]){(char *)"x", NULL}), -ENOTDIR);
}

GUEST_TEST_MAIN
