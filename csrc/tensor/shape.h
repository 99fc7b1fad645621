/* Sizes and strides: counting, broadcasting, and shapes as text. */
#ifndef df_shape_h
#define df_shape_h

#include "base/base.h"

#define DF_DIMS 8

typedef struct df_shape {
  int ndim;
  df_int size[DF_DIMS];
} df_shape;

df_int df_shape_count(const df_shape *s); /* elements; -1: too many */
bool df_shape_equal(const df_shape *a, const df_shape *b);
void df_shape_strides(const df_shape *s, df_int *stride); /* dense, row-major */

/* The broadcast shape of a and b. Shapes are aligned at the last dimension, and sizes of
** 1 are repeated. Returns false if the sizes do not match. */
bool df_shape_broadcast(const df_shape *a, const df_shape *b, df_shape *out);

/* The shape as text, "[8,28,28,1]". The text is valid until eight more calls on this
** thread. */
const char *df_shape_text(const df_shape *s);

#endif
