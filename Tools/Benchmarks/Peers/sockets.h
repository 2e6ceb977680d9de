// ZeroMQ's PUB/SUB over Unix sockets, for handle.c and zeromq.c: sources bind, sinks connect.
#ifndef POOLBUS_BENCH_SOCKETS_H
#define POOLBUS_BENCH_SOCKETS_H

#include <errno.h>
#include <zmq.h>

#include "rounds.h"

struct sockets { void *context, *writer, *reader; int unheard; char file[512]; };

static inline void sockets_set(void *socket, int option, int value) {
  if (zmq_setsockopt(socket, option, &value, sizeof value)) peer_fail("option %d: %s", option, zmq_strerror(errno));
}

// Waits until all readers of what this process writes have subscribed: what is sent before is lost.
static inline void sockets_await(struct sockets *sockets) {
  for (char subscription[8]; sockets->unheard; sockets->unheard--) {
    if (zmq_recv(sockets->writer, subscription, sizeof subscription, 0) < 0)
      peer_fail("nobody subscribes: %s", zmq_strerror(errno));
  }
}

// `limit`: how many messages may wait on each side of a connection (0: any number) until a send waits.
static struct sockets sockets_open(const struct peer *peer, struct peer_topics topics, int limit) {
  struct sockets sockets = {zmq_ctx_new(), NULL, NULL, 0, ""};
  char address[520];
  peer_count_threads(peer, 2);  // its own, and ZeroMQ's
  if (topics.reads) {
    sockets.reader = zmq_socket(sockets.context, ZMQ_SUB);
    sockets_set(sockets.reader, ZMQ_RCVHWM, limit);
    sockets_set(sockets.reader, ZMQ_LINGER, 0);
    sockets_set(sockets.reader, ZMQ_RECONNECT_IVL, 10);  // sources come later than sinks
    zmq_setsockopt(sockets.reader, ZMQ_SUBSCRIBE, "", 0);
    for (int i = 0; i < topics.reads; i++) {
      snprintf(address, sizeof address, "ipc://%s/topic-%d", peer->place, topics.first_read + i);
      if (zmq_connect(sockets.reader, address)) peer_fail("can't connect %s: %s", address, zmq_strerror(errno));
    }
  }
  if (topics.written >= 0) {
    // XPUB is PUB that tells who subscribes, and that can wait where PUB would drop.
    sockets.writer = zmq_socket(sockets.context, ZMQ_XPUB);
    sockets_set(sockets.writer, ZMQ_SNDHWM, limit);
    sockets_set(sockets.writer, ZMQ_LINGER, 0);
    sockets_set(sockets.writer, ZMQ_XPUB_VERBOSE, 1);
    sockets_set(sockets.writer, ZMQ_XPUB_NODROP, 1);
    snprintf(sockets.file, sizeof sockets.file, "%s/topic-%d", peer->place, topics.written);
    snprintf(address, sizeof address, "ipc://%s", sockets.file);
    if (zmq_bind(sockets.writer, address)) peer_fail("can't bind %s: %s", address, zmq_strerror(errno));
  }
  sockets.unheard = topics.written < 0 ? 0 : topics.reads ? 1 : peer->subscribers;
  // A pong is there before its ping: it waits for him when it first answers.
  if (!peer_is(peer, "pong")) sockets_await(&sockets);
  return sockets;
}

static void sockets_close(struct sockets *sockets) {
  if (sockets->reader) zmq_close(sockets->reader);
  if (sockets->writer) zmq_close(sockets->writer);
  zmq_ctx_term(sockets->context);
  unlink(sockets->file);  // ZeroMQ leaves it
}

#endif
