/* Elements by their places, which are tensors of integers from 1. */
#include <string.h>

#include "base/pool.h"
#include "kernels/kernels.h"
#include "ops/line.h"
#include "ops/op.h"
#include "ops/sink.h"

#define GRAIN 4096 /* elements of a chunk */

static df_code check_places(const char *name, const df_tensor *index, df_int size,
                            int dim) {
  const int64_t *at = df_tensor_data(index);
  for (df_int i = 0; i < df_tensor_count(index); i++)
    if (at[i] < 1 || at[i] > size)
      return df_fail(DF_MISUSE,
                     "%s: index %lld is out of range for dimension %d of "
                     "size %td",
                     name, (long long)at[i], dim + 1, size);
  return DF_OK;
}

/* ==== index ========================================================================= */

/* x is P, n, C; y is P, J, C */
typedef struct picking {
  const char *x;
  char *y;
  df_real *dx;
  const df_real *dy;
  const int64_t *at;
  df_int n, J, C, blocks;
  df_int width; /* size of an element in bytes */
} picking;

static void pick_rows(void *context, df_int begin, df_int end) {
  const picking *p = context;
  df_int row = p->C * p->width;
  for (df_int i = begin; i < end; i++) {
    df_int from = i / p->J * p->n + p->at[i % p->J] - 1;
    memcpy(p->y + i * row, p->x + from * row, (size_t)row);
  }
}

#define COLUMNS 256 /* columns that one thread adds up, row by row */

static void return_rows(void *context, df_int begin, df_int end) {
  const picking *p = context;
  for (df_int i = begin; i < end; i++) {
    df_int c = i % p->blocks * COLUMNS, n = df_min(COLUMNS, p->C - c), P = i / p->blocks;
    for (df_int j = 0; j < p->J; j++) {
      df_real *to = p->dx + (P * p->n + p->at[j] - 1) * p->C + c;
      df_kernel()->add(to, to, 1, p->dy + (P * p->J + j) * p->C + c, 1, n);
    }
  }
}

typedef struct sides {
  df_int P, n, C;
} sides;

static sides sides_of(const df_shape *shape, int dim) {
  sides s = { 1, shape->size[dim], 1 };
  for (int i = 0; i < dim; i++) s.P *= shape->size[i];
  for (int i = dim + 1; i < shape->ndim; i++) s.C *= shape->size[i];
  return s;
}

/* With y[i] = x[index[i]] along dim: dx[index[i]] += dy[i]. */
static df_code index_backward(df_tape *tape, df_node *node, df_tensor *dy) {
  const sides *s = node->data;
  const df_tensor *index = node->keep[0];
  df_sink sink;
  (void)tape;
  if (df_sink_open_parts(node, 0, &sink) != DF_OK) return df_error_code();
  if (!sink.to || df_tensor_count(dy) == 0) return DF_OK;
  picking p = { .dx = sink.to, .dy = df_tensor_reals(dy), .at = df_tensor_data(index) };
  p.n = s->n, p.J = df_tensor_count(index), p.C = s->C;
  p.blocks = df_ceil_div(s->C, COLUMNS);
  df_parallel(s->P * p.blocks, GRAIN / (p.J * df_min(COLUMNS, s->C)) + 1, return_rows,
              &p);
  return DF_OK;
}

df_tensor *df_index(df_tape *tape, df_tensor *x, int dim, df_tensor *index) {
  static const df_op op = { "index", index_backward };
  index = x ? df_indices(tape, "index: index", index) : NULL;
  if (!index) return NULL;
  if (index->shape.ndim > 1)
    return df_fail_null(DF_MISUSE, "index: a list of places expected, got %s",
                        df_tensor_text(index));
  if (check_places("index", index, x->shape.size[dim], dim) != DF_OK) return NULL;
  if (!df_tensor_is_dense(x)) x = df_clone(tape, x);
  if (!x) return NULL;
  df_shape shape = x->shape;
  shape.size[dim] = df_tensor_count(index);
  df_tensor *y = df_scope_own(tape, df_tensor_new(x->dtype, &shape));
  if (!y) return NULL;
  sides s = sides_of(&x->shape, dim);
  picking p = { .x = df_tensor_data(x), .y = df_tensor_data(y) };
  p.at = df_tensor_data(index), p.width = df_dtype_size(x->dtype);
  p.n = s.n, p.J = shape.size[dim], p.C = s.C;
  if (s.C > 0) df_parallel(s.P * p.J, GRAIN / s.C + 1, pick_rows, &p);
  df_note note = { .op = &op, .n = 1, .x = &x, .kept = 1, .keep = &index };
  note.data = &s, note.size = sizeof s;
  return df_tape_note(tape, y, note);
}

