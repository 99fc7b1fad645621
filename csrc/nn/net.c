/* Writing and running the list of a network. */
#include "nn/net.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/alloc.h"

#define FEW 32 /* places that need no allocation */

typedef struct step {
  const df_layer *layer; /* a part of the network */
  int in[DF_INPUTS];     /* places; -1: none. Slots until the network is done */
  int n, out;
  bool last[DF_INPUTS]; /* is it the last step that reads this input? */
  bool recompute;
  bool gated; /* only the next step reads its result, which is a gated unit of it */
} step;

typedef struct net {
  df_kind kind; /* first, so that a layer's kind leads to its network */
  char *name, *text;
  int inputs, steps, room;
  df_net_input *input;
  step *step; /* step i writes slot inputs + i */
  int places; /* values alive at once: slots whose lives do not meet share a place */
  int result; /* place; -1: not done yet */
} net;

static df_tensor *net_forward(df_tape *tape, const df_layer *l, df_tensor *const *x);

bool df_is_net(const df_layer *layer) { return layer->kind->forward == net_forward; }

static const net *net_of(const df_layer *l) { return (const net *)l->kind; }

/* ==== checks of what the caller gives ============================================== */

/* "[B,H,W,3]" */
static const char *wanted(const df_net_input *in, char *text, size_t size) {
  size_t used = 0;
  for (int i = 0; i < in->ndim && used < size; i++) {
    const char *comma = i > 0 ? "," : "[";
    used += (size_t)(in->dim[i].size > 0 ? snprintf(text + used, size - used, "%s%td",
                                                    comma, in->dim[i].size)
                                         : snprintf(text + used, size - used, "%s%s",
                                                    comma, in->dim[i].name));
  }
  if (used < size) snprintf(text + used, size - used, "]");
  return text;
}

static df_code refuse_shape(const net *n, const df_net_input *in, const df_tensor *x) {
  char text[256];
  return df_fail(DF_MISUSE, "%s: %s is %s, but this network takes %s", n->name, in->name,
                 df_tensor_text(x), wanted(in, text, sizeof text));
}

/* "H and W": the dimensions that must be multiples of this; returns how many. */
static int alike(const df_net_input *in, df_int multiple, char *text, size_t size) {
  int n = 0;
  size_t used = 0;
  for (int i = 0; i < in->ndim && used < size; i++)
    if (in->dim[i].multiple == multiple)
      used += (size_t)snprintf(text + used, size - used, "%s%s", n++ > 0 ? " and " : "",
                               in->dim[i].name);
  return n;
}

static df_code check_multiples(const net *n, const df_net_input *in, const df_tensor *x) {
  for (int i = 0; i < in->ndim; i++) {
    const df_int multiple = in->dim[i].multiple;
    char names[128];
    if (multiple == 0 || x->shape.size[i] % multiple == 0) continue;
    const bool one = alike(in, multiple, names, sizeof names) == 1;
    return df_fail(DF_MISUSE, "%s: %s is %s, but %s must be %s of %td for this network",
                   n->name, in->name, df_tensor_text(x), names,
                   one ? "a multiple" : "multiples", multiple);
  }
  return DF_OK;
}

static df_code check_input(const net *n, const df_net_input *in, const df_tensor *x) {
  if (!in->whole && !df_dtype_is_float(x->dtype))
    return df_fail(
        DF_MISUSE,
        "%s: %s must be floats, got %s %s; d.image.to_float brings images into "
        "[-1, 1]",
        n->name, in->name, df_dtype_name(x->dtype), df_tensor_text(x));
  if (in->ndim == 0) return DF_OK;
  if (x->shape.ndim != in->ndim) return refuse_shape(n, in, x);
  for (int i = 0; i < in->ndim; i++)
    if (in->dim[i].size > 0 && x->shape.size[i] != in->dim[i].size)
      return refuse_shape(n, in, x);
  return check_multiples(n, in, x);
}

