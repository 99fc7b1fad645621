/* Checks of check_pairs.c; each returns the number of faults. */
#ifndef df_check_pairs_h
#define df_check_pairs_h

#include "kernels/kernels.h"

long df_check_pairs(const df_kernels *kernels); /* one table */
long df_check_tiles(const df_kernels *kernels); /* in plain C; the table packs */

#endif
