/* Checks of check_winograd.c; returns the number of faults. */
#ifndef df_check_winograd_h
#define df_check_winograd_h

#include "kernels/kernels.h"

long df_check_winograd(const df_kernels *kernels);

#endif
