/* SPDX-License-Identifier: Apache-2.0 */
/*
 * host_filter_gen out.c host.tbl [MORE.tbl]: turns the table of host system calls into one BPF program per
 * kind of process, with libseccomp. A build tool: start-up of a jailed process is one system call.
 */
#include <asm/prctl.h>
#include <ctype.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/filter.h>
#include <linux/futex.h>
#include <linux/kvm.h>
#include <linux/seccomp.h>
#include <net/if.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <netinet/udp.h>
#include <sched.h>
#include <seccomp.h>
#include <signal.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <termios.h>
#include <unistd.h>

#ifndef PR_SET_VMA
#define PR_SET_VMA 0x53564d41
#endif

enum { ROLE_COUNT = 6, CHECK_MAX = 6, VALUE_MAX = 64, LINE_SIZE = 1024, PROGRAM_MAX = 4096 };

static const struct {
    const char *name;
    const char *extends; /* the role whose rows it has besides its own */
    bool notify; /* what the table does not list raises a user notification instead of killing */
} g_roles[ROLE_COUNT] = {
    {"sentry", NULL, false},      {"gofer", NULL, false},  {"stub", NULL, false},
    {"hostnet", "sentry", false}, {"control", NULL, true}, {"thread", NULL, true},
};

/* Names that the table may use for values. */
#define NAME(x)                                                                                    \
    {                                                                                              \
#x, (uint64_t)(x)                                                                          \
    }
