#include "CPeer.h"

#include <sys/prctl.h>
#include <unistd.h>

pid_t poolbus_peer_fork_idle_child(void) {
  pid_t child = fork();
  if (child != 0) return child;
  // The parent's standard output must end when the parent does.
  close(0);
  close(1);
  close(2);
  for (;;) pause();
}

int poolbus_peer_adopt_orphans(void) { return prctl(PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0); }
