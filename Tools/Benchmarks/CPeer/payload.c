#include "CPeer.h"

static struct peer peer;

const struct peer *poolbus_parse(int argc, char **argv) {
  peer = peer_parse(argc, argv);
  return &peer;
}

void poolbus_fill(void *payload, uint64_t number) { peer_fill(&peer, payload, number); }
uint64_t poolbus_read(const void *payload) { return peer_read(&peer, payload); }
