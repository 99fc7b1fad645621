/* What check_pairs.c holds against the contract; each returns how many faults it found. */
#ifndef df_check_pairs_h
#define df_check_pairs_h

#include "kernels/kernels.h"

long df_check_pairs(const df_kernels *kernels); /* of one table */
long df_check_tiles(const df_kernels *kernels); /* in plain C; the table packs */

#endif
