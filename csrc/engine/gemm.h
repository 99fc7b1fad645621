/* Products of any two matrices. Shapes alone cut the work, so results have the same bits
** on any number of threads. */
#ifndef df_gemm_h
#define df_gemm_h

#include "base/base.h"
#include "base/error.h"

/* c (m x n) = or += a (m x k) b (k x n), `batch` times. A turned matrix is stored as its
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

/* y[i] = or += x[0][i] + x[1][i] + ..., in this order: folds partial results */
void df_fold(df_real *y, bool accumulate, const df_real *parts, df_int count, df_int step,
             df_int n);
#define DF_PARTS_MAX 8

/* Around every call of OpenBLAS and of LAPACK inside it: one thread, and no fork
** meanwhile. A child process couldn't free OpenBLAS's own locks. */
void df_blas_begin(void);
void df_blas_end(void);

#endif
