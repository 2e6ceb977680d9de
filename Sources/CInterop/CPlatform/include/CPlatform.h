// What the kernel's interface says in macros and varargs, which Swift can't import: one small function each.
#ifndef CPLATFORM_H
#define CPLATFORM_H

#include <pthread.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

// Sockets ------------------------------------------------------------------------------------------------------

/// A non-blocking SOCK_SEQPACKET socket of the Unix domain; -1 and errno.
int poolbus_packet_socket(void);
/// connect(2) and bind(2) to a path; ENAMETOOLONG if it does not fit sun_path.
int poolbus_connect(int socket, const char *path);
int poolbus_bind(int socket, const char *path);
/// accept4(2), with the peer's address left out.
int poolbus_accept(int socket);

/// Sends one packet, with a copy of `descriptor` beside it unless that is -1. Never raises SIGPIPE.
ssize_t poolbus_send_packet(int socket, const void *bytes, size_t count, int descriptor);

/// As many descriptors as the kernel lets go with one packet.
enum { poolbus_most_descriptors = 253 };

/// Receives one packet. `descriptors`, which has room for the most there can be, takes those that came with it, and
/// `*arrived` says how many: none, too, if this process can open none more. `*damaged` is 1 if bytes were cut off, or some
/// of the descriptors, or there are no bytes.
ssize_t poolbus_receive_packet(int socket, void *bytes, size_t count, int *descriptors, int *arrived, int *damaged);

/// A non-blocking SOCK_DGRAM socket of the Unix domain; -1 and errno.
int poolbus_datagram_socket(void);
/// Sends one datagram to the socket that this one is connected to; fails with EAGAIN rather than wait for room.
ssize_t poolbus_send_datagram(int socket, const void *bytes, size_t count);

/// Sends one datagram to a service manager's socket, with a copy of `descriptor` beside it unless that is -1. Waits for
/// room. A path that begins with '@' is an abstract address.
ssize_t poolbus_notify(const char *path, const void *bytes, size_t count, int descriptor);

/// 1 if the descriptor is a listening SOCK_SEQPACKET socket of the Unix domain, bound to a path, which is copied to
/// `path` with its final zero; 0 if it is anything else.
int poolbus_is_packet_listener(int descriptor, char *path, size_t room);
int poolbus_set_non_blocking(int descriptor);
int poolbus_close_on_exec(int descriptor);

/// SO_PEERCRED.
int poolbus_peer_credentials(int socket, int32_t *process, uint32_t *user, uint32_t *group);
/// SO_PEERGROUPS: fills `groups` with up to `capacity` of them, and returns how many there are; -1 and errno.
int poolbus_peer_groups(int socket, uint32_t *groups, int capacity);
/// SO_PEERPIDFD, or where the kernel lacks it a pidfd of the credentials' process.
int poolbus_peer_process(int socket);
/// Whether the other side has shut the conversation down: 1, or 0.
int poolbus_is_hung_up(int socket);
/// Whether the process of a pidfd has ended, or does within so many milliseconds: 1, or 0.
int poolbus_has_ended(int process, int timeout);

/// getpwnam_r(3) and getgrnam_r(3): 0, or -1 if there is no such name.
int poolbus_user_id(const char *name, uint32_t *user);
int poolbus_group_id(const char *name, uint32_t *group);

/// Closes a descriptor that a peer passed; of a socket's linger time nothing is waited for.
void poolbus_discard(int descriptor);

// Waiting ------------------------------------------------------------------------------------------------------

struct poolbus_readiness {
  uint64_t token;
  uint32_t events;
};

enum { poolbus_readable = 0x001, poolbus_writable = 0x004, poolbus_failed = 0x008, poolbus_hung_up = 0x010 };

/// epoll_create1(2) and epoll_ctl(2), level-triggered.
int poolbus_poller(void);
int poolbus_poller_add(int poller, int descriptor, uint64_t token, uint32_t events);
int poolbus_poller_modify(int poller, int descriptor, uint64_t token, uint32_t events);
int poolbus_poller_remove(int poller, int descriptor);
/// epoll_pwait2(2); `timeout` in nanoseconds, negative for ever.
int poolbus_poller_wait(int poller, struct poolbus_readiness *ready, int capacity, int64_t timeout);

/// eventfd(2), non-blocking.
int poolbus_wake_event(void);
void poolbus_signal(int event);
void poolbus_clear(int event);

/// Names the calling thread; 15 bytes are kept.
void poolbus_name_thread(const char *name);

/// What is this thread's as long as it lives, and no other's meanwhile.
static inline uintptr_t poolbus_thread(void) {
  uintptr_t thread;
  // Volatile: an async function must not go on with that of the thread on which it was before.
#if defined(__x86_64__)
  __asm__ volatile("mov %%fs:0, %0" : "=r"(thread));
#elif defined(__aarch64__)
  __asm__ volatile("mrs %0, tpidr_el0" : "=r"(thread));
#else
  thread = (uintptr_t)pthread_self();
#endif
  return thread;
}

/// Keeps the compiler, and not the processor, from moving loads and stores across.
static inline void poolbus_compiler_fence(void) { __atomic_signal_fence(__ATOMIC_SEQ_CST); }
/// membarrier(2), of this process's threads: registers it for that, and is a fence in each of them; 0, or -1 and errno.
int poolbus_register_fences(void);
int poolbus_fence_all_threads(void);

/// futex(2) of this process: waits while the word is `expected`, or less, and wakes one who does.
void poolbus_wait_on(const uint32_t *word, uint32_t expected);
void poolbus_wake_one(const uint32_t *word);

/// nanosleep(2), without the 50 microseconds that the kernel may add to let timers expire together; what this thread had
/// asked for in that is restored.
void poolbus_nap(uint32_t nanoseconds);

/// Tells the processor that this thread spins.
static inline void poolbus_spin_hint(void) {
#if defined(__x86_64__)
  __builtin_ia32_pause();
#elif defined(__aarch64__)
  __asm__ volatile("isb" ::: "memory");
#endif
}

/// The processor's counter, which every core reads alike; waits for nothing that comes before it.
static inline uint64_t poolbus_ticks(void) {
#if defined(__x86_64__)
  return __builtin_ia32_rdtsc();
#elif defined(__aarch64__)
  uint64_t ticks;
  __asm__ volatile("mrs %0, cntvct_el0" : "=r"(ticks));
  return ticks;
#else
  return 0;
#endif
}

/// Asks for the cache line of an address, which need not be valid.
static inline void poolbus_prefetch(const void *address) { __builtin_prefetch(address); }

/// As poolbus_prefetch, to be written soon: no other core keeps the line.
static inline void poolbus_prefetch_for_writing(const void *address) {
#if defined(__x86_64__)
  // Not the builtin, which without a promise of the newest processors only reads. Older ones take it for a no-op.
  __asm__ volatile("prefetchw (%0)" ::"r"(address));
#else
  __builtin_prefetch(address, 1);
#endif
}

// Memory files -------------------------------------------------------------------------------------------------

/// memfd_create(2), closed on exec, sealable, and not executable where the kernel knows that wish.
int poolbus_memory_file(const char *name);
int poolbus_add_seals(int descriptor, int seals);
/// Backs the file with pages: fallocate(2), taken up again when a signal interrupts it.
int poolbus_populate(int descriptor, int64_t count);
/// The seals, or -1 and errno (EINVAL: no memory file).
int poolbus_seals(int descriptor);
int poolbus_reopen_read_only(int descriptor);
int poolbus_duplicate(int descriptor);

#endif
