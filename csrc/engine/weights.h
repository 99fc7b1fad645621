/* Weights as they are stored: any float type, in ggml's blocks too, any strides. They are
** read as reals, a block at a time, so packing needs no dense copy of them. */
#ifndef df_weights_h
#define df_weights_h

#include "base/base.h"
#include "base/error.h"

/* y = n adjacent elements from element `at` of x on */
typedef void df_weight_reader(df_real *y, const void *x, df_int at, df_int n);

/* Element (i, r, s, j) of weights K, R, S, C is i k_step + r r_step + s s_step + j c_step
** elements behind element `at` of `data`. */
typedef struct df_weights {
  const char *data;
  df_int at;
  int bytes;              /* bytes of an element; 0: they are in blocks */
  df_weight_reader *read; /* NULL: the elements are reals */
  df_int K, R, S, C;
  df_int k_step, r_step, s_step, c_step;
} df_weights;

/* The type of weights in a pack. f16 and bf16 hold the weights of a file in 16 bits
** without loss, in the file's memory. They become reals in each product. */
typedef enum df_pack_type { DF_PACK_REALS, DF_PACK_F16, DF_PACK_BF16 } df_pack_type;

/* The outputs [from, from + n); the inputs [from, from + n). */
df_weights df_weights_outputs(const df_weights *w, df_int from, df_int n);
df_weights df_weights_inputs(const df_weights *w, df_int from, df_int n);

/* Outputs [k, k + K), all taps, inputs [c, c + C) as reals. Element (i, t, j) of the
** block is at[i row + t tap + j]. */
typedef struct df_weight_block {
  df_int k, K, c, C;
  const df_real *at;
  df_int row, tap;
} df_weight_block;

typedef void df_weight_task(const void *context, const df_weight_block *block);

/* Calls `task` for blocks of `outputs` x `inputs`, over the pool. One of the two may be
** DF_WEIGHTS_ALL. It is then all of them if the weights are read in place, else a
** multiple of 32. */
#define DF_WEIGHTS_ALL 0
df_code df_weights_each(const df_weights *w, df_int outputs, df_int inputs,
                        df_weight_task *task, const void *context);

#endif