/* Dimensions of one name have one size in all inputs: input `k` against those before. */
static df_code check_names(const net *n, df_tensor *const *x, int k) {
  const df_net_input *in = &n->input[k];
  for (int j = 0; j < k; j++)
    for (int a = 0; x[j] && a < n->input[j].ndim; a++)
      for (int b = 0; b < in->ndim; b++) {
        const df_int first = x[j]->shape.size[a], size = x[k]->shape.size[b];
        if (first != size && strcmp(n->input[j].dim[a].name, in->dim[b].name) == 0)
          return df_fail(DF_MISUSE, "%s: %s is %s, but %s is %td in %s %s", n->name,
                         in->name, df_tensor_text(x[k]), in->dim[b].name, first,
                         n->input[j].name, df_tensor_text(x[j]));
      }
  return DF_OK;
}

static df_code check_inputs(const net *n, df_tensor *const *x) {
  for (int i = 0; i < n->inputs; i++) {
    const df_net_input *in = &n->input[i];
    if (!x[i] && !in->optional)
      return df_fail(DF_MISUSE, "%s: the input %s is missing", n->name, in->name);
    if (x[i] && (check_input(n, in, x[i]) || check_names(n, x, i))) return DF_MISUSE;
  }
  return DF_OK;
}

/* ==== running ====================================================================== */

/* Are all inputs there that the layer needs? */
static bool complete(const step *s, df_tensor *const *slot) {
  for (int i = 0; i < s->layer->kind->least; i++)
    if (i >= s->n || s->in[i] < 0 || !slot[s->in[i]]) return false;
  return true;
}

/* Whether the network may release a place. An input is the caller's, unless its bit in
** `given` is set. */
static bool is_own(const net *n, int place, unsigned given) {
  return place >= n->inputs || (place >= 0 && (given >> place & 1));
}

static bool is_alone(const step *s, int k) {
  for (int i = 0; i < s->n; i++)
    if (i != k && s->in[i] == s->in[k]) return false;
  return true;
}

/* Bits of the inputs that no later step reads. A block releases them after their last
** reader in it. */
static unsigned gifts(const net *n, const step *s, unsigned given) {
  unsigned bits = 0;
  for (int k = 0; k < s->n; k++)
    if (s->last[k] && is_own(n, s->in[k], given) && is_alone(s, k)) bits |= 1u << k;
  return bits;
}

static df_tensor *forward(df_tape *tape, const net *n, df_tensor **x, unsigned given);

/* The gated unit needs the whole result of the step before in a backward pass only. */
static bool takes_next(const df_tape *tape, const step *s) {
  return s->gated && !df_tape_recording(tape);
}

static df_tensor *call(df_tape *tape, const step *s, df_tensor **x, unsigned given) {
  if (takes_next(tape, s)) return df_layer_gated(tape, s->layer, x[0]);
  if (s->recompute && df_tape_recording(tape))
    return df_layer_recomputed(tape, s->layer, x, s->n);
  if (df_is_net(s->layer)) return forward(tape, net_of(s->layer), x, given);
  return df_layer_forward(tape, s->layer, x);
}

/* The result is held by itself; all else that the step made goes. */
static df_tensor *run_step(df_tape *tape, const net *n, const step *s, df_tensor **slot,
                           unsigned given) {
  df_tensor *x[DF_INPUTS] = { NULL };
  for (int i = 0; i < s->n; i++) x[i] = s->in[i] < 0 ? NULL : slot[s->in[i]];
  unsigned gone = gifts(n, s, given);
  size_t mark = df_scope_open(tape);
  df_tensor *y = call(tape, s, x, gone);
  df_tensor_retain(y);
  df_scope_close(tape, mark);
  for (int i = 0; i < s->n; i++)
    if (gone >> i & 1) slot[s->in[i]] = x[i];
  return y;
}

static void let_go(const net *n, const step *s, df_tensor **slot, unsigned given) {
  for (int k = 0; k < s->n; k++) {
    if (!s->last[k] || !is_own(n, s->in[k], given)) continue;
    df_tensor_release(slot[s->in[k]]);
    slot[s->in[k]] = NULL;
  }
}

