// What PoolBus's peer, in Swift, shares with the C peers: the same code, compiled with the same flags.
#pragma once

#include "../../Peers/peer.h"

// What the driver asked for; kept here, as in the C peers.
const struct peer *poolbus_parse(int argc, char **argv);
void poolbus_fill(void *payload, uint64_t number);
uint64_t poolbus_read(const void *payload);
