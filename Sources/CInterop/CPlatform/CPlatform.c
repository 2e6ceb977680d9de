#define _GNU_SOURCE
#include "CPlatform.h"

#include <errno.h>
#include <fcntl.h>
#include <grp.h>
#include <linux/futex.h>
#include <linux/membarrier.h>
#include <poll.h>
#include <pthread.h>
#include <pwd.h>
#include <signal.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/un.h>
#include <time.h>
#include <unistd.h>

// Newer than Debian 12's headers.
#ifndef SO_PEERPIDFD
#define SO_PEERPIDFD 77
#endif
#ifndef SO_PEERGROUPS
#define SO_PEERGROUPS 59
#endif
#ifndef MFD_NOEXEC_SEAL
#define MFD_NOEXEC_SEAL 0x0008U
#endif
#ifndef SYS_epoll_pwait2
#define SYS_epoll_pwait2 441
#endif

int poolbus_packet_socket(void) { return socket(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC | SOCK_NONBLOCK, 0); }

static int make_address(struct sockaddr_un *address, const char *path) {
  size_t length = strlen(path);
  memset(address, 0, sizeof *address);
  address->sun_family = AF_UNIX;
  if (length == 0 || length >= sizeof address->sun_path) {
    errno = length == 0 ? EINVAL : ENAMETOOLONG;
    return -1;
  }
  memcpy(address->sun_path, path, length);
  return 0;
}

int poolbus_connect(int socket, const char *path) {
  struct sockaddr_un address;
  if (make_address(&address, path) != 0) return -1;
  return connect(socket, (struct sockaddr *)&address, sizeof address);
}

int poolbus_bind(int socket, const char *path) {
  struct sockaddr_un address;
  if (make_address(&address, path) != 0) return -1;
  return bind(socket, (struct sockaddr *)&address, sizeof address);
}

int poolbus_accept(int socket) {
  int accepted = accept4(socket, NULL, NULL, SOCK_CLOEXEC | SOCK_NONBLOCK);
  // Credentials beside each packet tell an empty one from the end.
  int yes = 1;
  if (accepted >= 0) setsockopt(accepted, SOL_SOCKET, SO_PASSCRED, &yes, sizeof yes);
  return accepted;
}

static ssize_t send_message(
    int socket, const struct sockaddr_un *address, socklen_t length, const void *bytes, size_t count, int descriptor,
    int flags) {
  struct iovec part = {.iov_base = (void *)bytes, .iov_len = count};
  union {
    struct cmsghdr header;
    char room[CMSG_SPACE(sizeof(int))];
  } control;
  struct msghdr message = {.msg_name = (void *)address, .msg_namelen = length, .msg_iov = &part, .msg_iovlen = 1};
  if (descriptor >= 0) {
    memset(&control, 0, sizeof control);
    message.msg_control = control.room;
    message.msg_controllen = sizeof control.room;
    struct cmsghdr *header = CMSG_FIRSTHDR(&message);
    header->cmsg_level = SOL_SOCKET;
    header->cmsg_type = SCM_RIGHTS;
    header->cmsg_len = CMSG_LEN(sizeof(int));
    memcpy(CMSG_DATA(header), &descriptor, sizeof(int));
  }
  ssize_t sent;
  do {
    sent = sendmsg(socket, &message, MSG_NOSIGNAL | flags);
  } while (sent < 0 && errno == EINTR);
  return sent;
}

ssize_t poolbus_send_packet(int socket, const void *bytes, size_t count, int descriptor) {
  return send_message(socket, NULL, 0, bytes, count, descriptor, MSG_DONTWAIT);
}

int poolbus_datagram_socket(void) { return socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0); }

ssize_t poolbus_send_datagram(int socket, const void *bytes, size_t count) {
  ssize_t sent;
  do {
    sent = send(socket, bytes, count, MSG_NOSIGNAL | MSG_DONTWAIT);
  } while (sent < 0 && errno == EINTR);
  return sent;
}

ssize_t poolbus_notify(const char *path, const void *bytes, size_t count, int descriptor) {
  struct sockaddr_un address;
  if (make_address(&address, path) != 0) return -1;
  socklen_t length = (socklen_t)(offsetof(struct sockaddr_un, sun_path) + strlen(path));
  if (path[0] == '@') address.sun_path[0] = 0;
  int notifier = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0);
  if (notifier < 0) return -1;
  ssize_t sent = send_message(notifier, &address, length, bytes, count, descriptor, 0);
  int failure = errno;
  close(notifier);
  errno = failure;
  return sent;
}

