/* Follows a backward pass: sums parts as in a binary counter, and hands complete
** gradients to the link while the pass goes on. */
#include "nn/over.h"

#include <stdlib.h>
#include <string.h>

#include "base/pool.h"
#include "kernels/kernels.h"
#include "ops/profile.h"

#define GRAIN 16384 /* reals that are worth another thread */

/* ==== sums ========================================================================= */

/* to = keep to + factor from */
typedef struct blend {
  df_real *to, keep, factor;
  const df_real *from;
} blend;

static void blend_reals(void *context, df_int begin, df_int end) {
  const blend *b = context;
  const df_real *from = b->from + begin;
  df_kernel()->mix(b->to + begin, b->keep, &b->factor, &from, 1, end - begin);
}

static void add(df_tensor *to, const df_tensor *from) {
  blend b = { df_tensor_reals(to), 1, 1, df_tensor_reals(from) };
  df_parallel(df_tensor_count(to), GRAIN, blend_reals, &b);
  df_tensor_touch(to);
}

/* A parameter that no gradient reached counts as 0. */
static df_code complete(df_param *p) {
  df_leaf *leaf = &p->leaf;
  if (leaf->arrived) return DF_OK;
  if (!leaf->grad && leaf->need(leaf) != DF_OK) return df_error_code();
  memset(df_tensor_reals(leaf->grad), 0, (size_t)df_param_count(p) * sizeof(df_real));
  df_tensor_touch(leaf->grad);
  return DF_OK;
}

/* Takes the gradient away, with the sums of as many parts as the bits of `done` tell.
** Level l has the sum of 2^l parts. */
static df_tensor *carry(df_over_param *q, int done, int *level) {
  df_tensor *g = q->param->leaf.grad;
  q->param->leaf.grad = NULL;
  q->param->leaf.arrived = false;
  for (*level = 0; done >> *level & 1; ++*level) {
    add(g, q->sum[*level]);
    df_tensor_release(q->sum[*level]);
    q->sum[*level] = NULL;
  }
  return g;
}

static void carry_loss(df_over *o, double loss) {
  int level = 0;
  for (; o->part >> level & 1; level++) loss = (df_real)(loss + o->loss_of[level]);
  o->loss_of[level] = loss;
}

static int levels(int parts) {
  int level = 0;
  while (parts >> (level + 1)) level++;
  return level;
}

/* ==== to the other ranks =========================================================== */

static df_code fault(df_over *o) {
  o->broken = true;
  return df_fail(DF_WORLD, "backward: %s", o->link->fault());
}

/* The sum of the parts of this rank is complete. */
static df_code send(df_over *o, int i) {
  df_over_param *q = &o->param[i];
  int level;
  if (q->sent) return DF_OK;
  if (complete(q->param) != DF_OK) return df_error_code();
  df_tensor *g = carry(q, o->part, &level);
  bool fine = o->link->ready(o->plan, i, df_tensor_reals(g));
  df_tensor_release(g);
  q->sent = true;
  return fine ? DF_OK : fault(o);
}

static void on_complete(void *of, df_leaf *leaf) {
  df_over *o = of;
  const int i = ((df_param *)leaf)->turn;
  bool ours = o->under_way && i >= 0 && i < o->n && &o->param[i].param->leaf == leaf;
  if (ours && o->part == o->parts - 1 && leaf->arrived && !o->broken) send(o, i);
}

static void on_between(void *of) {
  df_over *o = of;
  if (o->under_way && !o->broken && !o->link->progress(o->plan)) o->broken = true;
}

/* ==== a pass ======================================================================= */

