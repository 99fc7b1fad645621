/* Times as vectors: waves, and rows of a learned table. */
#include <stdio.h>

#include "nn/layers.h"

/* ==== sinusoid: B -> B, width, or B, N -> B, N, width ============================== */

static df_tensor *sinusoid_forward(df_tape *tape, const df_layer *l,
                                   df_tensor *const *x) {
  const df_int *size = x[0]->shape.size;
  if (x[0]->shape.ndim != 2) return df_sinusoid(tape, x[0], &l->o.sinusoid);
  df_tensor *y = df_reshape(tape, x[0], &(df_shape){ 1, { size[0] * size[1] } });
  y = df_sinusoid(tape, y, &l->o.sinusoid);
  const df_shape each = { 3, { size[0], size[1], l->o.sinusoid.width } };
  return y ? df_view(tape, y, &each) : NULL;
}

static void describe_width(const df_layer *l, char *text, size_t size) {
  snprintf(text, size, "%td", l->o.sinusoid.width);
}

static const df_kind sinusoid = {
  .name = "sinusoid", 1, 1, sinusoid_forward, describe_width, NULL, true
};

df_layer *df_sinusoid_layer(const df_layer_opts *o) {
  if (df_at_least_one("sinusoid", "width", o->sinusoid.width)) return NULL;
  df_layer *l = df_layer_new(&sinusoid, o);
  if (l) l->o.sinusoid.offset = o->offset;
  return l;
}

/* ==== Fourier features: B -> B, width ============================================== */

/* The frequencies are drawn once. They are a parameter that isn't trained. */
static df_tensor *fourier_forward(df_tape *tape, const df_layer *l, df_tensor *const *x) {
  const df_fourier_opts o = { l->o.offset, l->o.log, l->o.sinusoid.sin_first };
  return df_fourier(tape, x[0], l->weight->value, &o);
}

static const df_kind fourier = {
  .name = "fourier", 1, 1, fourier_forward, describe_width, NULL, true
};

df_layer *df_fourier_layer(const df_layer_opts *o) {
  const df_int width = o->sinusoid.width;
  if (width < 2 || width % 2 != 0)
    return df_fail_null(DF_MISUSE, "fourier: width must be even and at least 2, got %td",
                        width);
  const df_shape shape = { 1, { width / 2 } };
  const df_init normal = { .kind = DF_INIT_NORMAL, .scale = o->scale };
  df_layer *l = df_layer_furnish(df_layer_new(&fourier, o), &shape, normal, NULL, normal);
  if (l) df_param_fix(l->weight);
  return l;
}

/* ==== a row of a table for each whole time: B -> B, out ============================ */

static df_code check_time(const df_layer *l, df_int i, int64_t t, int64_t row) {
  if (row >= 1 && row <= l->o.in) return DF_OK;
  const long long first = (long long)(t - row + 1);
  return df_fail(DF_MISUSE,
                 "time_rows: time %td is %lld, but this table is of the times %lld to "
                 "%lld",
                 i + 1, (long long)t, first, first + (long long)l->o.in - 1);
}

/* Row t - offset, from 1. */
static df_tensor *rows_of(df_tape *tape, const df_layer *l, df_tensor *t) {
  df_tensor *whole = df_indices(tape, "time_rows: t", t);
  df_tensor *row =
      whole ? df_scope_own(tape, df_tensor_new(DF_I64, &whole->shape)) : NULL;
  if (!row) return NULL;
  const int64_t *at = df_tensor_data(whole);
  int64_t *to = df_tensor_data(row);
  for (df_int i = 0; i < df_tensor_count(whole); i++) {
    to[i] = at[i] - (int64_t)l->o.offset;
    if (check_time(l, i, at[i], to[i]) != DF_OK) return NULL;
  }
  return row;
}

static df_tensor *time_rows_forward(df_tape *tape, const df_layer *l,
                                    df_tensor *const *x) {
  df_tensor *row = rows_of(tape, l, x[0]);
  return row ? df_embedding(tape, row, l->weight->value) : NULL;
}

static void describe_table(const df_layer *l, char *text, size_t size) {
  snprintf(text, size, "%td, %td", l->o.in, l->o.out);
}

static const df_kind time_rows = {
  .name = "time_rows", 1, 1, time_rows_forward, describe_table, NULL, true
};

df_layer *df_time_rows_layer(const df_layer_opts *o) {
  if (df_at_least_one("time_rows", "rows", o->in)
      || df_at_least_one("time_rows", "width", o->out))
    return NULL;
  const double far = 9007199254740992;
  if (!(o->offset >= -far && o->offset <= far) || o->offset != (double)(int64_t)o->offset)
    return df_fail_null(DF_MISUSE, "time_rows: offset must be a whole number, got %g",
                        o->offset);
  const df_shape shape = { 2, { o->in, o->out } };
  const df_init normal = { .kind = DF_INIT_NORMAL, .scale = 1 };
  return df_layer_furnish(df_layer_new(&time_rows, o), &shape, normal, NULL, normal);
}

/* ==== x / (t - offset) of each sample ============================================== */

static df_tensor *over_time_forward(df_tape *tape, const df_layer *l,
                                    df_tensor *const *x) {
  df_shape each = { x[0]->shape.ndim,
                    { x[0]->shape.ndim > 0 ? x[0]->shape.size[0] : 1 } };
  for (int i = 1; i < each.ndim; i++) each.size[i] = 1;
  if (x[1]->shape.ndim != 1 || x[1]->shape.size[0] != each.size[0])
    return df_fail_null(DF_MISUSE, "over_time: t must be [%td] for x %s, it is %s",
                        each.size[0], df_tensor_text(x[0]), df_tensor_text(x[1]));
  df_tensor *t = df_to(tape, x[1], DF_REAL);
  if (l->o.offset != 0) t = df_plus(tape, t, -l->o.offset);
  return t ? df_div(tape, x[0], df_reshape(tape, t, &each)) : NULL;
}

static const df_kind over_time = { .name = "over_time", 2, 2, over_time_forward };

df_layer *df_over_time_layer(const df_layer_opts *o) {
  return df_layer_new(&over_time, o);
}
