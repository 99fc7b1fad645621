/* Definitions that every room uses: the integer type of sizes and the real type. core.so
** computes in float. core64.so is built from the same sources with DF_DOUBLE; gradients
** and theory are verified in it. */
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

/* Accuracy of matrix products (d.precision). DF_HIGHEST is IEEE single precision, and
** DF_HIGH has a relative L2 error of at most 1e-5. DF_MEDIUM rounds operands to bf16 and
** adds in single precision. */
typedef enum df_precision { DF_HIGHEST, DF_HIGH, DF_MEDIUM } df_precision;

/* Memory layout of images. ROWS follows the tensor's strides. The other forms are
** operands of convolutions, with zeros around the images. Only engine/operand knows their
** layout. PADDED holds reals; HALF holds reals rounded to bf16; HALVES also holds the
** rounding error as bf16. */
typedef enum df_form { DF_ROWS, DF_PADDED, DF_HALF, DF_HALVES } df_form;

#define DF_ALIGN 64 /* in bytes; a cache line, and the widest vector */

static inline df_int df_min(df_int a, df_int b) { return a < b ? a : b; }
static inline df_int df_max(df_int a, df_int b) { return a > b ? a : b; }
static inline df_int df_ceil_div(df_int a, df_int b) { return (a + b - 1) / b; }

#endif