int poolbus_is_packet_listener(int descriptor, char *path, size_t room) {
  int kind = 0, domain = 0, listens = 0;
  socklen_t length = sizeof kind;
  if (getsockopt(descriptor, SOL_SOCKET, SO_TYPE, &kind, &length) != 0 || kind != SOCK_SEQPACKET) return 0;
  length = sizeof domain;
  if (getsockopt(descriptor, SOL_SOCKET, SO_DOMAIN, &domain, &length) != 0 || domain != AF_UNIX) return 0;
  length = sizeof listens;
  if (getsockopt(descriptor, SOL_SOCKET, SO_ACCEPTCONN, &listens, &length) != 0 || !listens) return 0;
  // One byte more than an address has, which stays zero: a path of full length has no zero of its own.
  union {
    struct sockaddr_un address;
    char bytes[sizeof(struct sockaddr_un) + 1];
  } name;
  memset(&name, 0, sizeof name);
  length = sizeof name.address;
  if (getsockname(descriptor, (struct sockaddr *)&name.address, &length) != 0 || name.address.sun_path[0] != '/')
    return 0;
  return snprintf(path, room, "%s", name.bytes + offsetof(struct sockaddr_un, sun_path)) < (int)room;
}

int poolbus_set_non_blocking(int descriptor) {
  int flags = fcntl(descriptor, F_GETFL);
  return flags < 0 ? -1 : fcntl(descriptor, F_SETFL, flags | O_NONBLOCK);
}

int poolbus_close_on_exec(int descriptor) { return fcntl(descriptor, F_SETFD, FD_CLOEXEC); }

ssize_t poolbus_receive_packet(int socket, void *bytes, size_t count, int *descriptors, int *arrived, int *damaged) {
  struct iovec part = {.iov_base = bytes, .iov_len = count};
  // Room for all that may come: what the kernel has no room for, it closes in this thread, and that may take long.
  union {
    struct cmsghdr header;
    char room[CMSG_SPACE(poolbus_most_descriptors * sizeof(int)) + CMSG_SPACE(sizeof(struct ucred))];
  } control;
  struct msghdr message = {.msg_iov = &part, .msg_iovlen = 1, .msg_control = control.room};
  *arrived = 0;
  *damaged = 0;
  ssize_t received;
  for (int ends = 0;;) {
    message.msg_controllen = sizeof control.room;
    received = recvmsg(socket, &message, MSG_CMSG_CLOEXEC | MSG_DONTWAIT);
    // That a peer hung up with packets unread is said once, ahead of the packets it sent: they come next, then the end.
    if (received < 0 && (errno == EINTR || errno == ECONNRESET)) continue;
    // The kernel looks for a packet, and then whether the peer has hung up: what it sent, and hung up, in between comes
    // behind the first end that is seen (unix_dgram_recvmsg), so that only a second one is the end.
    if (received == 0 && message.msg_controllen == 0 && ++ends < 2) continue;
    break;
  }
  if (received < 0) return received;

  if (message.msg_flags & MSG_TRUNC) *damaged = 1;
  for (struct cmsghdr *header = CMSG_FIRSTHDR(&message); header != NULL; header = CMSG_NXTHDR(&message, header)) {
    // No message is empty, and the end comes alone.
    if (received == 0) *damaged = 1;
    if (header->cmsg_level != SOL_SOCKET || header->cmsg_type != SCM_RIGHTS) continue;
    int more = (int)((header->cmsg_len - CMSG_LEN(0)) / sizeof(int));
    if (more > poolbus_most_descriptors - *arrived) more = poolbus_most_descriptors - *arrived;
    memcpy(descriptors + *arrived, CMSG_DATA(header), (size_t)more * sizeof(int));
    *arrived += more;
  }
  // Where none of them arrived, this process has no number left for one: the bytes are whole, and only it is missing.
  if ((message.msg_flags & MSG_CTRUNC) && *arrived > 0) *damaged = 1;
  return received;
}

