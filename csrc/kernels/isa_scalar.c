/* The kernels for any machine and for double. They are the reference for the others. */
#include "kernels/tables.h"
#include "kernels/vec_scalar.h"
#include "kernels/body/bodies.h"

#define TABLE df_kernels_scalar
#define NAME  "scalar"
#include "kernels/body/table.h"
