/* Checks that hold for every reader. */
#include "fuzz.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/alloc.h"
#include "base/error.h"
#include "io/picture.h"

static df_memory before;

void fuzz_check(bool kept, const char *promise) {
  if (kept) return;
  fprintf(stderr, "broken promise: %s\n", promise);
  __builtin_trap();
}

void fuzz_failed(int code) {
  fuzz_check(code == (int)df_error_code(), "the code is the last error's");
  fuzz_check(strlen(df_error_text()) > 4, "a failure has a sentence");
}

void fuzz_begin(void) {
  df_memory_reset_peak();
  before = df_memory_now();
}

void fuzz_end(size_t most) {
  df_memory now = df_memory_now();
  fuzz_check(now.peak - before.live <= most, "no more memory than the file warrants");
  fuzz_check(now.blocks == before.blocks, "all memory is freed");
}

void fuzz_picture(const uint8_t *data, size_t size, df_int most) {
  df_picture p;
  int code = df_picture_measure(&p, data, size);
  if (code != DF_OK) {
    fuzz_failed(code);
    return;
  }
  fuzz_check(p.height > 0 && p.width > 0, "a picture has pixels");
  fuzz_check(p.channels >= 1 && p.channels <= 4, "a picture has 1 to 4 channels");
  fuzz_check(p.orientation >= 1 && p.orientation <= 8, "an orientation is 1 to 8");
  if (p.height > most / p.width) return;
  uint8_t *pixels = malloc((size_t)(p.height * p.width * p.channels));
  code = df_picture_read(pixels, &p, data, size);
  if (code != DF_OK) fuzz_failed(code);
  free(pixels);
}
