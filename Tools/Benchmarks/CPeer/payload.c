#include "CPeer.h"

void poolbus_fill(const struct peer *peer, void *payload, uint64_t number) { peer_fill(peer, payload, number); }
uint64_t poolbus_read(const struct peer *peer, const void *payload) { return peer_read(peer, payload); }
