/* Boxes of layers and parameter buffers, which the files on networks share. */
#ifndef dfl_model_h
#define dfl_model_h

#include "binding/binding.h"
#include "nn/home.h"
#include "nn/layers.h"

df_layer *dfl_layer(lua_State *L, int arg); /* raises unless a layer */
/* Pushes an empty box, which the caller fills. The box comes before the layer, so nothing
** leaks if Lua has no memory. */
df_layer **dfl_new_layer(lua_State *L);

df_home *dfl_home(lua_State *L, int arg);
/* Those in the list at `arg`, in a userdata left on the stack. */
df_home **dfl_homes(lua_State *L, int arg, int *n);

#define DFL_HOME "diffusion.home"

#endif
