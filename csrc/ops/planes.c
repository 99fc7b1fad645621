/* Tensors in PLANES form: storage of the operand's size under a shape of B, H, W, C. */
#include "ops/planes.h"

df_tensor *df_planes_new(df_tape *tape, const df_shape *shape) {
  const df_int *s = shape->size; /* B, H, W, C */
  df_shape flat = { .ndim = 1, .size = { df_operand_size(s[0], s[1], s[2], s[3]) } };
  df_tensor *x = df_result(tape, &flat);
  if (!x) return NULL;
  x->shape = *shape;
  x->form = DF_PLANES;
  df_shape_strides(shape, x->stride);
  df_operand_clear(df_tensor_reals(x), s[0], s[1], s[2], s[3]);
  return x;
}

df_image df_planes_image(const df_tensor *x, df_int B, df_int H, df_int W, df_int C) {
  const df_real *at = df_tensor_reals(x);
  return x->form == DF_PLANES ? df_image_planes(at, B, H, W, C)
                              : df_image_rows(at, B, H, W, C);
}
