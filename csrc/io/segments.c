/* Reads JPEG's segments. A marker is ff and a byte, with any number of ff before it. Its
** big-endian length counts itself. */
#include "io/segments.h"

bool df_segment_next(df_segment *s, size_t *at, const void *file, size_t bytes) {
  const uint8_t *b = file;
  size_t here = *at ? *at : 2; /* behind the marker of the file's start */
  if (here >= bytes || b[here] != 0xff) return false;
  while (here < bytes && b[here] == 0xff) here++;
  if (here >= bytes) return false;
  *s = (df_segment){ .marker = b[here++] };
  if (s->marker == DF_IMAGE_END) {
    *at = here;
    return true;
  }
  if (bytes - here < 2) return false;
  size_t n = (size_t)b[here] << 8 | b[here + 1];
  if (n < 2 || n > bytes - here) return false;
  s->data = b + here + 2;
  s->bytes = n - 2;
  *at = here + n;
  return true;
}
