/* Layers in Lua: making, calling, and the fields weight, bias and parts. lua/diffusion/nn
** checks options and gives their defaults. */
#include <stdlib.h>
#include <string.h>

#include "binding/lmodel.h"
#include "nn/kinds.h"

#define DFL_LAYER "diffusion.layer"

/* ==== boxes ========================================================================= */

typedef struct layer_box {
  df_layer *layer;
} layer_box;

df_layer **dfl_new_layer(lua_State *L) {
  layer_box *b = lua_newuserdatauv(L, sizeof *b, 0);
  b->layer = NULL;
  luaL_setmetatable(L, DFL_LAYER);
  return &b->layer;
}

df_layer *dfl_layer(lua_State *L, int arg) {
  const layer_box *b = luaL_checkudata(L, arg, DFL_LAYER);
  return dfl_living(L, arg, b->layer);
}

static void push_layer(lua_State *L, df_layer *layer) {
  df_layer **box = dfl_new_layer(L);
  *box = df_layer_retain(layer);
}

static int l_gc(lua_State *L) {
  layer_box *b = luaL_checkudata(L, 1, DFL_LAYER);
  df_layer *layer = b->layer;
  b->layer = NULL;
  df_layer_release(layer);
  return 0;
}

static int l_eq(lua_State *L) {
  lua_pushboolean(L, dfl_layer(L, 1) == dfl_layer(L, 2));
  return 1;
}

/* ==== making ======================================================================== */

/* The value at the top of the stack, as option `o` of the layer. */
static void read_option(lua_State *L, const df_option *o, df_layer_opts *to) {
  char *at = (char *)to + o->at;
  switch (o->type) {
  case DF_OPTION_INT: *(df_int *)at = dfl_field_int(L, 2, o->name, 0); break;
  case DF_OPTION_REAL: *(double *)at = dfl_field_number(L, 2, o->name, 0); break;
  case DF_OPTION_FLAG: *(bool *)at = dfl_field_flag(L, 2, o->name, false); break;
  }
}

static df_layer_opts options(lua_State *L, const df_kind_row *kind) {
  df_layer_opts o = { .in = 0 };
  if (lua_isnoneornil(L, 2)) return o;
  luaL_checktype(L, 2, LUA_TTABLE);
  for (lua_pushnil(L); lua_next(L, 2); lua_pop(L, 1)) {
    const char *name = lua_type(L, -2) == LUA_TSTRING ? lua_tostring(L, -2) : "";
    const df_option *option = df_layer_option(kind, name);
    if (option) read_option(L, option, &o);
    else
      luaL_argerror(
          L, 2,
          lua_pushfstring(L, "%s has no option '%s'", kind->name, dfl_briefly(L, -2)));
  }
  return o;
}

/* core.layer(kind, options) -> layer. Options left out are 0 or false. */
static int l_make(lua_State *L) {
  const df_kind_row *kind = df_layer_kind(luaL_checkstring(L, 1));
  if (!kind)
    return luaL_argerror(
        L, 1, lua_pushfstring(L, "no kind of layer is named '%s'", dfl_briefly(L, 1)));
  lua_settop(L, 2);
  const df_layer_opts o = options(L, kind);
  df_layer **box = dfl_new_layer(L);
  *box = kind->make(&o);
  return *box ? 1 : dfl_raise(L);
}

/* core.parameter(tensor) -> layer that is one parameter */
static int l_parameter(lua_State *L) {
  df_tensor *value = dfl_tensor(L, 1);
  df_layer **box = dfl_new_layer(L);
  *box = df_parameter_layer(value);
  return *box ? 1 : dfl_raise(L);
}

/* ==== the call ====================================================================== */

static df_tensor *run_call(lua_State *L, df_tape *tape) {
  df_tensor *x[DF_INPUTS] = { NULL };
  int n = lua_gettop(L) - 1;
  df_layer *layer = dfl_layer(L, 1);
  for (int i = 0; i < n && i < DF_INPUTS; i++) x[i] = dfl_tensor_or_nil(L, i + 2);
  for (int i = 0; i < n && i < layer->kind->least; i++)
    if (!x[i]) luaL_argerror(L, i + 2, "a tensor expected, got nil");
  if (x[0] && !df_dtype_is_float(x[0]->dtype) && !layer->kind->whole) dfl_floats(L, 2);
  return df_layer_call(tape, layer, x, n);
}

