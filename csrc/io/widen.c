/* Little-endian numbers as files have them; integers without a tensor type of their own
** become i64, truth u8. */
#include "io/widen.h"

#include <string.h>

static void from_i8(void *y, const void *x, df_int n) {
  for (df_int i = 0; i < n; i++) ((int64_t *)y)[i] = ((const int8_t *)x)[i];
}

static void from_i16(void *y, const void *x, df_int n) {
  for (df_int i = 0; i < n; i++) {
    int16_t v;
    memcpy(&v, (const char *)x + 2 * i, sizeof v);
    ((int64_t *)y)[i] = v;
  }
}

static void from_u16(void *y, const void *x, df_int n) {
  for (df_int i = 0; i < n; i++) {
    uint16_t v;
    memcpy(&v, (const char *)x + 2 * i, sizeof v);
    ((int64_t *)y)[i] = v;
  }
}

static void from_i32(void *y, const void *x, df_int n) {
  for (df_int i = 0; i < n; i++) {
    int32_t v;
    memcpy(&v, (const char *)x + 4 * i, sizeof v);
    ((int64_t *)y)[i] = v;
  }
}

static void from_u32(void *y, const void *x, df_int n) {
  for (df_int i = 0; i < n; i++) {
    uint32_t v;
    memcpy(&v, (const char *)x + 4 * i, sizeof v);
    ((int64_t *)y)[i] = v;
  }
}

static void from_bool(void *y, const void *x, df_int n) {
  for (df_int i = 0; i < n; i++) ((uint8_t *)y)[i] = ((const uint8_t *)x)[i] != 0;
}

static const df_kind kinds[] = {
  { "f32", 4, DF_F32, NULL },     { "f64", 8, DF_F64, NULL },
  { "f16", 2, DF_F16, NULL },     { "bf16", 2, DF_BF16, NULL },
  { "u8", 1, DF_U8, NULL },       { "i64", 8, DF_I64, NULL },
  { "i8", 1, DF_I64, from_i8 },   { "i16", 2, DF_I64, from_i16 },
  { "u16", 2, DF_I64, from_u16 }, { "i32", 4, DF_I64, from_i32 },
  { "u32", 4, DF_I64, from_u32 }, { "bool", 1, DF_U8, from_bool },
};

const df_kind *df_kind_find(const char *name) {
  for (size_t k = 0; k < sizeof kinds / sizeof *kinds; k++)
    if (strcmp(kinds[k].name, name) == 0) return &kinds[k];
  return NULL;
}

void df_kind_read(const df_kind *kind, void *y, const void *x, df_int n) {
  if (kind->widen) kind->widen(y, x, n);
  else if (n > 0) memcpy(y, x, (size_t)n * (size_t)kind->bytes);
}
