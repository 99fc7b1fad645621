/* IDX files, plain and gzipped. */
#include <stdlib.h>
#include <string.h>

#include "base/error.h"
#include "fuzz.h"
#include "io/gzip.h"
#include "io/idx.h"
#include "tensor/shape.h"

#define MOST ((size_t)1 << 18) /* elements that are read */

static bool is_shape(const df_idx *x) {
  df_shape shape = { .ndim = x->ndim };
  memcpy(shape.size, x->size, sizeof x->size);
  return df_shape_count(&shape) == (df_int)x->count;
}

static void read_elements(const df_idx *x, const uint8_t *data, size_t size) {
  uint8_t *y = malloc(x->count + 1);
  int code = df_idx_read(y, x, data, size);
  if (code != DF_OK) fuzz_failed(code);
  free(y);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
  df_idx x;
  fuzz_begin();
  int code = df_idx_measure(&x, data, size);
  if (code != DF_OK) {
    fuzz_failed(code);
  } else {
    fuzz_check(x.ndim >= 1 && x.ndim <= DF_IDX_DIMS, "1 to 4 dimensions");
    fuzz_check(is_shape(&x), "sizes that a tensor can have");
    fuzz_check(x.count <= DF_INFLATE_MOST * size, "elements that the file can hold");
    if (x.count <= MOST) read_elements(&x, data, size);
  }
  fuzz_end((size_t)1 << 17);
  return 0;
}