static int l_call(lua_State *L) { return dfl_run(L, run_call); }

/* ==== fields ======================================================================== */

static int push_value(lua_State *L, const df_layer *layer, const df_param *p) {
  char text[96];
  if (p->value) return dfl_push(L, p->value), 1;
  if (p->init.given) return dfl_push(L, p->init.given), 1;
  df_layer_text(layer, text, sizeof text);
  return luaL_error(L,
                    "%s has no values yet: nn.model(root) packs a network and gives "
                    "its layers their first values",
                    text);
}

/*** class diffusion.layer
** A part of a network, called with tensors once nn.model has given it values; its parts,
** if it has any, are fields.
** @field weight diffusion.tensor|nil
** @field bias diffusion.tensor|nil */

/* layer.weight, layer.bias, or a part by name or number */
static int l_index(lua_State *L) {
  const df_layer *layer = dfl_layer(L, 1);
  lua_pushvalue(L, 2);
  const char *name = luaL_tolstring(L, -1, NULL);
  if (strcmp(name, "weight") == 0 && layer->weight)
    return push_value(L, layer, layer->weight);
  if (strcmp(name, "bias") == 0 && layer->bias) return push_value(L, layer, layer->bias);
  const df_layer *part = *name ? df_layer_part(layer, name) : NULL;
  if (part) push_layer(L, (df_layer *)part);
  else luaL_pushfail(L);
  return 1;
}

static int l_tostring(lua_State *L) {
  char text[160];
  df_layer_text(dfl_layer(L, 1), text, sizeof text);
  lua_pushstring(L, text);
  return 1;
}

/* core.layer_parts(layer) -> list of {name, layer}; parts without a name are left out */
static int l_parts(lua_State *L) {
  const df_layer *layer = dfl_layer(L, 1);
  int n = 0;
  lua_createtable(L, layer->parts, 0);
  for (int i = 0; i < layer->parts; i++) {
    if (!*layer->part[i].name) continue;
    lua_createtable(L, 2, 0);
    lua_pushstring(L, layer->part[i].name);
    lua_rawseti(L, -2, 1);
    push_layer(L, layer->part[i].layer);
    lua_rawseti(L, -2, 2);
    lua_rawseti(L, -2, ++n);
  }
  return 1;
}

/* core.layer_elements(layer) -> elements of its own parameters and its parts' */
static lua_Integer elements(const df_layer *layer) {
  df_int n = layer->weight ? df_param_count(layer->weight) : 0;
  if (layer->bias) n += df_param_count(layer->bias);
  for (int i = 0; i < layer->parts; i++) n += (df_int)elements(layer->part[i].layer);
  return (lua_Integer)n;
}

static int l_elements(lua_State *L) {
  lua_pushinteger(L, elements(dfl_layer(L, 1)));
  return 1;
}

static int l_kind(lua_State *L) {
  lua_pushstring(L, dfl_layer(L, 1)->kind->name);
  return 1;
}

static int l_set_eval(lua_State *L) {
  df_layer_set_eval(dfl_layer(L, 1), lua_toboolean(L, 2));
  return 0;
}

static int l_is_layer(lua_State *L) {
  lua_pushboolean(L, luaL_testudata(L, 1, DFL_LAYER) != NULL);
  return 1;
}

static const luaL_Reg functions[] = {
  { "layer", l_make },
  { "parameter", l_parameter },
  { "is_layer", l_is_layer },
  { "layer_parts", l_parts },
  { "layer_elements", l_elements },
  { "layer_kind", l_kind },
  { "layer_set_eval", l_set_eval },
  { NULL, NULL },
};

static const luaL_Reg meta[] = {
  { "__eq", l_eq },       { "__call", l_call },
  { "__index", l_index }, { "__tostring", l_tostring },
  { NULL, NULL },
};

void dfl_open_layer(lua_State *L) {
  dfl_functions(L, functions);
  luaL_newmetatable(L, DFL_LAYER);
  dfl_set_functions(L, meta);
  lua_pushcfunction(L, l_gc);
  lua_setfield(L, -2, "__gc");
  lua_pop(L, 1);
}
