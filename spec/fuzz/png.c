/* The PNG reader. The mutator repairs checksums, behind which damage would never be
** seen. */
#include <string.h>

#include "fuzz.h"
#include "io/gzip.h"

#define SIGNATURE 8
#define MOST      ((df_int)1 << 18) /* pixels that are decoded */

size_t LLVMFuzzerMutate(uint8_t *data, size_t size, size_t most);
size_t LLVMFuzzerCustomMutator(uint8_t *data, size_t size, size_t most, unsigned seed);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
  fuzz_begin();
  fuzz_picture(data, size, MOST);
  /* libpng's buffers are rows of the picture, or text inflated from the file */
  fuzz_end(((size_t)1 << 20) + 2 * DF_INFLATE_MOST * 8 * size);
  return 0;
}

static size_t get32(const uint8_t *b) {
  return (size_t)b[0] << 24 | (size_t)b[1] << 16 | (size_t)b[2] << 8 | b[3];
}

static void repair(uint8_t *data, size_t size) {
  memcpy(data, "\x89PNG\r\n\x1a\n", SIGNATURE);
  for (size_t at = SIGNATURE; at + 12 <= size;) {
    size_t n = get32(data + at);
    if (n > size - at - 12) return;
    uint32_t crc = df_crc32(data + at + 4, 4 + n);
    for (size_t k = 0; k < 4; k++) data[at + 8 + n + k] = (uint8_t)(crc >> (24 - 8 * k));
    at += 12 + n;
  }
}

size_t LLVMFuzzerCustomMutator(uint8_t *data, size_t size, size_t most, unsigned seed) {
  size = LLVMFuzzerMutate(data, size, most);
  if (seed % 8 > 0 && size >= SIGNATURE) repair(data, size);
  return size;
}