static df_code on_begin(void *of, double loss) {
  df_over *o = of;
  if (o->broken)
    return df_fail(DF_MISUSE, "backward: an earlier backward of this rank failed while "
                              "gradients were summed over ranks, so the ranks differ; "
                              "end this run");
  o->under_way = true;
  o->link->begin(o->plan);
  o->part = 0, o->parts = 1;
  o->loss_of[0] = loss;
  for (int i = 0; i < o->n; i++) {
    df_over_param *q = &o->param[i];
    df_leaf *leaf = &q->param->leaf;
    q->sent = false;
    q->walks = leaf->arrived ? leaf->walks : 0;
    q->before = leaf->arrived ? leaf->grad : NULL;
    if (!leaf->arrived) df_tensor_release(leaf->grad);
    leaf->grad = NULL;
    leaf->arrived = false;
  }
  return DF_OK;
}

void df_over_begin_part(df_over *o, int k, int n, double loss) {
  o->part = k, o->parts = n;
  carry_loss(o, loss);
}

df_code df_over_end_part(df_over *o) {
  if (o->part == o->parts - 1) return DF_OK;
  for (int i = 0; i < o->n; i++) {
    df_over_param *q = &o->param[i];
    int level;
    if (complete(q->param) != DF_OK) return df_error_code();
    df_tensor *g = carry(q, o->part, &level);
    q->sum[level] = g;
  }
  return DF_OK;
}

/* A pass may be about another model's loss. */
static bool has_reached(const df_over *o) {
  for (int i = 0; i < o->n; i++) {
    const df_over_param *q = &o->param[i];
    if (q->param->leaf.arrived || q->sent) return true;
  }
  return false;
}

static void put_back(df_over_param *q) {
  df_leaf *leaf = &q->param->leaf;
  df_tensor_release(leaf->grad);
  leaf->grad = q->before;
  leaf->arrived = q->before != NULL;
  leaf->walks = q->walks;
  q->before = NULL;
  for (int l = 0; l < DF_OVER_LEVELS; l++) {
    df_tensor_release(q->sum[l]);
    q->sum[l] = NULL;
  }
}

static df_code check_sent(const df_over *o) {
  for (int i = 0; i < o->n; i++)
    if (o->param[i].sent && o->param[i].param->leaf.arrived)
      return df_fail(DF_MISUSE,
                     "backward: the gradient of '%s' grew after it was sent to other "
                     "ranks, as records were mixed; compute the loss in one d.record",
                     o->param[i].param->name);
  return DF_OK;
}

/* grad = before + scale sum */
static df_code take(df_over *o, int i, double scale) {
  df_over_param *q = &o->param[i];
  df_leaf *leaf = &q->param->leaf;
  const bool more = q->before != NULL;
  if (!leaf->trainable) return put_back(q), DF_OK;
  df_tensor_release(leaf->grad);
  leaf->grad = q->before;
  q->before = NULL;
  if (!more && leaf->need(leaf) != DF_OK) return df_error_code();
  blend b = { df_tensor_reals(leaf->grad), more, (df_real)scale,
              o->link->sum(o->plan, i) };
  df_parallel(df_param_count(q->param), GRAIN, blend_reals, &b);
  df_tensor_touch(leaf->grad);
  leaf->arrived = true;
  leaf->walks = q->walks + 1;
  return DF_OK;
}

/* The last array of a plan: the loss, and whether this rank wishes to stop. */
static df_code send_facts(df_over *o) {
  const df_real facts[2] = { (df_real)o->loss_of[levels(o->parts)], (df_real)o->stop };
  return o->link->ready(o->plan, o->n, facts) ? DF_OK : fault(o);
}

static void take_facts(df_over *o, double scale) {
  const df_real *facts = o->link->sum(o->plan, o->n);
  o->loss = scale * (double)facts[0];
  o->stopped = facts[1] > 0;
}

