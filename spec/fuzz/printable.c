/* Foreign text made safe to print. */
#include <stdlib.h>
#include <string.h>

#include "base/printable.h"
#include "fuzz.h"

static void check_text(const uint8_t *data, size_t size, bool lines) {
  char *out = malloc(DF_PRINTABLE_ROOM(size));
  char *again = malloc(DF_PRINTABLE_ROOM(DF_PRINTABLE_ROOM(size)));
  size_t n = df_printable(out, (const char *)data, size, lines);
  fuzz_check(n < DF_PRINTABLE_ROOM(size) && strlen(out) == n, "text without a zero");
  for (size_t i = 0; i < n; i++) {
    unsigned char c = (unsigned char)out[i];
    fuzz_check((c >= 32 && c != 127) || (lines && (c == '\n' || c == '\t')),
               "no control character");
  }
  fuzz_check(df_printable(again, out, n, lines) == n && memcmp(out, again, n) == 0,
             "printable text stays as it is");
  free(out);
  free(again);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
  check_text(data, size, false);
  check_text(data, size, true);
  return 0;
}
