#define _GNU_SOURCE
#include "CPeer.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <spawn.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

static pid_t spawn(char *const words[], int input, int output, int errors) {
  posix_spawn_file_actions_t actions;
  posix_spawn_file_actions_init(&actions);
  posix_spawn_file_actions_adddup2(&actions, input, 0);
  posix_spawn_file_actions_adddup2(&actions, output, 1);
  if (errors >= 0) posix_spawn_file_actions_adddup2(&actions, errors, 2);
  // Tests ignore it, peers shall not.
  sigset_t defaults;
  sigemptyset(&defaults);
  sigaddset(&defaults, SIGPIPE);
  posix_spawnattr_t attributes;
  posix_spawnattr_init(&attributes);
  posix_spawnattr_setsigdefault(&attributes, &defaults);
  posix_spawnattr_setflags(&attributes, POSIX_SPAWN_SETSIGDEF);
  pid_t pid;
  int failure = posix_spawnp(&pid, words[0], &actions, &attributes, words, environ);
  posix_spawnattr_destroy(&attributes);
  posix_spawn_file_actions_destroy(&actions);
  errno = failure;
  return failure ? -1 : pid;
}

pid_t poolbus_peer_spawn(char *const words[], int *input, int *output, int errors) {
  signal(SIGPIPE, SIG_IGN);
  int in[2], out[2];
  if (pipe2(in, O_CLOEXEC) != 0) return -1;
  if (pipe2(out, O_CLOEXEC) != 0) {
    close(in[0]);
    close(in[1]);
    return -1;
  }
  pid_t pid = spawn(words, in[0], out[1], errors);
  int failure = errno;
  close(in[0]);
  close(out[1]);
  if (pid < 0) {
    close(in[1]);
    close(out[0]);
    errno = failure;
    return -1;
  }
  *input = in[1];
  *output = out[0];
  return pid;
}

void poolbus_peer_await_end(pid_t child) {
  siginfo_t information;
  while (waitid(P_PID, (id_t)child, &information, WEXITED | WNOWAIT) != 0 && errno == EINTR) continue;
}

pid_t poolbus_peer_fork_idle_child(void) {
  pid_t child = fork();
  if (child != 0) return child;
  // The parent's standard output must end when the parent does.
  close(0);
  close(1);
  close(2);
  for (;;) pause();
}

int poolbus_peer_listen_as_child(int descriptor) {
  pid_t child = fork();
  if (child < 0) return -1;
  if (child == 0) _exit(listen(descriptor, 1) == 0 ? 0 : 1);
  int status = 0;
  while (waitpid(child, &status, 0) < 0) {
    if (errno != EINTR) return -1;
  }
  return status == 0 ? 0 : -1;
}

int poolbus_peer_adopt_orphans(void) { return prctl(PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0); }

int poolbus_peer_limit(pid_t process, int resource, uint64_t value) {
  struct rlimit limit;
  if (prlimit(process, resource, NULL, &limit) != 0) return -1;
  limit.rlim_cur = value < limit.rlim_max ? value : limit.rlim_max;
  return prlimit(process, resource, &limit, NULL);
}
