/* Arithmetic. */
#include "binding/binding.h"

const luaL_Reg dfl_arithmetic[] = { { NULL, NULL } };