static bool run_steps(df_tape *tape, const net *n, df_tensor **slot, unsigned given) {
  for (const step *s = n->step; s < n->step + n->steps; s++) {
    const bool runs = complete(s, slot);
    df_tensor *y = runs ? run_step(tape, n, s, slot, given) : NULL;
    if (runs && !y) return false;
    let_go(n, s, slot, given); /* the next step's result may have the place of an input */
    s += takes_next(tape, s);
    slot[s->out] = y;
  }
  return true;
}

static df_tensor *absent_result(const net *n) {
  for (int i = 0; i < n->inputs; i++)
    if (n->input[i].optional)
      return df_fail_null(DF_MISUSE,
                          "%s: the result needs an input that is missing; '%s' is an "
                          "optional one",
                          n->name, n->input[i].name);
  return df_fail_null(DF_MISUSE, "%s: the result needs a value that no step computes",
                      n->name);
}

/* `slot` has room for all places. Inputs that were given and released become NULL in
** x. */
static df_tensor *run(df_tape *tape, const net *n, df_tensor **slot, df_tensor **x,
                      unsigned given) {
  df_tensor *y = NULL;
  memset(slot, 0, (size_t)n->places * sizeof *slot);
  memcpy(slot, x, (size_t)n->inputs * sizeof *slot);
  if (run_steps(tape, n, slot, given)) {
    y = slot[n->result];
    y = y ? df_scope_own(tape, df_tensor_retain(y)) : absent_result(n);
  }
  memcpy(x, slot, (size_t)n->inputs * sizeof *slot);
  for (int i = n->inputs; i < n->places; i++) df_tensor_release(slot[i]);
  return y;
}

static df_tensor *forward(df_tape *tape, const net *n, df_tensor **x, unsigned given) {
  df_tensor *few[FEW];
  if (n->result < 0)
    return df_fail_null(DF_MISUSE, "%s: the network has no result yet", n->name);
  if (check_inputs(n, x) != DF_OK) return NULL;
  if (n->places <= FEW) return run(tape, n, few, x, given);
  df_tensor **slot = df_alloc((size_t)n->places * sizeof *slot);
  df_tensor *y = slot ? run(tape, n, slot, x, given) : NULL;
  df_free(slot);
  return y;
}

static df_tensor *net_forward(df_tape *tape, const df_layer *l, df_tensor *const *x) {
  df_tensor *own[DF_INPUTS];
  memcpy(own, x, (size_t)net_of(l)->inputs * sizeof *own);
  return forward(tape, net_of(l), own, 0);
}

/* ==== writing ====================================================================== */

static void describe(const df_layer *l, char *text, size_t size) {
  snprintf(text, size, "%s", net_of(l)->text);
}

static void release(df_layer *l) {
  net *n = (net *)l->kind;
  free(n->name);
  free(n->text);
  free(n->input);
  free(n->step);
  free(n);
}

static char *copy(const char *text) {
  const size_t size = strlen(text) + 1;
  char *own = malloc(size);
  return own ? memcpy(own, text, size) : NULL;
}

static bool furnish(net *n, const char *name, const char *text, const df_net_input *input,
                    int inputs) {
  n->name = copy(name);
  n->text = copy(text);
  n->input = malloc((size_t)inputs * sizeof *input);
  n->inputs = inputs;
  if (!n->name || !n->text || !n->input) return false;
  memcpy(n->input, input, (size_t)inputs * sizeof *input);
  n->kind = (df_kind){ .name = n->name,
                       .least = 1,
                       .most = inputs,
                       .forward = net_forward,
                       .describe = *text ? describe : NULL,
                       .release = release,
                       .whole = true };
  n->result = -1;
  return true;
}

df_layer *df_net_new(const char *name, const char *text, const df_net_input *input,
                     int inputs) {
  if (inputs < 1 || inputs > DF_INPUTS)
    return df_fail_null(DF_MISUSE, "%s: a network has 1 to %d inputs, not %d", name,
                        DF_INPUTS, inputs);
  net *n = calloc(1, sizeof *n);
  df_layer *l = n ? df_layer_new(&n->kind, NULL) : NULL;
  if (!l) {
    free(n);
    return df_fail_null(DF_MEMORY, "not enough memory for a network");
  }
  n->kind.release = release;
  if (furnish(n, name, text, input, inputs)) return l;
  df_layer_release(l);
  return df_fail_null(DF_MEMORY, "not enough memory for a network");
}

