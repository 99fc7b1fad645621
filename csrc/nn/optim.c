/* AdamW (Loshchilov & Hutter 2019, alg. 2). Work is cut into pieces by the sizes of the
** parameters alone, so the norm has the same bits on any number of threads. */
#include "nn/optim.h"

#include <float.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "base/alloc.h"
#include "base/pool.h"
#include "kernels/kernels.h"

#define PIECE 16384 /* elements */
#define GRAIN 4     /* pieces that a thread takes at once; many are small */

/* ==== slices and pieces ============================================================ */

static int count_parameters(df_home *const *home, int homes) {
  int n = 0;
  for (int i = 0; i < homes; i++) n += home[i]->n;
  return n;
}

static void add_slice(df_optim *o, df_param *p, int group) {
  p->optimisers++;
  o->slice[o->slices++] = (df_slice){ p, group, o->count };
  o->count += df_param_count(p);
}

static int pieces_of(const df_slice *s) {
  return (int)df_ceil_div(df_param_count(s->param), PIECE);
}

static void cut(df_optim *o, int slice) {
  df_int count = df_param_count(o->slice[slice].param);
  for (df_int first = 0; first < count; first += PIECE)
    o->piece[o->pieces++] = (df_piece){ slice, first, df_min(PIECE, count - first) };
}

static df_code furnish(df_optim *o, df_home *const *home, const int *group) {
  int n = count_parameters(home, o->homes), pieces = 0;
  o->home = calloc((size_t)o->homes + 1, sizeof *o->home);
  o->slice = calloc((size_t)n + 1, sizeof *o->slice);
  if (!o->home || !o->slice) return df_fail(DF_MEMORY, "not enough memory for adamw");
  for (int i = 0; i < o->homes; i++) {
    o->home[i] = df_home_retain(home[i]);
    for (int j = 0; j < home[i]->n; j++, group++)
      if (home[i]->param[j]->leaf.trainable) add_slice(o, home[i]->param[j], *group);
  }
  for (int i = 0; i < o->slices; i++) pieces += pieces_of(&o->slice[i]);
  o->piece = calloc((size_t)pieces + 1, sizeof *o->piece);
  if (!o->piece) return df_fail(DF_MEMORY, "not enough memory for adamw");
  for (int i = 0; i < o->slices; i++) cut(o, i);
  if (o->slices == 0) return df_fail(DF_MISUSE, "adamw: no parameter is trainable");
  return DF_OK;
}

static df_storage *zeros(df_int count) {
  df_storage *s = df_storage_new((size_t)count * sizeof(df_real));
  if (s) memset(s->body->data, 0, (size_t)count * sizeof(df_real));
  return s;
}

/* They last, so they are made before the blocks of a step, which come and go. In their
** midst they would keep free memory in pieces. */
static df_code make_moments(df_optim *o) {
  o->m = zeros(o->count), o->v = zeros(o->count);
  return o->m && o->v ? DF_OK : DF_MEMORY;
}

df_optim *df_optim_new(df_home *const *home, int homes, const int *group) {
  df_optim *o = calloc(1, sizeof *o);
  if (!o) return df_fail_null(DF_MEMORY, "not enough memory for adamw");
  o->homes = homes;
  if (furnish(o, home, group) == DF_OK && make_moments(o) == DF_OK) return o;
  df_optim_free(o);
  return NULL;
}

void df_optim_free(df_optim *o) {
  if (!o) return;
  for (int i = 0; i < o->slices; i++) o->slice[i].param->optimisers--;
  for (int i = 0; o->home && i < o->homes; i++) df_home_release(o->home[i]);
  free(o->home);
  free(o->slice);
  free(o->piece);
  df_storage_release(o->m);
  df_storage_release(o->v);
  free(o);
}

/* ==== gradients ==================================================================== */

static bool is_active(const df_slice *s) { return s->param->leaf.trainable; }

static df_code zero_gradient(df_param *p) {
  df_leaf *leaf = &p->leaf;
  if (!leaf->grad && leaf->need(leaf) != DF_OK) return df_error_code();
  memset(df_tensor_reals(leaf->grad), 0, (size_t)df_param_count(p) * sizeof(df_real));
  df_tensor_touch(leaf->grad);
  return DF_OK;
}

/* Backward walks since the gradients were zeroed; 0 if there was none. */
static int walks(const df_optim *o) {
  int most = 0;
  for (int i = 0; i < o->slices; i++) {
    const df_leaf *leaf = &o->slice[i].param->leaf;
    if (leaf->arrived && leaf->walks > most) most = leaf->walks;
  }
  return most;
}