static df_code sum_up(df_over *o) {
  const double scale = 1.0 / ((double)o->parts * o->link->size);
  df_code code = check_sent(o);
  for (int i = 0; i < o->n && code == DF_OK; i++) code = send(o, i);
  if (code == DF_OK) code = send_facts(o);
  df_profile_spent(o->tape, "gradients to ranks");
  if (code == DF_OK && !o->link->finish(o->plan)) code = fault(o);
  df_profile_spent(o->tape, "wait for ranks");
  for (int i = 0; i < o->n && code == DF_OK; i++) code = take(o, i, scale);
  if (code == DF_OK) take_facts(o, scale);
  df_profile_spent(o->tape, "gradients from ranks");
  return code;
}

static df_code on_end(void *of) {
  df_over *o = of;
  if (!o->under_way) return DF_OK;
  if (o->broken) return fault(o);
  if (has_reached(o)) {
    df_code code = sum_up(o);
    if (code != DF_OK) return code;
  } else {
    for (int i = 0; i < o->n; i++) put_back(&o->param[i]);
  }
  o->under_way = false;
  return DF_OK;
}

/* Other ranks may have sums of this pass already, so no later one can be right. */
static void on_give_up(void *of) {
  df_over *o = of;
  if (!o->under_way) return;
  for (int i = 0; i < o->n; i++) {
    put_back(&o->param[i]);
    df_param_forget(o->param[i].param);
  }
  o->under_way = false;
  o->broken = o->broken || o->link->size > 1;
}

/* ==== its life ===================================================================== */

/* A backward pass goes from the last parameter to the first. */
static df_code list_parameters(df_over *o, df_home *const *home, int homes) {
  for (int h = homes - 1; h >= 0; h--)
    for (int j = home[h]->n - 1; j >= 0; j--) {
      df_param *p = home[h]->param[j];
      if (!p->leaf.trainable) continue;
      if (p->turn >= 0)
        return df_fail(DF_MISUSE,
                       "adamw: the gradient of '%s' is summed over ranks already; one "
                       "optimiser with `over` moves a parameter",
                       p->name);
      p->turn = o->n;
      o->param[o->n++].param = df_param_retain(p);
    }
  return DF_OK;
}

static df_code make_plan(df_over *o, const df_plan_opts *opts) {
  df_int *count = malloc(((size_t)o->n + 1) * sizeof *count);
  if (!count) return df_fail(DF_MEMORY, "not enough memory for gradients of ranks");
  for (int i = 0; i < o->n; i++) count[i] = df_param_count(o->param[i].param);
  count[o->n] = 2;
  o->plan = o->link->plan(count, o->n + 1, opts);
  free(count);
  return o->plan ? DF_OK : df_fail(DF_MEMORY, "adamw: %s", o->link->fault());
}

static void set_follower(df_over *o) {
  o->follower = (df_follower){ .of = o,
                               .begin = on_begin,
                               .complete = on_complete,
                               .between = on_between,
                               .end = on_end,
                               .give_up = on_give_up };
}

df_over *df_over_new(df_tape *tape, const df_link *link, df_home *const *home, int homes,
                     const df_plan_opts *opts) {
  int most = 0;
  for (int h = 0; h < homes; h++) most += home[h]->n;
  df_over *o = calloc(1, sizeof *o);
  if (o) o->param = calloc((size_t)most + 1, sizeof *o->param);
  if (!o || !o->param) {
    free(o);
    return df_fail_null(DF_MEMORY, "not enough memory for gradients of ranks");
  }
  o->tape = tape, o->link = link;
  set_follower(o);
  df_walk_follow(tape, &o->follower);
  if (list_parameters(o, home, homes) == DF_OK && make_plan(o, opts) == DF_OK) return o;
  df_over_free(o);
  return NULL;
}

void df_over_free(df_over *o) {
  if (!o) return;
  on_give_up(o);
  if (o->tape) df_walk_unfollow(o->tape, &o->follower);
  for (int i = 0; i < o->n; i++) {
    o->param[i].param->turn = -1;
    df_param_release(o->param[i].param);
  }
  if (o->plan) o->link->forget(o->plan);
  free(o->param);
  free(o);
}