/* ==== gather ======================================================================== */

/* Lines along the last dimension: y[.., j] = x[.., at[.., j]] */
typedef struct gathering {
  df_runs runs; /* the lines of y */
  df_int stride[DF_DIMS];
  const int64_t *at;
  const df_real *x, *dy;
  df_real *y, *dx;
} gathering;

static void gather_lines(void *context, df_int begin, df_int end) {
  const gathering *g = context;
  df_int n = g->runs.length;
  for (df_int i = begin; i < end; i++) {
    const df_real *x = g->x + df_runs_offset(&g->runs, i, g->stride);
    for (df_int j = i * n; j < (i + 1) * n; j++) g->y[j] = x[g->at[j] - 1];
  }
}

static void return_lines(void *context, df_int begin, df_int end) {
  const gathering *g = context;
  df_int n = g->runs.length;
  for (df_int i = begin; i < end; i++) {
    df_real *dx = g->dx + df_runs_offset(&g->runs, i, g->stride);
    for (df_int j = i * n; j < (i + 1) * n; j++) dx[g->at[j] - 1] += g->dy[j];
  }
}

static gathering lines_of(const df_shape *x, const df_tensor *index) {
  gathering g = { .runs = df_runs_over(&index->shape), .at = df_tensor_data(index) };
  df_shape_strides(x, g.stride);
  return g;
}

/* With y[.., i, ..] = x[.., index[.., i, ..], ..]: dx at that place += dy[.., i, ..]. */
static df_code gather_backward(df_tape *tape, df_node *node, df_tensor *dy) {
  df_sink s;
  (void)tape;
  if (df_sink_open_parts(node, 0, &s) != DF_OK) return df_error_code();
  if (!s.to || df_tensor_count(dy) == 0) return DF_OK;
  gathering g = lines_of(node->data, node->keep[0]);
  g.dx = s.to, g.dy = df_tensor_reals(dy);
  df_parallel(g.runs.runs, GRAIN / g.runs.length + 1, return_lines, &g);
  return DF_OK;
}

static df_code check_gather(const df_tensor *x, const df_tensor *index, int dim) {
  bool fits = index->shape.ndim == x->shape.ndim;
  for (int i = 0; i < x->shape.ndim && fits; i++)
    fits = i == dim || index->shape.size[i] <= x->shape.size[i];
  if (fits) return DF_OK;
  return df_fail(DF_MISUSE, "gather: the index %s doesn't lie within %s",
                 df_tensor_text(index), df_tensor_text(x));
}

df_tensor *df_gather(df_tape *tape, df_tensor *x, int dim, df_tensor *index) {
  static const df_op op = { "gather", gather_backward };
  index = x ? df_indices(tape, "gather: index", index) : NULL;
  if (!index) return NULL;
  if (check_gather(x, index, dim) != DF_OK) return NULL;
  if (check_places("gather", index, x->shape.size[dim], dim) != DF_OK) return NULL;
  df_tensor *lines = df_dense(tape, df_to_last(tape, x, dim));
  index = df_indices(tape, "gather: index", df_to_last(tape, index, dim));
  if (!lines || !index) return NULL;
  df_tensor *y = df_result(tape, &index->shape);
  if (!y) return NULL;
  gathering g = lines_of(&lines->shape, index);
  g.x = df_tensor_reals(lines), g.y = df_tensor_reals(y);
  if (df_tensor_count(y) > 0)
    df_parallel(g.runs.runs, GRAIN / g.runs.length + 1, gather_lines, &g);
  df_note note = { .op = &op, .n = 1, .x = &lines, .kept = 1, .keep = &index };
  note.data = &lines->shape, note.size = sizeof lines->shape;
  return df_from_last(tape, df_tape_note(tape, y, note), dim);
}