/* Every active slice has a gradient: 0 where none arrived. */
static df_code complete(df_optim *o) {
  for (int i = 0; i < o->slices; i++) {
    df_param *p = o->slice[i].param;
    if (!p->leaf.trainable || p->leaf.arrived) continue;
    if (zero_gradient(p) != DF_OK) return df_error_code();
  }
  return DF_OK;
}

void df_optim_zero(df_optim *o) {
  for (int i = 0; i < o->slices; i++) df_param_forget(o->slice[i].param);
}

/* ==== the norm ===================================================================== */

/* Squares of |g| < 1e-19 underflow and of |g| > 1e19 overflow in float. If the sum may
** have lost some, the squares are summed again in double, scaled by the largest. */
typedef struct norm_task {
  const df_optim *o;
  double scale;
  double (*of)(const df_real *g, df_int n, double scale);
  double *partial; /* one a piece */
} norm_task;

static double squares(const df_real *g, df_int n, double scale) {
  (void)scale;
  return df_kernel()->sum_squares(g, n);
}

static double largest(const df_real *g, df_int n, double scale) {
  (void)scale;
  return fmax((double)df_kernel()->max(g, n), -(double)df_kernel()->min(g, n));
}

static double scaled_squares(const df_real *g, df_int n, double scale) {
  double sum = 0;
  for (df_int i = 0; i < n; i++) {
    double x = (double)g[i] * scale;
    sum += x * x;
  }
  return sum;
}

static void norm_pieces(void *context, df_int begin, df_int end) {
  const norm_task *t = context;
  for (df_int i = begin; i < end; i++) {
    const df_piece *q = &t->o->piece[i];
    const df_slice *s = &t->o->slice[q->slice];
    t->partial[i] = 0;
    if (!is_active(s)) continue;
    const df_real *g = df_tensor_reals(s->param->leaf.grad) + q->first;
    t->partial[i] = t->of(g, q->n, t->scale);
  }
}

static double sum_of(norm_task *t) {
  double sum = 0;
  df_parallel(t->o->pieces, GRAIN, norm_pieces, t);
  for (int i = 0; i < t->o->pieces; i++) sum += t->partial[i];
  return sum;
}

static double most_of(norm_task *t) {
  double most = 0;
  t->of = largest;
  df_parallel(t->o->pieces, GRAIN, norm_pieces, t);
  for (int i = 0; i < t->o->pieces; i++) most = fmax(most, t->partial[i]);
  return most;
}

/* `most` is finite and not 0. The scale is a power of 2, so scaling rounds nothing. */
static double scaled_norm(norm_task *t, double most) {
  int exponent;
  frexp(most, &exponent);
  t->of = scaled_squares;
  t->scale = ldexp(1, -exponent);
  return sqrt(sum_of(t)) / t->scale;
}

/* Each lost square is below the least normal real. */
static bool has_lost(const df_optim *o, double sum) {
  const double least = sizeof(df_real) == sizeof(float) ? FLT_MIN : DBL_MIN;
  return isinf(sum) || sum < 1e10 * least * (double)o->count;
}

static df_code gradient_norm(const df_optim *o, double *norm) {
  norm_task t = { .o = o, .of = squares };
  t.partial = df_alloc((size_t)o->pieces * sizeof(double));
  if (!t.partial) return DF_MEMORY;
  double sum = sum_of(&t), most = has_lost(o, sum) ? most_of(&t) : 0;
  *norm = most > 0 && isfinite(most) ? scaled_norm(&t, most) : sqrt(sum);
  df_free(t.partial);
  return DF_OK;
}

/* ==== the step ===================================================================== */

typedef struct step_task {
  const df_optim *o;
  const df_step *step;
  df_update update; /* constants of all pieces */
} step_task;

/* The model's next average, from number *i on, or NULL. */
static const df_ema *next_ema(const df_step *step, const df_home *home, int *i) {
  while (*i < step->emas) {
    const df_ema *e = step->ema[(*i)++];
    if (e->home == home) return e;
  }
  return NULL;
}

/* The values of others' pieces have come already: only averages follow. */
static void follow_piece(const step_task *t, const df_piece *q) {
  const df_slice *s = &t->o->slice[q->slice];
  const df_param *p = s->param;
  if (!is_active(s) || df_piece_is_own(t->o, q)) return;
  int next = 0;
  const df_ema *e;
  while ((e = next_ema(t->step, p->home, &next))) df_ema_move(e, p->at + q->first, q->n);
}

