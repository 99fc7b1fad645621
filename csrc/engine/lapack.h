/* Dense linear algebra in double by LAPACK, which is part of OpenBLAS. Matrices are
** stored row by row. Sizes fit LAPACK's 32-bit integers. */
#ifndef df_lapack_h
#define df_lapack_h

#include "base/base.h"
#include "base/error.h"

/* a: n x n symmetric -> its unit eigenvectors, one in a row; their n values ascend */
df_code df_lapack_eigh(double *a, double *values, df_int n);

/* a: n x n symmetric -> its lower factor L, a = L L^T, in the lower triangle. The upper
** one stays. Fails with *minor, the first that isn't positive (from 1). */
df_code df_lapack_cholesky(double *a, df_int n, df_int *minor);

/* Solves a^T x = b for m right sides. a: n x n, overwritten. b: m x n, each row a right
** side that becomes its solution. Fails with *pivot, the first that is 0 (from 1). */
df_code df_lapack_solve(double *a, double *b, df_int n, df_int m, df_int *pivot);

/* c = a b^T: m x n from m x k and n x k, all dense. */
void df_lapack_product(double *c, const double *a, const double *b, df_int m, df_int n,
                       df_int k);

/* The min(m, n) singular values of a: m x n, descending; a is overwritten. */
df_code df_lapack_singular(double *a, double *values, df_int m, df_int n);

#endif
