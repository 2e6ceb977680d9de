// Redis pub/sub over its Unix socket, a channel per sender. The server is Debian's redis-server without persistence.
//
// Senders turn replies off (CLIENT REPLY OFF), so that publishing waits for nothing; a window (credit.h) then bounds what
// the server buffers, since Redis has no back-pressure: it either drops slow subscribers or grows.
#include "credit.h"
#include <hiredis/hiredis.h>
#include <limits.h>
#include <signal.h>
#include <sys/prctl.h>
#include <sys/uio.h>

static const size_t window_bytes = 64u << 20;

static void serve(const struct peer *peer) {
  char path[PATH_MAX];
  snprintf(path, sizeof path, "%s/redis.sock", peer->place);
  // Clients retry their connecting, so it may be said before the socket is there.
  peer_say("ready");
  // Whatever becomes of the driver, the server ends with it; its log is not part of the conversation.
  prctl(PR_SET_PDEATHSIG, SIGTERM);
  dup2(STDERR_FILENO, STDOUT_FILENO);
  execlp("redis-server", "redis-server", "--port", "0", "--unixsocket", path, "--save", "", "--appendonly", "no",
         "--client-output-buffer-limit", "pubsub 0 0 0", "--dir", peer->place, "--loglevel", "warning", NULL);
  fprintf(stderr, "can't start redis-server\n");
  _exit(1);
}

static redisContext *attach(const struct peer *peer) {
  char path[PATH_MAX];
  snprintf(path, sizeof path, "%s/redis.sock", peer->place);
  redisContext *context = NULL;
  for (int attempt = 0; attempt < 1000; attempt++) {
    if (context) redisFree(context);
    context = redisConnectUnix(path);
    if (context && !context->err) return context;
    usleep(10000);
  }
  peer_fail("can't connect to %s", path);
}

// Sends what was appended to the context.
static void flush(redisContext *context) {
  int done = 0;
  while (!done)
    if (redisBufferWrite(context, &done) != REDIS_OK) peer_fail("redis: %s", context->errstr);
}

// ---- sending

struct sender {
  redisContext *context;
  char head[128];
  size_t head_length;
};

static struct sender sender_open(const struct peer *peer, const char *kind, int index) {
  struct sender sender = {.context = attach(peer)};
  redisAppendCommand(sender.context, "CLIENT REPLY OFF");
  flush(sender.context);
  char channel[32];
  snprintf(channel, sizeof channel, "%s%d", kind, index);
  sender.head_length = (size_t)snprintf(sender.head, sizeof sender.head, "*3\r\n$7\r\nPUBLISH\r\n$%zu\r\n%s\r\n$%zu\r\n",
                                        strlen(channel), channel, peer->size);
  return sender;
}

// The command as hiredis would format it, but the payload goes to the socket from where it lies: hiredis copies it twice.
static void publish(struct sender *sender, void *payload, size_t size) {
  struct iovec parts[3] = {{sender->head, sender->head_length}, {payload, size}, {"\r\n", 2}};
  struct iovec *part = parts, *end = parts + 3;
  while (part < end) {
    ssize_t written = writev(sender->context->fd, part, (int)(end - part));
    if (written < 0) peer_fail("redis: can't write: %m");
    for (size_t rest = (size_t)written; part < end; part++) {
      if (rest < part->iov_len) {
        part->iov_base = (char *)part->iov_base + rest;
        part->iov_len -= rest;
        break;
      }
      rest -= part->iov_len;
    }
  }
}

// ---- receiving

// hiredis parses, but builds no reply: these look at each element where it lies in the reader's buffer, which spares a copy
// and an allocation of every payload.
struct receiver {
  redisContext *context;
  const struct peer *peer;
  uint64_t number;  // of the message that was parsed last
  int source;       // and its sender's index
};

static void *on_string(const redisReadTask *task, char *string, size_t length) {
  struct receiver *receiver = task->privdata;
  // ["message", channel, payload], the channel being a letter and the sender's index.
  if (task->type == REDIS_REPLY_ERROR) peer_fail("redis: %.*s", (int)length, string);
  if (task->idx == 1) receiver->source = atoi(string + 1);
  if (task->idx == 2) {
    if (length != receiver->peer->size) peer_fail("redis: a payload of %zu bytes", length);
    receiver->number = peer_read(receiver->peer, string);
  }
  return receiver;
}

static void *on_array(const redisReadTask *task, int elements) {
  (void)elements;
  return task->privdata;
}

// What SUBSCRIBE is answered with, besides strings: how many channels there are.
static void *on_integer(const redisReadTask *task, long long value) {
  (void)value;
  return task->privdata;
}

