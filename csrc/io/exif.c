/* A block of EXIF is a TIFF file. It has its byte order, the place of its first
** directory, and there rows of tag, type, count and value. */
#include "io/exif.h"

#include <string.h>

enum { ROW = 12, ORIENTATION = 0x0112, SHORT = 3, LONG = 4 };

/* n bytes as a number. */
static uint32_t number(const uint8_t *b, int n, bool big) {
  uint32_t v = 0;
  for (int k = 0; k < n; k++) v = v << 8 | b[big ? k : n - 1 - k];
  return v;
}

static int orientation_in(const uint8_t *row, bool big) {
  uint32_t type = number(row + 2, 2, big);
  if (number(row, 2, big) != ORIENTATION || (type != SHORT && type != LONG)) return 0;
  uint32_t v = number(row + 8, type == SHORT ? 2 : 4, big);
  return v >= 1 && v <= 8 ? (int)v : 0;
}

int df_exif_orientation(const void *exif, size_t bytes) {
  const uint8_t *b = exif;
  if (bytes < 8 || (memcmp(b, "II*\0", 4) != 0 && memcmp(b, "MM\0*", 4) != 0)) return 1;
  bool big = b[0] == 'M';
  size_t at = number(b + 4, 4, big);
  if (at > bytes || bytes - at < 2) return 1;
  size_t rows = number(b + at, 2, big), held = (bytes - at - 2) / ROW;
  for (size_t k = 0; k < rows && k < held; k++) {
    int found = orientation_in(b + at + 2 + k * ROW, big);
    if (found) return found;
  }
  return 1;
}
