// The floors: what plain shared memory costs, with one word to wait on, and nothing that makes a bus of it. No system
// that hands over each message by itself should be faster than this; one that keeps what is under way in the caches can be.
#include "ring.h"

static struct peer peer;
static struct peer_topics topics;
static uint64_t written, slowest;
static struct { uint64_t produced, consumed; } *seen;  // [topic]: what this reader knows
static int next;                                       // the topic that it looks at first: all have their turn

static void *peer_loan(void) { return ring_loan(topics.written, written + 1, &slowest); }

static void peer_send(void) { ring_tell(&ring.produced[topics.written], ++written, ring.bell); }

static uint64_t peer_receive(int *from) {
  for (struct ring_patience patience = {0};; ring_wait(ring.bell, &patience)) {
    for (int i = 0; i < topics.reads; i++) {
      *from = next;
      if (++next == topics.reads) next = 0;
      int topic = topics.first_read + *from;
      if (seen[*from].produced == seen[*from].consumed) seen[*from].produced = atomic_load(&ring.produced[topic].count);
      if (seen[*from].produced != seen[*from].consumed)
        return peer_read(&peer, ring_slot(topic, seen[*from].consumed + 1));
    }
  }
}

static void peer_release(void) {
  int from = next ? next - 1 : topics.reads - 1;
  ring_release(topics.first_read + from, ++seen[from].consumed);
}

// Slots enough that neither side often waits for the other, few enough that the ring stays in the cache if it can. A
// round trip has never more than one message under way.
static uint64_t slots(void) {
  if (topics.written >= 0 && topics.reads) return 1;
  if (peer.size > 32u << 20) return 4;
  return peer.size >= 1u << 20 ? 8 : peer.size >= 8192 ? (8u << 20) / peer.size : 1024;
}

int main(int argc, char **argv) {
  peer = peer_parse(argc, argv);
  topics = peer_topics(&peer);
  seen = calloc((size_t)topics.reads + 1, sizeof *seen);
  ring_open(&peer, topics, slots());
  // By its name it knows that its readers shall be kept from writing, as a bus's are whose peers can't harm each other.
  if (strstr(argv[0], "floor-read-only") && topics.reads &&
      mprotect(ring_slot(topics.first_read, 0), (size_t)topics.reads * ring.slots * ring.stride, PROT_READ))
    peer_fail("can't protect the payloads");
  peer_count_threads(&peer, 1);
  peer_rounds(&peer);
}
