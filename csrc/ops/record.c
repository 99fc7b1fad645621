/* Nodes and slots: which of them holds a tensor, and until when. */
#include "ops/record.h"

#include <string.h>

#include "base/alloc.h"
#include "ops/sink.h"
#include "ops/walk.h"

static bool trainable(const df_record *r, const df_tensor *x) {
  return r->leaves && x->leaf && x->leaf->trainable;
}

bool df_record_tracks(const df_record *r, const df_tensor *x) {
  return x->record == r->serial ? r->slots[x->slot].wanted : trainable(r, x);
}

static int add_slot(df_record *r, const df_shape *shape, df_tensor *parameter) {
  if (!df_room((void **)&r->slots, r->n_slots, &r->slots_room, sizeof *r->slots))
    return -1;
  r->slots[r->n_slots] = (df_slot){ .wanted = true,
                                    .shape = *shape,
                                    .parameter = df_tensor_retain(parameter),
                                    .maker = -1,
                                    .first = (long)r->n_nodes,
                                    .reader = -1 };
  return (int)r->n_slots++;
}

int df_record_slot(df_record *r, df_tensor *x, bool parameter) {
  if (x->record == r->serial) return x->slot;
  int slot = add_slot(r, &x->shape, parameter ? x : NULL);
  if (slot >= 0) x->record = r->serial, x->slot = slot;
  return slot;
}

static void free_node(df_node *node) {
  if (node->release) node->release(node->data);
  for (int i = 0; i < node->kept; i++) df_tensor_release(node->keep[i]);
  df_free(node);
}

/* The slot of a value that the walk will recompute, or -1: x must be kept. */
static int remade(const df_record *r, const df_tensor *x) {
  return x && x->record == r->serial && r->slots[x->slot].maker >= 0 ? x->slot : -1;
}

static void keep(df_node *node, int i, df_tensor *x) {
  df_record *r = node->record;
  node->made[i] = remade(r, x);
  if (!x || node->made[i] >= 0) return;
  node->keep[i] = df_tensor_retain(x);
  node->version[i] = df_tensor_version(x);
}

/* A node and its lists in one block. */
static df_node *new_node(df_record *r, const df_note *note) {
  size_t keeps = (size_t)note->kept, slots = ((size_t)note->n + keeps) * sizeof(int);
  size_t head = (sizeof(df_node) + slots + 15) / 16 * 16;
  size_t lists = keeps * (sizeof(df_tensor *) + sizeof(uint64_t));
  size_t body = (head + lists + 15) / 16 * 16;
  df_node *node = df_alloc_zeros(body + note->size);
  if (!node) return NULL;
  node->op = note->op;
  node->record = r;
  node->n = note->n;
  node->slot = (int *)(node + 1);
  node->made = node->slot + note->n;
  node->remake = note->remake;
  node->release = note->release;
  node->kept = note->kept;
  node->keep = (df_tensor **)((char *)node + head);
  node->version = (uint64_t *)(node->keep + keeps);
  node->data = (char *)node + body;
  if (note->size) memcpy(node->data, note->data, note->size);
  for (int i = 0; i < note->kept; i++) keep(node, i, note->keep[i]);
  return node;
}

/* Operand i, a parameter, is about to be read. Its gradient is cut by parts in one op
** alone. */
static void note_parameter(df_record *r, const df_note *note, int i) {
  if (r->parts < 2) return;
  r->mixed |= !(note->by_parts >> i & 1) || note->x[i]->record == r->serial;
}

/* Each sample has as many rows. */
static bool has_parts(const df_record *r, const df_tensor *y) {
  return r->parts < 2 || (y->shape.ndim > 1 && y->shape.size[0] % r->rows == 0);
}

static bool fill_slots(df_record *r, df_node *node, const df_note *note) {
  for (int i = 0; i < note->n; i++) {
    df_tensor *x = note->x[i];
    bool tracked = x && df_record_tracks(r, x);
    if (tracked && x->leaf) note_parameter(r, note, i);
    node->slot[i] = tracked ? df_record_slot(r, x, x->leaf != NULL) : -1;
    if (tracked && node->slot[i] < 0) return false;
  }
  return true;
}

/* The next node to be noted reads a value that is recomputed. */
static void reads(df_record *r, int slot) {
  if (slot >= 0 && r->slots[slot].reader < 0) r->slots[slot].reader = (long)r->n_nodes;
}

df_code df_record_add(df_record *r, df_tensor *y, const df_note *note) {
  df_node *node = new_node(r, note);
  if (!node) return DF_MEMORY;
  int slot = -1;
  bool room = df_room((void **)&r->nodes, r->n_nodes, &r->nodes_room, sizeof *r->nodes);
  if (room && fill_slots(r, node, note)) slot = add_slot(r, &y->shape, NULL);
  if (slot < 0) {
    node->release = NULL; /* it still belongs to the caller */
    free_node(node);
    return DF_MEMORY;
  }
  r->mixed |= note->by_parts && !has_parts(r, y);
  y->record = r->serial;
  y->slot = node->y = slot;
  if (note->remake) r->slots[slot].maker = (long)r->n_nodes;
  if ((note->always || !note->op->backward) && r->opaque < 0)
    r->opaque = (long)r->n_nodes, r->mixed |= r->parts > 1;
  for (int i = 0; i < node->kept; i++) reads(r, node->made[i]);
  r->nodes[r->n_nodes++] = node;
  return DF_OK;
}

