// Eclipse iceoryx 2: payloads in shared memory that its daemon RouDi manages. The role `server` is RouDi itself, with
// one pool as the run needs it; to be in its library rather than in iox-roudi lets it say when it is ready.
#include <csignal>
#include <sys/mman.h>

#include "iceoryx_hoofs/posix_wrapper/posix_access_rights.hpp"
#include "iceoryx_posh/internal/roudi/roudi.hpp"
#include "iceoryx_posh/popo/untyped_publisher.hpp"
#include "iceoryx_posh/popo/untyped_subscriber.hpp"
#include "iceoryx_posh/popo/wait_set.hpp"
#include "iceoryx_posh/roudi/iceoryx_roudi_components.hpp"
#include "iceoryx_posh/runtime/posh_runtime.hpp"

#include "rounds.h"

static struct peer peer;
static iox::popo::UntypedPublisher *publisher;
static iox::popo::UntypedSubscriber *subscriber;
static iox::popo::WaitSet<> *waiting;
static void *loaned;
static const void *received;

// A payload begins at a cache line, as it does for the other peers.
static const uint32_t alignment = 64;

// As many messages as a subscriber's queue can hold, unless they would leave the cache.
static uint64_t capacity() {
  uint64_t fit = (8u << 20) / peer.size;
  return fit > 256 ? 256 : fit < 4 ? 4 : fit;
}

static void *peer_loan(void) {
  publisher->loan(static_cast<uint32_t>(peer.size), alignment)
      .and_then([](auto &payload) { loaned = payload; })
      .or_else([](auto &) { peer_fail("can't loan a chunk"); });
  return loaned;
}

static void peer_send(void) { publisher->publish(loaned); }

static uint64_t peer_receive(int *from) {
  for (received = nullptr;;) {
    subscriber->take()
        .and_then([](auto &payload) { received = payload; })
        .or_else([](auto &result) {
          if (result != iox::popo::ChunkReceiveResult::NO_CHUNK_AVAILABLE) peer_fail("can't take a chunk");
        });
    if (received) break;
    if (waiting) waiting->wait();
    else peer_yield();
  }
  // A chunk names its publisher by a number that is unique: sources are numbered as they come.
  static uint64_t *origins = static_cast<uint64_t *>(calloc(static_cast<size_t>(peer.publishers) + 1, sizeof *origins));
  uint64_t origin = static_cast<uint64_t>(iox::mepoo::ChunkHeader::fromUserPayload(received)->originId());
  for (*from = 0; *from < peer.publishers && origins[*from] != origin && origins[*from]; ++*from) {}
  if (*from == peer.publishers) peer_fail("more publishers than sources");
  origins[*from] = origin;
  return peer_read(&peer, received);
}

static void peer_release(void) { subscriber->release(received); }

// Brings the pools' pages into this process before the clock runs: RouDi has only brought them into its own.
static void touch_pools() {
  FILE *maps = fopen("/proc/self/maps", "r");
  for (char line[512]; maps && fgets(line, sizeof line, maps);) {
    unsigned long from, to;
    if (strstr(line, " /dev/shm/") && strstr(line, " rw-s ") && sscanf(line, "%lx-%lx", &from, &to) == 2)
      madvise(reinterpret_cast<void *>(from), to - from, MADV_POPULATE_WRITE);
  }
  if (maps) fclose(maps);
}

static iox::capro::ServiceDescription topic(const char *direction) {
  return {"poolbus", "bench", iox::capro::IdString_t(iox::cxx::TruncateToCapacity, direction)};
}

static void take_part() {
  using namespace iox::popo;
  char name[96];
  snprintf(name, sizeof name, "poolbus-%.60s-%s-%d", peer.name, peer.role, peer.index);
  iox::runtime::PoshRuntime::initRuntime(iox::RuntimeName_t(iox::cxx::TruncateToCapacity, name));

  const char *sends = peer_is(&peer, "pong") ? "back" : peer_is(&peer, "sink") ? nullptr : "forth";
  const char *reads = peer_is(&peer, "ping") ? "back" : peer_is(&peer, "source") ? nullptr : "forth";
  PublisherOptions waits_when_full;
  waits_when_full.subscriberTooSlowPolicy = ConsumerTooSlowPolicy::WAIT_FOR_CONSUMER;
  SubscriberOptions loses_nothing;
  loses_nothing.queueFullPolicy = QueueFullPolicy::BLOCK_PRODUCER;
  loses_nothing.queueCapacity = capacity();

  if (sends) publisher = new UntypedPublisher(topic(sends), waits_when_full);
  if (reads) {
    subscriber = new UntypedSubscriber(topic(reads), loses_nothing);
    if (peer.mode != PEER_SPIN) {  // whoever polls spares the writer the notifications
      waiting = new WaitSet<>();
      waiting->attachEvent(*subscriber, SubscriberEvent::DATA_RECEIVED).or_else([](auto) { peer_fail("can't wait"); });
    }
    while (subscriber->getSubscriptionState() != iox::SubscribeState::SUBSCRIBED) usleep(1000);
  }
  // A pong is there before its ping.
  while (sends && !peer_is(&peer, "pong") && !publisher->hasSubscribers()) usleep(1000);
  // RouDi connects everybody with everybody every 100 ms, and tells nobody when it has done all: two turns are enough.
  usleep(200000);
  touch_pools();
  peer_count_threads(&peer, 1);
  peer_rounds(&peer);

  delete waiting;
  delete subscriber;
  delete publisher;
}

static void serve() {
  sigset_t end;
  sigemptyset(&end);
  sigaddset(&end, SIGTERM);
  sigaddset(&end, SIGINT);
  pthread_sigmask(SIG_BLOCK, &end, nullptr);  // before RouDi's threads are there
  std::signal(SIGPIPE, SIG_IGN);  // should the driver be gone there is still memory to give back
  int conversation = dup(STDOUT_FILENO);
  dup2(STDERR_FILENO, STDOUT_FILENO);  // RouDi's own words are none of it

  // Small chunks cost nothing. Of large ones there are as many as a queue holds, and what each process has in hand.
  uint64_t held = 2 * static_cast<uint64_t>(peer.publishers + peer.subscribers) + 8;
  uint64_t chunks = peer.size <= 65536 ? 8192 : capacity() + held;
  uint64_t bytes = (peer.size + alignment + 127) / 64 * 64;  // with room for the chunk's header
  iox::mepoo::MePooConfig pool;
  pool.addMemPool({static_cast<uint32_t>(bytes), static_cast<uint32_t>(chunks)});
  auto group = iox::posix::PosixGroup::getGroupOfCurrentProcess().getName();
  iox::RouDiConfig_t config;
  config.m_sharedMemorySegments.push_back({group, group, pool});
  iox::roudi::IceOryxRouDiComponents components(config);
  iox::roudi::RouDi roudi(components.rouDiMemoryManager, components.portManager,
                          iox::roudi::RouDi::RoudiStartupParameters{iox::roudi::MonitoringMode::OFF, false});
  dprintf(conversation, "ready\n");
  int signal;
  sigwait(&end, &signal);
}

int main(int argc, char **argv) {
  peer = peer_parse(argc, argv);
  using namespace iox::log;
  LogManager::GetLogManager().SetDefaultLogLevel(LogLevel::kError, LogLevelOutput::kHideLogLevel);
  if (peer_is(&peer, "server")) serve();
  else take_part();
}
