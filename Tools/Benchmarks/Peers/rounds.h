// The four roles' rounds, for C and C++ peers, which say in four verbs what their system does. A peer includes this
// file, defines the verbs, and calls `peer_rounds`: everything being static, the compiler sees each loop whole.
//
//   void *peer_loan(void)             memory for one payload; waits while the system has no room
//   void peer_send(void)              sends what was loaned
//   uint64_t peer_receive(int *from)  waits for the next payload, as the mode says, and reads it (`peer_read`) where it
//                                     lies; returns its number. `from` is the source's index
//   void peer_release(void)           gives back what was received
//
// `peer_topics` says what a process writes and reads.
#ifndef POOLBUS_BENCH_ROUNDS_H
#define POOLBUS_BENCH_ROUNDS_H

#include <sched.h>

#include "peer.h"

static void *peer_loan(void);
static void peer_send(void);
static uint64_t peer_receive(int *from);
static void peer_release(void);

// What a source does after a round's last message, if there is anything: set by a peer whose system sends later.
static void (*peer_flush)(void);

// Whether the run's threads are more than the cores. Whoever polls then without a core for himself must yield it now
// and then: else he spins away the time of whom he waits for.
static int peer_crowded;

static inline void peer_count_threads(const struct peer *peer, int each) {
  int processes = peer_is(peer, "ping") || peer_is(peer, "pong") ? 2 : peer->publishers + peer->subscribers;
  peer_crowded = processes * each > sysconf(_SC_NPROCESSORS_ONLN);
}

// For every few turns of a loop that polls. Rarely even a poller with a core yields: the scheduler may have put both
// sides on one, or somebody else may want it.
static inline void peer_yield(void) {
  static unsigned turns;
  if (peer_crowded || ++turns % 512 == 0) sched_yield();
}

static void peer_rounds_source(const struct peer *peer) {
  for (uint64_t count, number = 0; (count = peer_order());) {
    uint64_t cpu = peer_cpu(), start = peer_now();
    for (uint64_t i = 0; i < count; i++) {
      peer_fill(peer, peer_loan(), ++number);
      peer_send();
    }
    if (peer_flush) peer_flush();
    peer_done_source(start, cpu);
  }
}

static void peer_rounds_sink(const struct peer *peer) {
  uint64_t *last = POOLBUS_CAST(uint64_t *, calloc((size_t)peer->publishers, sizeof *last));
  for (uint64_t count; (count = peer_order());) {
    uint64_t cpu = peer_cpu(), received = 0, lost = 0;
    peer_say("armed");
    while (received + lost < count * (uint64_t)peer->publishers) {
      int from = 0;
      uint64_t number = peer_receive(&from);
      peer_release();
      if (number <= last[from]) peer_fail("message %llu twice", (unsigned long long)number);
      lost += number - last[from] - 1;
      last[from] = number;
      received++;
    }
    peer_done_sink(lost, cpu);
  }
  free(last);
}

static void peer_rounds_ping(const struct peer *peer) {
  uint64_t *samples = NULL;
  for (uint64_t count, number = 0; (count = peer_order());) {
    samples = POOLBUS_CAST(uint64_t *, realloc(samples, count * sizeof *samples));
    memset(samples, 0, count * sizeof *samples);  // no page fault while the clock runs
    uint64_t cpu = peer_cpu();
    for (uint64_t i = 0; i < count; i++) {
      int from = 0;
      void *payload = peer_loan();
      peer_pause(peer);
      uint64_t start = peer_now();
      peer_fill(peer, payload, ++number);
      peer_send();
      uint64_t answer = peer_receive(&from);
      samples[i] = (peer_now() - start) / 2;
      peer_release();
      if (answer != number) peer_fail("the answer to another ping than %llu", (unsigned long long)number);
    }
    peer_done_ping(peer, samples, count, cpu);
  }
  free(samples);
}

static void peer_rounds_pong(const struct peer *peer) {
  for (uint64_t count; (count = peer_order());) {
    uint64_t cpu = peer_cpu();
    peer_say("armed");
    for (uint64_t i = 0; i < count; i++) {
      int from = 0;
      uint64_t number = peer_receive(&from);
      // The answer first: giving back what was received isn't on its way.
      peer_fill(peer, peer_loan(), number);
      peer_send();
      peer_release();
    }
    peer_done_pong(cpu);
  }
}

static inline void peer_rounds(const struct peer *peer) {
  peer_say("ready");
  if (peer_is(peer, "source")) peer_rounds_source(peer);
  else if (peer_is(peer, "sink")) peer_rounds_sink(peer);
  else if (peer_is(peer, "ping")) peer_rounds_ping(peer);
  else peer_rounds_pong(peer);
}

// Every writer has a topic of its own: source I writes topic I, ping topic 0, pong topic 1.
struct peer_topics { int count, written, first_read, reads; };

static inline struct peer_topics peer_topics(const struct peer *peer) {
  struct peer_topics topics = {peer->publishers, peer->index, 0, 0};
  if (peer_is(peer, "sink")) topics.written = -1, topics.reads = peer->publishers;
  else if (peer_is(peer, "ping")) topics.count = 2, topics.written = 0, topics.first_read = 1, topics.reads = 1;
  else if (peer_is(peer, "pong")) topics.count = 2, topics.written = 1, topics.first_read = 0, topics.reads = 1;
  else if (!peer_is(peer, "source")) peer_fail("unknown role %s", peer->role);
  return topics;
}

#endif
