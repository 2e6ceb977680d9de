// Redis pub/sub over its Unix socket, a channel per topic. The server is Debian's redis-server without persistence.
//
// Senders turn replies off (CLIENT REPLY OFF), so that publishing waits for nothing; a window (credit.h) then bounds
// what the server buffers, since Redis has no back-pressure: it either drops slow subscribers or grows.
#include <hiredis/hiredis.h>
#include <limits.h>
#include <signal.h>
#include <sys/prctl.h>
#include <sys/uio.h>

#include "credit.h"
#include "rounds.h"

static const size_t window_bytes = 64u << 20;

static struct peer peer;
static struct peer_topics topics;
static struct credit credit;
static void *payload;
static char path[PATH_MAX];

static void serve(void) {
  // Clients retry their connecting, so it may be said before the socket is there.
  peer_say("ready");
  // Whatever becomes of the driver, the server ends with it; its log is not part of the conversation.
  prctl(PR_SET_PDEATHSIG, SIGTERM);
  dup2(STDERR_FILENO, STDOUT_FILENO);
  execlp("redis-server", "redis-server", "--port", "0", "--unixsocket", path, "--save", "", "--appendonly", "no",
         "--client-output-buffer-limit", "pubsub 0 0 0", "--dir", peer.place, "--loglevel", "warning", NULL);
  fprintf(stderr, "can't start redis-server\n");
  _exit(1);
}

static redisContext *attach(void) {
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

static redisContext *writer;
static char head[128];
static size_t head_length;

static void open_writer(void) {
  writer = attach();
  redisAppendCommand(writer, "CLIENT REPLY OFF");
  flush(writer);
  char channel[32];
  snprintf(channel, sizeof channel, "t%d", topics.written);
  head_length = (size_t)snprintf(head, sizeof head, "*3\r\n$7\r\nPUBLISH\r\n$%zu\r\n%s\r\n$%zu\r\n", strlen(channel),
                                 channel, peer.size);
}

static void *peer_loan(void) {
  credit_wait(&credit);
  return payload;
}

// The command as hiredis would format it, but with the payload from where it lies: hiredis copies it twice.
static void peer_send(void) {
  struct iovec parts[3] = {{head, head_length}, {payload, peer.size}, {"\r\n", 2}};
  struct iovec *part = parts, *end = parts + 3;
  while (part < end) {
    ssize_t written = writev(writer->fd, part, (int)(end - part));
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

static redisContext *reader;
static uint64_t number;  // of the message that was parsed last
static int sender;       // and its topic, counted from the first that is read

// hiredis parses, but builds no reply: these look at each element where it lies in the reader's buffer, which spares a
// copy and an allocation of every payload. Once all is parsed, it may lie elsewhere.
static void *on_string(const redisReadTask *task, char *string, size_t length) {
  // ["message", channel, payload], the channel being a letter and the topic.
  if (task->type == REDIS_REPLY_ERROR) peer_fail("redis: %.*s", (int)length, string);
  if (task->idx == 1) sender = atoi(string + 1) - topics.first_read;
  if (task->idx == 2) {
    if (length != peer.size) peer_fail("redis: a payload of %zu bytes", length);
    number = peer_read(&peer, string);
  }
  return &peer;  // anything but NULL, which would be an error
}

static void *on_array(const redisReadTask *task, int elements) {
  (void)task, (void)elements;
  return &peer;
}

// What SUBSCRIBE is answered with, besides strings: how many channels there are.
static void *on_integer(const redisReadTask *task, long long value) {
  (void)task, (void)value;
  return &peer;
}

static void *on_nil(const redisReadTask *task) {
  (void)task;
  return &peer;
}

static void on_free(void *object) { (void)object; }

static redisReplyObjectFunctions functions = {on_string, on_array, on_integer, on_nil, on_free};

// Parses the next reply, reading more as needed.
static void next(void) {
  // Fits the second-level cache. hiredis itself reads 16 KiB at a time.
  static char buffer[128 << 10];
  void *reply = NULL;
  for (;;) {
    if (redisReaderGetReply(reader->reader, &reply) != REDIS_OK) peer_fail("redis: %s", reader->reader->errstr);
    if (reply) return;
    ssize_t length = read(reader->fd, buffer, sizeof buffer);
    if (length <= 0) peer_fail("redis: the server is gone");
    redisReaderFeed(reader->reader, buffer, (size_t)length);
  }
}

static void open_reader(void) {
  reader = attach();
  redisReaderFree(reader->reader);
  reader->reader = redisReaderCreateWithFunctions(&functions);
  // Keeps the reader's buffer between messages: for large ones it would be freed and grown anew each time.
  reader->reader->maxbuf = 0;
  for (int i = 0; i < topics.reads; i++) {
    redisAppendCommand(reader, "SUBSCRIBE t%d", topics.first_read + i);
    flush(reader);
    next();
  }
}

static uint64_t peer_receive(int *from) {
  next();
  *from = sender;
  return number;
}

static void peer_release(void) { credit_give(&credit, sender); }

int main(int argc, char **argv) {
  peer = peer_parse(argc, argv);
  snprintf(path, sizeof path, "%s/redis.sock", peer.place);
  if (peer_is(&peer, "server")) serve();
  topics = peer_topics(&peer);
  payload = aligned_alloc(64, (peer.size + 63) / 64 * 64);
  memset(payload, 1, peer.size);
  if (topics.reads) open_reader();
  if (topics.written >= 0) open_writer();
  credit_open(&credit, &peer, window_bytes);
  peer_rounds(&peer);
  credit_close(&credit);
  redisFree(reader);
  redisFree(writer);
}
