/* From options to steps: levels, channels, where attention is, and the layers by name. */
#include <stdio.h>
#include <stdlib.h>

#include "nn/block.h"
#include "nn/time_embed.h"
#include "nn/unet.h"

/* ==== checks ======================================================================= */

static df_int factor_of(int level) { return (df_int)1 << level; }

static df_code check_side(const df_unet_opts *o, df_int side) {
  const df_int factor = factor_of(o->levels - 1);
  char fit[64];
  if (side > 0 && side % factor == 0) return DF_OK;
  df_fitting(fit, sizeof fit, side, factor);
  return df_fail(DF_MISUSE,
                 "unet: image [%td,%td] can't be halved %d times: H and W must be "
                 "multiples of %td; %s",
                 o->H, o->W, o->levels - 1, factor, fit);
}

static df_code check_attention(const df_unet_opts *o) {
  for (int i = 0; i < o->attentions; i++) {
    bool found = false;
    for (int level = 0; level < o->levels; level++)
      found = found || o->attention[i] == factor_of(level);
    if (!found)
      return df_fail(DF_MISUSE,
                     "unet: attention at factor %td, but %d levels have the factors "
                     "1 to %td, doubling",
                     o->attention[i], o->levels, factor_of(o->levels - 1));
  }
  return DF_OK;
}

static df_code check(const df_unet_opts *o) {
  if (o->levels < 1 || o->levels > DF_LEVELS)
    return df_fail(DF_MISUSE, "unet: mult has %d levels; 1 to %d are possible", o->levels,
                   DF_LEVELS);
  for (int i = 0; i < o->levels; i++)
    if (df_at_least_one("unet", "mult", o->mult[i])) return DF_MISUSE;
  if (df_at_least_one("unet", "channels", o->channels)
      || df_at_least_one("unet", "blocks", o->blocks)
      || df_at_least_one("unet", "image's channels", o->C))
    return DF_MISUSE;
  if (o->channels % 2 != 0)
    return df_fail(DF_MISUSE, "unet: channels must be even, got %td", o->channels);
  if (check_side(o, o->H) || check_side(o, o->W)) return DF_MISUSE;
  return check_attention(o);
}

static bool attends(const df_unet_opts *o, int level) {
  for (int i = 0; i < o->attentions; i++)
    if (o->attention[i] == factor_of(level)) return true;
  return false;
}

/* ==== the plan as it grows ========================================================= */

typedef struct draft {
  const df_unet_opts *o;
  df_layer *unet;
  df_unet_plan *plan;
  df_int channels; /* of h */
  df_int *kept;    /* channels of what is kept for the way up */
  int n_kept;
} draft;

/* Adds a layer under `parent` and the step that calls it. */
static void add_step(draft *d, df_layer *parent, df_layer *layer, const char *name,
                     df_unet_step step) {
  step.layer = df_layer_add(parent, layer, "%s", name);
  d->unet->failed = d->unet->failed || !step.layer;
  if (d->unet->failed) return;
  d->channels = layer->o.out;
  d->plan->step[d->plan->steps++] = step;
  if (!step.push) return;
  d->kept[d->n_kept++] = d->channels;
  if (d->n_kept > d->plan->most_kept) d->plan->most_kept = d->n_kept;
}

static df_layer *add_group(draft *d, df_layer *parent, const char *name) {
  df_layer *group = parent ? df_layer_add(parent, df_group_layer(), "%s", name) : NULL;
  d->unet->failed = d->unet->failed || !group;
  return group;
}

static const char *number(char *text, size_t size, df_int i) {
  snprintf(text, size, "%td", i);
  return text;
}

static void add_block(draft *d, df_layer *parent, const char *name, df_int out,
                      df_unet_step step) {
  df_layer_opts o = df_conv3_opts(d->channels, out);
  if (d->unet->failed) return;
  if (step.pop) o.in += d->kept[--d->n_kept];
  o.norm.groups = d->o->groups;
  o.width = 4 * d->o->channels;
  o.keep = 1 - d->o->dropout;
  step.embeds = true, step.recompute = d->o->recompute;
  add_step(d, parent, df_res_block_layer(&o), name, step);
}

static void add_attention(draft *d, df_layer *parent, const char *name, bool push) {
  df_layer_opts o = { .in = d->channels, .out = d->channels, .heads = d->o->heads };
  if (d->unet->failed) return;
  o.norm = (df_norm_opts){ .groups = d->o->groups, .tiny = 1e-5 };
  const df_unet_step step = { .push = push, .recompute = d->o->recompute };
  add_step(d, parent, df_attention_block_layer(&o), name, step);
}

