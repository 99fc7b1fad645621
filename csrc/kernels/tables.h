/* The table of each instruction set, from its unit isa_*.c; dispatch.c chooses. */
#ifndef df_tables_h
#define df_tables_h

#include "kernels/kernels.h"

extern const df_kernels df_kernels_scalar, df_kernels_avx2, df_kernels_avx512,
    df_kernels_avx512bf16, df_kernels_amx, df_kernels_neon;

/* Products of pairs, from units that have nothing else. */
void df_pairs_avx512bf16(const df_pairs *p);
void df_pairs_amx(const df_pairs *p);

#endif
