/* Products of pairs and rounding to bf16 in AVX512-BF16; the rest comes from AVX-512. The
** unit is empty if the compiler does not target AVX512-BF16. */
#if !defined(DF_DOUBLE) && defined(__AVX512BF16__)
#include "kernels/tables.h"
#include "kernels/vec_avx512bf16.h"

#include "kernels/body/pairs.h"
#include "kernels/body/planes.h"
#include "kernels/body/winograd_short.h"

void df_pairs_avx512bf16(const df_pairs *p) { pairs(p); }

void df_planes_avx512bf16(uint16_t *y, df_int ldy, df_int low, const df_real *x,
                          df_int ldx, df_int rows, df_int C, df_int wide) {
  planes(y, ldy, low, x, ldx, rows, C, wide);
}

void df_turn_planes_avx512bf16(uint16_t *y, df_int ldy, df_int low, const df_real *x,
                               df_int ldx, df_int rows, df_int C) {
  turn_planes(y, ldy, low, x, ldx, rows, C);
}

void df_pair_rows_avx512bf16(uint16_t *w, df_int panel, df_int low, const df_real *x,
                             df_int ldx, df_int rows, df_int C, df_int tall) {
  pair_rows(w, panel, low, x, ldx, rows, C, tall);
}

void df_pair_columns_avx512bf16(uint16_t *w, df_int panel, df_int low, const df_real *x,
                                df_int ldx, df_int rows, df_int C, df_int tall) {
  pair_columns(w, panel, low, x, ldx, rows, C, tall);
}

void df_pair_planes_avx512bf16(uint16_t *w, df_int panel, const uint16_t *x, df_int ldx,
                               df_int rows, df_int C, df_int tall) {
  pair_planes(w, panel, x, ldx, rows, C, tall);
}

void df_short_inputs_avx512bf16(uint16_t *v, df_int plane, const df_real *const *x,
                                df_int n, df_int wide) {
  short_inputs(v, plane, x, n, wide);
}

void df_short_weights_avx512bf16(uint16_t *u, df_int plane, int row, const uint16_t *w,
                                 df_int tap, df_int n) {
  short_weights(u, plane, row, w, tap, n);
}

#endif