static const struct {
    const char *name;
    uint64_t value;
} g_names[] = {
    NAME(ENOSYS),
    NAME(EPERM),
    NAME(ENOENT),
    NAME(EACCES),
    NAME(PROT_READ),
    NAME(PROT_WRITE),
    NAME(PROT_EXEC),
    NAME(MADV_DONTFORK),
    NAME(SIGKILL),
    NAME(SIGTERM),
    NAME(PR_SET_NAME),
    NAME(PR_SET_VMA),
    NAME(PR_SET_PDEATHSIG),
    NAME(PR_SET_DUMPABLE),
    NAME(F_GETFL),
    NAME(F_SETFL),
    NAME(F_GETFD),
    NAME(F_SETFD),
    NAME(F_DUPFD_CLOEXEC),
    NAME(F_ADD_SEALS),
    NAME(F_GET_SEALS),
    NAME(F_GETLK),
    NAME(F_SETLK),
    NAME(F_SETLKW),
    NAME(F_OFD_GETLK),
    NAME(F_OFD_SETLK),
    NAME(F_OFD_SETLKW),
    NAME(KVM_RUN),
    NAME(KVM_CREATE_VCPU),
    NAME(KVM_SET_USER_MEMORY_REGION),
    NAME(KVM_SET_CPUID2),
    NAME(KVM_SET_MSRS),
    NAME(KVM_SET_XCRS),
    NAME(KVM_SET_DEVICE_ATTR),
    NAME(KVM_SET_SIGNAL_MASK),
    NAME(KVM_GET_SREGS),
    NAME(KVM_GET_XSAVE2),
    NAME(KVM_SET_XSAVE),
    NAME(KVM_GET_DEBUGREGS),
    NAME(KVM_SET_DEBUGREGS),
    NAME(TIOCGWINSZ),
    NAME(TIOCSWINSZ),
    NAME(TCGETS),
    NAME(TCSETS),
    NAME(TCSETSW),
    NAME(TCSETSF),
    NAME(FIONREAD),
    NAME(TIOCGPGRP),
    NAME(TIOCSPGRP),
    NAME(FIONBIO),
    NAME(FIOCLEX),
    NAME(AT_EMPTY_PATH),
    NAME(AT_SYMLINK_NOFOLLOW),
    NAME(AT_REMOVEDIR),
    NAME(AT_FDCWD),
    NAME(SOL_SOCKET),
    NAME(SO_PEERCRED),
    NAME(SO_ERROR),
    NAME(SO_TYPE),
    NAME(SO_SNDBUF),
    NAME(SO_RCVBUF),
    NAME(SO_PASSCRED),
    NAME(SO_DOMAIN),
    NAME(SO_PROTOCOL),
    NAME(AF_UNIX),
    NAME(AF_INET),
    NAME(AF_INET6),
    NAME(SOL_IP),
    NAME(SOL_IPV6),
    NAME(SOL_TCP),
    NAME(SOL_UDP),
    NAME(SOL_RAW),
    NAME(SOL_ICMPV6),
    {"SOL_UDPLITE", 136},
    NAME(IPPROTO_UDPLITE),
    NAME(IPPROTO_ICMP),
    NAME(IPPROTO_ICMPV6),
    {"STREAM_FLAGS", SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK},
    {"DGRAM_FLAGS", SOCK_DGRAM | SOCK_CLOEXEC | SOCK_NONBLOCK},
    {"RAW_FLAGS", SOCK_RAW | SOCK_CLOEXEC | SOCK_NONBLOCK},
    {"ACCEPT_FLAGS", SOCK_CLOEXEC | SOCK_NONBLOCK},
    NAME(TIOCOUTQ),
    NAME(SIOCATMARK),
    {"SIOCOUTQNSD", 0x894b},
    NAME(SIOCGIFNAME),
    NAME(SIOCGIFCONF),
    NAME(SIOCGIFFLAGS),
    NAME(SIOCGIFADDR),
    NAME(SIOCGIFDSTADDR),
    NAME(SIOCGIFBRDADDR),
    NAME(SIOCGIFNETMASK),
    NAME(SIOCGIFMETRIC),
    NAME(SIOCGIFMTU),
    NAME(SIOCGIFHWADDR),
    NAME(SIOCGIFINDEX),
    NAME(SIOCGIFTXQLEN),
    NAME(SIOCGIFMAP),
    NAME(EPOLL_CTL_ADD),
    NAME(EPOLL_CTL_DEL),
    NAME(SOCK_STREAM),
    NAME(SOCK_SEQPACKET),
    NAME(SOCK_CLOEXEC),
    NAME(O_RDONLY),
    NAME(O_WRONLY),
    NAME(O_RDWR),
    NAME(O_CREAT),
    NAME(O_PATH),
    NAME(O_NOFOLLOW),
    NAME(O_CLOEXEC),
    NAME(O_DIRECTORY),
    NAME(O_ACCMODE),
    NAME(S_IFMT),
    NAME(S_IFREG),
    NAME(S_IFIFO),
    NAME(S_IFSOCK),
    NAME(S_IFCHR),
    NAME(S_IFBLK),
    NAME(S_IFDIR),
    NAME(FUTEX_WAIT),
    NAME(SECCOMP_SET_MODE_FILTER),
    NAME(SECCOMP_FILTER_FLAG_NEW_LISTENER),
    NAME(ARCH_SET_FS),
    NAME(ARCH_SET_GS),
    NAME(SECCOMP_IOCTL_NOTIF_RECV),
    NAME(SECCOMP_IOCTL_NOTIF_SEND),
    {"SECCOMP_IOCTL_NOTIF_SET_FLAGS", SECCOMP_IOW(4, uint64_t)},
    /* What pthread_create passes to clone. */
    {"THREAD_CLONE_FLAGS", CLONE_VM | CLONE_FS | CLONE_FILES | CLONE_SIGHAND | CLONE_THREAD |
                               CLONE_SYSVSEM | CLONE_SETTLS | CLONE_PARENT_SETTID |
                               CLONE_CHILD_CLEARTID},
    {"STUB_CLONE_SPACE", CLONE_FILES | CLONE_FS | CLONE_PARENT | SIGCHLD},
    {"STUB_CLONE_THREAD", CLONE_VM | CLONE_FILES | CLONE_FS | CLONE_PARENT | SIGCHLD},
    /* Every flag but MAP_POPULATE must be as given. */
    {"MAP_CHECK", 0xffffffffull & ~(uint64_t)MAP_POPULATE},
    {"MAP_SHARED_FIXED", MAP_SHARED | MAP_FIXED},
};

struct check {
    unsigned arg;
    enum scmp_compare op;
    uint64_t mask;
    uint64_t values[VALUE_MAX];
    unsigned value_count;
};

static const char *g_path;
static unsigned g_line;

static _Noreturn void fail(const char *fmt, ...) __attribute__((format(printf, 1, 2)));
static _Noreturn void fail(const char *fmt, ...)
{
    va_list ap;

    fprintf(stderr, "%s:%u: ", g_path, g_line);
    va_start(ap, fmt);
    vfprintf(stderr, fmt, ap);
    va_end(ap);
    fputc('\n', stderr);
    exit(1);
}

