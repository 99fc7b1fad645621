/* Deflated bytes read as a stream: gzip files, and the bare streams in zip files. The
** reader decides how much it wants. Sizes that the file claims are never allocated
** for. */
#ifndef df_gzip_h
#define df_gzip_h

#include "base/base.h"

#define DF_INFLATE_MOST 1032 /* deflate's best ratio, for bytes that are all equal */

typedef struct df_inflate df_inflate;

bool df_is_gzip(const void *file, size_t bytes); /* by its first two bytes */

/* A stream that reads `bytes` at `in`, which must outlive it. It is a gzip file with any
** number of members, whose checksums are verified, or a raw deflate stream. */
df_inflate *df_inflate_open(const void *in, size_t bytes, bool raw);
int df_inflate_read(df_inflate *z, void *out,
                    size_t bytes); /* reads all of them, or fails with DF_WORLD */
/* Adds the next `bytes` to the checksum *crc. The bytes are not stored. */
int df_inflate_crc(df_inflate *z, uint32_t *crc, size_t bytes);
/* DF_WORLD unless the stream ends here and is whole */
int df_inflate_finish(df_inflate *z);
void df_inflate_close(df_inflate *z); /* NULL is fine */

uint32_t df_crc32(const void *data, size_t bytes); /* the CRC of PNG, gzip and zip */

#endif
