/* The chunks of PNG and APNG files, and EXIF blocks in them. */
#include <stdlib.h>
#include <string.h>

#include "base/error.h"
#include "fuzz.h"
#include "io/chunks.h"
#include "io/exif.h"
#include "io/gzip.h"

size_t LLVMFuzzerMutate(uint8_t *data, size_t size, size_t most);
size_t LLVMFuzzerCustomMutator(uint8_t *data, size_t size, size_t most, unsigned seed);

/* A chunk that was read is written as it stands in the file. */
static void check_written(const df_chunk *c) {
  uint8_t *out = malloc(c->bytes + DF_CHUNK_EXTRA);
  df_chunk_write(out, c->type, c->data, c->bytes);
  fuzz_check(memcmp(out, c->data - 8, c->bytes + DF_CHUNK_EXTRA) == 0,
             "a chunk is written as it was read");
  free(out);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
  df_chunk c = { 0 };
  size_t at = 0;
  int code;
  while ((code = df_chunk_next(&c, &at, data, size)) == DF_OK) {
    fuzz_check(c.data >= data + 8 && c.data + c.bytes + 4 == data + at && at <= size,
               "a chunk lies in the file");
    int way = df_exif_orientation(c.data, c.bytes);
    fuzz_check(way >= 1 && way <= 8, "an orientation is 1 to 8");
    check_written(&c);
  }
  fuzz_failed(code);
  return 0;
}

/* The first chunk's checksum is made right. */
size_t LLVMFuzzerCustomMutator(uint8_t *data, size_t size, size_t most, unsigned seed) {
  size = LLVMFuzzerMutate(data, size, most);
  if (seed % 4 == 0 || size < 20) return size;
  size_t n = (size_t)data[10] << 8 | data[11];
  if (n > size - 20) n = size - 20;
  data[8] = data[9] = 0;
  data[10] = (uint8_t)(n >> 8), data[11] = (uint8_t)n;
  uint32_t crc = df_crc32(data + 12, 4 + n);
  for (size_t k = 0; k < 4; k++) data[16 + n + k] = (uint8_t)(crc >> (24 - 8 * k));
  return size;
}
