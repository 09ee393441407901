// SPDX-License-Identifier: MIT
// Runs tests, each in a child (criterion/criterion.h), and prints TAP. Status 1 where one failed.
#include "criterion/criterion.h"

#include <stdarg.h>
#include <stdio.h>
#include <sys/wait.h>
#include <unistd.h>

enum { FAILED = 1, SKIPPED = 77 };

static PlainTest *first, **last = &first;
static bool has_failed; // of the child

void plain_add(PlainTest *test) {
    *last = test;
    last = &test->next;
}

void plain_fail(const char *file, int line, const char *condition) {
    has_failed = true;
    printf("# %s:%d: %s\n", file, line, condition);
}

static void say(const char *format, va_list args) {
    char text[1 << 14];
    vsnprintf(text, sizeof text, format, args);
    for (char *line = strtok(text, "\n"); line; line = strtok(NULL, "\n"))
        printf("# %s\n", line);
}

void plain_say(const char *format, ...) {
    va_list args;
    va_start(args, format);
    say(format, args);
    va_end(args);
}

void plain_stop(void) { exit(FAILED); }

void plain_skip(const char *format, ...) {
    va_list args;
    va_start(args, format);
    say(format, args);
    va_end(args);
    exit(SKIPPED);
}

static const PlainTest *suite_of(const PlainTest *test) {
    static const PlainTest none;
    for (const PlainTest *at = first; at; at = at->next)
        if (!at->name && !strcmp(at->suite, test->suite)) return at;
    return &none;
}

static void run(const PlainTest *test, void *param) {
    const PlainTest *suite = suite_of(test);
    if (suite->init) suite->init();
    if (test->init) test->init();
    param ? test->run_with(param) : test->run();
    if (test->fini) test->fini();
    if (suite->fini) suite->fini();
    exit(has_failed ? FAILED : 0);
}

// Is it as it should be?
static bool report(const PlainTest *test, int number, int status) {
    int code = WIFEXITED(status) ? WEXITSTATUS(status) : -1;
    bool good = code == test->exit_code || code == SKIPPED;
    if (WIFSIGNALED(status)) printf("# killed by signal %d\n", WTERMSIG(status));
    printf("%sok %d - %s::%s%s\n", good ? "" : "not ", number, test->suite, test->name,
           code == SKIPPED ? " # SKIP" : "");
    return good;
}

static bool run_apart(const PlainTest *test, void *param, int number) {
    int status;
    fflush(NULL);
    pid_t child = fork();
    if (child < 0) return false;
    if (child == 0) run(test, param);
    while (waitpid(child, &status, 0) != child)
        ;
    return report(test, number, status);
}

static bool is_asked_for(const PlainTest *test, int argc, char **argv) {
    char name[300];
    snprintf(name, sizeof name, "%s/%s", test->suite, test->name);
    return test->name && !test->disabled && (argc < 2 || !strcmp(argv[1], name));
}

int main(int argc, char **argv) {
    int number = 0;
    bool good = true;
    for (const PlainTest *test = first; test; test = test->next) {
        if (!is_asked_for(test, argc, argv)) continue;
        if (test->run) good &= run_apart(test, NULL, ++number);
        if (test->run) continue;
        struct criterion_test_params all = test->params();
        for (size_t i = 0; i < all.length; i++)
            good &= run_apart(test, (char *)all.params + i * all.size, ++number);
        if (all.cleanup) all.cleanup(&all);
    }
    printf("1..%d\n", number);
    return good ? 0 : 1;
}
