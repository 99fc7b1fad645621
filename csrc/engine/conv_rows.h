/* A 1 x 1 kernel of stride 1 without padding, on plain rows: products of matrices. */
#ifndef df_conv_rows_h
#define df_conv_rows_h

#include "engine/conv.h"

extern const df_algorithm df_conv_rows;

#endif
