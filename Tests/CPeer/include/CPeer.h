// What the end-to-end tests need of C: what Swift forbids (fork) or makes long (spawn), and bytes that are made and
// checked at memory speed even in a debug build.
#pragma once

#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

/// Starts a program, found in PATH, with pipes as its standard input and output; it inherits standard error and no
/// other descriptor. `words` ends with NULL. Returns its pid, with this process's ends of the pipes, or -1 and errno.
pid_t poolbus_peer_spawn(char *const words[], int *input, int *output);

/// Waits until a child has ended; it keeps its number until it is reaped with waitpid.
void poolbus_peer_await_end(pid_t child);

/// Forks a child that does nothing but hold copies of this process's descriptors, without the standard three.
/// Returns its pid, or -1.
pid_t poolbus_peer_fork_idle_child(void);

/// The calling process becomes the parent of its descendants' orphans. Returns 0, or -1.
int poolbus_peer_adopt_orphans(void);

/// How often this process has asked for heap memory: malloc, calloc, realloc and the aligned ones.
uint64_t poolbus_peer_allocations(void);

/// Fills `count` bytes with what belongs to `seed`.
void poolbus_peer_fill(void *bytes, size_t count, uint64_t seed);

/// The offset of the first byte that is not what belongs to `seed`, or -1.
ptrdiff_t poolbus_peer_mismatch(const void *bytes, size_t count, uint64_t seed);
