/* Shapes: element counts, strides, broadcasting and text. */
#include "tensor/shape.h"

#include <stdio.h>

df_int df_shape_count(const df_shape *s) {
  df_int n = 1;
  bool none = false;
  for (int i = 0; i < s->ndim; i++) {
    none = none || s->size[i] == 0;
    if (s->size[i] < 0 || __builtin_mul_overflow(n, df_max(s->size[i], 1), &n)) return -1;
  }
  return none ? 0 : n;
}

bool df_shape_equal(const df_shape *a, const df_shape *b) {
  if (a->ndim != b->ndim) return false;
  for (int i = 0; i < a->ndim; i++)
    if (a->size[i] != b->size[i]) return false;
  return true;
}

void df_shape_strides(const df_shape *s, df_int *stride) {
  df_int step = 1;
  for (int i = s->ndim - 1; i >= 0; i--) stride[i] = step, step *= df_max(s->size[i], 1);
}

bool df_shape_broadcast(const df_shape *a, const df_shape *b, df_shape *out) {
  df_shape result = { .ndim = a->ndim > b->ndim ? a->ndim : b->ndim };
  for (int i = 1; i <= result.ndim; i++) {
    df_int p = i <= a->ndim ? a->size[a->ndim - i] : 1;
    df_int q = i <= b->ndim ? b->size[b->ndim - i] : 1;
    if (p != q && p != 1 && q != 1) return false;
    result.size[result.ndim - i] = p == 1 ? q : p;
  }
  *out = result;
  return true;
}

#define RING 8

const char *df_shape_text(const df_shape *s) {
  static _Thread_local char ring[RING][DF_DIMS * 21 + 3];
  static _Thread_local int turn;
  char *text = ring[turn = (turn + 1) % RING];
  size_t room = sizeof ring[0], used = 1;
  text[0] = '[';
  for (int i = 0; i < s->ndim; i++)
    used += (size_t)snprintf(text + used, room - used, "%s%td", i ? "," : "", s->size[i]);
  snprintf(text + used, room - used, "]");
  return text;
}
