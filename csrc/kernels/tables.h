/* The table of each instruction set, defined in its unit isa_*.c; dispatch.c chooses
** one. */
#ifndef df_tables_h
#define df_tables_h

#include "kernels/kernels.h"

extern const df_kernels df_kernels_scalar, df_kernels_avx2, df_kernels_avx512,
    df_kernels_avx512bf16, df_kernels_amx, df_kernels_neon;

/* Products of pairs, from units that define nothing else. */
void df_pairs_avx512bf16(const df_pairs *p);
void df_pairs_amx(const df_pairs *p);

/* Rounding to planes, from the unit that has an instruction for it. */
void df_planes_avx512bf16(uint16_t *y, df_int ldy, df_int low, const df_real *x,
                          df_int ldx, df_int rows, df_int C, df_int wide);
void df_turn_planes_avx512bf16(uint16_t *y, df_int ldy, df_int low, const df_real *x,
                               df_int ldx, df_int rows, df_int C);
void df_pair_rows_avx512bf16(uint16_t *w, df_int panel, df_int low, const df_real *x,
                             df_int ldx, df_int rows, df_int C, df_int tall);
void df_pair_columns_avx512bf16(uint16_t *w, df_int panel, df_int low, const df_real *x,
                                df_int ldx, df_int rows, df_int C, df_int tall);
void df_pair_planes_avx512bf16(uint16_t *w, df_int panel, const uint16_t *x, df_int ldx,
                               df_int rows, df_int C, df_int tall);
void df_short_inputs_avx512bf16(uint16_t *v, df_int plane, const df_real *const *x,
                                df_int n, df_int wide);
void df_short_weights_avx512bf16(uint16_t *u, df_int plane, int row, const uint16_t *w,
                                 df_int tap, df_int n);

#endif