static void *on_nil(const redisReadTask *task) { return task->privdata; }

static void on_free(void *object) { (void)object; }

static redisReplyObjectFunctions functions = {on_string, on_array, on_integer, on_nil, on_free};

// Parses the next reply, reading more as needed.
static void next(struct receiver *receiver) {
  // Fits the second-level cache. hiredis itself reads 16 KiB at a time.
  static char buffer[128 << 10];
  void *reply = NULL;
  for (;;) {
    if (redisReaderGetReply(receiver->context->reader, &reply) != REDIS_OK)
      peer_fail("redis: %s", receiver->context->reader->errstr);
    if (reply) return;
    ssize_t length = read(receiver->context->fd, buffer, sizeof buffer);
    if (length <= 0) peer_fail("redis: the server is gone");
    redisReaderFeed(receiver->context->reader, buffer, (size_t)length);
  }
}

static void receiver_open(struct receiver *receiver, const struct peer *peer, const char *kind, int count) {
  receiver->context = attach(peer);
  receiver->peer = peer;
  redisReaderFree(receiver->context->reader);
  redisReader *reader = receiver->context->reader = redisReaderCreateWithFunctions(&functions);
  reader->privdata = receiver;
  // Keeps the reader's buffer between messages: for large ones it would be freed and grown anew each time.
  reader->maxbuf = 0;
  for (int i = 0; i < count; i++) {
    redisAppendCommand(receiver->context, "SUBSCRIBE %s%d", kind, i);
    flush(receiver->context);
    next(receiver);
  }
}

static uint64_t receive(struct receiver *receiver) {
  next(receiver);
  return receiver->number;
}

int main(int argc, char **argv) {
  struct peer peer = peer_parse(argc, argv);
  if (peer_is(&peer, "server")) serve(&peer);

  uint64_t *payload = aligned_alloc(64, (peer.size + 63) / 64 * 64);
  memset(payload, 1, peer.size);
  uint64_t number = 0, count;
  struct receiver receiver;

  if (peer_is(&peer, "source")) {
    struct sender sender = sender_open(&peer, "s", peer.index);
    struct credit credit;
    credit_open(&credit, &peer, window_bytes);
    peer_say("ready");
    while ((count = peer_order())) {
      uint64_t cpu = peer_cpu(), start = peer_now();
      for (uint64_t i = 0; i < count; i++) {
        credit_wait(&credit, ++number);
        peer_fill(&peer, payload, number);
        publish(&sender, payload, peer.size);
      }
      peer_done_source(start, cpu);
    }
    credit_close(&credit);
    redisFree(sender.context);
  } else if (peer_is(&peer, "sink")) {
    receiver_open(&receiver, &peer, "s", peer.publishers);
    struct credit credit;
    struct received received;
    credit_open(&credit, &peer, window_bytes);
    received_open(&received, &peer);
    peer_say("ready");
    while ((count = peer_order())) {
      uint64_t cpu = peer_cpu(), all = count * (uint64_t)peer.publishers;
      received.messages = received.lost = 0;
      peer_say("armed");
      while (received.messages + received.lost < all) {
        number = receive(&receiver);
        received_add(&received, receiver.source, number);
        credit_give(&credit, receiver.source, number);
      }
      peer_done_sink(received.messages, received.lost, cpu);
    }
    credit_close(&credit);
    redisFree(receiver.context);
  } else if (peer_is(&peer, "ping") || peer_is(&peer, "pong")) {
    int pings = peer_is(&peer, "ping");
    receiver_open(&receiver, &peer, pings ? "o" : "i", 1);
    struct sender sender = sender_open(&peer, pings ? "i" : "o", 0);
    peer_say("ready");
    while ((count = peer_order())) {
      uint64_t cpu = peer_cpu(), *samples = calloc(count, sizeof *samples);
      if (!pings) peer_say("armed");
      for (uint64_t i = 0; i < count; i++) {
        if (pings) peer_pause(&peer);
        uint64_t start = peer_now();
        if (!pings) receive(&receiver);
        peer_fill(&peer, payload, ++number);
        publish(&sender, payload, peer.size);
        if (pings) receive(&receiver);
        samples[i] = (peer_now() - start) / 2;
      }
      if (pings) peer_done_ping(&peer, samples, count, cpu);
      else peer_done_pong(cpu);
      free(samples);
    }
    redisFree(receiver.context);
    redisFree(sender.context);
  } else {
    peer_fail("no role %s", peer.role);
  }
  return 0;
}
