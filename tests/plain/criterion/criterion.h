// SPDX-License-Identifier: MIT
// What the tests use of Criterion, written with fork alone (-Dplain_tests=true). Criterion maps memory
// where a sanitizer or valgrind has its own, and ends its processes behind the back of what looks for
// leaks or counts lines; here a test is a child that ends by exit().
//
//     test_unit_map            all of its tests, as TAP
//     test_unit_map map/grows  one of them
#ifndef CRITERION_H
#define CRITERION_H

#include <math.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>

#define PLAIN_OPTIONS                                                                              \
    void (*init)(void);                                                                            \
    void (*fini)(void);                                                                            \
    double timeout; /* in seconds; not held: what runs this slows tests down */                    \
    int exit_code;  /* that the test is to end with */                                             \
    bool disabled

struct criterion_test_params {
    size_t size;
    void *params;
    size_t length;
    void (*cleanup)(struct criterion_test_params *);
};

typedef struct PlainTest {
    PLAIN_OPTIONS;
    const char *suite, *name; // name NULL: what holds for the suite's tests
    void (*run)(void);
    void (*run_with)(void *param); // for each of
    struct criterion_test_params (*params)(void);
    struct PlainTest *next;
} PlainTest;

void plain_add(PlainTest *test);
void plain_fail(const char *file, int line, const char *condition);
void plain_say(const char *format, ...) __attribute__((format(printf, 1, 2)));
_Noreturn void plain_stop(void); // a test that failed
_Noreturn void plain_skip(const char *format, ...) __attribute__((format(printf, 1, 2)));

#define PLAIN_REGISTER(id, ...)                                                                    \
    __attribute__((constructor)) static void plain_register_##id(void) {                           \
        static PlainTest test = {__VA_ARGS__};                                                     \
        plain_add(&test);                                                                          \
    }

#define TestSuite(suite_, ...)                                                                     \
    PLAIN_REGISTER(suite_, .suite = #suite_, __VA_ARGS__)                                          \
    struct PlainTest // for the semicolon
#define Test(suite_, name_, ...)                                                                   \
    static void suite_##_##name_(void);                                                            \
    PLAIN_REGISTER(suite_##_##name_, .suite = #suite_, .name = #name_, .run = suite_##_##name_,    \
                   __VA_ARGS__)                                                                    \
    static void suite_##_##name_(void)
#define ParameterizedTestParameters(suite_, name_)                                                 \
    static struct criterion_test_params suite_##_##name_##_params(void)
#define ParameterizedTest(param, suite_, name_, ...)                                               \
    static void suite_##_##name_(param);                                                           \
    PLAIN_REGISTER(suite_##_##name_, .suite = #suite_, .name = #name_,                             \
                   .run_with = (void (*)(void *))suite_##_##name_,                                 \
                   .params = suite_##_##name_##_params, __VA_ARGS__)                               \
    static void suite_##_##name_(param)

#define cr_malloc malloc
#define cr_free free
#define cr_make_param_array(type, array, count, cleanup)                                           \
    ((struct criterion_test_params){sizeof(type), array, count, cleanup})
#define cr_log_info(...) ((void)0)
#define cr_skip_test(...) plain_skip("" __VA_ARGS__)

#pragma GCC diagnostic ignored "-Wformat-zero-length" // of who gives no message
#define PLAIN_FAILED(condition, ...)                                                               \
    plain_fail(__FILE__, __LINE__, condition), plain_say("" __VA_ARGS__)
#define cr_expect(condition, ...)                                                                  \
    ((condition) ? (void)0 : (PLAIN_FAILED(#condition, __VA_ARGS__)))
#define cr_assert(condition, ...)                                                                  \
    ((condition) ? (void)0 : (PLAIN_FAILED(#condition, __VA_ARGS__), plain_stop()))

#define cr_assert_fail(...) cr_assert(0, __VA_ARGS__)
#define cr_assert_not(a, ...) cr_assert(!(a), __VA_ARGS__)
#define cr_assert_null(a, ...) cr_assert((a) == NULL, __VA_ARGS__)
#define cr_assert_not_null(a, ...) cr_assert((a) != NULL, __VA_ARGS__)
#define cr_assert_eq(a, b, ...) cr_assert((a) == (b), __VA_ARGS__)
#define cr_assert_neq(a, b, ...) cr_assert((a) != (b), __VA_ARGS__)
#define cr_assert_lt(a, b, ...) cr_assert((a) < (b), __VA_ARGS__)
#define cr_assert_leq(a, b, ...) cr_assert((a) <= (b), __VA_ARGS__)
#define cr_assert_gt(a, b, ...) cr_assert((a) > (b), __VA_ARGS__)
#define cr_assert_geq(a, b, ...) cr_assert((a) >= (b), __VA_ARGS__)
#define cr_assert_str_eq(a, b, ...) cr_assert(strcmp(a, b) == 0, __VA_ARGS__)
#define cr_assert_str_neq(a, b, ...) cr_assert(strcmp(a, b) != 0, __VA_ARGS__)
#define cr_assert_float_eq(a, b, e, ...) cr_assert(fabs((double)(a) - (double)(b)) <= (e), __VA_ARGS__)

#define cr_expect_fail(...) cr_expect(0, __VA_ARGS__)
#define cr_expect_not(a, ...) cr_expect(!(a), __VA_ARGS__)
#define cr_expect_null(a, ...) cr_expect((a) == NULL, __VA_ARGS__)
#define cr_expect_not_null(a, ...) cr_expect((a) != NULL, __VA_ARGS__)
#define cr_expect_eq(a, b, ...) cr_expect((a) == (b), __VA_ARGS__)
#define cr_expect_neq(a, b, ...) cr_expect((a) != (b), __VA_ARGS__)
#define cr_expect_lt(a, b, ...) cr_expect((a) < (b), __VA_ARGS__)
#define cr_expect_leq(a, b, ...) cr_expect((a) <= (b), __VA_ARGS__)
#define cr_expect_gt(a, b, ...) cr_expect((a) > (b), __VA_ARGS__)
#define cr_expect_geq(a, b, ...) cr_expect((a) >= (b), __VA_ARGS__)
#define cr_expect_str_eq(a, b, ...) cr_expect(strcmp(a, b) == 0, __VA_ARGS__)
#define cr_expect_str_neq(a, b, ...) cr_expect(strcmp(a, b) != 0, __VA_ARGS__)
#define cr_expect_float_eq(a, b, e, ...) cr_expect(fabs((double)(a) - (double)(b)) <= (e), __VA_ARGS__)

#endif
