/* Numbers as files store them. Bools and integers without a tensor type of their own
** become i64, numbers of 8 bits f16, powers of two f32. All of them are exact. */
#include "io/widen.h"

#include <math.h>
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
  for (df_int i = 0; i < n; i++) ((int64_t *)y)[i] = ((const uint8_t *)x)[i] != 0;
}

/* ==== numbers of 8 bits ============================================================= */

/* `digits` bits of fraction, exponents from `bias`. The codes above the largest number
** are NaN, with or without an infinity before them. In types without a negative zero, its
** code is the only NaN (fnuz). */
typedef struct tiny {
  int digits, bias;
  bool infinite, fnuz;
} tiny;

static double magnitude(const tiny *f, unsigned code) {
  unsigned most = 0x7F, one = 1u << f->digits;
  unsigned fraction = code & (one - 1), exponent = code >> f->digits;
  if (f->infinite && exponent == most >> f->digits) return fraction ? NAN : INFINITY;
  if (!f->infinite && !f->fnuz && code == most) return NAN;
  if (exponent == 0) return ldexp(fraction, 1 - f->bias - f->digits);
  return ldexp(one + fraction, (int)exponent - f->bias - f->digits);
}

/* The f16 bits of a number that f16 holds exactly. */
static uint16_t half_of(double v) {
  int exponent;
  if (isnan(v)) return 0x7E00;
  if (isinf(v)) return 0x7C00;
  if (v < 0x1p-14) return (uint16_t)ldexp(v, 24);
  double fraction = frexp(v, &exponent); /* in [0.5, 1) */

  return (uint16_t)((exponent + 14) * 1024 + (int)ldexp(fraction - 0.5, 11));
}

static void from_tiny(const tiny *f, uint16_t *y, const uint8_t *x, df_int n) {
  uint16_t half[256];
  for (unsigned code = 0; code < 128; code++) {
    half[code] = half_of(magnitude(f, code));
    half[128 + code] = half[code] | 0x8000;
  }
  if (f->fnuz) half[128] = 0x7E00;
  for (df_int i = 0; i < n; i++) y[i] = half[x[i]];
}

static void from_e4m3(void *y, const void *x, df_int n) {
  from_tiny(&(tiny){ 3, 7, false, false }, y, x, n);
}

static void from_e5m2(void *y, const void *x, df_int n) {
  from_tiny(&(tiny){ 2, 15, true, false }, y, x, n);
}

static void from_e4m3fnuz(void *y, const void *x, df_int n) {
  from_tiny(&(tiny){ 3, 8, false, true }, y, x, n);
}

static void from_e5m2fnuz(void *y, const void *x, df_int n) {
  from_tiny(&(tiny){ 2, 16, false, true }, y, x, n);
}

/* a power of two alone: 2^(code - 127) */
static void from_e8m0(void *y, const void *x, df_int n) {
  for (df_int i = 0; i < n; i++) {
    int code = ((const uint8_t *)x)[i];
    ((float *)y)[i] = code == 255 ? NAN : (float)ldexp(1, code - 127);
  }
}

/* ==== by name ======================================================================= */

static const df_number numbers[] = {
  { "f32", 4, DF_F32, NULL },
  { "f64", 8, DF_F64, NULL },
  { "f16", 2, DF_F16, NULL },
  { "bf16", 2, DF_BF16, NULL },
  { "u8", 1, DF_U8, NULL },
  { "i64", 8, DF_I64, NULL },
  { "u64", 8, DF_I64, NULL },
  { "i8", 1, DF_I64, from_i8 },
  { "i16", 2, DF_I64, from_i16 },
  { "u16", 2, DF_I64, from_u16 },
  { "i32", 4, DF_I64, from_i32 },
  { "u32", 4, DF_I64, from_u32 },
  { "bool", 1, DF_I64, from_bool },
  { "f8_e4m3", 1, DF_F16, from_e4m3 },
  { "f8_e5m2", 1, DF_F16, from_e5m2 },
  { "f8_e4m3fnuz", 1, DF_F16, from_e4m3fnuz },
  { "f8_e5m2fnuz", 1, DF_F16, from_e5m2fnuz },
  { "f8_e8m0", 1, DF_F32, from_e8m0 },
};

const df_number *df_number_find(const char *name) {
  for (size_t k = 0; k < sizeof numbers / sizeof *numbers; k++)
    if (strcmp(numbers[k].name, name) == 0) return &numbers[k];
  return NULL;
}

df_int df_number_misfit(const df_number *number, const void *x, df_int n, bool big) {
  if (strcmp(number->name, "u64") != 0) return -1;
  const uint8_t *highest = (const uint8_t *)x + (big ? 0 : 7);
  for (df_int i = 0; i < n; i++)
    if (highest[8 * i] & 0x80) return i;
  return -1;
}

static void read_little(const df_number *number, void *y, const void *x, df_int n) {
  if (number->widen) number->widen(y, x, n);
  else if (n > 0) memcpy(y, x, (size_t)n * (size_t)number->bytes);
}

static void turn(uint8_t *y, const uint8_t *x, df_int n, int bytes) {
  for (df_int i = 0; i < n; i++, x += bytes, y += bytes)
    for (int k = 0; k < bytes; k++) y[k] = x[bytes - 1 - k];
}

#define SOME 512 /* elements turned at a time, in cache */

void df_number_read(const df_number *number, void *y, const void *x, df_int n, bool big) {
  uint8_t turned[SOME * 8];
  if (!big || number->bytes == 1) {
    read_little(number, y, x, n);
    return;
  }
  for (df_int i = 0; i < n; i += SOME) {
    df_int count = df_min(SOME, n - i);
    turn(turned, (const uint8_t *)x + i * number->bytes, count, number->bytes);
    read_little(number, (char *)y + i * df_dtype_size(number->dtype), turned, count);
  }
}
