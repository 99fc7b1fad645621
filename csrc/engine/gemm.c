/* The only file that calls OpenBLAS. Our own kernel is used wherever it is vectorised
** (engine.h has the measurements), and OpenBLAS on one thread elsewhere. */
#define _GNU_SOURCE
#include "engine/gemm.h"

#include <dlfcn.h>
#include <string.h>

#include "base/fork.h"
#include "base/pool.h"
#include "engine/factor.h"
#include "engine/workspace.h"
#include "kernels/kernels.h"

#if defined __has_include
#if __has_include(<cblas.h>)
#include <cblas.h>
#define HAVE_CBLAS_H
#endif
#endif
#ifndef HAVE_CBLAS_H /* the library without its header */
enum { CblasRowMajor = 101, CblasNoTrans = 111, CblasTrans = 112 };
void cblas_sgemm(int order, int ta, int tb, int m, int n, int k, float alpha,
                 const float *a, int lda, const float *b, int ldb, float beta, float *c,
                 int ldc);
void cblas_dgemm(int order, int ta, int tb, int m, int n, int k, double alpha,
                 const double *a, int lda, const double *b, int ldb, double beta,
                 double *c, int ldc);
#endif

/* ==== rows against packed weights =================================================== */

#define ROWS_BLOCK   224 /* rows of an item */
#define ITEMS_WANTED 8   /* enough for a few threads */

typedef struct rows_run {
  df_rows r;
  df_int groups; /* number of groups of panels: items share a block's columns */
  df_workspace room;
} rows_run;

static void rows_items(void *context, df_int begin, df_int end) {
  rows_run *run = context;
  const df_rows *r = &run->r;
  const df_kernels *kernel = df_kernel();
  df_int panels = df_ceil_div(r->K, kernel->panel), none = 0;
  df_real *copy = r->round ? df_workspace_take(&run->room) : NULL;
  for (df_int item = begin; item < end; item++) {
    df_int row = item / run->groups * ROWS_BLOCK, g = item % run->groups;
    df_int m = df_min(ROWS_BLOCK, r->m - row);
    df_int k = g * panels / run->groups * kernel->panel;
    df_int to = df_min((g + 1) * panels / run->groups * kernel->panel, r->K);
    df_int at = row * r->ldy + k;
    const df_real *x = r->x + row * r->C;
    if (copy) kernel->round_bf16(copy, x, m * r->C);
    kernel->rows(r->y + at, r->ldy, copy ? copy : x, r->C, &none, 1, r->packed + k * r->C,
                 r->bias ? r->bias + k : NULL, r->add ? r->add + at : NULL, r->ldy,
                 r->accumulate, m, r->C, to - k);
  }
  if (copy) df_workspace_give(&run->room, copy);
}

df_code df_rows_run(const df_rows *r) {
  if (r->m == 0 || r->K == 0) return DF_OK;
  rows_run run = { .r = *r };
  df_int blocks = df_ceil_div(r->m, ROWS_BLOCK);
  df_int panels = df_ceil_div(r->K, df_kernel()->panel);
  run.groups = df_min(panels, df_ceil_div(ITEMS_WANTED, blocks));
  df_int items = blocks * run.groups;
  if (r->round && df_workspace_open(&run.room, ROWS_BLOCK * r->C, items) != DF_OK)
    return DF_MEMORY;
  df_parallel(items, 1, rows_items, &run);
  if (r->round) df_workspace_close(&run.room);
  return DF_OK;
}

/* ==== OpenBLAS ====================================================================== */

/* OpenBLAS's own threads would compete with the pool's. Its setter is looked up, because
** only OpenBLAS has it. The OpenMP build keeps the number per thread, so it is set once
** in each. */
static void one_thread(void) {
  static _Thread_local bool done;
  if (done) return;
  done = true;
  void *found = dlsym(RTLD_DEFAULT, "openblas_set_num_threads");
  void (*set)(int) = NULL;
  memcpy(&set, &found, sizeof set);
  if (set) set(1);
}

void df_blas_begin(void) {
  df_foreign_begin();
  one_thread();
}

void df_blas_end(void) { df_foreign_end(); }

static void blas(df_real *c, df_int ldc, bool accumulate, df_int m, df_int n, df_int k,
                 const df_real *a, df_int lda, bool ta, const df_real *b, df_int ldb,
                 bool tb) {
  df_blas_begin();
#ifdef DF_DOUBLE
  cblas_dgemm
#else
  cblas_sgemm
#endif
      (CblasRowMajor, ta ? CblasTrans : CblasNoTrans, tb ? CblasTrans : CblasNoTrans,
       (int)m, (int)n, (int)k, 1, a, (int)lda, b, (int)ldb, accumulate ? 1 : 0, c,
       (int)ldc);
  df_blas_end();
}

/* ==== any two matrices ============================================================== */

#define BLOCK_M    112
#define BLOCK_N    128
#define BLOCK_K    256
#define FOLD_GRAIN 16384 /* reals of a chunk of folded rows */
#define PART_K     512   /* at least so much of k in a part, if k is cut */

typedef struct gemm {
  df_product p;
  df_int down, across; /* number of blocks of c */
  /* number of parts of k, which are summed apart and folded in order */
  df_int parts;
  bool own;
  df_factors f;
  df_real *partial; /* parts x batch x m x n */
  df_workspace room;
} gemm;

static const df_real *element(const df_matrix *x, df_int batch, df_int row, df_int col) {
  df_int down = x->turned ? col : row, across = x->turned ? row : col;
  return x->at + batch * x->step + down * x->ld + across;
}

