/* Words shared by every room: the integer of sizes, and the real number of this build.
** core.so computes in float; core64.so is the same sources with DF_DOUBLE, the build
** in which gradients and theory are verified. */
#ifndef df_base_h
#define df_base_h

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

typedef ptrdiff_t df_int;

#ifdef DF_DOUBLE
typedef double df_real;
#else
typedef float df_real;
#endif

/* How products are computed (d.precision): IEEE single precision; 1e-5 relative L2 or
** better; operands rounded to bf16, added in single precision. */
typedef enum df_precision { DF_HIGHEST, DF_HIGH, DF_MEDIUM } df_precision;

/* How images lie. ROWS: as a tensor's strides say. The other forms are a convolution's
** operand with zeros around the images; only engine/operand knows their layout. PADDED holds
** reals, HALF reals rounded to bf16, HALVES the rounded reals and the rest, both in bf16. */
typedef enum df_form { DF_ROWS, DF_PADDED, DF_HALF, DF_HALVES } df_form;

#define DF_ALIGN 64 /* bytes; a cache line, and the widest vector */

static inline df_int df_min(df_int a, df_int b) { return a < b ? a : b; }
static inline df_int df_max(df_int a, df_int b) { return a > b ? a : b; }
static inline df_int df_ceil_div(df_int a, df_int b) { return (a + b - 1) / b; }

#endif
