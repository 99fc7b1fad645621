/* These are convolutions as products of shifted rows: forward, and backward to the data.
** A kernel of R x S is R taps of S C adjacent reals of a padded line, so no columns are
** copied. Backward with stride s is s x s such passes over dy, each with the part of the
** kernel that meets its pixels. So nothing is gathered twice, and nothing is added
** atomically. */
#ifndef df_conv_tap_h
#define df_conv_tap_h

#include "engine/conv.h"

extern const df_algorithm df_conv_taps;

/* Backward to the data along one dimension. The outputs i with (i + before) mod stride =
** phase start at `first`:
**   i = first, first + stride, ...    entries of dy: j0 - (taps - 1), ..., j0
** They are read through these entries of the kernel:
**   phase + stride (taps - 1), ..., phase + stride, phase */
typedef struct df_phase {
  df_int phase, taps, first, count, before;
} df_phase;

df_phase df_phase_of(df_int at, df_int kernel, df_int stride, df_int before, df_int size);

#endif
