/* Element types: reals, integers, and the formats in which weights may be stored: of 16
** bits, and ggml's blocks. */
#ifndef df_dtype_h
#define df_dtype_h

#include "base/base.h"

typedef enum df_dtype {
  DF_F32,  /* core.so computes in this */
  DF_F64,  /* core64.so computes in this */
  DF_F16,  /* storage of weights; computed as reals */
  DF_BF16, /* as f16 */
  DF_U8,   /* images, masks */
  DF_I64,  /* classes, indices */
  DF_Q8_0, /* blocks of ggml, which are only read: f16 scale, 32 numbers of 8 bits */
  DF_Q4_0, /* f16 scale, 32 numbers of 4 bits */
  DF_Q4_1, /* f16 scale and least value, 32 numbers of 4 bits */
  DF_Q5_0, /* f16 scale, the fifth bits, 32 numbers of 4 bits */
  DF_Q5_1, /* f16 scale and least value, the fifth bits, 32 numbers of 4 bits */
  DF_DTYPES
} df_dtype;

#ifdef DF_DOUBLE
#define DF_REAL DF_F64
#else
#define DF_REAL DF_F32
#endif

#define DF_BLOCK_ELEMENTS 32

const char *df_dtype_name(df_dtype dtype); /* "f32" */
int df_dtype_size(df_dtype dtype);         /* bytes of an element, or of a block */
bool df_dtype_in_blocks(df_dtype dtype);   /* elements have no address of their own */
df_int df_dtype_bytes(df_dtype dtype, df_int n);  /* n elements take; whole blocks */
bool df_dtype_find(const char *name, df_dtype *); /* false: no such name */
bool df_dtype_is_float(df_dtype dtype);

#endif
