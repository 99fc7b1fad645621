/* Follows a backward pass: sums parts as in a binary counter, and hands complete
** gradients to the link while the pass goes on. */
#include "nn/over.h"

#include <stdlib.h>
#include <string.h>

#include "base/alloc.h"
#include "engine/tree.h"
#include "ops/profile.h"

/* ==== sums ========================================================================= */

static void carry_loss(df_over *o, double loss) {
  const int level = df_tree_level(o->part);
  for (int l = 0; l < level; l++) loss = (df_real)(loss + o->loss_of[l]);
  o->loss_of[level] = loss;
}

/* Takes the gradient of this part away, while it is in cache. The sums of as many parts
** as the bits of `part` tell are added to it: level l has the sum of 2^l parts. No
** gradient counts as 0. */
static void carry(df_over *o, int i) {
  df_over_param *q = &o->param[i];
  df_leaf *leaf = &q->param->leaf;
  df_blend b = { .factor = 1 };
  const int level = df_tree_level(o->part);
  if (leaf->arrived) b.from[b.n++] = df_tensor_reals(leaf->grad);
  for (int l = 0; l < level; l++) b.from[b.n++] = o->sum[l] + q->at;
  const bool last = o->part == o->parts - 1;
  b.to = last ? o->world->link->array(o->world->plan, i) : o->sum[level] + q->at;
  const bool in_place = b.n == 1 && b.from[0] == b.to;
  if (!in_place) df_blend_run(&b, df_param_count(q->param));
  df_tensor_release(leaf->grad);
  leaf->grad = NULL;
  leaf->arrived = false;
  q->carried = true;
}

/* ==== to the other ranks =========================================================== */

static df_code fault(df_over *o) {
  o->broken = true;
  return df_fail(DF_WORLD, "backward: %s", o->world->link->fault());
}

/* The gradient of this part is complete, and with the last part that of this rank. */
static df_code hand_over(df_over *o, int i) {
  if (o->param[i].carried) return DF_OK;
  carry(o, i);
  bool fine = o->part < o->parts - 1 || o->world->link->ready(o->world->plan, i);
  df_profile_spent(o->tape, "gradients to ranks");
  return fine ? DF_OK : fault(o);
}

static void on_complete(void *of, df_leaf *leaf) {
  df_over *o = of;
  const int i = ((df_param *)leaf)->turn;
  bool ours = o->under_way && i >= 0 && i < o->n && &o->param[i].param->leaf == leaf;
  if (!ours || !leaf->arrived || o->broken) return;
  o->reached = true;
  hand_over(o, i);
}

static void on_between(void *of) {
  df_over *o = of;
  if (o->under_way && !o->broken && !o->world->link->progress(o->world->plan))
    o->broken = true;
}

/* ==== sums as gradients ============================================================ */

static void leave(void *of) {
  df_over_world *w = of;
  if (--w->refs > 0) return;
  if (w->plan) w->link->forget(w->plan);
  free(w);
}

static const df_memory_kind plans = { .release = leave };

/* A window on the plan's memory, which stays until the last of them is released. */
static df_code open_window(df_over *o, int i) {
  df_over_param *q = &o->param[i];
  df_storage *s = df_storage_around(o->world->link->array(o->world->plan, i),
                                    (size_t)df_param_count(q->param) * sizeof(df_real),
                                    &plans, o->world);
  if (!s) return DF_MEMORY;
  o->world->refs++;
  q->window = df_tensor_on(s, DF_REAL, &q->param->shape, 0);
  df_storage_release(s);
  return q->window ? DF_OK : DF_MEMORY;
}

static bool is_read_elsewhere(const df_tensor *x) {
  return x->refs > 1 || x->storage->refs > 1;
}

/* Who holds the last sum keeps it: the next one is written to the same memory. */
static df_code part_from_readers(df_over *o, int i) {
  df_tensor *x = o->param[i].window;
  if (!is_read_elsewhere(x)) return DF_OK;
  df_body *body = x->storage->body;
  void *own = df_alloc(body->bytes);
  if (!own) return DF_MEMORY;
  if (open_window(o, i) != DF_OK) return df_free(own), DF_MEMORY;
  memcpy(own, body->data, body->bytes);
  *body = (df_body){ .data = own,
                     .bytes = body->bytes,
                     .version = body->version,
                     .packs = body->packs,
                     .kind = &df_memory_own,
                     .owner = own };
  df_tensor_release(x);
  leave(o->world);
  return DF_OK;
}

