/* Boxes that the files on networks share. */
#ifndef dfl_model_h
#define dfl_model_h

#include "binding/binding.h"
#include "nn/home.h"
#include "nn/layers.h"

df_layer *dfl_layer(lua_State *L, int arg); /* raises unless a layer */

df_home *dfl_home(lua_State *L, int arg);

#define DFL_HOME "diffusion.home"

#endif
