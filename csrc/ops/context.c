/* Precision, random counters and scopes: fields of the tape that every op reads. */
#include "ops/context.h"

#include <string.h>

#include "base/alloc.h"
#include "ops/inside.h"

df_precision df_tape_precision(const df_tape *tape) { return tape->precision; }

void df_tape_set_precision(df_tape *tape, df_precision precision) {
  tape->precision = precision;
}

/* ==== random counters ============================================================ */

void df_tape_seed(df_tape *tape, uint64_t seed) {
  tape->random.seed = seed;
  memset(tape->random.drawn, 0, sizeof tape->random.drawn);
}

uint64_t df_tape_seeded(const df_tape *tape) { return tape->random.seed; }

df_random df_tape_draw(df_tape *tape, df_stream stream) {
  return (df_random){ tape->random.seed, (uint32_t)stream, tape->random.first,
                      tape->random.drawn[stream]++ };
}

void df_tape_set_first(df_tape *tape, uint32_t sample) { tape->random.first = sample; }

uint32_t df_tape_first(const df_tape *tape) { return tape->random.first; }

uint32_t df_tape_drawn(const df_tape *tape, df_stream stream) {
  return tape->random.drawn[stream];
}

void df_tape_set_drawn(df_tape *tape, df_stream stream, uint32_t count) {
  tape->random.drawn[stream] = count;
}

df_counters df_tape_counters(const df_tape *tape) { return tape->random; }

void df_tape_set_counters(df_tape *tape, df_counters counters) {
  tape->random = counters;
}

/* ==== scopes ===================================================================== */

size_t df_scope_open(df_tape *tape) { return tape->n_owned; }

void df_scope_close(df_tape *tape, size_t mark) {
  while (tape->n_owned > mark) df_tensor_release(tape->owned[--tape->n_owned]);
}

df_tensor *df_scope_yield(df_tape *tape, size_t mark, df_tensor *result) {
  df_tensor_retain(result);
  df_scope_close(tape, mark);
  return df_scope_own(tape, result);
}

df_tensor *df_scope_own(df_tape *tape, df_tensor *fresh) {
  if (!fresh) return NULL;
  if (!df_room((void **)&tape->owned, tape->n_owned, &tape->owned_room, sizeof fresh)) {
    df_tensor_release(fresh);
    return NULL;
  }
  return tape->owned[tape->n_owned++] = fresh;
}

df_tensor *df_result(df_tape *tape, const df_shape *shape) {
  return df_scope_own(tape, df_tensor_new(DF_REAL, shape));
}
