// NATS over TCP on the loopback, the only local transport it has, a subject per sender. The server is Debian's nats-server.
//
// Core NATS has no back-pressure: the server cuts off a subscriber that lags. A window (credit.h) keeps it from lagging.
#include "credit.h"
#include <glob.h>
#include <limits.h>
#include <nats/nats.h>
#include <signal.h>
#include <sys/prctl.h>

static const size_t window_bytes = 16u << 20;

static void must(natsStatus status, const char *what) {
  if (status != NATS_OK) peer_fail("nats: %s: %s", what, natsStatus_GetText(status));
}

// ---- the server

// It takes a free port, and tells which in a file in `--place`, which it removes at its end.
static const char configuration[] =
    "listen: 127.0.0.1:-1\n"
    "max_payload: 64MB\n"
    // A window of 64 MiB messages from each of several sources; the default, 64 MB, is less than two.
    "max_pending: 4GB\n"
    "write_deadline: \"60s\"\n";

static void serve(const struct peer *peer) {
  // A file without a name, which leaves nothing behind.
  FILE *file = tmpfile();
  if (!file || fputs(configuration, file) < 0 || fflush(file)) peer_fail("can't write a configuration");
  char path[32];
  snprintf(path, sizeof path, "/dev/fd/%d", fileno(file));
  rewind(file);
  // Clients wait for the file with the port, so it may be said before that is there.
  peer_say("ready");
  // Whatever becomes of the driver, the server ends with it; its log goes to standard error anyway.
  prctl(PR_SET_PDEATHSIG, SIGTERM);
  execlp("nats-server", "nats-server", "-c", path, "--ports_file_dir", peer->place, NULL);
  fprintf(stderr, "can't start nats-server\n");
  _exit(1);
}

// The server's address, from its file: {"nats": ["nats://127.0.0.1:PORT"], …}.
static int find_server(const struct peer *peer, char *url, size_t length) {
  char pattern[PATH_MAX], text[1024] = "";
  snprintf(pattern, sizeof pattern, "%s/nats-server_*.ports", peer->place);
  glob_t found;
  if (glob(pattern, 0, NULL, &found)) return 0;
  FILE *file = fopen(found.gl_pathv[0], "r");
  globfree(&found);
  if (!file) return 0;
  text[fread(text, 1, sizeof text - 1, file)] = 0;
  fclose(file);
  char *start = strstr(text, "nats://"), *end = start ? strchr(start, '"') : NULL;
  if (!end) return 0;
  snprintf(url, length, "%.*s", (int)(end - start), start);
  return 1;
}

static natsConnection *attach(const struct peer *peer) {
  char url[128];
  for (int attempt = 0; !find_server(peer, url, sizeof url); attempt++) {
    if (attempt == 1000) peer_fail("nats: no server in %s", peer->place);
    usleep(10000);
  }
  natsOptions *options;
  natsConnection *connection;
  must(natsOptions_Create(&options), "options");
  natsOptions_SetURL(options, url);
  natsOptions_SetAllowReconnect(options, false);
  // By default another thread sends what was published: good for throughput, a hop too many for a round trip.
  if (peer_is(peer, "ping") || peer_is(peer, "pong")) natsOptions_SetSendAsap(options, true);
  natsStatus status = NATS_ERR;
  for (int attempt = 0; attempt < 100 && status != NATS_OK; attempt++) {
    status = natsConnection_Connect(&connection, options);
    if (status != NATS_OK) usleep(10000);
  }
  must(status, url);
  natsOptions_Destroy(options);
  return connection;
}

// ---- messages

static natsSubscription *subscribe(natsConnection *connection, const char *subject) {
  natsSubscription *subscription;
  must(natsConnection_SubscribeSync(&subscription, connection, subject), "subscribe");
  // The window bounds what waits here, and the client would drop what is beyond its own limits.
  must(natsSubscription_SetPendingLimits(subscription, -1, -1), "limits");
  // Answered by the server once it knows the subscription.
  must(natsConnection_Flush(connection), "flush");
  return subscription;
}

// Receives one message; returns its number, and the index of its sender in `*source`.
static uint64_t receive(const struct peer *peer, natsSubscription *subscription, int *source) {
  natsMsg *message;
  must(natsSubscription_NextMsg(&message, subscription, INT64_MAX / 2000000), "receive");
  if ((size_t)natsMsg_GetDataLength(message) != peer->size) peer_fail("nats: not a message");
  // Subjects are a letter, a dot, the sender's index.
  *source = atoi(natsMsg_GetSubject(message) + 2);
  uint64_t number = peer_read(peer, natsMsg_GetData(message));
  natsMsg_Destroy(message);
  return number;
}

static void publish(natsConnection *connection, const char *subject, const void *payload, size_t size) {
  must(natsConnection_Publish(connection, subject, payload, (int)size), "publish");
}

int main(int argc, char **argv) {
  struct peer peer = peer_parse(argc, argv);
  if (peer_is(&peer, "server")) serve(&peer);

  natsConnection *connection = attach(&peer);
  uint64_t *payload = aligned_alloc(64, (peer.size + 63) / 64 * 64);
  memset(payload, 1, peer.size);
  uint64_t number = 0, count;
  int source;

  if (peer_is(&peer, "source")) {
    char subject[32];
    snprintf(subject, sizeof subject, "s.%d", peer.index);
    struct credit credit;
    credit_open(&credit, &peer, window_bytes);
    peer_say("ready");
    while ((count = peer_order())) {
      uint64_t cpu = peer_cpu(), start = peer_now();
      for (uint64_t i = 0; i < count; i++) {
        credit_wait(&credit, ++number);
        peer_fill(&peer, payload, number);
        publish(connection, subject, payload, peer.size);
      }
      // Sent, not only buffered for the thread that sends: else the CPU that takes would not be counted.
      must(natsConnection_FlushTimeout(connection, 600000), "flush");
      peer_done_source(start, cpu);
    }
    credit_close(&credit);
  } else if (peer_is(&peer, "sink")) {
    natsSubscription *subscription = subscribe(connection, "s.*");
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
        number = receive(&peer, subscription, &source);
        received_add(&received, source, number);
        credit_give(&credit, source, number);
      }
      peer_done_sink(received.messages, received.lost, cpu);
    }
    credit_close(&credit);
    natsSubscription_Destroy(subscription);
  } else if (peer_is(&peer, "ping") || peer_is(&peer, "pong")) {
    int pings = peer_is(&peer, "ping");
    const char *subject = pings ? "i.0" : "o.0";
    natsSubscription *subscription = subscribe(connection, pings ? "o.0" : "i.0");
    peer_say("ready");
    while ((count = peer_order())) {
      uint64_t cpu = peer_cpu(), *samples = calloc(count, sizeof *samples);
      if (!pings) peer_say("armed");
      for (uint64_t i = 0; i < count; i++) {
        if (pings) peer_pause(&peer);
        uint64_t start = peer_now();
        if (!pings) receive(&peer, subscription, &source);
        peer_fill(&peer, payload, ++number);
        publish(connection, subject, payload, peer.size);
        if (pings) receive(&peer, subscription, &source);
        samples[i] = (peer_now() - start) / 2;
      }
      if (pings) peer_done_ping(&peer, samples, count, cpu);
      else peer_done_pong(cpu);
      free(samples);
    }
    natsSubscription_Destroy(subscription);
  } else {
    peer_fail("no role %s", peer.role);
  }
  natsConnection_Destroy(connection);
  nats_Close();
  return 0;
}
