// ZeroMQ's PUB/SUB over Unix sockets, the payload in the message, which is written in place and read in place: the only
// copies are into the socket and out of it.
#include <limits.h>
#include <malloc.h>

#include "sockets.h"

static struct peer peer;
static struct peer_topics topics;
static struct sockets sockets;
static zmq_msg_t sent, received;

// With several sources a sink must know whose message it has: a payload doesn't say it, so a trailer does.
static size_t trailer(void) { return peer.publishers > 1 ? sizeof(uint64_t) : 0; }

static void *peer_loan(void) {
  sockets_await(&sockets);
  if (zmq_msg_init_size(&sent, peer.size + trailer())) peer_fail("no memory for a message");
  return zmq_msg_data(&sent);
}

static void peer_send(void) {
  if (trailer()) {
    uint64_t topic = (uint64_t)topics.written;
    memcpy((char *)zmq_msg_data(&sent) + peer.size, &topic, sizeof topic);
  }
  if (zmq_msg_send(&sent, sockets.writer, 0) < 0) peer_fail("can't send: %s", zmq_strerror(errno));
}

static uint64_t peer_receive(int *from) {
  while (zmq_msg_recv(&received, sockets.reader, peer.mode == PEER_SPIN ? ZMQ_DONTWAIT : 0) < 0) {
    if (errno != EAGAIN) peer_fail("can't receive: %s", zmq_strerror(errno));
    peer_yield();
  }
  const char *bytes = zmq_msg_data(&received);
  if (zmq_msg_size(&received) != peer.size + trailer()) peer_fail("a message of %zu bytes", zmq_msg_size(&received));
  if (trailer()) {
    uint64_t topic;
    memcpy(&topic, bytes + peer.size, sizeof topic);
    *from = (int)topic;
  }
  return peer_read(&peer, bytes);
}

static void peer_release(void) {
  zmq_msg_close(&received);
  zmq_msg_init(&received);
}

// ZeroMQ's own default, 1000, as long as that many payloads don't fill the memory.
static int limit(void) {
  size_t fit = (64u << 20) / peer.size;
  return fit > 1000 ? 1000 : fit < 2 ? 2 : (int)fit;
}

int main(int argc, char **argv) {
  peer = peer_parse(argc, argv);
  topics = peer_topics(&peer);
  // ZeroMQ allocates each message: memory that went back to the system after each one would come back by page faults,
  // which at 64 MiB cost a third of all time.
  mallopt(M_MMAP_MAX, 0);
  mallopt(M_TRIM_THRESHOLD, INT_MAX);
  zmq_msg_init(&received);
  sockets = sockets_open(&peer, topics, limit());
  peer_rounds(&peer);
  sockets_close(&sockets);
}
