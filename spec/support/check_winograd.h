/* What check_winograd.c holds against the contract; returns how many faults it found. */
#ifndef df_check_winograd_h
#define df_check_winograd_h

#include "kernels/kernels.h"

long df_check_winograd(const df_kernels *kernels);

#endif
