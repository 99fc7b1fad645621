/* Names and sizes of the element types. */
#include "tensor/dtype.h"

#include <string.h>

static const struct {
  const char *name;
  int size;
} table[DF_DTYPES] = {
  [DF_F32] = { "f32", 4 },   [DF_F64] = { "f64", 8 }, [DF_F16] = { "f16", 2 },
  [DF_BF16] = { "bf16", 2 }, [DF_U8] = { "u8", 1 },   [DF_I64] = { "i64", 8 },
};

const char *df_dtype_name(df_dtype dtype) { return table[dtype].name; }

int df_dtype_size(df_dtype dtype) { return table[dtype].size; }

bool df_dtype_find(const char *name, df_dtype *dtype) {
  for (int i = 0; i < DF_DTYPES; i++)
    if (strcmp(table[i].name, name) == 0) return *dtype = (df_dtype)i, true;
  return false;
}

bool df_dtype_is_float(df_dtype dtype) { return dtype != DF_U8 && dtype != DF_I64; }
