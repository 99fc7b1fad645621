/* Making the values of a model, adopting others, and freezing. */
#include "nn/home.h"

#include <stdlib.h>
#include <string.h>

#include "ops/copy.h"

#define LINE (DF_ALIGN / (df_int)sizeof(df_real)) /* elements */

static df_int padded(const df_param *p) {
  return df_ceil_div(df_param_count(p), LINE) * LINE;
}

/* ==== gradients ==================================================================== */

void df_home_forget(df_home *h) {
  for (int i = 0; i < h->n; i++) df_param_forget(h->param[i]);
}

/* Activations and gradients take turns: while the backward pass frees the former, the
** latter arrive. So a gradient that is zeroed is freed, and the next forward pass gets
** its memory. A training step of a 35.7 M UNet then needs 0.87 of the memory that it
** needs if gradients stay. */
static df_code need(df_leaf *leaf) {
  const df_param *p = (df_param *)leaf;
  df_storage *own = df_storage_new((size_t)df_param_count(p) * sizeof(df_real));
  if (!own) return DF_MEMORY;
  leaf->grad = df_tensor_on(own, DF_REAL, &p->shape, 0);
  df_storage_release(own);
  return leaf->grad ? DF_OK : DF_MEMORY;
}

static void drop(df_leaf *leaf) { df_home_forget(((df_param *)leaf)->home); }

/* ==== values ======================================================================= */

static void bind(df_param *p, df_tensor *value) {
  p->value = value;
  value->leaf = &p->leaf;
  p->leaf.need = need;
  p->leaf.drop = drop;
}

/* Places parameter p in the vector, from `at` on, and zeros the gap behind it. */
static df_code place(df_home *h, df_param *p, df_int at) {
  const df_int n = df_param_count(p);
  df_tensor *value = df_tensor_on(h->values, DF_REAL, &p->shape, at);
  if (!value) return DF_MEMORY;
  memset((df_real *)h->values->body->data + at + n, 0,
         (size_t)(padded(p) - n) * sizeof(df_real));
  p->at = at;
  bind(p, value);
  return DF_OK;
}

/* Parameters outlive their model. They keep their values and get no gradients. A
** parameter without a value is as before. */
static void move_out(df_param *p) {
  p->home = NULL;
  df_tensor_release(p->source);
  p->source = NULL;
  if (p->value) {
    p->leaf.trainable = false;
    p->value->leaf = NULL;
    p->value->record = 0;
  }
  df_param_release(p);
}

/* ==== naming ======================================================================= */

static int by_name(const void *a, const void *b) {
  const df_param *const *p = a, *const *q = b;
  return strcmp((*p)->name, (*q)->name);
}

static df_code names_differ(df_param *const *param, int n) {
  df_param **sorted = malloc((size_t)n * sizeof *sorted + 1);
  if (!sorted) return df_fail(DF_MEMORY, "not enough memory to sort names");
  memcpy(sorted, param, (size_t)n * sizeof *sorted);
  qsort(sorted, (size_t)n, sizeof *sorted, by_name);
  df_code code = DF_OK;
  for (int i = 1; i < n && code == DF_OK; i++)
    if (strcmp(sorted[i - 1]->name, sorted[i]->name) == 0)
      code = df_fail(DF_MISUSE, "model: two parameters are named '%s'", sorted[i]->name);
  free(sorted);
  return code;
}

df_home *df_home_new(df_param *const *param, int n) {
  df_home *h = calloc(1, sizeof *h);
  if (h) h->param = calloc((size_t)n + 1, sizeof *h->param);
  if (!h || !h->param) {
    free(h);
    return df_fail_null(DF_MEMORY, "not enough memory for a model");
  }
  h->refs = 1;
  if (names_differ(param, n) != DF_OK) {
    df_home_release(h);
    return NULL;
  }
  for (int i = 0; i < n; i++) {
    h->param[h->n++] = df_param_retain(param[i]);
    param[i]->home = h;
  }
  return h;
}

/* ==== before the start ============================================================= */

static df_code check_fit(const df_param *p, const df_tensor *x) {
  if (!df_dtype_is_float(x->dtype))
    return df_fail(DF_MISUSE, "model: '%s' must be floats, got %s %s", p->name,
                   df_dtype_name(x->dtype), df_tensor_text(x));
  if (df_shape_equal(&x->shape, &p->shape)) return DF_OK;
  return df_fail(DF_MISUSE, "model: '%s' is %s, but the network's is %s", p->name,
                 df_tensor_text(x), df_shape_text(&p->shape));
}