/* grad = before + sum */
static void take(df_over *o, int i) {
  df_over_param *q = &o->param[i];
  df_leaf *leaf = &q->param->leaf;
  if (q->before) {
    df_blend b = { df_tensor_reals(q->before), 1, 1, { df_tensor_reals(q->window) }, 1 };
    df_blend_run(&b, df_param_count(q->param));
  }
  df_tensor_release(leaf->grad);
  leaf->grad = q->before ? q->before : df_tensor_retain(q->window);
  q->before = NULL;
  df_tensor_touch(leaf->grad);
  leaf->arrived = true;
  leaf->walks = q->walks + 1;
}

/* ==== a pass ======================================================================= */

/* A gradient that isn't added to others here is written where it is sent from. */
static void begin_parameter(df_over_param *q) {
  df_leaf *leaf = &q->param->leaf;
  q->carried = false;
  q->walks = leaf->arrived ? leaf->walks : 0;
  q->before = leaf->arrived ? leaf->grad : NULL;
  leaf->grad = df_tensor_retain(q->window);
  leaf->arrived = false;
}

static void let_go_of_window(df_over_param *q) {
  df_leaf *leaf = &q->param->leaf;
  if (leaf->grad != q->window || leaf->arrived) return;
  df_tensor_release(leaf->grad);
  leaf->grad = NULL;
}

static df_code free_the_sums(df_over *o) {
  for (int i = 0; i < o->n; i++) {
    df_leaf *leaf = &o->param[i].param->leaf;
    if (!leaf->arrived) {
      df_tensor_release(leaf->grad);
      leaf->grad = NULL;
    }
    if (part_from_readers(o, i) != DF_OK) return DF_MEMORY;
  }
  return DF_OK;
}

/* The sum over all parts of all ranks is divided by their number. */
static void begin_round(df_over *o, int parts) {
  o->part = 0, o->parts = parts;
  const double all = (double)parts * o->together * o->world->link->size;
  o->world->link->begin(o->world->plan, 1 / all);
}

static df_code on_begin(void *of, double loss) {
  df_over *o = of;
  if (o->broken)
    return df_fail(DF_MISUSE, "backward: an earlier backward of this rank failed while "
                              "gradients were summed over ranks, so the ranks differ; "
                              "end this run");
  if (free_the_sums(o) != DF_OK) return DF_MEMORY;
  o->under_way = true, o->reached = false;
  o->loss_of[0] = loss;
  o->together = 1;
  begin_round(o, 1);
  for (int i = 0; i < o->n; i++) begin_parameter(&o->param[i]);
  return DF_OK;
}

/* They stay for the next step: fresh memory is slow. */
static df_code make_levels(df_over *o, int n) {
  for (int l = 0; l < n; l++) {
    if (!o->sum[l]) o->sum[l] = df_alloc((size_t)o->count * sizeof(df_real));
    if (!o->sum[l]) return DF_MEMORY;
  }
  return DF_OK;
}

df_code df_over_begin_part(df_over *o, int k, int n, double loss) {
  if (k == 0) begin_round(o, n);
  o->part = k;
  carry_loss(o, loss);
  for (int i = 0; i < o->n; i++) {
    o->param[i].carried = false;
    if (n > 1) let_go_of_window(&o->param[i]);
  }
  return make_levels(o, df_tree_levels(n) - 1);
}

df_code df_over_begin_together(df_over *o, int n, double loss) {
  o->together = n;
  return df_over_begin_part(o, 0, 1, loss);
}

static bool is_unsummed(const df_leaf *leaf) {
  return ((const df_param *)leaf)->turn < 0;
}

const char *df_over_unsummed(const df_tape *tape) {
  const df_leaf *leaf = df_walk_find(tape, is_unsummed);
  return leaf ? ((const df_param *)leaf)->name : NULL;
}

static bool has_arrived(const df_over *o, int i) {
  return o->param[i].param->leaf.arrived;
}

static df_code check_carried(const df_over *o) {
  for (int i = 0; i < o->n; i++)
    if (o->param[i].carried && has_arrived(o, i))
      return df_fail(DF_MISUSE,
                     "backward: the gradient of '%s' grew after it was sent to other "
                     "ranks, as records were mixed; compute the loss in one d.record",
                     o->param[i].param->name);
  return DF_OK;
}

/* The gradients that were not known to be complete before the end. */
static df_code hand_over_all(df_over *o) {
  df_code code = check_carried(o);
  for (int i = 0; i < o->n && code == DF_OK; i++) code = hand_over(o, i);
  return code;
}

static void note_reached(df_over *o) {
  for (int i = 0; i < o->n && !o->reached; i++) o->reached = has_arrived(o, i);
}

df_code df_over_end_part(df_over *o) {
  note_reached(o);
  return o->part == o->parts - 1 ? DF_OK : hand_over_all(o);
}

static void put_back(df_over_param *q) {
  df_leaf *leaf = &q->param->leaf;
  df_tensor_release(leaf->grad);
  leaf->grad = q->before;
  leaf->arrived = q->before != NULL;
  leaf->walks = q->walks;
  q->before = NULL;
}

