/* Tensors in PLANES form, between the op that writes a convolution's operand (norm) and
** the convolution. */
#ifndef df_planes_h
#define df_planes_h

#include "engine/operand.h"
#include "ops/tape.h"

/* A tensor in PLANES form of shape B, H, W, C, owned by the scope: pixels undefined, the
** zeros around them written. Its pixels are written through df_operand_line. */
df_tensor *df_planes_new(df_tape *tape, const df_shape *shape);

/* x (PLANES, or dense reals) as the engine reads it: B images of H, W, C. */
df_image df_planes_image(const df_tensor *x, df_int B, df_int H, df_int W, df_int C);

#endif
