/* Sizes and strides: counting, broadcasting, and shapes as text. */
#ifndef df_shape_h
#define df_shape_h

#include "base/base.h"

#define DF_DIMS 8

typedef struct df_shape {
  int ndim;
  df_int size[DF_DIMS];
} df_shape;

df_int df_shape_count(const df_shape *s); /* elements; -1: sizes too large */
bool df_shape_equal(const df_shape *a, const df_shape *b);
void df_shape_strides(const df_shape *s, df_int *stride); /* dense, last fastest */

/* The shape of a and b together, sizes of 1 stretched, aligned at the end. False where
** they don't fit. */
bool df_shape_broadcast(const df_shape *a, const df_shape *b, df_shape *out);

/* "[8,28,28,1]"; the text lives in a ring of buffers, long enough for one sentence. */
const char *df_shape_text(const df_shape *s);

#endif
