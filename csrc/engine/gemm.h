/* Products of matrices: of rows with packed weights, and of any two matrices. The cut
** over the pool depends on shapes alone, and so do the results' bits. */
#ifndef df_gemm_h
#define df_gemm_h

#include "base/base.h"
#include "base/error.h"

/* -- weights packed in panels, for the kernel `rows` --------------------------------- */

df_int df_packed_size(df_int C, df_int K); /* reals */

/* C x K, element (c, k) at w[c sc + k sk]; rounded to bf16 if asked; over the pool */
void df_pack_weights(df_real *packed, const df_real *w, df_int C, df_int sc, df_int K,
                     df_int sk, bool round);

/* The same for n <= panel columns, on this thread. */
void df_pack_panel(df_real *packed, const df_real *w, df_int C, df_int sc, df_int n,
                   df_int sk, bool round);

/* y (m x K) = or += x (m x C) W + bias (K) + add (m x K); all dense. A row's bits don't
** depend on the other rows. bias and add may be NULL. */
typedef struct df_rows {
  df_int m, C, K;
  df_real *y;
  const df_real *x, *packed, *bias, *add;
  bool accumulate;
  bool round; /* x to bf16; the weights are so already */
} df_rows;
df_code df_rows_run(const df_rows *r);

/* -- any two matrices ---------------------------------------------------------------- */

/* c (m x n) = or += a (m x k) b (k x n), `batch` times; a turned matrix is stored as its
** transpose. */
typedef struct df_matrix {
  const df_real *at;
  df_int ld; /* from a stored row to the next */
  bool turned;
  df_int step; /* from a matrix of the batch to the next */
} df_matrix;

typedef struct df_product {
  df_int m, n, k, batch;
  df_matrix a, b;
  df_real *c;
  df_int ldc, stepc; /* as in df_matrix */
  bool accumulate;
  bool rowwise; /* a row of c has the same bits for any m (samples are rows) */
  df_precision precision;
} df_product;
df_code df_gemm(const df_product *p);

/* y[i] = or += x[0][i] + x[1][i] + ..., in this order: partial results of a fixed cut */
void df_fold(df_real *y, bool accumulate, const df_real *parts, df_int count, df_int step,
             df_int n);
#define DF_PARTS_MAX 8

/* Around every call of OpenBLAS, LAPACK among them: on one thread, and no fork meanwhile,
** since the child couldn't free OpenBLAS's own locks. */
void df_blas_begin(void);
void df_blas_end(void);

#endif
