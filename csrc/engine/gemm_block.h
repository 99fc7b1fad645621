/* One block of a product of two matrices, on this thread. The depth is taken in pieces
** whose sides fit the caches. */
#ifndef df_gemm_block_h
#define df_gemm_block_h

#include "engine/factor.h"
#include "engine/gemm.h"

/* The size of blocks. Shapes and the instruction set alone decide it. There are `wanted`
** blocks of m x n, unless they would be too small to pay. */
typedef struct df_gemm_cut {
  df_int m, n;
} df_gemm_cut;
df_gemm_cut df_gemm_cut_of(df_factors f, df_int m, df_int n, df_int wanted);

/* c (m x n, pitch ldc) = or += a (m x k) b (k x n). a and b begin at their blocks. */
typedef struct df_gemm_block {
  df_factors f;
  df_matrix a, b;
  df_real *packed;      /* all panels of b, by df_gemm_pack; NULL: not packed */
  df_int pitch, column; /* columns of packed, in full panels; the block's first */
  df_int m, n, k, ldc;
  df_real *c;
  bool accumulate;
} df_gemm_block;
void df_gemm_block_run(const df_gemm_block *b, df_gemm_cut cut, df_real *room);

/* Reals of workspace for a block. */
df_int df_gemm_room(df_factors f, df_gemm_cut cut);

/* Blocks of one b may share its panels, in layers of DF_GEMM_LAYER rows. This packs
** the block's columns in the layer from row `at` on. The first begins a panel. */
#define DF_GEMM_LAYER 256
void df_gemm_pack(const df_gemm_block *b, df_int at);

#endif
