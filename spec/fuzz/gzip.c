/* Deflated streams, with gzip's headers and without, read in pieces of many sizes. */
#include <string.h>

#include "base/error.h"
#include "fuzz.h"
#include "io/gzip.h"

#define MOST ((size_t)1 << 18) /* inflated bytes that are read */

/* Reads to the end, the first failure or MOST. Returns the bytes that were read. */
static size_t read_pieces(df_inflate *z, uint32_t *crc, size_t piece) {
  uint8_t out[4096];
  size_t total = 0;
  int code = DF_OK;
  while (total < MOST && (code = df_inflate_read(z, out, piece)) == DF_OK) {
    *crc = df_crc32(out, piece) ^ (*crc << 1 | *crc >> 31);
    total += piece;
  }
  if (code != DF_OK) fuzz_failed(code);
  return total;
}

/* The same bytes again, by checksum alone. */
static void check_again(const uint8_t *data, size_t size, bool raw, size_t total) {
  uint32_t crc = 0;
  df_inflate *z = df_inflate_open(data, size, raw);
  int code = df_inflate_crc(z, &crc, total);
  fuzz_check(code == DF_OK, "what was read once can be read again");
  code = df_inflate_finish(z);
  if (code != DF_OK) fuzz_failed(code);
  df_inflate_close(z);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
  if (size < 2) return 0;
  bool raw = data[0] & 1;
  size_t piece = (size_t)data[1] * 16 + 1;
  fuzz_begin();
  uint32_t crc = 0;
  df_inflate *z = df_inflate_open(data + 2, size - 2, raw);
  size_t total = read_pieces(z, &crc, piece);
  df_inflate_close(z);
  check_again(data + 2, size - 2, raw, total);
  fuzz_check(total <= DF_INFLATE_MOST * size, "deflate's best ratio holds");
  fuzz_end((size_t)1 << 17);
  return 0;
}
