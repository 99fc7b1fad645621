/* The JPEG reader: TurboJPEG behind our checks, EXIF and CMYK. */
#include "fuzz.h"

#define MOST ((df_int)1 << 18) /* pixels that are decoded */

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
  fuzz_begin();
  fuzz_picture(data, size, MOST);
  fuzz_end((size_t)MOST
           * 8); /* ours: the inks of CMYK, and the picture before its turn */
  return 0;
}
