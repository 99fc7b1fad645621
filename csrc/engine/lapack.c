/* The Fortran names are declared here and nowhere else. Fortran reads matrices column by
** column, so it sees ours transposed. Lengths of strings come last. */
#include "engine/lapack.h"

#include "base/alloc.h"
#include "engine/gemm.h"

void dsyevd_(const char *job, const char *half, const int *n, double *a, const int *lda,
             double *values, double *work, const int *lwork, int *iwork,
             const int *liwork, int *info, size_t job_length, size_t half_length);
void dpotrf_(const char *half, const int *n, double *a, const int *lda, int *info,
             size_t half_length);
void dgesv_(const int *n, const int *m, double *a, const int *lda, int *pivots, double *b,
            const int *ldb, int *info);
void dgemm_(const char *turn_a, const char *turn_b, const int *m, const int *n,
            const int *k, const double *alpha, const double *a, const int *lda,
            const double *b, const int *ldb, const double *beta, double *c,
            const int *ldc, size_t a_length, size_t b_length);
void dgesdd_(const char *job, const int *m, const int *n, double *a, const int *lda,
             double *values, double *u, const int *ldu, double *vt, const int *ldvt,
             double *work, const int *lwork, int *iwork, int *info, size_t job_length);

df_code df_lapack_eigh(double *a, double *values, df_int n) {
  int N = (int)n, info = 0, ask = -1, iwork_size = 0;
  double work_size = 0;
  df_blas_begin();
  dsyevd_("V", "U", &N, a, &N, values, &work_size, &ask, &iwork_size, &ask, &info, 1, 1);
  df_blas_end();
  int lwork = (int)work_size;
  size_t doubles = (size_t)lwork * sizeof(double);
  double *work = df_alloc(doubles + (size_t)iwork_size * sizeof(int));
  if (!work) return DF_MEMORY;
  int *iwork = (void *)(work + lwork);
  df_blas_begin();
  dsyevd_("V", "U", &N, a, &N, values, work, &lwork, iwork, &iwork_size, &info, 1, 1);
  df_blas_end();
  df_free(work);
  if (info == 0) return DF_OK;
  return df_fail(DF_MISUSE, "eigh: the iteration didn't converge for %d values", info);
}

df_code df_lapack_cholesky(double *a, df_int n, df_int *minor) {
  int N = (int)n, info = 0;
  df_blas_begin();
  dpotrf_("U", &N, a, &N, &info, 1);
  df_blas_end();
  *minor = info;
  return info == 0 ? DF_OK : DF_MISUSE;
}

df_code df_lapack_solve(double *a, double *b, df_int n, df_int m, df_int *pivot) {
  int N = (int)n, columns = (int)m, info = 0;
  int *pivots = df_alloc((size_t)(n + 1) * sizeof *pivots);
  if (!pivots) return DF_MEMORY;
  df_blas_begin();
  dgesv_(&N, &columns, a, &N, pivots, b, &N, &info);
  df_blas_end();
  df_free(pivots);
  *pivot = info;
  return info == 0 ? DF_OK : DF_MISUSE;
}

void df_lapack_product(double *c, const double *a, const double *b, df_int m, df_int n,
                       df_int k) {
  int M = (int)m, N = (int)n, K = (int)k;
  double one = 1, none = 0;
  if (m == 0 || n == 0) return;
  df_blas_begin();
  dgemm_("T", "N", &N, &M, &K, &one, b, &K, a, &K, &none, c, &N, 1, 1);
  df_blas_end();
}

df_code df_lapack_singular(double *a, double *values, df_int m, df_int n) {
  int M = (int)n, N = (int)m, info = 0, ask = -1, one = 1;
  double work_size = 0, none = 0;
  size_t least = (size_t)df_min(m, n);
  int *iwork = df_alloc(8 * least * sizeof *iwork);
  if (!iwork) return DF_MEMORY;
  df_blas_begin();
  dgesdd_("N", &M, &N, a, &M, values, &none, &one, &none, &one, &work_size, &ask, iwork,
          &info, 1);
  df_blas_end();
  int lwork = (int)work_size;
  double *work = df_alloc((size_t)lwork * sizeof *work);
  df_blas_begin();
  if (work)
    dgesdd_("N", &M, &N, a, &M, values, &none, &one, &none, &one, work, &lwork, iwork,
            &info, 1);
  df_blas_end();
  df_free(work);
  df_free(iwork);
  if (!work) return DF_MEMORY;
  if (info == 0) return DF_OK;
  return df_fail(DF_MISUSE, "the singular values' iteration didn't converge (%d)", info);
}
