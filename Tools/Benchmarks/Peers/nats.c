// NATS over TCP on the loopback, its only local transport, a subject per topic. The server is Debian's nats-server.
//
// Core NATS has no back-pressure: the server cuts off a subscriber that lags, what a window (credit.h) keeps it from.
#include <glob.h>
#include <limits.h>
#include <malloc.h>
#include <nats/nats.h>
#include <signal.h>
#include <sys/prctl.h>

#include "credit.h"
#include "rounds.h"

static const size_t window_bytes = 16u << 20;

static struct peer peer;
static struct peer_topics topics;
static struct credit credit;
static natsConnection *connection;
static natsSubscription *subscription;
static natsMsg *received;
static int sender;  // of what was received
static char subject[16];
static void *payload;

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

static void serve(void) {
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
  execlp("nats-server", "nats-server", "-c", path, "--ports_file_dir", peer.place, NULL);
  fprintf(stderr, "can't start nats-server\n");
  _exit(1);
}

// The server's address, from its file: {"nats": ["nats://127.0.0.1:PORT"], …}.
static int find_server(char *url, size_t length) {
  char pattern[PATH_MAX], text[1024] = "";
  snprintf(pattern, sizeof pattern, "%s/nats-server_*.ports", peer.place);
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

static void attach(void) {
  char url[128];
  for (int attempt = 0; !find_server(url, sizeof url); attempt++) {
    if (attempt == 1000) peer_fail("nats: no server in %s", peer.place);
    usleep(10000);
  }
  natsOptions *options;
  must(natsOptions_Create(&options), "options");
  natsOptions_SetURL(options, url);
  natsOptions_SetAllowReconnect(options, false);
  // By default another thread sends what was published: good for throughput, a hop too many for a round trip.
  if (peer_is(&peer, "ping") || peer_is(&peer, "pong")) natsOptions_SetSendAsap(options, true);
  natsStatus status = NATS_ERR;
  for (int attempt = 0; attempt < 100 && status != NATS_OK; attempt++) {
    status = natsConnection_Connect(&connection, options);
    if (status != NATS_OK) usleep(10000);
  }
  must(status, url);
  natsOptions_Destroy(options);
}

// ---- messages

static void subscribe(void) {
  char wanted[16] = "topic.*";
  if (!peer_is(&peer, "sink")) snprintf(wanted, sizeof wanted, "topic.%d", topics.first_read);
  must(natsConnection_SubscribeSync(&subscription, connection, wanted), "subscribe");
  // The window bounds what waits here, and the client would drop what is beyond its own limits.
  must(natsSubscription_SetPendingLimits(subscription, -1, -1), "limits");
  // Answered by the server once it knows the subscription.
  must(natsConnection_Flush(connection), "flush");
}

static void *peer_loan(void) {
  credit_wait(&credit);
  return payload;
}

static void peer_send(void) { must(natsConnection_Publish(connection, subject, payload, (int)peer.size), "publish"); }

static uint64_t peer_receive(int *from) {
  must(natsSubscription_NextMsg(&received, subscription, INT64_MAX / 2000000), "receive");
  if ((size_t)natsMsg_GetDataLength(received) != peer.size) peer_fail("nats: not a message");
  *from = sender = atoi(natsMsg_GetSubject(received) + strlen("topic.")) - topics.first_read;
  return peer_read(&peer, natsMsg_GetData(received));
}

static void peer_release(void) {
  natsMsg_Destroy(received);
  credit_give(&credit, sender);
}

// Sent, not only buffered for the thread that sends: else the CPU that takes would not be counted.
static void flush(void) { must(natsConnection_FlushTimeout(connection, 600000), "flush"); }

int main(int argc, char **argv) {
  peer = peer_parse(argc, argv);
  if (peer_is(&peer, "server")) serve();
  topics = peer_topics(&peer);
  // NATS allocates each message: as in zeromq.c, memory shall not go back to the system after each one.
  mallopt(M_MMAP_MAX, 0);
  mallopt(M_TRIM_THRESHOLD, INT_MAX);
  payload = aligned_alloc(64, (peer.size + 63) / 64 * 64);
  memset(payload, 1, peer.size);
  snprintf(subject, sizeof subject, "topic.%d", topics.written);
  attach();
  if (topics.reads) subscribe();
  credit_open(&credit, &peer, window_bytes);
  peer_flush = flush;
  peer_rounds(&peer);
  credit_close(&credit);
  natsSubscription_Destroy(subscription);
  natsConnection_Destroy(connection);
  nats_Close();
}