int poolbus_peer_credentials(int socket, int32_t *process, uint32_t *user, uint32_t *group) {
  struct ucred credentials;
  socklen_t length = sizeof credentials;
  if (getsockopt(socket, SOL_SOCKET, SO_PEERCRED, &credentials, &length) != 0) return -1;
  *process = credentials.pid;
  *user = credentials.uid;
  *group = credentials.gid;
  return 0;
}

int poolbus_peer_process(int socket) {
  int descriptor;
  socklen_t length = sizeof descriptor;
  if (getsockopt(socket, SOL_SOCKET, SO_PEERPIDFD, &descriptor, &length) == 0) return descriptor;
  if (errno != ENOPROTOOPT) return -1;
  int32_t process;
  uint32_t user, group;
  if (poolbus_peer_credentials(socket, &process, &user, &group) != 0) return -1;
  return (int)syscall(SYS_pidfd_open, process, 0);
}

// Whether it happens within so many milliseconds. Signals wait meanwhile: one that is handled would end the wait.
static int happens(int descriptor, short events, int timeout) {
  struct pollfd wanted = {.fd = descriptor, .events = events};
  struct timespec limit = {.tv_sec = timeout / 1000, .tv_nsec = timeout % 1000 * 1000000L};
  sigset_t all;
  sigfillset(&all);
  return ppoll(&wanted, 1, &limit, &all) > 0;
}

int poolbus_is_hung_up(int socket) { return happens(socket, POLLRDHUP, 0); }

int poolbus_has_ended(int process, int timeout) { return happens(process, POLLIN, timeout); }

int poolbus_peer_groups(int socket, uint32_t *groups, int capacity) {
  _Static_assert(sizeof(gid_t) == sizeof *groups, "a group's number");
  socklen_t length = (socklen_t)capacity * sizeof *groups;
  if (getsockopt(socket, SOL_SOCKET, SO_PEERGROUPS, groups, &length) == 0) return (int)(length / sizeof *groups);
  // Too many for the room: `length` says how many bytes they take.
  if (errno == ERANGE) return (int)(length / sizeof *groups);
  // Kernels before 4.13 don't tell, and a pair of sockets of one process has no credentials.
  return errno == ENOPROTOOPT || errno == ENODATA ? 0 : -1;
}

// An entry of the user or group database takes as much room as it has members.
enum { first_room = 1024, most_room = 1 << 20 };

int poolbus_user_id(const char *name, uint32_t *user) {
  for (size_t room = first_room; room <= most_room; room *= 4) {
    char *buffer = malloc(room);
    if (buffer == NULL) return -1;
    struct passwd entry, *found = NULL;
    int failure = getpwnam_r(name, &entry, buffer, room, &found);
    if (found != NULL) *user = entry.pw_uid;
    free(buffer);
    if (failure != ERANGE) return found == NULL ? -1 : 0;
  }
  return -1;
}

int poolbus_group_id(const char *name, uint32_t *group) {
  for (size_t room = first_room; room <= most_room; room *= 4) {
    char *buffer = malloc(room);
    if (buffer == NULL) return -1;
    struct group entry, *found = NULL;
    int failure = getgrnam_r(name, &entry, buffer, room, &found);
    if (found != NULL) *group = entry.gr_gid;
    free(buffer);
    if (failure != ERANGE) return found == NULL ? -1 : 0;
  }
  return -1;
}

void poolbus_discard(int descriptor) {
  // Fails on what is no socket, which does not matter.
  struct linger none = {.l_onoff = 0, .l_linger = 0};
  setsockopt(descriptor, SOL_SOCKET, SO_LINGER, &none, sizeof none);
  close(descriptor);
}

_Static_assert(poolbus_readable == EPOLLIN && poolbus_writable == EPOLLOUT, "the kernel's bits");
_Static_assert(poolbus_failed == EPOLLERR && poolbus_hung_up == EPOLLHUP, "the kernel's bits");

int poolbus_poller(void) { return epoll_create1(EPOLL_CLOEXEC); }

int poolbus_poller_add(int poller, int descriptor, uint64_t token, uint32_t events) {
  struct epoll_event event = {.events = events, .data.u64 = token};
  return epoll_ctl(poller, EPOLL_CTL_ADD, descriptor, &event);
}