/* Multiplies blocks of a and b, in pieces of BLOCK_K of the depth. */
static void own_block(gemm *g, df_real *c, df_int ldc, bool accumulate, df_int m,
                      df_int n, df_int k, const df_real *a, const df_real *b) {
  const df_matrix *from = &g->p.a, *with = &g->p.b;
  df_real *room = df_workspace_take(&g->room);
  df_real *packed = room + df_left_size(g->f, BLOCK_M, BLOCK_K);
  for (df_int at = 0; at < k; at += BLOCK_K) {
    df_int deep = df_min(BLOCK_K, k - at);
    const df_real *w = b + at * (with->turned ? 1 : with->ld);
    const df_real *x = a + at * (from->turned ? from->ld : 1);
    df_right right = with->turned
                         ? df_right_columns(g->f, packed, w, with->ld, deep, n)
                         : df_right_rows(g->f, packed, w, with->ld, deep, deep, n);
    df_left left =
        (from->turned ? df_left_turned : df_left_rows)(g->f, room, x, from->ld, m, deep);
    df_multiply(g->f, c, ldc, left, right, accumulate || at > 0, m, deep, n);
  }
  df_workspace_give(&g->room, room);
}

static void gemm_items(void *context, df_int begin, df_int end) {
  gemm *g = context;
  const df_product *p = &g->p;
  for (df_int item = begin; item < end; item++) {
    df_int j = item % g->across * BLOCK_N, rest = item / g->across;
    df_int i = rest % g->down * BLOCK_M, part = rest / g->down % g->parts;
    df_int batch = rest / g->down / g->parts;
    df_int from = part * p->k / g->parts, to = (part + 1) * p->k / g->parts;
    df_int m = df_min(BLOCK_M, p->m - i), n = df_min(BLOCK_N, p->n - j);
    df_int ldc = g->partial ? p->n : p->ldc;
    df_real *c = g->partial ? g->partial + (part * p->batch + batch) * p->m * p->n
                            : p->c + batch * p->stepc;
    bool accumulate = p->accumulate && !g->partial;
    const df_real *a = element(&p->a, batch, i, from),
                  *b = element(&p->b, batch, from, j);
    c += i * ldc + j;
    if (g->own) own_block(g, c, ldc, accumulate, m, n, to - from, a, b);
    else
      blas(c, ldc, accumulate, m, n, to - from, a, p->a.ld, p->a.turned, b, p->b.ld,
           p->b.turned);
  }
}

void df_fold(df_real *y, bool accumulate, const df_real *parts, df_int count, df_int step,
             df_int n) {
  df_real one[DF_PARTS_MAX];
  const df_real *x[DF_PARTS_MAX];
  for (df_int i = 0; i < count; i++) one[i] = 1, x[i] = parts + i * step;
  df_kernel()->mix(y, accumulate ? 1 : 0, one, x, count, n);
}

static void fold_rows(void *context, df_int begin, df_int end) {
  const gemm *g = context;
  const df_product *p = &g->p;
  for (df_int i = begin; i < end; i++) {
    df_real *c = p->c + i / p->m * p->stepc + i % p->m * p->ldc;
    df_fold(c, p->accumulate, g->partial + i * p->n, g->parts, p->batch * p->m * p->n,
            p->n);
  }
}

static df_code run_gemm(gemm *g) {
  df_product *p = &g->p;
  df_int items = p->batch * g->parts * g->down * g->across;
  df_int reals =
      df_left_size(g->f, BLOCK_M, BLOCK_K) + df_right_size(g->f, BLOCK_K, BLOCK_N);
  if (g->own && df_workspace_open(&g->room, reals, items) != DF_OK) return DF_MEMORY;
  df_parallel(items, 1, gemm_items, g);
  if (g->own) df_workspace_close(&g->room);
  if (g->partial) df_parallel(p->batch * p->m, FOLD_GRAIN / p->n + 1, fold_rows, g);
  return DF_OK;
}

/* A sum of no terms. */
static df_code no_depth(const df_product *p) {
  for (df_int i = 0; i < p->batch * p->m && !p->accumulate; i++)
    memset(p->c + i / p->m * p->stepc + i % p->m * p->ldc, 0,
           (size_t)p->n * sizeof(df_real));
  return DF_OK;
}

/* bf16 comes in blocks of 32 by 32, so a small product is faster in reals. The rows of a
** rowwise product may be a batch, so they don't count. */
#define SMALL 16
static df_factors factors_of(const df_product *p) {
  bool small = p->k < SMALL || p->n < SMALL || (!p->rowwise && p->m < SMALL);
  df_factors f = df_factors_of(p->precision);
  return (df_factors){ small ? 0 : f.planes, f.round };
}

df_code df_gemm(const df_product *p) {
  if (p->batch * p->m * p->n == 0) return DF_OK;
  if (p->k == 0) return no_depth(p);
  gemm g = { .p = *p,
             .down = df_ceil_div(p->m, BLOCK_M),
             .across = df_ceil_div(p->n, BLOCK_N),
             .parts = 1 };
  g.f = factors_of(p);
  g.own = p->rowwise || g.f.round || strcmp(df_kernel()->name, "scalar") != 0;
  df_int blocks = p->batch * g.down * g.across;
  if (!p->rowwise)
    g.parts = df_max(1, df_min(df_ceil_div(DF_PARTS_MAX, blocks), p->k / PART_K));
  if (g.parts == 1) return run_gemm(&g);
  df_workspace partials;
  if (df_workspace_open(&partials, g.parts * p->batch * p->m * p->n, 1) != DF_OK)
    return DF_MEMORY;
  g.partial = partials.base;
  df_code code = run_gemm(&g);
  df_workspace_close(&partials);
  return code;
}
