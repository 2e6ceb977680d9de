// A window for systems whose broker drops, or buffers without end, when a subscriber lags: each sink counts what it
// has read of each source in memory that both see, and a source stays at most a window ahead of the slowest. The memory
// is a file in `--place`. It costs the system nothing: no message, no system call.
#ifndef POOLBUS_BENCH_CREDIT_H
#define POOLBUS_BENCH_CREDIT_H

#include <fcntl.h>
#include <sys/mman.h>

#include "peer.h"

struct credit {
  // One cache line each, so that no sink's writing slows another's.
  struct { _Alignas(64) uint64_t read; } *cells;  // [sink][source]; none in a round trip, which needs no window
  const struct peer *peer;
  uint64_t window;  // messages
  uint64_t sent;    // by this source
  uint64_t known;   // what the slowest sink was seen to have read: looked up again only once it is used up
  char path[256];
};

static inline void credit_open(struct credit *credit, const struct peer *peer, size_t window_bytes) {
  *credit = (struct credit){.peer = peer, .window = UINT64_MAX};
  if (!peer_is(peer, "source") && !peer_is(peer, "sink")) return;
  credit->window = window_bytes / (size_t)peer->publishers / peer->size;
  if (credit->window < 2) credit->window = 2;
  snprintf(credit->path, sizeof credit->path, "%s/credit", peer->place);
  size_t length = sizeof *credit->cells * (size_t)(peer->publishers * peer->subscribers);
  int file = open(credit->path, O_RDWR | O_CREAT, 0600);
  if (file < 0 || ftruncate(file, (off_t)length)) peer_fail("can't make %s", credit->path);
  void *memory = mmap(NULL, length, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_POPULATE, file, 0);
  if (memory == MAP_FAILED) peer_fail("can't map %s", credit->path);
  credit->cells = memory;
  close(file);
}

// The source waits until it may send its next message.
static inline void credit_wait(struct credit *credit) {
  const struct peer *peer = credit->peer;
  credit->sent++;
  while (credit->sent > credit->known + credit->window) {
    uint64_t slowest = UINT64_MAX;
    for (int sink = 0; sink < peer->subscribers; sink++) {
      uint64_t read = __atomic_load_n(&credit->cells[sink * peer->publishers + peer->index].read, __ATOMIC_ACQUIRE);
      if (read < slowest) slowest = read;
    }
    // A full window is many milliseconds of the broker's work: it does not run dry during a nap.
    if (slowest == credit->known) nanosleep(&(struct timespec){0, 50000}, NULL);
    credit->known = slowest;
  }
}

// The sink has read one more message of `source`.
static inline void credit_give(struct credit *credit, int source) {
  if (!credit->cells) return;
  uint64_t *read = &credit->cells[credit->peer->index * credit->peer->publishers + source].read;
  __atomic_store_n(read, *read + 1, __ATOMIC_RELEASE);
}

// Every process removes the file, the first of them really: by then all have it mapped.
static inline void credit_close(struct credit *credit) {
  if (credit->cells) unlink(credit->path);
}

#endif
