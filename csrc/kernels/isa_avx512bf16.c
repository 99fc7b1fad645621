/* What AVX512-BF16 does better than AVX-512: products of pairs. An empty unit where the
** compiler isn't asked for it. */
#if !defined(DF_DOUBLE) && defined(__AVX512BF16__)
#include "kernels/tables.h"
#include "kernels/vec_avx512bf16.h"

#include "kernels/body/pairs.h"

void df_pairs_avx512bf16(const df_pairs *p) { pairs(p); }

#endif