static uint64_t parse_value(const char *text)
{
    char *end;
    uint64_t v;

    for (size_t i = 0; i < sizeof(g_names) / sizeof(g_names[0]); i++) {
        if (strcmp(text, g_names[i].name) == 0)
            return g_names[i].value;
    }
    v = strtoull(text, &end, 0);
    if (*text == '\0' || *end != '\0')
        fail("unknown value \"%s\" (names are listed in host_filter_gen.c)", text);
    return v;
}

static void parse_check(char *text, struct check *out)
{
    char *op, *values, *save = NULL, *one;

    *out = (struct check){.op = SCMP_CMP_EQ};
    if (text[0] != 'a' || text[1] < '0' || text[1] > '5')
        fail("a condition starts with a0 .. a5, not \"%s\"", text);
    out->arg = (unsigned)(text[1] - '0');
    op = text + 2;
    if (strncmp(op, "<=", 2) == 0) {
        out->op = SCMP_CMP_LE;
        values = op + 2;
    } else if (*op == '&') {
        out->op = SCMP_CMP_MASKED_EQ;
        values = strchr(op, '=');
        if (!values)
            fail("\"&MASK\" needs \"=VALUE\"");
        *values++ = '\0';
        out->mask = parse_value(op + 1);
    } else if (*op == '=') {
        values = op + 1;
    } else {
        fail("unknown operator in \"%s\"", text);
    }
    for (one = strtok_r(values, "/", &save); one; one = strtok_r(NULL, "/", &save)) {
        if (out->value_count == VALUE_MAX)
            fail("more than %d values", VALUE_MAX);
        out->values[out->value_count++] = parse_value(one);
    }
    if (out->value_count == 0)
        fail("a condition without a value");
}

/* One rule for every combination of alternatives. */
static void add_rules(scmp_filter_ctx ctx, int nr, const struct check *checks, unsigned count,
                      struct scmp_arg_cmp *cmps, unsigned depth)
{
    const struct check *c = &checks[depth];

    if (depth == count) {
        int ret = seccomp_rule_add_array(ctx, SCMP_ACT_ALLOW, nr, count, cmps);

        if (ret < 0)
            fail("libseccomp refuses the rule: %s", strerror(-ret));
        return;
    }
    for (unsigned i = 0; i < c->value_count; i++) {
        cmps[depth] = (struct scmp_arg_cmp){.arg = c->arg, .op = c->op};
        cmps[depth].datum_a = c->op == SCMP_CMP_MASKED_EQ ? c->mask : c->values[i];
        cmps[depth].datum_b = c->op == SCMP_CMP_MASKED_EQ ? c->values[i] : 0;
        add_rules(ctx, nr, checks, count, cmps, depth + 1);
    }
}

static bool role_has(unsigned r, const char *role)
{
    return strcmp(g_roles[r].name, role) == 0 ||
           (g_roles[r].extends && strcmp(g_roles[r].extends, role) == 0);
}

static void parse_row(char *line, scmp_filter_ctx *filters)
{
    struct check checks[CHECK_MAX];
    struct scmp_arg_cmp cmps[CHECK_MAX];
    char *save = NULL, *role, *call, *check, *one;
    unsigned count = 0, r = 0;
    int nr, ret;

    role = strtok_r(line, " \t", &save);
    if (!role || *role == '#')
        return;
    call = strtok_r(NULL, " \t", &save);
    check = strtok_r(NULL, " \t", &save);
    if (!call || !check)
        fail("a row is: role call check why");
    while (save && isspace((unsigned char)*save))
        save++;
    if (!save || *save == '\0')
        fail("%s: no why, no row", call);
    while (r < ROLE_COUNT && strcmp(role, g_roles[r].name) != 0)
        r++;
    if (r == ROLE_COUNT)
        fail("unknown role \"%s\"", role);
    nr = seccomp_syscall_resolve_name_arch(SCMP_ARCH_X86_64, call);
    if (nr < 0)
        fail("unknown system call \"%s\"", call);
    if (*check == '!') {
        for (r = 0; r < ROLE_COUNT; r++) {
            ret = role_has(r, role)
                      ? seccomp_rule_add(filters[r],
                                         SCMP_ACT_ERRNO((uint32_t)parse_value(check + 1)), nr, 0)
                      : 0;
            if (ret < 0)
                fail("libseccomp refuses the rule: %s", strerror(-ret));
        }
        return;
    }
    if (strcmp(check, "-") != 0) {
        char *next = NULL;

        for (one = strtok_r(check, ",", &next); one; one = strtok_r(NULL, ",", &next)) {
            if (count == CHECK_MAX)
                fail("more than %d conditions", CHECK_MAX);
            parse_check(one, &checks[count++]);
        }
    }
    for (r = 0; r < ROLE_COUNT; r++) {
        if (role_has(r, role))
            add_rules(filters[r], nr, checks, count, cmps, 0);
    }
}

