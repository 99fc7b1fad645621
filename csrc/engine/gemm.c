/* The only file that calls OpenBLAS. Our own kernel is used wherever it is vectorised
** (engine.h has the measurements), and OpenBLAS on one thread elsewhere. */
#define _GNU_SOURCE
#include "engine/gemm.h"

#include <dlfcn.h>
#include <string.h>

#include "base/fork.h"
#include "base/pool.h"
#include "engine/gemm_block.h"
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

static void blas(const df_gemm_block *b) {
  df_blas_begin();
#ifdef DF_DOUBLE
  cblas_dgemm
#else
  cblas_sgemm
#endif
      (CblasRowMajor, b->a.turned ? CblasTrans : CblasNoTrans,
       b->b.turned ? CblasTrans : CblasNoTrans, (int)b->m, (int)b->n, (int)b->k, 1,
       b->a.at, (int)b->a.ld, b->b.at, (int)b->b.ld, b->accumulate ? 1 : 0, b->c,
       (int)b->ldc);
  df_blas_end();
}

/* ==== any two matrices ============================================================== */

#define FOLD_GRAIN   16384 /* reals of a chunk of folded rows */
#define PART_K       512   /* at least so much of k in a part, if k is cut */
#define ITEMS_WANTED 8     /* enough for a few threads */
#define PACKED_WIDE  512   /* columns of b that are packed at a time */
/* Rows of b, of all parts, whose panels are kept packed at a time. */
#define ROUND_ROWS 4096

typedef struct gemm {
  df_product p;
  df_gemm_cut cut;
  df_int down, across; /* number of blocks of c */
  /* number of parts of k, which are summed apart and folded in order */
  df_int parts;
  bool own;
  df_factors f;
  df_real *partial;  /* parts x batch x m x n */
  df_workspace room; /* a piece for each task */
  /* Panels of b for all blocks of a round, which is some rows of each part. */
  bool shared;
  df_int rows, first, pitch; /* rows of a round in a part; the first; columns packed */
  df_workspace packed;
} gemm;

static const df_real *element(const df_matrix *x, df_int batch, df_int row, df_int col) {
  df_int down = x->turned ? col : row, across = x->turned ? row : col;
  return x->at + batch * x->step + down * x->ld + across;
}

/* c (m x n) from row i and column j on, over the current rows of a part. */
static df_gemm_block block_at(const gemm *g, df_int batch, df_int part, df_int i,
                              df_int j) {
  const df_product *p = &g->p;
  df_int begin = part * p->k / g->parts + g->first, end = (part + 1) * p->k / g->parts;
  df_gemm_block b = { .f = g->f, .a = p->a, .b = p->b, .ldc = p->ldc };
  b.a.at = element(&p->a, batch, i, begin), b.b.at = element(&p->b, batch, begin, j);
  b.m = df_min(g->cut.m, p->m - i), b.n = df_min(g->cut.n, p->n - j);
  b.k = df_max(0, df_min(g->rows, end - begin));
  b.c = p->c + batch * p->stepc;
  b.accumulate = g->first > 0 || (p->accumulate && !g->partial);
  if (g->shared) b.packed = g->packed.base + part * g->rows * g->pitch;
  b.pitch = g->pitch, b.column = j;
  if (g->partial) {
    b.ldc = p->n;
    b.c = g->partial + (part * p->batch + batch) * p->m * p->n;
  }
  b.c += i * b.ldc + j;
  return b;
}

static void gemm_items(void *context, df_int begin, df_int end) {
  gemm *g = context;
  df_real *room = g->own ? df_workspace_take(&g->room) : NULL;
  for (df_int item = begin; item < end; item++) {
    df_int j = item % g->across * g->cut.n, rest = item / g->across;
    df_int i = rest % g->down * g->cut.m, part = rest / g->down % g->parts;
    df_gemm_block b = block_at(g, rest / g->down / g->parts, part, i, j);
    if (room) df_gemm_block_run(&b, g->cut, room);
    else blas(&b);
  }
  if (room) df_workspace_give(&g->room, room);
}