/* `n` residual blocks at a level, each with attention behind it where the level has it. */
static void add_blocks(draft *d, df_layer *parent, int level, df_int n, bool up) {
  const df_int out = d->o->channels * d->o->mult[level];
  const bool with = attends(d->o, level);
  df_layer *blocks = add_group(d, parent, "block"),
           *attention = with ? add_group(d, parent, "attention") : NULL;
  for (df_int i = 1; i <= n && !d->unet->failed; i++) {
    char name[24];
    number(name, sizeof name, i);
    add_block(d, blocks, name, out, (df_unet_step){ .pop = up, .push = !up && !with });
    if (with) add_attention(d, attention, name, !up);
  }
}

static void add_shrink(draft *d, df_layer *parent) {
  df_layer_opts o = df_conv3_opts(d->channels, d->channels);
  if (d->unet->failed) return;
  add_step(d, parent, df_downsample_layer(&o), "shrink", (df_unet_step){ .push = true });
}

static void add_grow(draft *d, df_layer *parent) {
  df_layer_opts o = df_conv3_opts(d->channels, d->channels);
  o.times = 2;
  if (d->unet->failed) return;
  add_step(d, parent, df_upsample_layer(&o), "grow", (df_unet_step){ .pop = false });
}

static void add_way_down(draft *d) {
  df_layer *down = add_group(d, d->unet, "down");
  for (int level = 0; level < d->o->levels && !d->unet->failed; level++) {
    char name[24];
    df_layer *here = add_group(d, down, number(name, sizeof name, level + 1));
    add_blocks(d, here, level, d->o->blocks, false);
    if (level + 1 < d->o->levels) add_shrink(d, here);
  }
}

static void add_middle(draft *d) {
  df_layer *mid = add_group(d, d->unet, "mid");
  add_block(d, mid, "one", d->channels, (df_unet_step){ .pop = false });
  add_attention(d, mid, "attention", false);
  add_block(d, mid, "two", d->channels, (df_unet_step){ .pop = false });
}

static void add_way_up(draft *d) {
  df_layer *up = add_group(d, d->unet, "up");
  for (int level = d->o->levels - 1; level >= 0 && !d->unet->failed; level--) {
    char name[24];
    df_layer *here = add_group(d, up, number(name, sizeof name, level + 1));
    add_blocks(d, here, level, d->o->blocks + 1, true);
    if (level > 0) add_grow(d, here);
  }
}

static void add_ends(draft *d, bool first) {
  const df_int C = d->o->self_condition ? 2 * d->o->C : d->o->C;
  df_layer_opts o = first ? df_conv3_opts(C, d->o->channels)
                          : df_conv3_opts(d->channels, d->o->outputs * d->o->C);
  if (d->unet->failed) return;
  o.norm.groups = d->o->groups;
  o.zero = !first;
  df_layer *layer = first ? df_conv_layer(&o) : df_norm_conv_layer(&o);
  add_step(d, d->unet, layer, first ? "inp" : "out", (df_unet_step){ .push = first });
}

/* ==== the network ================================================================== */

static void describe(const df_layer *l, char *text, size_t size) {
  const df_unet_plan *plan = l->o.network;
  snprintf(text, size, "channels %td, image channels %td, sides multiples of %td",
           l->o.in, plan->C, plan->factor);
}

static const df_kind unet = { "unet", 2, 4, df_unet_run, describe };

static void fill(draft *d) {
  df_int channels = d->o->channels;
  df_layer *time = df_time_embed_layer(channels, 4 * channels, d->o->classes);
  d->plan->time = df_layer_add(d->unet, time, "time");
  add_ends(d, true);
  add_way_down(d);
  add_middle(d);
  add_way_up(d);
  add_ends(d, false);
}

df_layer *df_unet(const df_unet_opts *o) {
  if (check(o) != DF_OK) return NULL;
  /* a level's blocks, each with attention, and its change of size; middle; ends */
  size_t room = (size_t)o->levels * (size_t)(4 * o->blocks + 4) + 8;
  df_unet_plan *plan = calloc(1, sizeof *plan + room * sizeof *plan->step);
  df_int *kept = calloc(room, sizeof *kept);
  const df_layer_opts own = { .in = o->channels,
                              .self_condition = o->self_condition,
                              .network = plan };
  draft d = { .o = o, .plan = plan, .kept = kept };
  d.unet = plan && kept ? df_layer_new(&unet, &own) : NULL;
  if (!d.unet) {
    free(plan);
    free(kept);
    return df_fail_null(DF_MEMORY, "not enough memory for a unet's plan");
  }
  plan->C = o->C, plan->factor = factor_of(o->levels - 1);
  fill(&d);
  free(kept);
  return df_layer_done(d.unet);
}