static void take_or_put_back(df_over *o, int i) {
  if (o->param[i].param->leaf.trainable) take(o, i);
  else put_back(&o->param[i]);
}

/* The last array of a plan: the loss, and whether this rank wishes to stop. */
static df_code send_facts(df_over *o) {
  df_real *facts = o->world->link->array(o->world->plan, o->n);
  facts[0] = (df_real)o->loss_of[df_tree_levels(o->parts) - 1];
  facts[1] = (df_real)o->stop;
  return o->world->link->ready(o->world->plan, o->n) ? DF_OK : fault(o);
}

static void take_facts(df_over *o) {
  const df_real *facts = o->world->link->array(o->world->plan, o->n);
  o->loss = (double)facts[0];
  o->stopped = facts[1] > 0;
}

static df_code sum_up(df_over *o) {
  df_code code = hand_over_all(o);
  if (code == DF_OK) code = send_facts(o);
  df_profile_spent(o->tape, "gradients to ranks");
  if (code == DF_OK && !o->world->link->finish(o->world->plan)) code = fault(o);
  df_profile_spent(o->tape, "wait for ranks");
  if (code != DF_OK) return code;
  for (int i = 0; i < o->n; i++) take_or_put_back(o, i);
  take_facts(o);
  df_profile_spent(o->tape, "gradients from ranks");
  return DF_OK;
}

/* A pass may be about another model's loss. */
static df_code on_end(void *of) {
  df_over *o = of;
  if (!o->under_way) return DF_OK;
  if (o->broken) return fault(o);
  note_reached(o);
  if (o->reached) {
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
  o->broken = o->broken || o->world->link->size > 1;
}

/* ==== its life ===================================================================== */

#define LINE (DF_ALIGN / (df_int)sizeof(df_real)) /* elements */

static void add_parameter(df_over *o, df_param *p) {
  p->turn = o->n;
  o->param[o->n++] = (df_over_param){ .param = df_param_retain(p), .at = o->count };
  o->count += df_ceil_div(df_param_count(p), LINE) * LINE;
}

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
      add_parameter(o, p);
    }
  return DF_OK;
}

static df_code make_plan(df_over *o, const df_plan_opts *opts) {
  df_int *count = malloc(((size_t)o->n + 1) * sizeof *count);
  if (!count) return df_fail(DF_MEMORY, "not enough memory for gradients of ranks");
  for (int i = 0; i < o->n; i++) count[i] = df_param_count(o->param[i].param);
  count[o->n] = 2;
  o->world->plan = o->world->link->plan(count, o->n + 1, opts);
  free(count);
  if (!o->world->plan) return df_fail(DF_MEMORY, "adamw: %s", o->world->link->fault());
  for (int i = 0; i < o->n; i++)
    if (open_window(o, i) != DF_OK) return DF_MEMORY;
  return DF_OK;
}

static void set_follower(df_over *o) {
  o->follower = (df_follower){ .of = o,
                               .begin = on_begin,
                               .complete = on_complete,
                               .between = on_between,
                               .end = on_end,
                               .give_up = on_give_up };
}

static df_over *furnish(int most, const df_link *link) {
  df_over *o = calloc(1, sizeof *o);
  if (o) o->param = calloc((size_t)most + 1, sizeof *o->param);
  if (o) o->world = calloc(1, sizeof *o->world);
  if (o && o->param && o->world) {
    *o->world = (df_over_world){ .refs = 1, .link = link };
    return o;
  }
  if (o) free(o->param), free(o->world);
  free(o);
  return df_fail_null(DF_MEMORY, "not enough memory for gradients of ranks");
}

df_over *df_over_new(df_tape *tape, const df_link *link, df_home *const *home, int homes,
                     const df_plan_opts *opts) {
  int most = 0;
  for (int h = 0; h < homes; h++) most += home[h]->n;
  df_over *o = furnish(most, link);
  if (!o) return NULL;
  o->tape = tape;
  set_follower(o);
  df_walk_follow(tape, &o->follower);
  if (list_parameters(o, home, homes) == DF_OK && make_plan(o, opts) == DF_OK) return o;
  df_over_free(o);
  return NULL;
}

static void let_go(df_over_param *q) {
  q->param->turn = -1;
  df_tensor_release(q->window);
  df_param_release(q->param);
}

void df_over_free(df_over *o) {
  if (!o) return;
  on_give_up(o);
  if (o->tape) df_walk_unfollow(o->tape, &o->follower);
  for (int i = 0; i < o->n; i++) let_go(&o->param[i]);
  for (int l = 0; l < DF_OVER_LEVELS; l++) df_free(o->sum[l]);
  leave(o->world);
  free(o->param);
  free(o);
}