static void emit(FILE *out, unsigned r, scmp_filter_ctx ctx)
{
    const char *role = g_roles[r].name;
    static struct sock_filter code[PROGRAM_MAX];
    int fd = memfd_create(role, 0), ret;
    ssize_t size;

    if (fd < 0)
        fail("memfd_create: %s", strerror(errno));
    ret = seccomp_export_bpf(ctx, fd);
    if (ret < 0)
        fail("seccomp_export_bpf: %s", strerror(-ret));
    size = pread(fd, code, sizeof(code), 0);
    close(fd);
    if (size <= 0 || (size_t)size >= sizeof(code) || (size_t)size % sizeof(code[0]))
        fail("the filter of %s does not fit", role);
    for (size_t i = 0; g_roles[r].notify && i < (size_t)size / sizeof(code[0]); i++) {
        /* KILL_THREAD: what libseccomp answers to other entry modes. */
        if (code[i].code == (BPF_RET | BPF_K) &&
            (code[i].k == SECCOMP_RET_KILL_PROCESS || code[i].k == SECCOMP_RET_KILL_THREAD))
            code[i].k = SECCOMP_RET_USER_NOTIF;
    }
    fprintf(out, "static const struct sock_filter g_%s[] = {\n", role);
    for (size_t i = 0; i < (size_t)size / sizeof(code[0]); i++)
        fprintf(out, "    {0x%x, %u, %u, 0x%x},\n", code[i].code, code[i].jt, code[i].jf,
                code[i].k);
    fprintf(out, "};\n\n");
}

static void parse_table(const char *path, scmp_filter_ctx *filters)
{
    char line[LINE_SIZE];
    FILE *in;

    g_path = path;
    g_line = 0;
    in = fopen(path, "re");
    if (!in)
        fail("%s", strerror(errno));
    while (fgets(line, sizeof(line), in)) {
        g_line++;
        if (!strchr(line, '\n') && !feof(in))
            fail("line too long");
        line[strcspn(line, "\n")] = '\0';
        parse_row(line, filters);
    }
    fclose(in);
}

int main(int argc, char **argv)
{
    scmp_filter_ctx filters[ROLE_COUNT];
    FILE *out;

    if (argc < 3) {
        fprintf(stderr, "usage: host_filter_gen out.c host.tbl [MORE.tbl]\n");
        return 2;
    }
    for (int r = 0; r < ROLE_COUNT; r++) {
        filters[r] = seccomp_init(SCMP_ACT_KILL_PROCESS);
        /* Level 2: a binary tree over call numbers instead of a list. */
        if (!filters[r] || seccomp_attr_set(filters[r], SCMP_FLTATR_CTL_OPTIMIZE, 2) < 0)
            fail("seccomp_init");
    }
    for (int i = 2; i < argc; i++)
        parse_table(argv[i], filters);
    out = fopen(argv[1], "we");
    if (!out)
        fail("%s: %s", argv[1], strerror(errno));
    fprintf(out,
            "/* Generated from syscall-table/host.tbl. */\n#include \"platform/host/seccomp.h\"\n\n"
            "extern const struct host_filter g_host_filters[HOST_ROLE_COUNT];\n\n");
    for (int r = 0; r < ROLE_COUNT; r++) {
        emit(out, (unsigned)r, filters[r]);
        seccomp_release(filters[r]);
    }
    fprintf(out, "const struct host_filter g_host_filters[HOST_ROLE_COUNT] = {\n");
    for (int r = 0; r < ROLE_COUNT; r++)
        fprintf(out, "    {g_%s, sizeof(g_%s) / sizeof(g_%s[0])},\n", g_roles[r].name,
                g_roles[r].name, g_roles[r].name);
    fprintf(out, "};\n");
    if (fclose(out) != 0)
        fail("%s: %s", argv[1], strerror(errno));
    return 0;
}
