/* Names and sizes of the element types. */
#include "tensor/dtype.h"

#include <string.h>

static const struct {
  const char *name;
  int size;
} table[DF_DTYPES] = {
  [DF_F32] = { "f32", 4 },    [DF_F64] = { "f64", 8 },    [DF_F16] = { "f16", 2 },
  [DF_BF16] = { "bf16", 2 },  [DF_U8] = { "u8", 1 },      [DF_I64] = { "i64", 8 },
  [DF_Q8_0] = { "q8_0", 34 }, [DF_Q4_0] = { "q4_0", 18 }, [DF_Q4_1] = { "q4_1", 20 },
  [DF_Q5_0] = { "q5_0", 22 }, [DF_Q5_1] = { "q5_1", 24 },
};

const char *df_dtype_name(df_dtype dtype) { return table[dtype].name; }

int df_dtype_size(df_dtype dtype) { return table[dtype].size; }

bool df_dtype_in_blocks(df_dtype dtype) { return dtype >= DF_Q8_0; }

df_int df_dtype_bytes(df_dtype dtype, df_int n) {
  return (df_dtype_in_blocks(dtype) ? n / DF_BLOCK_ELEMENTS : n) * table[dtype].size;
}

bool df_dtype_find(const char *name, df_dtype *dtype) {
  for (int i = 0; i < DF_DTYPES; i++)
    if (strcmp(table[i].name, name) == 0) return *dtype = (df_dtype)i, true;
  return false;
}

bool df_dtype_is_float(df_dtype dtype) { return dtype != DF_U8 && dtype != DF_I64; }
