// SPDX-License-Identifier: MIT
// Running other programs: the C compiler, a few at a time.
//
//     Args args = args_new(arena);
//     args_add_words(&args, "cc -O3");
//     args_add(&args, path);
//     bool good = process_wait(process_start(&args, log_path));
#include "jit/internal.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <pthread.h>
#include <signal.h>
#include <spawn.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

extern char **environ;

enum { MOST_PROCESSORS = 64 };

Args args_new(Arena *arena) {
    Args args = {.arena = arena};
    VEC_PUSH(arena, args.list, NULL);
    return args;
}

void args_add(Args *args, const char *arg) {
    args->list.at[args->list.count - 1] = arg;
    VEC_PUSH(args->arena, args->list, NULL);
}

void args_add_words(Args *args, const char *words) {
    for (;;) {
        words += strspn(words, " \t\n");
        size_t length = strcspn(words, " \t\n");
        if (length == 0) return;
        args_add(args, arena_strndup(args->arena, words, length));
        words += length;
    }
}

Process process_start(const Args *args, const char *log) {
    posix_spawn_file_actions_t actions;
    posix_spawn_file_actions_init(&actions);
    posix_spawn_file_actions_addopen(&actions, 0, "/dev/null", O_RDONLY, 0);
    posix_spawn_file_actions_addopen(&actions, 1, log, O_WRONLY | O_CREAT | O_TRUNC, 0600);
    posix_spawn_file_actions_adddup2(&actions, 1, 2);
    pid_t pid;
    int failed = posix_spawnp(&pid, args->list.at[0], &actions, NULL,
                              (char *const *)(void *)args->list.at, environ);
    posix_spawn_file_actions_destroy(&actions);
    return (Process){failed ? -1 : pid, log};
}

// What ended it, where that was none of its own, is the last line of its log.
static void note(const char *log, const char *format, int number) {
    int fd = open(log, O_WRONLY | O_APPEND | O_CLOEXEC | O_NOFOLLOW);
    if (fd < 0) return;
    dprintf(fd, format, number);
    close(fd);
}

static int seconds_to_wait(void) {
    const char *text = getenv("NNC_CC_SECONDS");
    long seconds = text ? strtol(text, NULL, 10) : 0;
    return seconds > 0 && seconds < 1 << 20 ? (int)seconds : 600;
}

// A compiler that hangs is ended. Where the system cannot wait for a process and a clock at once,
// it is waited for.
static void end_in_time(Process process) {
#ifdef SYS_pidfd_open
    int seconds = seconds_to_wait(), fd = (int)syscall(SYS_pidfd_open, process.pid, 0), ended;
    if (fd < 0) return;
    struct pollfd wanted = {.fd = fd, .events = POLLIN};
    while ((ended = poll(&wanted, 1, seconds * 1000)) < 0 && errno == EINTR)
        ;
    if (ended == 0) {
        note(process.log, "ended: it took more than %d seconds (NNC_CC_SECONDS)\n", seconds);
        kill(process.pid, SIGTERM); // the driver takes its helpers along
        if (poll(&wanted, 1, 1000) == 0) kill(process.pid, SIGKILL);
    }
    close(fd);
#else
    (void)process;
#endif
}

bool process_wait(Process process) {
    int status;
    if (process.pid < 0) return false;
    end_in_time(process);
    while (waitpid(process.pid, &status, 0) < 0)
        if (errno != EINTR) return false;
    if (WIFSIGNALED(status)) note(process.log, "killed by signal %d\n", WTERMSIG(status));
    return WIFEXITED(status) && WEXITSTATUS(status) == 0;
}

// --- Several

typedef struct Queue {
    const Jobs *jobs;
    pthread_mutex_t lock; // of what follows
    int next, failed;     // failed: the first job that did, or their count
} Queue;

static int take(Queue *queue) {
    pthread_mutex_lock(&queue->lock);
    int job = queue->failed < queue->jobs->count ? queue->jobs->count : queue->next++;
    pthread_mutex_unlock(&queue->lock);
    return job;
}

static void *work(void *of_queue) {
    Queue *queue = of_queue;
    for (int i; (i = take(queue)) < queue->jobs->count;) {
        const Job *job = &queue->jobs->at[i];
        if (process_wait(process_start(&job->args, job->log))) continue;
        pthread_mutex_lock(&queue->lock);
        if (i < queue->failed) queue->failed = i;
        pthread_mutex_unlock(&queue->lock);
    }
    return NULL;
}

int processor_count(void) {
    long processors = sysconf(_SC_NPROCESSORS_ONLN);
    return processors < 1 ? 1 : processors > MOST_PROCESSORS ? MOST_PROCESSORS : (int)processors;
}

// This thread waits for one process at a time, as each of its helpers does.
const Job *jobs_run(const Jobs *jobs) {
    pthread_t helper[MOST_PROCESSORS];
    int helpers = 0, wanted = processor_count() < jobs->count ? processor_count() : jobs->count;
    Queue queue = {.jobs = jobs, .failed = jobs->count};
    pthread_mutex_init(&queue.lock, NULL);
    while (helpers < wanted - 1 && !pthread_create(&helper[helpers], NULL, work, &queue))
        helpers++;
    work(&queue);
    while (helpers > 0)
        pthread_join(helper[--helpers], NULL);
    pthread_mutex_destroy(&queue.lock);
    return queue.failed < jobs->count ? &jobs->at[queue.failed] : NULL;
}
