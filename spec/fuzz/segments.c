/* The segments of JPEG files, and EXIF blocks in them. */
#include "fuzz.h"
#include "io/exif.h"
#include "io/segments.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
  df_segment s = { 0 };
  size_t at = 0, last = 0;
  while (df_segment_next(&s, &at, data, size)) {
    fuzz_check(at > last && at <= size, "each segment ends behind the last one");
    fuzz_check(s.bytes == 0 || (s.data >= data && s.data + s.bytes == data + at),
               "a segment lies in the file");
    int way = df_exif_orientation(s.data, s.bytes);
    fuzz_check(way >= 1 && way <= 8, "an orientation is 1 to 8");
    last = at;
  }
  fuzz_check(at == last || last == 0, "a failure leaves the place unchanged");
  return 0;
}
