#include "CPeer.h"

#include <string.h>

// splitmix64: each word follows from its place alone.
static inline uint64_t word(uint64_t seed, uint64_t index) {
  uint64_t z = seed + (index + 1) * 0x9E3779B97F4A7C15u;
  z = (z ^ (z >> 30)) * 0xBF58476D1CE4E5B9u;
  z = (z ^ (z >> 27)) * 0x94D049BB133111EBu;
  return z ^ (z >> 31);
}

void poolbus_peer_fill(void *bytes, size_t count, uint64_t seed) {
  char *to = bytes;
  size_t words = count / 8;
  for (size_t i = 0; i < words; i++) {
    uint64_t w = word(seed, i);
    memcpy(to + 8 * i, &w, 8);
  }
  uint64_t last = word(seed, words);
  memcpy(to + 8 * words, &last, count % 8);
}

ptrdiff_t poolbus_peer_mismatch(const void *bytes, size_t count, uint64_t seed) {
  return poolbus_peer_mismatch_from(bytes, count, 0, seed);
}

ptrdiff_t poolbus_peer_mismatch_from(const void *bytes, size_t count, size_t first, uint64_t seed) {
  const char *from = bytes;
  size_t words = count / 8;
  for (size_t i = first; i <= words; i++) {
    uint64_t w = word(seed, i);
    size_t length = i < words ? 8 : count % 8;
    if (memcmp(from + 8 * i, &w, length) == 0) continue;
    size_t offset = 8 * i;
    while (from[offset] == ((const char *)&w)[offset - 8 * i]) offset++;
    return (ptrdiff_t)offset;
  }
  return -1;
}