static df_code make_room(net *n) {
  if (n->steps < n->room) return DF_OK;
  const int room = 2 * n->room + 16;
  step *grown = realloc(n->step, (size_t)room * sizeof *grown);
  if (!grown) return df_fail(DF_MEMORY, "not enough memory for a network's steps");
  n->step = grown;
  n->room = room;
  return DF_OK;
}

static df_code check_slots(const net *n, const int *in, int count) {
  if (n->result >= 0) return df_fail(DF_MISUSE, "%s: the network is finished", n->name);
  if (count < 1 || count > DF_INPUTS)
    return df_fail(DF_MISUSE, "%s: a step has 1 to %d inputs, not %d", n->name, DF_INPUTS,
                   count);
  for (int i = 0; i < count; i++)
    if (in[i] < -1 || in[i] >= n->inputs + n->steps)
      return df_fail(DF_MISUSE, "%s: step %d reads value %d, but there are %d so far",
                     n->name, n->steps + 1, in[i] + 1, n->inputs + n->steps);
  return DF_OK;
}

static int append(net *n, const df_layer *layer, const int *in, int count,
                  bool recompute) {
  const int out = n->inputs + n->steps;
  step *s = &n->step[n->steps++];
  *s = (step){ .layer = layer, .n = count, .out = out, .recompute = recompute };
  for (int i = 0; i < count; i++) s->in[i] = in[i];
  return out;
}

static df_code check_step(const net *n, const df_layer *layer, int count) {
  if (df_is_net(layer) && net_of(layer)->result < 0)
    return df_fail(DF_MISUSE, "%s: the block '%s' has no result yet", n->name,
                   layer->kind->name);
  if (!layer->kind->forward || count < layer->kind->least || count > layer->kind->most)
    return df_fail(DF_MISUSE, "%s: %s takes %d to %d inputs, not %d", n->name,
                   layer->kind->name, layer->kind->least, layer->kind->most, count);
  return DF_OK;
}

/* The group that the path's last name belongs to, made where it is missing; *path becomes
** that last name. */
static df_layer *group_of(df_layer *parent, const char **path) {
  const char *dot = strchr(*path, '.');
  if (!dot || !parent) return parent;
  char name[64];
  const size_t length = (size_t)(dot - *path);
  if (length == 0 || length >= sizeof name)
    return df_fail_null(DF_MISUSE, "a part's path has names of 1 to 63 letters, got '%s'",
                        *path);
  memcpy(name, *path, length);
  name[length] = '\0';
  *path = dot + 1;
  df_layer *group = (df_layer *)df_layer_part(parent, name);
  if (group && group->kind->forward)
    return df_fail_null(DF_MISUSE,
                        "the part '%s' is a %s, which can't get a part of its own", name,
                        group->kind->name);
  if (!group) group = df_layer_add(parent, df_group_layer(), name);
  return group_of(group, path);
}

static df_layer *take_over(df_layer *l, const char *path, df_layer *layer) {
  const char *name = path;
  df_layer *parent = *path ? group_of(l, &name) : l;
  if (parent && *path && (!*name || df_layer_part(parent, name)))
    parent =
        df_fail_null(DF_MISUSE, "%s: two parts are named '%s'", net_of(l)->name, path);
  if (parent && !*path && df_layer_count(layer) > 0)
    parent = df_fail_null(DF_MISUSE, "%s: a %s has parameters, so it needs a path",
                          net_of(l)->name, layer->kind->name);
  if (parent) return df_layer_add(parent, layer, name);
  df_layer_release(layer);
  return NULL;
}

int df_net_add(df_layer *l, const char *path, df_layer *layer, const int *in, int count,
               bool recompute) {
  net *n = (net *)l->kind;
  if (check_slots(n, in, count) || check_step(n, layer, count) || make_room(n)) {
    df_layer_release(layer);
    return -1;
  }
  layer = take_over(l, path, layer);
  return layer ? append(n, layer, in, count, recompute) : -1;
}

