/* The kernels for NEON; an empty unit where the compiler isn't asked for it. */
#if !defined(DF_DOUBLE) && defined(__aarch64__)
#include "kernels/tables.h"
#include "kernels/vec_neon.h"
#include "kernels/body/bodies.h"

#define TABLE df_kernels_neon
#define NAME  "neon"
#include "kernels/body/table.h"

#endif