static void update_piece(const step_task *t, const df_piece *q) {
  const df_slice *s = &t->o->slice[q->slice];
  const df_param *p = s->param;
  if (!is_active(s) || !df_piece_is_own(t->o, q)) return;
  int next = 0;
  const df_ema *e = next_ema(t->step, p->home, &next);
  const df_group *group = &t->step->group[s->group];
  df_update u = t->update;
  u.lr = (df_real)group->lr;
  u.decay = (df_real)group->decay;
  if (e) u.ema = (df_real)e->rate;
  df_int at = p->at + q->first;
  df_int moment = df_piece_at(t->o, q) - (t->o->parted ? t->o->own : 0);
  df_real *average = e ? (df_real *)e->values->body->data + at : NULL;
  df_kernel()->adamw((df_real *)p->home->values->body->data + at,
                     df_tensor_reals(p->leaf.grad) + q->first,
                     (df_real *)t->o->m->body->data + moment,
                     (df_real *)t->o->v->body->data + moment, average, &u, q->n);
  while ((e = next_ema(t->step, p->home, &next))) df_ema_move(e, at, q->n);
}

static void update_pieces(void *context, df_int begin, df_int end) {
  const step_task *t = context;
  for (df_int i = begin; i < end; i++) update_piece(t, &t->o->piece[i]);
}

static void follow_pieces(void *context, df_int begin, df_int end) {
  const step_task *t = context;
  for (df_int i = begin; i < end; i++) follow_piece(t, &t->o->piece[i]);
}

static df_update constants(const df_optim *o, const df_step *step, double scale) {
  double k = (double)o->steps + 1;
  return (df_update){
    .beta1 = (df_real)step->beta1,
    .beta2 = (df_real)step->beta2,
    .tiny = (df_real)step->tiny,
    .correct1 = (df_real)(1 / (1 - pow(step->beta1, k))),
    .correct2 = (df_real)(1 / (1 - pow(step->beta2, k))),
    .scale = (df_real)scale,
  };
}

static df_code apply(df_optim *o, const df_step *step, double scale) {
  step_task t = { o, step, constants(o, step, scale) };
  df_parallel(o->pieces, GRAIN, update_pieces, &t);
  if (o->link) {
    if (df_optim_share_values(o) != DF_OK) return df_error_code();
    df_parallel(o->pieces, GRAIN, follow_pieces, &t);
  }
  for (int i = 0; i < o->homes; i++) df_storage_touch(o->home[i]->values);
  for (int i = 0; i < step->emas; i++) df_ema_moved(step->ema[i]);
  df_storage_touch(o->m);
  df_storage_touch(o->v);
  o->steps++;
  return DF_OK;
}

static df_code follow(const df_step *step) {
  for (int i = 0; i < step->emas; i++)
    if (df_ema_follow(step->ema[i]) != DF_OK) return DF_MEMORY;
  return DF_OK;
}

/* A parameter that was unfrozen since would stay as it is, unless another optimiser moves
** it. */
static df_code check_moved(const df_optim *o) {
  for (int i = 0; i < o->homes; i++)
    for (int j = 0; j < o->home[i]->n; j++) {
      const df_param *p = o->home[i]->param[j];
      if (p->leaf.trainable && p->optimisers == 0)
        return df_fail(DF_MISUSE,
                       "step: '%s' was unfrozen after the optimiser was made, and no "
                       "optimiser moves it; make a new d.adamw(model), or freeze it",
                       p->name);
    }
  return DF_OK;
}

df_code df_optim_step(df_optim *o, const df_step *step, double *norm) {
  int k = walks(o);
  if (check_moved(o) != DF_OK) return DF_MISUSE;
  if (k == 0)
    return df_fail(DF_MISUSE, "step: no gradient has arrived since the last step; call "
                              "loss:backward() before it");
  if (follow(step) != DF_OK || complete(o) != DF_OK || gradient_norm(o, norm) != DF_OK)
    return df_error_code();
  double scale = step->mean ? 1.0 / k : 1;
  *norm *= scale;
  if (!isfinite(*norm)) return DF_OK;
  if (step->clip > 0 && *norm > step->clip) scale *= step->clip / *norm;
  return apply(o, step, scale);
}
