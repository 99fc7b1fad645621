/* The context of every op, one per Lua state: precision, random counters, scopes.
**
** A scope owns what ops make. Closing it releases all of these tensors, so an op's result
** needs no releasing and networks read as straight maths. */
#ifndef df_context_h
#define df_context_h

#include "base/philox.h"
#include "tensor/tensor.h"

typedef struct df_tape df_tape;

df_precision df_tape_precision(const df_tape *tape);
void df_tape_set_precision(df_tape *tape, df_precision precision);

/* -- random numbers: a seed, and a counter for each stream --------------------------- */
void df_tape_seed(df_tape *tape, uint64_t seed); /* counters start again */
uint64_t df_tape_seeded(const df_tape *tape);
df_random df_tape_draw(df_tape *tape, df_stream stream); /* the next key of a stream */
uint32_t df_tape_drawn(const df_tape *tape, df_stream stream); /* keys drawn so far */
void df_tape_set_drawn(df_tape *tape, df_stream stream, uint32_t count);
/* The number of the batch's first sample, from 0, if the batch is a part of a larger one.
** Keys of draws begin there, so that parts draw other numbers. */
void df_tape_set_first(df_tape *tape, uint32_t sample);
uint32_t df_tape_first(const df_tape *tape);
/* The seed and all counters at once, to draw the same numbers a second time. */
typedef struct df_counters {
  uint64_t seed;
  uint32_t first;
  uint32_t drawn[DF_STREAMS];
} df_counters;
df_counters df_tape_counters(const df_tape *tape);
void df_tape_set_counters(df_tape *tape, df_counters counters);

/* -- scopes -------------------------------------------------------------------------- */
size_t df_scope_open(df_tape *tape);
void df_scope_close(df_tape *tape, size_t mark);
/* Closes, but hands `result` (NULL passes) to the scope outside. */
df_tensor *df_scope_yield(df_tape *tape, size_t mark, df_tensor *result);
/* Hands a fresh tensor to the scope, which releases it; NULL passes. */
df_tensor *df_scope_own(df_tape *tape, df_tensor *fresh);
/* A dense tensor of reals, undefined, owned by the scope. */
df_tensor *df_result(df_tape *tape, const df_shape *shape);

#endif
