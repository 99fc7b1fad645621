/* A convolution's operand as a tensor, between the op that writes it (norm) and the
** convolution that reads it. */
#ifndef df_ops_operand_h
#define df_ops_operand_h

#include "engine/operand.h"
#include "ops/tape.h"

/* A tensor of shape B, H, W, C in a form that isn't ROWS, owned by the scope. Its pixels
** are undefined until df_operand_put writes them; the zeros around them are written. */
df_tensor *df_operand_new(df_tape *tape, const df_shape *shape, df_form form);
df_operand df_operand_of(const df_tensor *x);

/* x as the engine reads it: B images of H, W, C. x has any form; in ROWS it is dense
** reals. */
df_image df_tensor_image(const df_tensor *x, df_int B, df_int H, df_int W, df_int C);

#endif
