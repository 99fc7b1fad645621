/* Inflates with zlib, whose header no other file includes. It computes checksums, too. */
#include "io/gzip.h"

#include <zlib.h>

#include "base/alloc.h"
#include "base/error.h"

#define SLICE ((size_t)1 << 30) /* zlib counts in 32 bits */

struct df_inflate {
  z_stream z;
  size_t unread; /* bytes of the input that z hasn't seen yet */
  size_t made;
  bool raw, ended;
};

bool df_is_gzip(const void *file, size_t bytes) {
  const uint8_t *f = file;
  return bytes >= 2 && f[0] == 0x1f && f[1] == 0x8b;
}

static voidpf room(voidpf nothing, uInt n, uInt width) {
  (void)nothing;
  return df_alloc((size_t)n * width);
}

static void give_back(voidpf nothing, voidpf block) {
  (void)nothing;
  df_free(block);
}

df_inflate *df_inflate_open(const void *in, size_t bytes, bool raw) {
  df_inflate *g = df_alloc_zeros(sizeof *g);
  if (!g) return NULL;
  g->z.zalloc = room;
  g->z.zfree = give_back;
  if (inflateInit2(&g->z, raw ? -15 : 15 + 16) != Z_OK) {
    df_free(g);
    return NULL; /* only memory can have been short */
  }
  g->z.next_in = (z_const Bytef *)in;
  g->unread = bytes;
  g->raw = raw;
  return g;
}

void df_inflate_close(df_inflate *g) {
  if (!g) return;
  inflateEnd(&g->z);
  df_free(g);
}

static void feed(df_inflate *g) {
  size_t n = g->unread < SLICE ? g->unread : SLICE;
  if (g->z.avail_in > 0) return;
  g->z.avail_in = (uInt)n;
  g->unread -= n;
}

/* At the end of a member: begins the next one, if there is one. */
static void next_member(df_inflate *g) {
  feed(g);
  g->ended = g->raw || g->z.avail_in == 0;
  if (!g->ended) inflateReset(&g->z);
}

/* Inflates at most `bytes` to out; *made is how many. It is fewer only at the stream's
** end. */
static int run(df_inflate *g, uint8_t *out, size_t bytes, size_t *made) {
  *made = 0;
  while (*made < bytes && !g->ended) {
    size_t want = bytes - *made < SLICE ? bytes - *made : SLICE;
    feed(g);
    g->z.next_out = out + *made;
    g->z.avail_out = (uInt)want;
    int code = inflate(&g->z, Z_NO_FLUSH);
    *made += want - g->z.avail_out;
    if (code == Z_STREAM_END) next_member(g);
    else if (code == Z_MEM_ERROR) return df_error_code(); /* set by `room` */
    else if (code == Z_BUF_ERROR
             || (code == Z_OK && g->z.avail_in + g->unread == 0 && g->z.avail_out > 0))
      return df_fail(DF_WORLD, "cut short: the deflated stream stops after %zu bytes",
                     g->made + *made);
    else if (code != Z_OK)
      return df_fail(DF_WORLD, "damaged: %s after %zu bytes",
                     g->z.msg ? g->z.msg : "no deflated stream", g->made + *made);
  }
  g->made += *made;
  return DF_OK;
}

int df_inflate_read(df_inflate *g, void *out, size_t bytes) {
  size_t made;
  int code = run(g, out, bytes, &made);
  if (code != DF_OK) return code;
  if (made == bytes) return DF_OK;
  return df_fail(DF_WORLD, "cut short: inflates to %zu bytes", g->made);
}

int df_inflate_crc(df_inflate *g, uint32_t *crc, size_t bytes) {
  uint8_t some[16384];
  for (size_t n; bytes > 0; bytes -= n) {
    n = bytes < sizeof some ? bytes : sizeof some;
    int code = df_inflate_read(g, some, n);
    if (code != DF_OK) return code;
    *crc = (uint32_t)crc32_z(*crc, some, n);
  }
  return DF_OK;
}

int df_inflate_finish(df_inflate *g) {
  uint8_t beyond;
  size_t made;
  int code = run(g, &beyond, 1, &made);
  if (code != DF_OK) return code;
  if (made > 0) return df_fail(DF_WORLD, "inflates to more than %zu bytes", g->made - 1);
  if (g->z.avail_in + g->unread > 0)
    return df_fail(DF_WORLD, "%zu bytes follow the deflated stream",
                   (size_t)g->z.avail_in + g->unread);
  return DF_OK;
}

uint32_t df_crc32(const void *data, size_t bytes) {
  return (uint32_t)crc32_z(crc32_z(0, NULL, 0), data, bytes);
}
