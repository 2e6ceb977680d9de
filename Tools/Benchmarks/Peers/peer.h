// What every C and C++ peer shares: the arguments, the conversation, the two loops over a payload, the clock.
// CONTRACT.md says what they mean.
#ifndef POOLBUS_BENCH_PEER_H
#define POOLBUS_BENCH_PEER_H

// Not where Swift imports it: the C library's module was built without.
#if !defined(_GNU_SOURCE) && !defined(__swift__)
#define _GNU_SOURCE
#endif
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <time.h>
#include <unistd.h>

#ifdef __cplusplus
#define POOLBUS_CAST(type, value) static_cast<type>(value)
#else
#define POOLBUS_CAST(type, value) (value)
#endif

enum peer_mode { PEER_BLOCK, PEER_SPIN, PEER_ADAPTIVE };

struct peer {
  const char *role;
  size_t size;
  int touch;
  enum peer_mode mode;
  const char *place;
  const char *name;  // the last component of `place`: unique to the run
  int publishers, subscribers, index, topics;
  size_t pool;  // bytes; 0 leaves it to the peer
  int pause;    // microseconds before each round trip
  int rate;     // messages a second that a source sends; 0 for as many as it can
};

__attribute__((noreturn, format(printf, 1, 2))) static inline void peer_fail(const char *format, ...) {
  va_list list;
  va_start(list, format);
  fputs("error ", stdout);
  vprintf(format, list);
  va_end(list);
  putchar('\n');
  fflush(stdout);
  exit(1);
}

static inline struct peer peer_parse(int argc, char **argv) {
  struct peer peer = {"", 64, 1, PEER_BLOCK, "/tmp", "peer", 1, 1, 0, 1, 0, 0, 0};
  if (argc < 2) peer_fail("no role");
  peer.role = argv[1];
  for (int i = 2; i + 1 < argc; i += 2) {
    const char *value = argv[i + 1];
    if (!strcmp(argv[i], "--size")) peer.size = strtoull(value, NULL, 10);
    else if (!strcmp(argv[i], "--touch")) peer.touch = atoi(value);
    else if (!strcmp(argv[i], "--place")) peer.place = value;
    else if (!strcmp(argv[i], "--publishers")) peer.publishers = atoi(value);
    else if (!strcmp(argv[i], "--subscribers")) peer.subscribers = atoi(value);
    else if (!strcmp(argv[i], "--index")) peer.index = atoi(value);
    else if (!strcmp(argv[i], "--topics")) peer.topics = atoi(value);
    else if (!strcmp(argv[i], "--pool")) peer.pool = strtoull(value, NULL, 10);
    else if (!strcmp(argv[i], "--pause")) peer.pause = atoi(value);
    else if (!strcmp(argv[i], "--rate")) peer.rate = atoi(value);
    else if (!strcmp(argv[i], "--mode"))
      peer.mode = !strcmp(value, "spin") ? PEER_SPIN : !strcmp(value, "adaptive") ? PEER_ADAPTIVE : PEER_BLOCK;
    else peer_fail("unknown option %s", argv[i]);
  }
  if (peer.size < 8) peer_fail("a payload has at least 8 bytes");
  const char *slash = strrchr(peer.place, '/');
  peer.name = slash ? slash + 1 : peer.place;
  return peer;
}

static inline int peer_is(const struct peer *peer, const char *role) { return !strcmp(peer->role, role); }

static inline uint64_t peer_now(void) {
  struct timespec time;
  clock_gettime(CLOCK_MONOTONIC, &time);
  return (uint64_t)time.tv_sec * 1000000000u + (uint64_t)time.tv_nsec;
}

// What lies between two round trips.
static inline void peer_pause(const struct peer *peer) {
  if (!peer->pause) return;
  struct timespec time = {peer->pause / 1000000, peer->pause % 1000000 * 1000L};
  nanosleep(&time, NULL);
}

