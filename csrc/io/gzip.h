/* Deflated bytes read as a stream: gzip files, and the bare streams in zip files. The
** reader says how much it wants; what the file claims is never allocated for. */
#ifndef df_gzip_h
#define df_gzip_h

#include "base/base.h"

#define DF_INFLATE_MOST 1032 /* deflate's best: bytes made of one byte */

typedef struct df_inflate df_inflate;

bool df_is_gzip(const void *file, size_t bytes); /* by its first two bytes */

/* A stream that reads `bytes` at `in`, which must outlive it: a gzip file (of any number
** of members, checksums verified), or a raw deflate stream. */
df_inflate *df_inflate_open(const void *in, size_t bytes, bool raw);
int df_inflate_read(df_inflate *z, void *out,
                    size_t bytes); /* all of them, or DF_WORLD */
/* The checksum of the next `bytes`, which are kept nowhere, on top of *crc. */
int df_inflate_crc(df_inflate *z, uint32_t *crc, size_t bytes);
int df_inflate_finish(df_inflate *z); /* DF_WORLD unless the stream ends here, whole */
void df_inflate_close(df_inflate *z); /* NULL is fine */

uint32_t df_crc32(const void *data, size_t bytes); /* of PNG, gzip and zip */

#endif
