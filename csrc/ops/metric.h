/* Metrics of two sets are made of these. They compute in double, because they are small
** differences of large sums. They have no gradients. */
#ifndef df_metric_h
#define df_metric_h

#include "ops/tape.h"

/* |x_i - y_j|^2 as reals {n,m} of rows x {n,D} and y {m,D}. Near pairs keep their
** digits. */
df_tensor *df_pair_squares(df_tape *tape, df_tensor *x, df_tensor *y);

/* A function k of two samples a and b, with D numbers each. */
typedef enum df_pair_kind {
  DF_PAIR_DISTANCE, /* |a - b| */
  DF_PAIR_GAUSS,    /* -exp(-|a - b|^2 / 2 h^2), the mean over the widths h */
  DF_PAIR_CUBIC     /* -(a.b/D + 1)^3, less the terms that depend on only a or only b */
} df_pair_kind;

typedef struct df_pair_function {
  df_pair_kind kind;
  const double *width; /* for DF_PAIR_GAUSS */
  int widths;
} df_pair_function;

/* Sums of k over the pairs of the pooled z {N,D}, whose first n samples are one set.
** Returns doubles {4,N}: each sample's sum of k with the first set and with the second,
** and of its squares. A sample is no pair with itself. Rows of labels {P,N} are 1 if a
** sample is in the first set. *labelled becomes doubles {P,2}: s.(K s) and s.(K 1) of
** each row s. labels may be NULL. */
df_tensor *df_pair_sums(df_tape *tape, df_tensor *z, df_int n, const df_pair_function *k,
                        df_tensor *labels, df_tensor **labelled);

/* A Gaussian: that of samples x {n,D}, cov then NULL; or of mean x {D} and cov {D,D}. */
typedef struct df_gaussian {
  df_tensor *x, *cov;
} df_gaussian;

/* |m1 - m2|^2 + tr(C1 + C2 - 2 (C1 C2)^(1/2)) as one double {1}. Fails if a covariance
** isn't positive semidefinite. */
df_tensor *df_frechet(df_tape *tape, const df_gaussian *a, const df_gaussian *b);

/* x {n,D} as doubles that the scope owns; NULL: no memory. */
double *df_metric_doubles(df_tape *tape, const df_tensor *x);
/* Doubles that the scope owns. */
double *df_metric_room(df_tape *tape, df_int count);
/* The mean of n rows of D numbers; and the rows minus it. */
void df_metric_mean(double *mean, const double *x, df_int n, df_int D);
void df_metric_subtract(double *x, const double *mean, df_int n, df_int D);

#endif
