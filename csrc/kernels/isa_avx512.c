/* The kernels for AVX-512; an empty unit where the compiler isn't asked for it. */
#if !defined(DF_DOUBLE) && defined(__AVX512BW__) && defined(__AVX512DQ__)                \
    && defined(__AVX512VL__)
#include "kernels/tables.h"
#include "kernels/vec_avx512.h"

#define TABLE df_kernels_avx512
#define NAME  "avx512"
#include "kernels/body/table.h"

#endif
