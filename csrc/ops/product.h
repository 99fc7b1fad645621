/* What linear and conv2d share: both are the engine's convolution, of packed weights. Of
** weights that aren't learnt they are kept, in the body of the weights' storage, for as
** long as nobody writes to it. */
#ifndef df_ops_product_h
#define df_ops_product_h

#include "engine/conv.h"
#include "ops/tape.h"

/* y = conv(x, w) + b + add; b and add may be NULL. y, b and add are dense reals, x is too
** or in a form that df_conv_form wished for; w of any float type. Returns y, or NULL. */
df_tensor *df_product_forward(df_tape *tape, df_tensor *y, const df_tensor *x,
                              df_tensor *w, const df_tensor *b, const df_tensor *add,
                              const df_conv *c);

/* For a node of operands x, w, b that kept x and w, with a df_conv as its data. */
df_code df_product_backward(df_tape *tape, df_node *node, df_tensor *dy);

#endif
