/* Weights packed for the kernel `rows`: in panels of columns, with zeros behind the last
** column. */
#ifndef df_panel_h
#define df_panel_h

#include "engine/weights.h"

df_int df_packed_size(df_int C, df_int K); /* in elements */

/* Packs C x n weights, n <= panel, on this thread. Element (c, k) is w[c sc + k sk]. They
** are rounded to bf16 if asked. */
void df_pack_panel(df_real *packed, const df_real *w, df_int C, df_int sc, df_int n,
                   df_int sk, bool round);

/* A pack of any type. */
typedef struct df_panels {
  void *at;
  df_pack_type type;
  bool round;
} df_panels;
size_t df_panels_bytes(df_pack_type type, df_int size);

/* As df_pack_panel, from element `first` of the pack on. */
void df_panels_put(const df_panels *p, df_int first, const df_real *w, df_int C,
                   df_int sc, df_int n, df_int sk);

/* Packs panels whose columns are outputs. A column has the inputs of all taps, tap by
** tap. */
df_code df_panels_outputs(const df_panels *p, const df_weights *w);

/* Elements [first, first + n) as reals: in place, or in `room`. */
const df_real *df_panels_reals(const void *packed, df_pack_type type, df_int first,
                               df_int n, df_real *room);

#endif
