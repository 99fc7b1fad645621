/* A convolution's operand as a tensor, between the op that writes it (norm) and the
** convolution that reads it. */
#ifndef df_ops_operand_h
#define df_ops_operand_h

#include "engine/operand.h"
#include "ops/tape.h"

/* A tensor in a form that isn't ROWS, of shape B, H, W, C, owned by the scope: pixels
** undefined, what is around them written. Its pixels are written by df_operand_put. */
df_tensor *df_operand_new(df_tape *tape, const df_shape *shape, df_form form);
df_operand df_operand_of(const df_tensor *x);

/* x (any form; ROWS: dense reals) as the engine reads it: B images of H, W, C. */
df_image df_tensor_image(const df_tensor *x, df_int B, df_int H, df_int W, df_int C);

#endif
