// A bare handle of 64 bytes by ZeroMQ, the payload in plain shared memory: what it costs to hand over a message without
// copying it if somebody else's sockets carry the news. The readers' counts in shared memory are the writer's credit.
#include "sockets.h"
#include "ring.h"

struct handle { uint64_t topic, number, padding[6]; };

static struct peer peer;
static struct peer_topics topics;
static struct sockets sockets;
static struct handle received;
static uint64_t written, slowest;

static void *peer_loan(void) {
  sockets_await(&sockets);
  return ring_loan(topics.written, written + 1, &slowest);
}

static void peer_send(void) {
  struct handle handle = {(uint64_t)topics.written, ++written, {0}};
  if (zmq_send(sockets.writer, &handle, sizeof handle, 0) != sizeof handle)
    peer_fail("can't send: %s", zmq_strerror(errno));
}

static uint64_t peer_receive(int *from) {
  int wait = ring.mode == PEER_SPIN ? ZMQ_DONTWAIT : 0;
  while (zmq_recv(sockets.reader, &received, sizeof received, wait) != sizeof received) {
    if (errno != EAGAIN) peer_fail("can't receive: %s", zmq_strerror(errno));
    peer_yield();
  }
  *from = (int)received.topic - topics.first_read;
  return peer_read(&peer, ring_slot((int)received.topic, received.number));
}

static void peer_release(void) { ring_release((int)received.topic, received.number); }

// ZeroMQ has many handles under way at once, between its threads and in its sockets: the ring has room for them, unless
// it would leave the cache.
static uint64_t slots(void) {
  uint64_t fit = (8u << 20) / peer.size;
  return fit > 65536 ? 65536 : fit < 4 ? 4 : fit;
}

int main(int argc, char **argv) {
  peer = peer_parse(argc, argv);
  topics = peer_topics(&peer);
  ring_open(&peer, topics, slots());
  // No limit in the sockets: the ring is the limit.
  sockets = sockets_open(&peer, topics, 0);
  peer_rounds(&peer);
  sockets_close(&sockets);
}
