// SPDX-License-Identifier: MIT
// Leaks of tests, under the address sanitizer: Criterion's processes end by _exit, behind which
// nobody looks for them. This one does, where all else was good.
#include <sanitizer/lsan_interface.h>
#include <sys/syscall.h>
#include <unistd.h>

void _exit(int status) {
    if (status == 0 && __lsan_do_recoverable_leak_check()) status = 1;
    syscall(SYS_exit_group, status);
    __builtin_unreachable();
}
