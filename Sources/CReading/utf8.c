// UTF-8 as in https://www.unicode.org/versions/Unicode15.0.0/ch03.pdf, table 3-7.
#include <string.h>

#include "creading.h"

/// The range of the second byte of a character, and its length; 0 for what begins none.
static int length_of(uint8_t first, uint8_t *low, uint8_t *high) {
  *low = 0x80;
  *high = 0xBF;
  if (first >= 0xC2 && first <= 0xDF) return 2;
  if (first >= 0xE0 && first <= 0xEF) {
    if (first == 0xE0) *low = 0xA0;
    if (first == 0xED) *high = 0x9F;
    return 3;
  }
  if (first >= 0xF0 && first <= 0xF4) {
    if (first == 0xF0) *low = 0x90;
    if (first == 0xF4) *high = 0x8F;
    return 4;
  }
  return 0;
}

int64_t tl_valid_utf8(const uint8_t *text, int64_t count, int64_t *invalid) {
  int64_t place = 0;
  while (place < count) {
    // Mostly ASCII: eight bytes at once.
    uint64_t word;
    while (count - place >= 8 && (memcpy(&word, text + place, 8), !(word & 0x8080808080808080)))
      place += 8;
    if (place == count) break;
    if (text[place] < 0x80) {
      place++;
      continue;
    }
    uint8_t low, high;
    int length = length_of(text[place], &low, &high), found = 1;
    for (; found < length && place + found < count; found++) {
      uint8_t byte = text[place + found];
      if (found == 1 ? byte < low || byte > high : (byte & 0xC0) != 0x80) break;
    }
    if (length == 0 || found < length) {
      if (invalid != NULL) *invalid = found;
      return place;
    }
    place += length;
  }
  if (invalid != NULL) *invalid = 0;
  return place;
}
