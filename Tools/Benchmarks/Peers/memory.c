// What plain memory costs one core that is alone: to write payloads, to read or to copy them, by this program's name.
// A source that sends to nobody: what a system takes beyond this is its own.
#include "peer.h"

static char *allocate(const struct peer *peer) {
  char *payload = aligned_alloc(64, (peer->size + 63) / 64 * 64);
  peer_fill(peer, payload, 1);
  return payload;
}

int main(int argc, char **argv) {
  struct peer peer = peer_parse(argc, argv);
  if (!peer_is(&peer, "source")) peer_fail("unknown role %s", peer.role);
  peer.touch = 1;
  const char *dash = strrchr(argv[0], '-'), *work = dash ? dash + 1 : "";
  int writes = !strcmp(work, "write"), reads = !strcmp(work, "read"), copies = !strcmp(work, "copy");
  if (writes + reads + copies != 1) peer_fail("%s does not end in -write, -read or -copy", argv[0]);

  char *payload = allocate(&peer), *copy = allocate(&peer);
  peer_say("ready");
  for (uint64_t count, number = 0; (count = peer_order());) {
    uint64_t cpu = peer_cpu(), start = peer_now();
    for (uint64_t i = 0; i < count; i++) {
      if (writes) peer_fill(&peer, payload, ++number);
      else if (reads) peer_read(&peer, payload);
      else memcpy(copy, payload, peer.size);
      // For all the compiler knows somebody else reads and writes here: it may drop no turn.
      __asm__ volatile("" ::"r"(payload), "r"(copy) : "memory");
    }
    peer_done_alone(start, cpu);
  }
  free(payload);
  free(copy);
}