/* The part at a path, or NULL. */
static const df_layer *part_at(const df_layer *l, const char *path) {
  while (l && *path) {
    char name[64];
    const size_t length = strcspn(path, ".");
    if (length >= sizeof name) return NULL;
    memcpy(name, path, length);
    name[length] = '\0';
    path += path[length] ? length + 1 : length;
    l = df_layer_part(l, name);
  }
  return l;
}

int df_net_again(df_layer *l, const char *path, const int *in, int count) {
  net *n = (net *)l->kind;
  const df_layer *layer = part_at(l, path);
  if (!layer || layer == l)
    return df_fail(DF_MISUSE, "%s: there is no part '%s' yet", n->name, path), -1;
  if (check_slots(n, in, count) || check_step(n, layer, count) || make_room(n)) return -1;
  return append(n, layer, in, count, false);
}

df_code df_net_order(df_layer *l, const char *const *name, int count) {
  int done = 0;
  for (int i = 0; i < count; i++) {
    int at = done;
    while (at < l->parts && strcmp(l->part[at].name, name[i]) != 0) at++;
    if (at == l->parts)
      return df_fail(DF_MISUSE, "%s: there is no part '%s' to order", net_of(l)->name,
                     name[i]);
    const df_part found = l->part[at];
    for (; at > done; at--) l->part[at] = l->part[at - 1];
    l->part[done++] = found;
  }
  return DF_OK;
}

/* ==== places: which slots can share one ============================================ */

/* last[slot]: the last step that reads it; its own step where none does; `steps`: the
** result, which nothing replaces. */
static void find_last(const net *n, int result, int *last) {
  for (int i = 0; i < n->inputs; i++) last[i] = -1;
  for (int i = 0; i < n->steps; i++) {
    const step *s = &n->step[i];
    last[s->out] = i;
    for (int k = 0; k < s->n; k++)
      if (s->in[k] >= 0) last[s->in[k]] = i;
  }
  last[result] = n->steps;
}

/* A place that no living value holds. holder[place]: its slot, or -1. */
static int free_place(net *n, const int *holder) {
  int place = n->inputs;
  while (place < n->places && holder[place] >= 0) place++;
  if (place == n->places) n->places++;
  return place;
}

/* A step's inputs by place; the places that are read for the last time become free. */
static void settle_inputs(step *s, int i, const int *last, const int *place,
                          int *holder) {
  for (int k = 0; k < s->n; k++) {
    const int slot = s->in[k];
    if (slot < 0) continue;
    s->in[k] = place[slot];
    s->last[k] = last[slot] == i;
    if (s->last[k]) holder[place[slot]] = -1;
  }
}

static void settle(net *n, int result, int *last, int *place, int *holder) {
  find_last(n, result, last);
  n->places = n->inputs;
  for (int i = 0; i < n->inputs; i++) place[i] = i, holder[i] = i;
  for (int i = 0; i < n->steps; i++) {
    step *s = &n->step[i];
    const int out = s->out;
    s->out = place[out] = free_place(n, holder);
    holder[s->out] = out;
    settle_inputs(s, i, last, place, holder);
  }
  n->result = place[result];
}

static void find_gated(net *n) {
  for (int i = 0; i + 1 < n->steps; i++) {
    const step *next = &n->step[i + 1];
    step *s = &n->step[i];
    s->gated = s->layer->kind->gated && !s->recompute && !next->recompute
               && df_is_geglu(next->layer) && next->in[0] == s->out && next->last[0];
  }
}

df_code df_net_done(df_layer *l, int result) {
  net *n = (net *)l->kind;
  const size_t slots = (size_t)(n->inputs + n->steps);
  if (n->result >= 0) return df_fail(DF_MISUSE, "%s: the network is finished", n->name);
  if (result < n->inputs || result >= n->inputs + n->steps)
    return df_fail(DF_MISUSE, "%s: the result must be what a step computes", n->name);
  int *work = malloc(3 * slots * sizeof *work);
  if (!work) return df_fail(DF_MEMORY, "not enough memory for a network's steps");
  settle(n, result, work, work + slots, work + 2 * slots);
  free(work);
  find_gated(n);
  return DF_OK;
}