static df_code take(df_home *h, int i, df_tensor *x, bool adopted) {
  df_param *p = h->param[i];
  if (h->values) return df_fail(DF_MISUSE, "model: '%s' has its value already", p->name);
  if (check_fit(p, x) != DF_OK) return DF_MISUSE;
  df_tensor_retain(x);
  df_tensor_release(p->source);
  p->source = x;
  p->adopted = adopted;
  return DF_OK;
}

df_code df_home_adopt(df_home *h, int i, df_tensor *x) {
  if (x->dtype == DF_F64 && DF_REAL != DF_F64)
    return df_fail(
        DF_MISUSE,
        "model: '%s' is f64, which is computed in the verification build only; "
        "adopt x:to \"f32\", or load the file without frozen",
        h->param[i]->name);
  return take(h, i, x, true);
}

df_code df_home_give(df_home *h, int i, df_tensor *x) { return take(h, i, x, false); }

/* ==== the start ==================================================================== */

static df_int bytes_of(const df_param *p, df_dtype dtype) {
  return df_dtype_bytes(dtype, df_param_count(p));
}

/* The budget of packed weights follows the bytes that are adopted. */
static void count_adopted(df_home *h, df_int bytes) {
  h->adopted += bytes;
  df_pack_adopted(bytes);
}

static bool is_adopted(const df_param *p) { return p->source && p->adopted; }

static df_code adopt(df_home *h, df_param *p) {
  const df_tensor *x = p->source;
  df_tensor *value = df_tensor_window(x, &x->shape, x->stride, x->offset);
  if (!value) return DF_MEMORY;
  count_adopted(h, bytes_of(p, x->dtype));
  p->at = -1;
  p->leaf.trainable = false;
  bind(p, value);
  return DF_OK;
}

static df_code make_values(df_home *h) {
  df_int count = 0, at = 0;
  for (int i = 0; i < h->n; i++)
    if (!is_adopted(h->param[i])) count += padded(h->param[i]);
  h->values = df_storage_new((size_t)count * sizeof(df_real));
  if (!h->values) return DF_MEMORY;
  h->count = count;
  for (int i = 0; i < h->n; i++) {
    df_param *p = h->param[i];
    if ((is_adopted(p) ? adopt(h, p) : place(h, p, at)) != DF_OK) return DF_MEMORY;
    if (p->at >= 0) at += padded(p);
  }
  return DF_OK;
}

/* After a failure there are no values, as before. */
static void undo_values(df_home *h) {
  for (int i = 0; i < h->n; i++) {
    df_param *p = h->param[i];
    df_tensor_release(p->value);
    p->value = NULL;
    p->leaf.trainable = !p->fixed;
  }
  df_storage_release(h->values);
  h->values = NULL;
  count_adopted(h, -h->adopted);
}

df_code df_home_start(df_home *h, uint64_t seed) {
  if (h->values) return df_fail(DF_MISUSE, "model: it has been started already");
  if (make_values(h) != DF_OK) return undo_values(h), df_error_code();
  for (int i = 0; i < h->n; i++) {
    df_param *p = h->param[i];
    if (p->at >= 0) df_param_start(p, seed);
    df_tensor_release(p->source);
    p->source = NULL;
  }
  return DF_OK;
}

/* ==== freezing ===================================================================== */

df_code df_lengthen(df_storage *s, df_int from, df_int to) {
  df_storage *longer = df_storage_new((size_t)to * sizeof(df_real));
  if (!longer) return DF_MEMORY;
  const df_body old = *s->body;
  memcpy(longer->body->data, old.data, (size_t)from * sizeof(df_real));
  *s->body = *longer->body;
  s->body->version = old.version + 1;
  *longer->body = old;
  df_storage_release(longer);
  return DF_OK;
}

/* Copies an adopted value to the end of what the vector holds. */
static df_code make_own(df_home *h, df_param *p) {
  df_tensor *adopted = p->value;
  if (place(h, p, h->count) != DF_OK) return df_error_code();
  h->count += padded(p);
  count_adopted(h, -bytes_of(p, adopted->dtype));
  df_tensor_copy(p->value, adopted);
  df_tensor_touch(p->value);
  adopted->leaf = NULL;
  df_tensor_release(adopted);
  return DF_OK;
}