df_code df_record_seed(df_record *r, int slot, df_tensor *g, uint64_t walk) {
  df_slot *s = &r->slots[slot];
  if (g && !df_shape_equal(&g->shape, &s->shape))
    return df_fail(DF_MISUSE, "backward: a gradient %s for a value %s", df_tensor_text(g),
                   df_shape_text(&s->shape));
  df_tensor *seed = g ? df_tensor_retain(g) : df_tensor_new(DF_REAL, &s->shape);
  if (!seed) return DF_MEMORY;
  if (!g) *df_tensor_reals(seed) = 1;
  df_tensor_release(s->grad);
  s->grad = seed;
  s->arrived = true;
  r->at = r->n_nodes;
  r->walking = true;
  r->walk = walk;
  r->at_guest = false;
  return DF_OK;
}

void df_record_reset(df_record *r) {
  for (size_t i = 0; i < r->n_slots; i++) df_slot_clear(&r->slots[i]);
  r->walking = r->at_guest = r->within = false;
}

void df_record_drop(df_record *r, size_t index) {
  if (r->nodes[index]) free_node(r->nodes[index]);
  r->nodes[index] = NULL;
  if (index + 1 == r->n_nodes) r->n_nodes = index;
}

void df_slot_clear(df_slot *s) {
  df_tensor_release(s->grad);
  df_tensor_release(s->value);
  s->grad = s->value = NULL;
  s->arrived = false;
}

/* Slots stay, because tensors remember theirs. */
void df_record_rewind(df_record *r, size_t nodes) {
  if (r->n_nodes <= nodes) return;
  while (r->n_nodes > nodes) df_record_drop(r, r->n_nodes - 1);
  for (size_t i = 0; i < r->n_slots; i++) {
    df_slot *s = &r->slots[i];
    if (s->maker >= (long)nodes) s->maker = -1;
    if (s->reader >= (long)nodes) s->reader = -1;
  }
}

void df_record_clear(df_record *r) {
  df_record_rewind(r, 0);
  df_record_reset(r);
  for (size_t i = 0; i < r->n_slots; i++) df_tensor_release(r->slots[i].parameter);
  df_free(r->nodes);
  df_free(r->slots);
}

/* ==== parameters that a walk reached ============================================== */

df_code df_reached_add(df_reached *reached, df_tensor *parameter) {
  if (!df_room((void **)&reached->x, reached->n, &reached->room, sizeof *reached->x))
    return DF_MEMORY;
  reached->x[reached->n++] = df_tensor_retain(parameter);
  return DF_OK;
}

void df_reached_clear(df_reached *reached) {
  while (reached->n > 0) df_tensor_release(reached->x[--reached->n]);
}

void df_reached_drop(df_reached *reached) {
  for (size_t i = 0; i < reached->n; i++) {
    df_leaf *leaf = reached->x[i]->leaf;
    if (leaf) leaf->drop(leaf);
  }
  reached->dropped |= reached->n > 0;
  for (df_follower *f = reached->followers; f; f = f->next) f->give_up(f->of);
  df_reached_clear(reached);
}

/* ==== values that a node keeps ==================================================== */

df_code df_node_check(const df_node *node) {
  for (int i = 0; i < node->kept; i++) {
    const df_tensor *x = node->keep[i];
    if (x && node->made[i] < 0 && df_tensor_version(x) != node->version[i])
      return df_fail(DF_MISUSE,
                     "backward of %s: a value %s that it needs was written to in place "
                     "after it was used",
                     node->op->name, df_tensor_text(x));
  }
  return DF_OK;
}

/* The value of a slot, which retains it; NULL: failed. */
static df_tensor *make_again(df_tape *tape, df_record *r, int slot) {
  df_node *maker = r->nodes[r->slots[slot].maker];
  size_t mark = df_scope_open(tape);
  if (!r->slots[slot].value && df_node_fill(tape, maker) == DF_OK) {
    r->slots[slot].value = df_tensor_retain(maker->remake(tape, maker));
    df_node_empty(maker);
  }
  df_scope_close(tape, mark);
  return r->slots[slot].value;
}

df_code df_node_fill(df_tape *tape, df_node *node) {
  df_code code = df_node_check(node);
  for (int i = 0; i < node->kept && code == DF_OK; i++) {
    if (node->made[i] < 0) continue;
    node->keep[i] = df_tensor_retain(make_again(tape, node->record, node->made[i]));
    if (!node->keep[i]) code = df_error_code();
  }
  if (code != DF_OK) df_node_empty(node);
  return code;
}

void df_node_empty(df_node *node) {
  for (int i = 0; i < node->kept; i++) {
    if (node->made[i] < 0) continue;
    df_tensor_release(node->keep[i]);
    node->keep[i] = NULL;
  }
}

void df_node_let_go(df_node *node, int i) {
  df_record *r = node->record;
  if (node->made[i] < 0) return;
  df_slot *s = &r->slots[node->made[i]];
  df_tensor_release(node->keep[i]);
  node->keep[i] = NULL;
  if (r->nodes[s->reader] != node) return;
  df_tensor_release(s->value);
  s->value = NULL;
}

static bool keeps(const df_node *node, int n, const df_storage *s) {
  for (int i = 0; i < n; i++)
    if (node->keep[i] && node->keep[i]->storage == s) return true;
  return false;
}

size_t df_record_kept(const df_record *r, size_t index) {
  const df_node *node = r->nodes[index];
  size_t bytes = 0;
  for (int i = 0; i < node->kept; i++) {
    if (!node->keep[i] || node->keep[i]->leaf) continue;
    const df_storage *s = node->keep[i]->storage;
    bool known = keeps(node, i, s);
    for (size_t j = 0; j < index && !known; j++)
      known = keeps(r->nodes[j], r->nodes[j]->kept, s);
    if (!known) bytes += s->body->bytes;
  }
  return bytes;
}
