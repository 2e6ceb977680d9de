#define _GNU_SOURCE
#include "CPeer.h"

#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <poll.h>
#include <signal.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <unistd.h>

int poolbus_raw_connect(const char *path) {
  struct sockaddr_un address = {.sun_family = AF_UNIX};
  if (strlen(path) >= sizeof address.sun_path) return -1;
  strcpy(address.sun_path, path);
  int raw = socket(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
  if (raw < 0 || connect(raw, (struct sockaddr *)&address, sizeof address) == 0) return raw;
  int failure = errno;
  close(raw);
  errno = failure;
  return -1;
}

int poolbus_raw_send(int raw, const void *bytes, size_t count, const int *descriptors, int descriptor_count) {
  struct iovec part = {.iov_base = (void *)bytes, .iov_len = count};
  union {
    struct cmsghdr header;
    char room[CMSG_SPACE(253 * sizeof(int))];
  } control;
  memset(&control, 0, sizeof control);
  struct msghdr message = {.msg_iov = &part, .msg_iovlen = 1};
  if (descriptor_count > 0) {
    message.msg_control = control.room;
    message.msg_controllen = CMSG_SPACE((size_t)descriptor_count * sizeof(int));
    struct cmsghdr *header = CMSG_FIRSTHDR(&message);
    header->cmsg_level = SOL_SOCKET;
    header->cmsg_type = SCM_RIGHTS;
    header->cmsg_len = CMSG_LEN((size_t)descriptor_count * sizeof(int));
    memcpy(CMSG_DATA(header), descriptors, (size_t)descriptor_count * sizeof(int));
  }
  return sendmsg(raw, &message, MSG_NOSIGNAL | MSG_DONTWAIT) < 0 ? errno : 0;
}

ssize_t poolbus_raw_receive(int raw, void *bytes, size_t count, int *descriptor) {
  struct iovec part = {.iov_base = bytes, .iov_len = count};
  union {
    struct cmsghdr header;
    char room[CMSG_SPACE(sizeof(int))];
  } control;
  struct msghdr message = {
      .msg_iov = &part, .msg_iovlen = 1, .msg_control = control.room, .msg_controllen = sizeof control.room};
  *descriptor = -1;
  ssize_t received = recvmsg(raw, &message, MSG_DONTWAIT | MSG_CMSG_CLOEXEC);
  if (received == 0 || (received < 0 && errno == ECONNRESET)) {
    // What was sent while the kernel looked for it, and the end right behind, is seen in the other order; and that the node
    // left something unread is told before what it said last.
    message.msg_controllen = sizeof control.room;
    received = recvmsg(raw, &message, MSG_DONTWAIT | MSG_CMSG_CLOEXEC);
  }
  if (received < 0) return -errno;
  struct cmsghdr *header = CMSG_FIRSTHDR(&message);
  if (header != NULL && header->cmsg_type == SCM_RIGHTS) memcpy(descriptor, CMSG_DATA(header), sizeof(int));
  return received;
}

int poolbus_raw_memory_file(size_t count, int seals) {
  int raw = memfd_create("hostile", MFD_CLOEXEC | MFD_ALLOW_SEALING);
  if (raw >= 0 && (ftruncate(raw, (off_t)count) != 0 || fcntl(raw, F_ADD_SEALS, seals) != 0)) {
    close(raw);
    return -1;
  }
  return raw;
}

int poolbus_raw_punch(int raw, size_t offset, size_t count) {
  int result = fallocate(raw, FALLOC_FL_KEEP_SIZE | FALLOC_FL_PUNCH_HOLE, (off_t)offset, (off_t)count);
  return result == 0 ? 0 : errno;
}

int poolbus_raw_lingering_socket(int *other_end) {
  int listener = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
  struct sockaddr_in address = {.sin_family = AF_INET, .sin_addr = {htonl(INADDR_LOOPBACK)}};
  socklen_t length = sizeof address;
  int raw = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
  *other_end = -1;
  if (listener >= 0 && raw >= 0 && bind(listener, (struct sockaddr *)&address, length) == 0 &&
      getsockname(listener, (struct sockaddr *)&address, &length) == 0 && listen(listener, 1) == 0 &&
      connect(raw, (struct sockaddr *)&address, length) == 0)
    *other_end = accept(listener, NULL, NULL);
  close(listener);
  if (*other_end < 0) return -1;
  // The other end reads nothing: what is sent stays here, and closing waits for it an hour.
  struct linger hour = {.l_onoff = 1, .l_linger = 3600};
  setsockopt(raw, SOL_SOCKET, SO_LINGER, &hour, sizeof hour);
  static const char junk[65536];
  while (send(raw, junk, sizeof junk, MSG_DONTWAIT | MSG_NOSIGNAL) > 0) continue;
  return raw;
}

pid_t poolbus_raw_connect_as_process(const char *path, int *raw, int *life) {
  int pair[2];
  if (socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, pair) != 0) return -1;
  pid_t child = fork();
  if (child == 0) {
    // Nothing of the parent's may live on here: its sockets would stay connected, its memory mapped.
    dup2(pair[1], 3);
    close_range(4, ~0U, 0);
    int connected = poolbus_raw_connect(path);
    int failure = connected < 0 ? errno : 0;
    poolbus_raw_send(3, &failure, sizeof failure, &connected, connected < 0 ? 0 : 1);
    if (connected >= 0) close(connected);
    // Nothing comes but the end, with that of the parent: PR_SET_PDEATHSIG would tell of the thread that forked.
    while (read(3, &failure, sizeof failure) < 0 && errno == EINTR) continue;
    _exit(0);
  }
  close(pair[1]);
  *raw = -1;
  int failure = EPROTO;
  ssize_t received = -1;
  if (child > 0) {
    do {
      struct pollfd ready = {.fd = pair[0], .events = POLLIN};
      poll(&ready, 1, -1);
      received = poolbus_raw_receive(pair[0], &failure, sizeof failure, raw);
    } while (received == -EINTR || received == -EAGAIN);
  }
  if (*raw >= 0) {
    *life = pair[0];
    return child;
  }
  close(pair[0]);
  if (child > 0) {
    kill(child, SIGKILL);
    waitpid(child, NULL, 0);
  }
  errno = failure;
  return -1;
}

void poolbus_raw_end_process(pid_t process) {
  kill(process, SIGKILL);
  while (waitpid(process, NULL, 0) < 0 && errno == EINTR) continue;
}

void poolbus_raw_stop_lingering(int raw) {
  struct linger none = {.l_onoff = 0, .l_linger = 0};
  setsockopt(raw, SOL_SOCKET, SO_LINGER, &none, sizeof none);
}
