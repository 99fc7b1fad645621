/* The kernels for any machine, and in double: the reference of all others. */
#include "kernels/tables.h"
#include "kernels/vec_scalar.h"
#include "kernels/body/bodies.h"

#define TABLE df_kernels_scalar
#define NAME  "scalar"
#include "kernels/body/table.h"
