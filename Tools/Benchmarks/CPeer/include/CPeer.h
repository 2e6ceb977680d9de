// What PoolBus's peer, in Swift, shares with the C peers: the same code, compiled with the same flags.
#pragma once

#include "../../Peers/peer.h"

void poolbus_fill(const struct peer *peer, void *payload, uint64_t number);
uint64_t poolbus_read(const struct peer *peer, const void *payload);
