/* Checks of check_attend.c; returns the number of faults. */
#ifndef df_check_attend_h
#define df_check_attend_h

#include "kernels/kernels.h"

long df_check_attend(const df_kernels *kernels);

#endif
