/* Products of pairs in AMX tiles; the rest comes from AVX-512. The unit is empty if the
** compiler does not target AMX. */
#if !defined(DF_DOUBLE) && defined(__AMX_BF16__)
#include "kernels/tables.h"
#include "kernels/tile_amx.h"
#include "kernels/vec_avx512.h"

#include "kernels/body/tiles.h"

void df_pairs_amx(const df_pairs *p) { tiles(p); }

#endif