/* Whether a parameter must be copied before it is trained. */
static bool is_foreign(const df_param *p) { return p->at < 0 && !p->fixed; }

/* Growing copies the vector, so it grows once. */
static df_code make_all_own(df_home *h, const int *index, int n) {
  df_int to = h->count;
  for (int k = 0; k < n; k++)
    if (is_foreign(h->param[index[k]])) to += padded(h->param[index[k]]);
  if (to == h->count) return DF_OK;
  df_code code = df_lengthen(h->values, h->count, to);
  for (int k = 0; k < n && code == DF_OK; k++)
    if (is_foreign(h->param[index[k]])) code = make_own(h, h->param[index[k]]);
  return code;
}

static df_code check_lent(const df_home *h, const int *index, int n) {
  for (int k = 0; k < n && h->lent; k++)
    if (is_foreign(h->param[index[k]]))
      return df_fail(DF_MISUSE,
                     "model: '%s' can't be unfrozen while the model has the values of an "
                     "average",
                     h->param[index[k]]->name);
  return DF_OK;
}

static bool changes(const df_param *p, bool trainable) {
  return p->leaf.trainable != trainable && !p->fixed;
}

df_code df_home_set_trainable(df_home *h, const int *index, int n, bool trainable) {
  bool any = false;
  for (int k = 0; k < n; k++) any |= changes(h->param[index[k]], trainable);
  if (!any) return DF_OK;
  if (trainable && check_lent(h, index, n) != DF_OK) return DF_MISUSE;
  df_home_forget(h);
  if (trainable && make_all_own(h, index, n) != DF_OK) return df_error_code();
  for (int k = 0; k < n; k++)
    if (!h->param[index[k]]->fixed) h->param[index[k]]->leaf.trainable = trainable;
  return DF_OK;
}

/* Windows for those that are adopted; NULL for the others. */
static df_code make_windows(const df_home *h, const int *index, df_tensor *const *x,
                            int n, df_tensor **window) {
  for (int k = 0; k < n; k++) {
    const df_param *p = h->param[index[k]];
    if (check_fit(p, x[k]) != DF_OK) return DF_MISUSE;
    if (p->at >= 0) continue;
    window[k] = df_tensor_window(x[k], &x[k]->shape, x[k]->stride, x[k]->offset);
    if (!window[k]) return DF_MEMORY;
  }
  return DF_OK;
}

/* The old value is touched, so that records that read it fail. */
static void replace(df_home *h, df_param *p, df_tensor *value) {
  df_tensor *old = p->value;
  count_adopted(h, bytes_of(p, value->dtype) - bytes_of(p, old->dtype));
  bind(p, value);
  old->leaf = NULL;
  df_tensor_touch(old);
  df_tensor_release(old);
}

static void put(df_home *h, df_param *p, df_tensor *x, df_tensor *window) {
  if (window) {
    replace(h, p, window);
    return;
  }
  df_tensor_copy(p->value, x);
  df_tensor_touch(p->value);
}

df_code df_home_put(df_home *h, const int *index, df_tensor *const *x, int n) {
  if (!h->values) return df_fail(DF_MISUSE, "model: it has not been started yet");
  df_tensor **window = calloc((size_t)n + 1, sizeof *window);
  if (!window) return df_fail(DF_MEMORY, "not enough memory for values");
  df_code code = make_windows(h, index, x, n, window);
  for (int k = 0; k < n; k++)
    if (code == DF_OK) put(h, h->param[index[k]], x[k], window[k]);
    else df_tensor_release(window[k]);
  free(window);
  return code;
}

df_home *df_home_retain(df_home *h) {
  h->refs++;
  return h;
}

void df_home_release(df_home *h) {
  if (!h || --h->refs > 0) return;
  df_home_forget(h);
  df_pack_adopted(-h->adopted);
  for (int i = 0; i < h->n; i++) move_out(h->param[i]);
  df_storage_release(h->values);
  free(h->param);
  free(h);
}

df_int df_home_elements(const df_home *h, bool trainable_only) {
  df_int count = 0;
  for (int i = 0; i < h->n; i++)
    if (!trainable_only || h->param[i]->leaf.trainable)
      count += df_param_count(h->param[i]);
  return count;
}
