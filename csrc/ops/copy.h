/* Copies between tensors, and between types of elements. They don't know the tape, so
** they have no gradients. */
#ifndef df_copy_h
#define df_copy_h

#include "tensor/tensor.h"

/* n elements from one type to another; the same type is a copy */
void df_dtype_convert(df_dtype to, void *y, df_dtype from, const void *x, df_int n);

/* Copies between equal shapes of any types and strides, in order. */
void df_tensor_copy(df_tensor *y, const df_tensor *x);

#endif
