/* What AMX does better than AVX-512: products of pairs, in tiles. An empty unit where the
** compiler isn't asked for it. */
#if !defined(DF_DOUBLE) && defined(__AMX_BF16__)
#include "kernels/tables.h"
#include "kernels/tile_amx.h"
#include "kernels/vec_avx512.h"

#include "kernels/body/tiles.h"

void df_pairs_amx(const df_pairs *p) { tiles(p); }

#endif
