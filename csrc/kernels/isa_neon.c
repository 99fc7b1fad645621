/* The kernels for NEON. The unit is empty if the compiler does not target NEON. */
#if !defined(DF_DOUBLE) && defined(__aarch64__)
#include "kernels/tables.h"
#include "kernels/vec_neon.h"
#include "kernels/body/bodies.h"

#define TABLE df_kernels_neon
#define NAME  "neon"
#include "kernels/body/table.h"

#endif