int poolbus_poller_modify(int poller, int descriptor, uint64_t token, uint32_t events) {
  struct epoll_event event = {.events = events, .data.u64 = token};
  return epoll_ctl(poller, EPOLL_CTL_MOD, descriptor, &event);
}

int poolbus_poller_remove(int poller, int descriptor) { return epoll_ctl(poller, EPOLL_CTL_DEL, descriptor, NULL); }

int poolbus_poller_wait(int poller, struct poolbus_readiness *ready, int capacity, int64_t timeout) {
  enum { most = 64 };
  struct epoll_event events[most];
  struct timespec duration = {.tv_sec = timeout / 1000000000, .tv_nsec = timeout % 1000000000};
  if (capacity > most) capacity = most;
  long count = syscall(SYS_epoll_pwait2, poller, events, capacity, timeout < 0 ? NULL : &duration, NULL, 0);
  if (count < 0 && errno == ENOSYS) {
    int64_t milliseconds = timeout < 0 ? -1 : (timeout + 999999) / 1000000;
    if (milliseconds > 0x7fffffff) milliseconds = 0x7fffffff;
    count = epoll_wait(poller, events, capacity, (int)milliseconds);
  }
  for (long index = 0; index < count; index++) {
    ready[index].token = events[index].data.u64;
    ready[index].events = events[index].events;
  }
  return (int)count;
}

int poolbus_wake_event(void) { return eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK); }

// Neither can fail in a way that matters: a full counter is signalled already, an empty one is clear.
void poolbus_signal(int event) { eventfd_write(event, 1); }

void poolbus_clear(int event) {
  eventfd_t count;
  eventfd_read(event, &count);
}

void poolbus_name_thread(const char *name) {
  char kept[16] = {0};
  strncpy(kept, name, sizeof kept - 1);
  pthread_setname_np(pthread_self(), kept);
}

int poolbus_register_fences(void) {
  return (int)syscall(SYS_membarrier, MEMBARRIER_CMD_REGISTER_PRIVATE_EXPEDITED, 0, 0);
}

int poolbus_fence_all_threads(void) {
  return (int)syscall(SYS_membarrier, MEMBARRIER_CMD_PRIVATE_EXPEDITED, 0, 0);
}

void poolbus_wait_on(const uint32_t *word, uint32_t expected) {
  syscall(SYS_futex, word, FUTEX_WAIT_PRIVATE, expected, NULL, NULL, 0);
}

void poolbus_wake_one(const uint32_t *word) { syscall(SYS_futex, word, FUTEX_WAKE_PRIVATE, 1, NULL, NULL, 0); }

void poolbus_nap(uint32_t nanoseconds) {
  int slack = prctl(PR_GET_TIMERSLACK);
  prctl(PR_SET_TIMERSLACK, 1ul);
  nanosleep(&(struct timespec){.tv_nsec = nanoseconds}, NULL);
  if (slack > 0) prctl(PR_SET_TIMERSLACK, (unsigned long)slack);
}

int poolbus_memory_file(const char *name) {
  int descriptor = memfd_create(name, MFD_CLOEXEC | MFD_ALLOW_SEALING | MFD_NOEXEC_SEAL);
  // Kernels before 6.3 don't know MFD_NOEXEC_SEAL.
  if (descriptor < 0 && errno == EINVAL) descriptor = memfd_create(name, MFD_CLOEXEC | MFD_ALLOW_SEALING);
  return descriptor;
}

int poolbus_add_seals(int descriptor, int seals) { return fcntl(descriptor, F_ADD_SEALS, seals); }

int poolbus_seals(int descriptor) { return fcntl(descriptor, F_GET_SEALS); }

int poolbus_populate(int descriptor, int64_t count) {
  int result;
  do {
    // An interrupted call starts over; the pages it made stay.
    result = fallocate(descriptor, 0, 0, count);
  } while (result != 0 && errno == EINTR);
  return result;
}

int poolbus_reopen_read_only(int descriptor) {
  char path[48];
  snprintf(path, sizeof path, "/proc/self/fd/%d", descriptor);
  return open(path, O_RDONLY | O_CLOEXEC);
}

int poolbus_duplicate(int descriptor) { return fcntl(descriptor, F_DUPFD_CLOEXEC, 0); }
