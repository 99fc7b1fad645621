/* Reads and writes PNG chunks. Their numbers are big-endian, and a checksum covers type
** and data. */
#include "io/chunks.h"

#include <string.h>

#include "base/error.h"
#include "io/gzip.h"

#define SIGNATURE 8

static uint32_t get32(const uint8_t *b) {
  return (uint32_t)b[0] << 24 | (uint32_t)b[1] << 16 | (uint32_t)b[2] << 8 | b[3];
}

static void put32(uint8_t *b, uint32_t v) {
  for (int k = 0; k < 4; k++) b[k] = (uint8_t)(v >> (24 - 8 * k));
}

int df_chunk_next(df_chunk *c, size_t *at, const void *file, size_t bytes) {
  size_t here = *at ? *at : SIGNATURE;
  if (here > bytes || bytes - here < DF_CHUNK_EXTRA)
    return df_fail(DF_WORLD, "png: cut short at %zu bytes, between chunks", bytes);
  const uint8_t *b = (const uint8_t *)file + here;
  size_t n = get32(b), left = bytes - here - DF_CHUNK_EXTRA;
  if (n > left)
    return df_fail(DF_WORLD,
                   "png: the chunk at byte %zu says %zu bytes, file has %zu more", here,
                   n, left);
  if (get32(b + 8 + n) != df_crc32(b + 4, 4 + n))
    return df_fail(DF_WORLD, "png: the chunk at byte %zu is damaged (checksum)", here);
  memcpy(c->type, b + 4, 4);
  c->data = b + 8;
  c->bytes = n;
  *at = here + DF_CHUNK_EXTRA + n;
  return DF_OK;
}

void df_chunk_write(void *out, const char *type, const void *data, size_t bytes) {
  uint8_t *b = out;
  put32(b, (uint32_t)bytes);
  memcpy(b + 4, type, 4);
  if (bytes > 0) memcpy(b + 8, data, bytes);
  put32(b + 8 + bytes, df_crc32(b + 4, 4 + bytes));
}
