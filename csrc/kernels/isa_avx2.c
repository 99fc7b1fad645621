/* The kernels for AVX2. The unit is empty if the compiler does not target AVX2. */
#if !defined(DF_DOUBLE) && defined(__AVX2__) && defined(__FMA__) && defined(__F16C__)
#include "kernels/tables.h"
#include "kernels/vec_avx2.h"
#include "kernels/body/bodies.h"

#define TABLE df_kernels_avx2
#define NAME  "avx2"
#include "kernels/body/table.h"

#endif
