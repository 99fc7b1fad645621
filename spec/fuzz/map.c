/* Windows and parts of mapped files, and their numbers read as those of tensors. The
** first 20 bytes are the wishes, the rest is the file. */
#include <stdlib.h>
#include <string.h>

#include "base/error.h"
#include "fuzz.h"
#include "io/map.h"
#include "io/widen.h"

static const char *const kinds[] = { "f32",         "f64",        "f16",     "bf16",
                                     "u8",          "i64",        "u64",     "i8",
                                     "i16",         "u16",        "i32",     "u32",
                                     "bool",        "f8_e4m3",    "f8_e5m2", "f8_e8m0",
                                     "f8_e4m3fnuz", "f8_e5m2fnuz" };
#define KINDS (sizeof kinds / sizeof *kinds)

typedef struct wish {
  uint64_t offset, bytes;
  uint8_t kind, big, shift, part;
} wish;

/* All numbers of a window, at any address. */
static void read_numbers(const uint8_t *window, size_t bytes, const wish *w) {
  const df_number *number = df_number_find(kinds[w->kind % KINDS]);
  df_int n = (df_int)bytes / number->bytes;
  bool big = w->big & 1;
  df_int misfit = df_number_misfit(number, window, n, big);
  fuzz_check(misfit >= -1 && misfit < n, "a misfit is one of the numbers");
  void *y = malloc((size_t)(n * df_dtype_size(number->dtype)));
  df_number_read(number, y, window, n, big);
  free(y);
}

static void check_window(df_map *m, const wish *w) {
  bool inside = w->offset <= m->bytes && w->bytes <= m->bytes - w->offset;
  const uint8_t *window = df_map_window(m, w->offset, w->bytes);
  fuzz_check((window != NULL) == inside, "windows within the file, and no others");
  if (!window) fuzz_failed(DF_WORLD);
  else read_numbers(window, w->bytes, w);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
  wish w;
  if (size < 20) return 0;
  memcpy(&w, data, 20);
  if (w.shift & 1) w.offset %= size, w.bytes %= size;
  fuzz_begin();
  df_map *m = df_map_memory(size - 20);
  if (size > 20) memcpy(m->data, data + 20, size - 20);
  check_window(m, &w);
  df_map *part = df_map_part(m, w.part, w.part);
  df_map_release(m);
  if (part) check_window(part, &w);
  df_map_release(part);
  fuzz_end(4096 + 2 * size);
  return 0;
}
