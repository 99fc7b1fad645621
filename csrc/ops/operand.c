/* A convolution's operand as a tensor. Its storage has the operand's size, its shape is
** B, H, W, C. */
#include "ops/operand.h"

static df_operand operand(df_form form, df_real *at, const df_shape *shape) {
  const df_int *s = shape->size; /* B, H, W, C */
  return (df_operand){ form, at, s[0], s[1], s[2], s[3] };
}

df_tensor *df_operand_new(df_tape *tape, const df_shape *shape, df_form form) {
  df_operand o = operand(form, NULL, shape);
  df_shape flat = { .ndim = 1, .size = { df_operand_size(&o) } };
  df_tensor *x = df_result(tape, &flat);
  if (!x) return NULL;
  x->shape = *shape;
  x->form = form;
  df_shape_strides(shape, x->stride);
  o.at = df_tensor_reals(x);
  df_operand_clear(&o);
  return x;
}

df_operand df_operand_of(const df_tensor *x) {
  return operand(x->form, df_tensor_reals(x), &x->shape);
}

df_image df_tensor_image(const df_tensor *x, df_int B, df_int H, df_int W, df_int C) {
  return df_image_of(x->form, df_tensor_reals(x), B, H, W, C);
}
