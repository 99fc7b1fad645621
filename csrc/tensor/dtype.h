/* Element types: reals, integers, and 16-bit formats in which weights may be stored. */
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
  DF_DTYPES
} df_dtype;

#ifdef DF_DOUBLE
#define DF_REAL DF_F64
#else
#define DF_REAL DF_F32
#endif

const char *df_dtype_name(df_dtype dtype);        /* "f32" */
int df_dtype_size(df_dtype dtype);                /* bytes */
bool df_dtype_find(const char *name, df_dtype *); /* false: no such name */
bool df_dtype_is_float(df_dtype dtype);

#endif
