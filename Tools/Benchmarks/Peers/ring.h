// A ring of slots in plain shared memory for each writer, with the counts that writer and readers wait on: what floor.c
// measures, and where handle.c keeps its payloads. Readers of a ring all see each slot; the writer waits for the
// slowest.
#ifndef POOLBUS_BENCH_RING_H
#define POOLBUS_BENCH_RING_H

#include <fcntl.h>
#include <limits.h>
#include <linux/futex.h>
#include <stdatomic.h>
#include <sys/mman.h>
#include <sys/syscall.h>

#include "rounds.h"

// Each word has two cache lines for itself, since processors fetch lines in pairs.
struct ring_word { _Alignas(128) _Atomic uint64_t count; };
// Somebody sleeps here if it is 1: whoever wakes him sets it to 0.
// `rings` counts how often it was rung: who sleeps waits for the count to change, so that nobody else's announcement
// can hide that the bell was rung for him.
struct ring_bell { _Alignas(128) _Atomic uint32_t asleep; _Atomic uint32_t rings; };

// Huge pages: no floor is beaten by what has them.
#define RING_PAGE ((size_t)2 << 20)
#ifndef MADV_COLLAPSE
#define MADV_COLLAPSE 25
#endif

static inline size_t ring_whole_pages(size_t bytes) { return (bytes + RING_PAGE - 1) / RING_PAGE * RING_PAGE; }

static struct {
  enum peer_mode mode;
  int topics, readers, reader;
  uint64_t slots;
  size_t stride;
  char name[256];
  _Atomic uint64_t *joined;
  struct ring_bell *bell;      // for all readers: with one topic they all wait for the same
  struct ring_bell *room;      // [topic], for its writer
  struct ring_word *produced;  // [topic]
  struct ring_word *consumed;  // [topic][reader]
  char *payloads;              // [topic][slot]
} ring;

static void ring_unlink(void) { shm_unlink(ring.name); }

static inline char *ring_slot(int topic, uint64_t number) {
  return ring.payloads + ((size_t)topic * ring.slots + number % ring.slots) * ring.stride;
}

static inline struct ring_word *ring_consumed(int topic, int reader) {
  return &ring.consumed[topic * ring.readers + reader];
}

// Opens the run's memory, or creates it: fresh memory being zero, whoever comes first needs to do nothing more.
static void ring_open(const struct peer *peer, struct peer_topics topics, uint64_t slots) {
  int latency = topics.written >= 0 && topics.reads;
  ring.mode = peer->mode;
  ring.topics = topics.count;
  ring.readers = latency ? 1 : peer->subscribers;
  ring.reader = latency ? 0 : peer->index;
  ring.slots = slots;
  ring.stride = (peer->size + 63) / 64 * 64;
  int processes = latency ? 2 : peer->publishers + peer->subscribers;
  snprintf(ring.name, sizeof ring.name, "/poolbus-bench-%s", peer->name);

  size_t words = (size_t)(2 + 2 * ring.topics + ring.topics * ring.readers);
  size_t head = ring_whole_pages(words * sizeof(struct ring_word));
  size_t bytes = head + ring_whole_pages((size_t)ring.topics * slots * ring.stride);
  atexit(ring_unlink);
  int file = shm_open(ring.name, O_RDWR | O_CREAT, 0600);
  if (file < 0 || ftruncate(file, (off_t)bytes)) peer_fail("can't create shared memory");
  // Somewhere in room for one page more a page begins.
  char *room = mmap(NULL, bytes + RING_PAGE, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
  if (room == MAP_FAILED) peer_fail("can't reserve addresses");
  char *base = mmap(
      (void *)ring_whole_pages((size_t)room), bytes, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_FIXED | MAP_POPULATE, file, 0);
  if (base == MAP_FAILED) peer_fail("can't map shared memory");
  close(file);
  // Whatever `shmem_enabled` says. Where the kernel has none, it goes on with small ones.
  madvise(base, bytes, MADV_COLLAPSE);

  struct ring_word *word = (struct ring_word *)base;
  ring.joined = &word->count;
  ring.bell = (struct ring_bell *)(word + 1);
  ring.room = ring.bell + 1;
  ring.produced = word + 2 + ring.topics;
  ring.consumed = ring.produced + ring.topics;
  ring.payloads = base + head;
  // Once all have it, nobody needs the name: then even a killed run leaves nothing behind.
  if (atomic_fetch_add(ring.joined, 1) + 1 == (uint64_t)processes) ring_unlink();
}

// ---- waiting

struct ring_patience { uint64_t since, turns; int announced; uint32_t rings; };

static inline void ring_spin(uint64_t turn) {
#if defined(__x86_64__) || defined(__i386__)
  __builtin_ia32_pause();
#elif defined(__aarch64__)
  __asm__ volatile("isb");  // waits about as long as x86's pause; `yield` doesn't wait
#endif
  if (turn % 8 == 7) peer_yield();
}

// One turn of a loop that waits for somebody to ring `bell`. It sleeps only in the turn after it has announced so:
// between the two the caller looks again, which, all being sequentially consistent, makes sure that either he sees the
// news or the one who brings them sees the announcement.
static inline void ring_wait(struct ring_bell *bell, struct ring_patience *patience) {
  uint64_t turn = patience->turns++;
  if (ring.mode == PEER_SPIN) {
    ring_spin(turn);
    return;
  }
  if (ring.mode == PEER_ADAPTIVE && !patience->announced) {
    if (!turn) patience->since = peer_now();
    if (turn % 64 || peer_now() - patience->since < 50000) {
      ring_spin(turn);
      return;
    }
  }
  if (!patience->announced) {
    patience->rings = atomic_load(&bell->rings);
    atomic_store(&bell->asleep, 1);
    patience->announced = 1;
    return;
  }
  syscall(SYS_futex, &bell->rings, FUTEX_WAIT, patience->rings, NULL, NULL, 0);
  *patience = (struct ring_patience){0};
}

// Tells a count, and wakes whoever said that he sleeps until it changes.
static inline void ring_tell(struct ring_word *word, uint64_t count, struct ring_bell *bell) {
  if (ring.mode == PEER_SPIN) {
    atomic_store_explicit(&word->count, count, memory_order_release);
    return;
  }
  atomic_store(&word->count, count);
  if (atomic_load(&bell->asleep)) {
    atomic_store(&bell->asleep, 0);
    atomic_fetch_add(&bell->rings, 1);
    syscall(SYS_futex, &bell->rings, FUTEX_WAKE, INT_MAX, NULL, NULL, 0);
  }
}

// Waits until message `number` has a free slot; `slowest` is what the slowest reader was last seen to have consumed.
static inline void *ring_loan(int topic, uint64_t number, uint64_t *slowest) {
  for (struct ring_patience patience = {0}; number - *slowest > ring.slots;) {
    uint64_t least = UINT64_MAX;
    for (int reader = 0; reader < ring.readers; reader++) {
      uint64_t consumed = atomic_load(&ring_consumed(topic, reader)->count);
      if (consumed < least) least = consumed;
    }
    *slowest = least;
    if (number - least > ring.slots) ring_wait(&ring.room[topic], &patience);
  }
  return ring_slot(topic, number);
}

static inline void ring_release(int topic, uint64_t number) {
  ring_tell(ring_consumed(topic, ring.reader), number, &ring.room[topic]);
}

#endif
