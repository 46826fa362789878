#include "csupport.h"

#include <string.h>

#define POLYNOMIAL 0x82F63B78u

// Eight bytes at a time from tables: "slicing by eight".
static uint32_t tables[8][256];

__attribute__((constructor)) static void make_tables(void) {
  for (uint32_t i = 0; i < 256; i++) {
    uint32_t crc = i;
    for (int bit = 0; bit < 8; bit++) crc = crc >> 1 ^ (crc & 1 ? POLYNOMIAL : 0);
    tables[0][i] = crc;
  }
  for (uint32_t i = 0; i < 256; i++)
    for (int table = 1; table < 8; table++)
      tables[table][i] = tables[table - 1][i] >> 8 ^ tables[0][tables[table - 1][i] & 255];
}

uint32_t tl_crc32c_portable(uint32_t seed, const void *bytes, size_t count) {
  const unsigned char *next = bytes;
  uint32_t crc = ~seed;
  for (; count >= 8; count -= 8, next += 8) {
    uint64_t word;
    memcpy(&word, next, 8);
    word ^= crc;
    crc = tables[7][word & 255] ^ tables[6][word >> 8 & 255] ^ tables[5][word >> 16 & 255] ^
          tables[4][word >> 24 & 255] ^ tables[3][word >> 32 & 255] ^
          tables[2][word >> 40 & 255] ^ tables[1][word >> 48 & 255] ^ tables[0][word >> 56];
  }
  for (; count > 0; count--) crc = crc >> 8 ^ tables[0][(crc ^ *next++) & 255];
  return ~crc;
}

#if defined(__x86_64__)
__attribute__((target("sse4.2"))) static uint32_t crc32c_sse42(
    uint32_t seed, const void *bytes, size_t count) {
  const unsigned char *next = bytes;
  uint64_t crc = ~seed;
  for (; count >= 8; count -= 8, next += 8) {
    uint64_t word;
    memcpy(&word, next, 8);
    crc = __builtin_ia32_crc32di(crc, word);
  }
  for (; count > 0; count--) crc = __builtin_ia32_crc32qi((uint32_t)crc, *next++);
  return ~(uint32_t)crc;
}
#endif

uint32_t tl_crc32c(uint32_t seed, const void *bytes, size_t count) {
#if defined(__x86_64__)
  if (__builtin_cpu_supports("sse4.2")) return crc32c_sse42(seed, bytes, count);
#endif
  return tl_crc32c_portable(seed, bytes, count);
}
