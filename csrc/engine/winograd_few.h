/* Few of Winograd's tiles: their weights are transformed in registers. Tiles are worked
** in groups, as many as the registers hold. */
#ifndef df_winograd_few_h
#define df_winograd_few_h

#include "engine/winograd.h"

/* True if this is the faster way. The results have the same bits. */
bool df_winograd_few_pays(const df_winograd *w);

df_int df_winograd_few_groups(const df_winograd *w); /* number of groups */

/* v: the tiles of a group, in the place of 36 C reals for each tile. `zero` and `copy`
** are those of df_winograd_inputs; `room` has df_winograd_few_room reals. */
df_int df_winograd_few_room(const df_winograd *w);
void df_winograd_few_inputs(const df_winograd *w, df_real *v, const df_real *zero,
                            df_real *copy, df_real *room, df_int group);

/* As df_winograd_multiply, for all points and tiles. The 9 taps of these channels are
** adjacent, n x panel each. */
void df_winograd_few_multiply(const df_winograd *w, df_real *m, const df_real *v,
                              const df_real *taps, df_int c, df_int n);

#endif
