/* Time and class as one vector, made once a call and read by every block. */
#ifndef df_time_embed_h
#define df_time_embed_h

#include "nn/layers.h"

/* t: B reals (1..T)   class: i64 B, 0 none, or NULL  ->  B, width
** `in` is the width of the sinusoid, even: cos and sin of t 10000^(-2k/in) (Vaswani et al.
** 2017, 3.5; the order of Dhariwal & Nichol 2021). */
df_layer *df_time_embed_layer(df_int in, df_int width, df_int classes);

#endif
