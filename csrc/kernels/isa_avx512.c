/* The kernels for AVX-512. The unit is empty if the compiler does not target AVX-512. */
#if !defined(DF_DOUBLE) && defined(__AVX512BW__) && defined(__AVX512DQ__)                \
    && defined(__AVX512VL__)
#include "kernels/tables.h"
#include "kernels/vec_avx512.h"
#include "kernels/body/bodies.h"

#define TABLE df_kernels_avx512
#define NAME  "avx512"
#include "kernels/body/table.h"

/* Tables that take bf16 kernels from the units with bf16 instructions. */
#ifdef DF_HAVE_AVX512BF16
#define PLANES_AVX512BF16
#define TABLE      df_kernels_avx512bf16
#define NAME       "avx512bf16"
#define PAIRS      df_pairs_avx512bf16
#define PAIRS_STEP 2
#define PAIRS_PAY  1
#include "kernels/body/table.h"
#endif

#ifdef DF_HAVE_AMX
#define TABLE      df_kernels_amx
#define NAME       "amx"
#define PAIRS      df_pairs_amx
#define PAIRS_STEP 32
#define PAIRS_PAY  2
#include "kernels/body/table.h"
#endif

#endif