// Waits until the round's message `index`, from 0, is due. A source that is the only one spins. Several would spin away
// each other's time: they sleep a millisecond, and then send what is due.
static inline void peer_pace(const struct peer *peer, uint64_t start, uint64_t index) {
  if (!peer->rate) return;
  uint64_t due = start + index * 1000000000u / (uint64_t)peer->rate;
  struct timespec millisecond = {0, 1000000};
  while (peer_now() < due) {
    if (peer->publishers > 1) nanosleep(&millisecond, NULL);
  }
}

static inline uint64_t peer_cpu(void) {
  struct rusage usage;
  getrusage(RUSAGE_SELF, &usage);
  return ((uint64_t)usage.ru_utime.tv_sec + (uint64_t)usage.ru_stime.tv_sec) * 1000000000u +
         ((uint64_t)usage.ru_utime.tv_usec + (uint64_t)usage.ru_stime.tv_usec) * 1000u;
}

// ---- the payload

// Writes the message's number over the whole payload, or into its first 8 bytes.
static inline void peer_fill(const struct peer *peer, void *payload, uint64_t number) {
  uint64_t *words = POOLBUS_CAST(uint64_t *, payload);
  size_t count = peer->touch ? peer->size / 8 : 1;
  for (size_t i = 0; i < count; i++) words[i] = number;
  // The stores are the work: the compiler may not drop them.
  __asm__ volatile("" ::"r"(payload) : "memory");
}

// Reads the whole payload, or its first 8 bytes; returns the message's number.
static inline uint64_t peer_read(const struct peer *peer, const void *payload) {
  const uint64_t *words = POOLBUS_CAST(const uint64_t *, payload);
  size_t count = peer->touch ? peer->size / 8 : 1;
  uint64_t sum = 0;
  for (size_t i = 0; i < count; i++) sum += words[i];
  if (sum != words[0] * count) peer_fail("a payload is not what was written");
  return words[0];
}

// ---- the conversation

static inline void peer_say(const char *line) {
  puts(line);
  fflush(stdout);
}

// Waits for `run N`; returns N, or 0 when the process shall end.
static inline uint64_t peer_order(void) {
  char line[128];
  if (!fgets(line, sizeof line, stdin)) return 0;
  unsigned long long count;
  return sscanf(line, "run %llu", &count) == 1 ? count : 0;
}

static inline void peer_done_source(uint64_t start, uint64_t cpu) {
  printf("done start=%llu cpu=%llu\n", (unsigned long long)start, (unsigned long long)(peer_cpu() - cpu));
  fflush(stdout);
}

// For a source that is alone: nobody else knows when it ended.
static inline void peer_done_alone(uint64_t start, uint64_t cpu) {
  unsigned long long end = peer_now();
  printf("done start=%llu end=%llu cpu=%llu\n", (unsigned long long)start, end, (unsigned long long)(peer_cpu() - cpu));
  fflush(stdout);
}

static inline void peer_done_sink(uint64_t lost, uint64_t cpu) {
  unsigned long long end = peer_now();
  printf("done end=%llu lost=%llu cpu=%llu\n", end, (unsigned long long)lost, (unsigned long long)(peer_cpu() - cpu));
  fflush(stdout);
}

static inline void peer_done_pong(uint64_t cpu) {
  printf("done cpu=%llu\n", (unsigned long long)(peer_cpu() - cpu));
  fflush(stdout);
}

static inline void peer_done_ping(const struct peer *peer, const uint64_t *samples, uint64_t count, uint64_t cpu) {
  cpu = peer_cpu() - cpu;
  char path[512];
  snprintf(path, sizeof path, "%s/samples", peer->place);
  FILE *file = fopen(path, "wb");
  if (!file || fwrite(samples, 8, count, file) != count || fclose(file)) peer_fail("can't write %s", path);
  printf("done file=%s cpu=%llu\n", path, (unsigned long long)cpu);
  fflush(stdout);
}

#endif