/* The layers of a round, part by part, in pieces of PACKED_WIDE columns. */
static void pack_items(void *context, df_int begin, df_int end) {
  const gemm *g = context;
  df_int wide = df_ceil_div(g->p.n, PACKED_WIDE), layers = g->rows / DF_GEMM_LAYER;
  for (df_int item = begin; item < end; item++) {
    df_int j = item % wide * PACKED_WIDE, at = item / wide % layers * DF_GEMM_LAYER;
    df_gemm_block b = block_at(g, 0, item / wide / layers, 0, j);
    b.n = df_min(PACKED_WIDE, g->p.n - j);
    if (at < b.k) df_gemm_pack(&b, at);
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

static void run_items(gemm *g) {
  df_parallel(g->p.batch * g->parts * g->down * g->across, 1, gemm_items, g);
}

/* Round after round, each adds to the sums of the parts. */
static df_code run_shared(gemm *g) {
  df_int panel = df_kernel()->panel, part = df_ceil_div(g->p.k, g->parts);
  df_int layers = df_ceil_div(df_min(part, ROUND_ROWS / g->parts), DF_GEMM_LAYER);
  g->rows = layers * DF_GEMM_LAYER;
  g->pitch = df_ceil_div(g->p.n, panel) * panel;
  if (df_workspace_open(&g->packed, g->parts * g->rows * g->pitch, 1) != DF_OK)
    return DF_MEMORY;
  for (; g->first < part; g->first += g->rows) {
    df_parallel(g->parts * layers * df_ceil_div(g->p.n, PACKED_WIDE), 1, pack_items, g);
    run_items(g);
  }
  df_workspace_close(&g->packed);
  return DF_OK;
}

static df_code run_gemm(gemm *g) {
  df_product *p = &g->p;
  df_int items = p->batch * g->parts * g->down * g->across;
  df_code code = DF_OK;
  g->rows = p->k;
  if (g->own && df_workspace_open(&g->room, df_gemm_room(g->f, g->cut), items) != DF_OK)
    return DF_MEMORY;
  if (g->shared) code = run_shared(g);
  else run_items(g);
  if (g->own) df_workspace_close(&g->room);
  if (g->partial && code == DF_OK)
    df_parallel(p->batch * p->m, FOLD_GRAIN / p->n + 1, fold_rows, g);
  return code;
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

/* Many blocks need no parts; few blocks of much depth are better cut into parts, whose
** columns stay wide. */
static void cut(gemm *g) {
  const df_product *p = &g->p;
  df_int most = p->rowwise ? 1 : df_max(1, df_min(DF_PARTS_MAX, p->k / PART_K));
  g->cut = df_gemm_cut_of(g->f, p->m, p->n, df_ceil_div(ITEMS_WANTED, p->batch * most));
  g->down = df_ceil_div(p->m, g->cut.m), g->across = df_ceil_div(p->n, g->cut.n);
  df_int blocks = p->batch * g->down * g->across;
  g->parts = df_min(most, df_ceil_div(DF_PARTS_MAX, blocks));
  g->shared = g->own && g->f.planes == 0 && p->batch == 1 && g->down > 1;
}

df_code df_gemm(const df_product *p) {
  if (p->batch * p->m * p->n == 0) return DF_OK;
  if (p->k == 0) return no_depth(p);
  gemm g = { .p = *p, .f = factors_of(p) };
  g.own = p->rowwise || g.f.round || strcmp(df_kernel()->name, "scalar") != 0;
  cut(&g);
  if (g.parts == 1) return run_gemm(&g);
  df_workspace partials;
  if (df_workspace_open(&partials, g.parts * p->batch * p->m * p->n, 1) != DF_OK)
    return DF_MEMORY;
  g.partial = partials.base;
  df_code code = run_gemm(&g);
  df_workspace_close(&partials);
  return code;
}
