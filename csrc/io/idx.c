/* Reads IDX, plain or gzipped. The header's claims are compared with the size of the file
** before memory is allocated. */
#include "io/idx.h"

#include <stdio.h>
#include <string.h>

#include "base/error.h"
#include "io/gzip.h"

/* The source of bytes. */
typedef struct source {
  const uint8_t *at;
  size_t left;
  df_inflate *z; /* NULL: plain */
} source;

static int source_open(source *s, const void *file, size_t bytes) {
  *s = (source){ .at = file, .left = bytes };
  if (!df_is_gzip(file, bytes)) return DF_OK;
  s->z = df_inflate_open(file, bytes, false);
  return s->z ? DF_OK : DF_MEMORY;
}

static int source_read(source *s, void *y, size_t n) {
  if (s->z) return df_inflate_read(s->z, y, n);
  if (n > s->left)
    return df_fail(DF_WORLD, "idx: cut short, %zu bytes wanted and %zu left", n, s->left);
  memcpy(y, s->at, n);
  s->at += n;
  s->left -= n;
  return DF_OK;
}

/* "60000 x 28 x 28" */
static const char *sizes_text(const df_idx *x, char *text, size_t n) {
  int used = 0;
  for (int k = 0; k < x->ndim && used >= 0 && (size_t)used < n; k++)
    used += snprintf(text + used, n - (size_t)used, k ? " x %td" : "%td", x->size[k]);
  return text;
}

/* A size of 0 makes the count 0, but the other sizes must not overflow either. */
static int read_sizes(df_idx *x, source *s) {
  uint8_t b[4];
  size_t most = 1;
  bool empty = false;
  for (int k = 0; k < x->ndim; k++) {
    if (source_read(s, b, 4) != DF_OK) return df_error_code();
    uint32_t size =
        (uint32_t)b[0] << 24 | (uint32_t)b[1] << 16 | (uint32_t)b[2] << 8 | b[3];
    x->size[k] = (df_int)size;
    if (size > 0 && most > (SIZE_MAX >> 1) / size)
      return df_fail(DF_WORLD, "idx: the header's sizes overflow");
    if (size > 0) most *= size;
    empty = empty || size == 0;
  }
  x->count = empty ? 0 : most;
  return DF_OK;
}

static int read_header(df_idx *x, source *s) {
  uint8_t magic[4];
  if (source_read(s, magic, 4) != DF_OK) return df_error_code();
  if (magic[0] || magic[1])
    return df_fail(DF_WORLD, "idx: begins with %02x %02x, not 00 00", magic[0], magic[1]);
  if (magic[2] != 8)
    return df_fail(DF_WORLD, "idx: elements of type %02x; unsigned bytes (08) are read",
                   magic[2]);
  if (magic[3] < 1 || magic[3] > DF_IDX_DIMS)
    return df_fail(DF_WORLD, "idx: %d dimensions, not 1 to %d", magic[3], DF_IDX_DIMS);
  x->ndim = magic[3];
  x->header = 4 + 4 * (size_t)x->ndim;
  return read_sizes(x, s);
}

/* A gzipped file can hold DF_INFLATE_MOST times its size, a plain one only its size. */
static int check_count(const df_idx *x, size_t bytes, bool gzipped) {
  char text[64];
  size_t most = gzipped ? bytes * DF_INFLATE_MOST : bytes - x->header;
  if (gzipped ? x->count <= most : x->count == most) return DF_OK;
  return df_fail(DF_WORLD, "idx: header says %s = %zu bytes, file holds %s%zu",
                 sizes_text(x, text, sizeof text), x->count, gzipped ? "at most " : "",
                 most);
}

int df_idx_measure(df_idx *x, const void *file, size_t bytes) {
  source s;
  if (source_open(&s, file, bytes) != DF_OK) return df_error_code();
  int code = read_header(x, &s);
  if (code == DF_OK) code = check_count(x, bytes, s.z != NULL);
  df_inflate_close(s.z);
  return code;
}

int df_idx_read(uint8_t *y, const df_idx *x, const void *file, size_t bytes) {
  uint8_t header[4 + 4 * DF_IDX_DIMS];
  source s;
  if (source_open(&s, file, bytes) != DF_OK) return df_error_code();
  int code = source_read(&s, header, x->header);
  if (code == DF_OK) code = source_read(&s, y, x->count);
  if (code == DF_OK && s.z) code = df_inflate_finish(s.z);
  df_inflate_close(s.z);
  return code;
}
