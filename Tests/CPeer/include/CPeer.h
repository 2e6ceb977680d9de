// What the end-to-end tests and the fault harness need of C: what Swift forbids (fork) or makes long (spawn), and bytes that are made and
// checked at memory speed even in a debug build.
#pragma once

#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

/// Starts a program, found in PATH, with pipes as its standard input and output. Its standard error is `errors`, or this
/// process's if that is -1; it inherits no other descriptor. `words` ends with NULL. Returns its pid, with this process's
/// ends of the pipes, or -1 and errno.
pid_t poolbus_peer_spawn(char *const words[], int *input, int *output, int errors);

/// Waits until a child has ended; it keeps its number until it is reaped with waitpid.
void poolbus_peer_await_end(pid_t child);

/// Forks a child that does nothing but hold copies of this process's descriptors, without the standard three.
/// Returns its pid, or -1.
pid_t poolbus_peer_fork_idle_child(void);

/// Has a child, which is gone then, listen at a bound socket, as a service manager does. Returns 0, or -1.
int poolbus_peer_listen_as_child(int descriptor);

/// The calling process becomes the parent of its descendants' orphans. Returns 0, or -1.
int poolbus_peer_adopt_orphans(void);

/// Sets another process's soft limit of a resource (RLIMIT_NOFILE, …), as far as its hard limit allows; UINT64_MAX is the
/// hard limit itself. Returns 0, or -1 and errno.
int poolbus_peer_limit(pid_t process, int resource, uint64_t value);

/// How often this process has asked for heap memory: malloc, calloc, realloc and the aligned ones.
uint64_t poolbus_peer_allocations(void);

/// Fills `count` bytes with what belongs to `seed`.
void poolbus_peer_fill(void *bytes, size_t count, uint64_t seed);

/// The offset of the first byte that is not what belongs to `seed`, or -1.
ptrdiff_t poolbus_peer_mismatch(const void *bytes, size_t count, uint64_t seed);

/// As above, but from the word of 8 bytes with this index on.
ptrdiff_t poolbus_peer_mismatch_from(const void *bytes, size_t count, size_t first, uint64_t seed);
// A client that keeps to no rule ------------------------------------------------------------------------------------

/// A connected SOCK_SEQPACKET socket that never blocks; -1 and errno.
int poolbus_raw_connect(const char *path);
/// The same, connected by a process of its own, which does nothing else and is what the other side sees; it lives until
/// `*life` is closed here. Returns its pid, or -1 and errno.
pid_t poolbus_raw_connect_as_process(const char *path, int *raw, int *life);
/// Kills and reaps that process.
void poolbus_raw_end_process(pid_t process);
/// Sends a packet with any number of descriptors. Returns 0, or the errno.
int poolbus_raw_send(int raw, const void *bytes, size_t count, const int *descriptors, int descriptor_count);
/// Receives a packet and the first descriptor that came with it, or -1. Returns its length, or minus the errno.
ssize_t poolbus_raw_receive(int raw, void *bytes, size_t count, int *descriptor);
/// A memory file of any length and with any seals.
int poolbus_raw_memory_file(size_t count, int seals);
/// Punches a hole. Returns 0, or the errno.
int poolbus_raw_punch(int raw, size_t offset, size_t count);
/// A TCP socket whose close waits an hour, because `*other_end` does not read.
int poolbus_raw_lingering_socket(int *other_end);
void poolbus_raw_stop_lingering(int raw);
