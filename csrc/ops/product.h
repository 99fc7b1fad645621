/* Linear and conv2d are both the engine's convolution, with packed weights. Packing reads
** any float type and strides. Packed frozen weights are cached in the weights' storage,
** until it is written to, while their budget has room (base/kept.h). Others are packed in
** each product, a block of columns at a time. The algorithm depends on the type of the
** weights, and never on what is cached, so the bits are the same. */
#ifndef df_ops_product_h
#define df_ops_product_h

#include "engine/conv.h"
#include "ops/tape.h"

/* y = conv(x, w) + b + add; b and add may be NULL. y, b and add are dense reals. x is
** too, or it has the form that df_conv_form asked for. w has any float type. Returns y,
** or NULL. */
df_tensor *df_product_forward(df_tape *tape, df_tensor *y, const df_tensor *x,
                              df_tensor *w, const df_tensor *b, const df_tensor *add,
                              const df_conv *c);

/* Does task(context, row, rows) with rows of y, which are in `room` meanwhile. */
typedef void df_rows_task(void *context, df_int row, df_int rows);

/* y of a linear layer, `most` rows at a time, for who needs them only once. `room` is a
** dense tensor of at least `most` rows. Nothing is noted. */
df_code df_product_rows(df_tape *tape, df_tensor *room, const df_tensor *x, df_tensor *w,
                        const df_tensor *b, const df_conv *c, df_int most,
                        df_rows_task *task, void *context);

/* For a node of operands x, w, b that keeps x and w, with a df_conv as its data. */
df_code df_product_backward(df_tape *tape, df_node *node, df_tensor *dy);

#endif
