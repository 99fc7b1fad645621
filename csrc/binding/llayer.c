/* Layers in Lua: constructors, the call, and the fields weight, bias and parts. The Lua
** side (lua/diffusion/nn) has checked the names of options. */
#include <stdlib.h>
#include <string.h>

#include "binding/lmodel.h"
#include "nn/block.h"
#include "nn/dit.h"
#include "nn/mlp.h"
#include "nn/time_embed.h"
#include "nn/unet.h"

#define DFL_LAYER "diffusion.layer"

/* ==== boxes ========================================================================= */

typedef struct layer_box {
  df_layer *layer;
} layer_box;

static layer_box *new_box(lua_State *L) {
  layer_box *b = lua_newuserdatauv(L, sizeof *b, 0);
  b->layer = NULL;
  luaL_setmetatable(L, DFL_LAYER);
  return b;
}

df_layer *dfl_layer(lua_State *L, int arg) {
  const layer_box *b = luaL_checkudata(L, arg, DFL_LAYER);
  return dfl_living(L, arg, b->layer);
}

static void push_layer(lua_State *L, df_layer *layer) {
  new_box(L)->layer = df_layer_retain(layer);
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

/* ==== constructors ================================================================== */

typedef df_layer *maker(lua_State *L);

typedef struct row {
  const char *name;
  maker *build;
} row;

/* The box comes before the layer: nothing is lost where Lua's memory is short. */
static int l_make(lua_State *L) {
  const row *r = lua_touserdata(L, lua_upvalueindex(1));
  lua_settop(L, 1);
  layer_box *b = new_box(L);
  b->layer = r->build(L);
  return b->layer ? 1 : dfl_raise(L);
}

static df_int whole(lua_State *L, const char *name, df_int otherwise) {
  return dfl_field_int(L, 1, name, otherwise);
}

static double number(lua_State *L, const char *name, double otherwise) {
  return dfl_field_number(L, 1, name, otherwise);
}

static bool starts_at_zero(lua_State *L) { return dfl_field_flag(L, 1, "zero", false); }

/* What convolutions and blocks read; a field that isn't there has its usual value. */
static df_layer_opts options(lua_State *L) {
  df_layer_opts o = df_conv3_opts(whole(L, "inp", 0), whole(L, "out", 0));
  o.kernel = whole(L, "kernel", 3);
  o.conv.stride = whole(L, "stride", 1);
  o.conv.top = whole(L, "top", o.kernel / 2);
  o.conv.bottom = whole(L, "bottom", o.kernel / 2);
  o.conv.left = whole(L, "left", o.kernel / 2);
  o.conv.right = whole(L, "right", o.kernel / 2);
  o.norm.groups = whole(L, "groups", 0);
  o.norm.tiny = number(L, "tiny", 1e-5);
  o.norm.silu = dfl_field_flag(L, 1, "silu", true);
  o.keep = 1 - number(L, "drop", 0);
  o.norm.keep = o.keep;
  o.heads = whole(L, "heads", 1);
  o.times = whole(L, "times", 2);
  o.width = whole(L, "width", 0);
  o.bias = dfl_field_flag(L, 1, "bias", true);
  o.zero = starts_at_zero(L);
  return o;
}

static df_layer *make_linear(lua_State *L) {
  return df_linear_layer(whole(L, "inp", 0), whole(L, "out", 0),
                         dfl_field_flag(L, 1, "bias", true), starts_at_zero(L));
}

static df_layer *make_conv(lua_State *L) {
  const df_layer_opts o = options(L);
  return df_conv_layer(&o);
}

static df_layer *make_norm_conv(lua_State *L) {
  const df_layer_opts o = options(L);
  return df_norm_conv_layer(&o);
}

static df_layer *make_res_block(lua_State *L) {
  const df_layer_opts o = options(L);
  return df_res_block_layer(&o);
}

static df_layer *make_attention(lua_State *L) {
  const df_layer_opts o = options(L);
  return df_attention_layer(&o);
}

static df_layer *make_upsample(lua_State *L) {
  const df_layer_opts o = options(L);
  return df_upsample_layer(&o);
}

static df_layer *make_downsample(lua_State *L) {
  const df_layer_opts o = options(L);
  return df_downsample_layer(&o);
}

static df_layer *make_group_norm(lua_State *L) {
  return df_group_norm_layer(whole(L, "inp", 0), whole(L, "groups", 0),
                             number(L, "tiny", 1e-5));
}

static df_layer *make_layer_norm(lua_State *L) {
  return df_layer_norm_layer(whole(L, "inp", 0), number(L, "tiny", 1e-5));
}

static df_layer *make_embedding(lua_State *L) {
  return df_embedding_layer(whole(L, "inp", 0), whole(L, "out", 0));
}

static df_layer *make_sinusoid(lua_State *L) {
  const df_sinusoid_opts o = { .width = whole(L, "width", 0),
                               .max_period = number(L, "max_period", 10000),
                               .shift = number(L, "shift", 0),
                               .sin_first = dfl_field_flag(L, 1, "sin_first", false) };
  return df_sinusoid_layer(&o);
}

static df_layer *make_dropout(lua_State *L) {
  return df_dropout_layer(1 - number(L, "drop", 0.5));
}

static df_layer *make_silu(lua_State *L) {
  (void)L;
  return df_silu_layer();
}

static df_layer *make_gelu(lua_State *L) {
  (void)L;
  return df_gelu_layer();
}

static df_layer *make_parameter(lua_State *L) {
  return df_parameter_layer(dfl_tensor(L, 1));
}

static df_layer *make_time_embed(lua_State *L) {
  return df_time_embed_layer(whole(L, "inp", 0), whole(L, "out", 0),
                             whole(L, "classes", 0));
}

static df_layer *make_mlp(lua_State *L) {
  const df_mlp_opts o = { .dim = whole(L, "dim", 0),
                          .hidden = whole(L, "hidden", 0),
                          .depth = whole(L, "depth", 0),
                          .classes = whole(L, "classes", 0),
                          .outputs = whole(L, "outputs", 1),
                          .self_condition = dfl_field_flag(L, 1, "self_condition", false),
                          .recompute = dfl_field_flag(L, 1, "recompute", false) };
  return df_mlp(&o);
}

/* A network's list of whole numbers, at most `most`; returns how many. No list: none. */
static int whole_list(lua_State *L, const char *network, const char *name, df_int *list,
                      int most) {
  int kind = lua_getfield(L, 1, name);
  if (kind != LUA_TTABLE && kind != LUA_TNIL)
    luaL_error(L, "%s: '%s' must be a list of whole numbers, got a %s", network, name,
               lua_typename(L, kind));
  int n = kind == LUA_TNIL ? 0 : dfl_list(L, -1, 1), whole = 1;
  if (n > most)
    luaL_error(L, "%s: '%s' has %d entries, at most %d are possible", network, name, n,
               most);
  for (int i = 1; i <= n; i++) {
    lua_rawgeti(L, -1, i);
    list[i - 1] = (df_int)lua_tointegerx(L, -1, &whole);
    if (!whole)
      luaL_error(L, "%s: '%s' must be whole numbers, entry %d is a %s", network, name, i,
                 luaL_typename(L, -1));
    lua_pop(L, 1);
  }
  lua_pop(L, 1);
  return n;
}

static df_layer *make_unet(lua_State *L) {
  df_int image[3] = { 0 };
  luaL_checktype(L, 1, LUA_TTABLE);
  whole_list(L, "unet", "image", image, 3);
  df_unet_opts o = { .H = image[0], .W = image[1], .C = image[2] };
  o.channels = whole(L, "channels", 0);
  o.levels = whole_list(L, "unet", "mult", o.mult, DF_LEVELS);
  o.attentions = whole_list(L, "unet", "attention", o.attention, DF_LEVELS);
  o.blocks = whole(L, "blocks", 0);
  o.heads = whole(L, "heads", 1);
  o.groups = whole(L, "groups", 0);
  o.classes = whole(L, "classes", 0);
  o.outputs = whole(L, "outputs", 1);
  o.dropout = number(L, "dropout", 0);
  o.self_condition = dfl_field_flag(L, 1, "self_condition", false);
  o.recompute = dfl_field_flag(L, 1, "recompute", false);
  return df_unet(&o);
}

static df_layer *make_dit(lua_State *L) {
  df_int image[3] = { 0 };
  luaL_checktype(L, 1, LUA_TTABLE);
  whole_list(L, "dit", "image", image, 3);
  const df_dit_opts o = { .H = image[0],
                          .W = image[1],
                          .C = image[2],
                          .patch = whole(L, "patch", 2),
                          .width = whole(L, "width", 0),
                          .heads = whole(L, "heads", 1),
                          .depth = whole(L, "depth", 0),
                          .ratio = whole(L, "ratio", 4),
                          .classes = whole(L, "classes", 0),
                          .outputs = whole(L, "outputs", 1),
                          .dropout = number(L, "dropout", 0),
                          .self_condition = dfl_field_flag(L, 1, "self_condition", false),
                          .recompute = dfl_field_flag(L, 1, "recompute", false) };
  return df_dit(&o);
}

static const row constructors[] = {
  { "linear", make_linear },
  { "conv", make_conv },
  { "norm_conv", make_norm_conv },
  { "res_block", make_res_block },
  { "attention", make_attention },
  { "upsample", make_upsample },
  { "downsample", make_downsample },
  { "group_norm", make_group_norm },
  { "layer_norm", make_layer_norm },
  { "embedding", make_embedding },
  { "sinusoid", make_sinusoid },
  { "dropout", make_dropout },
  { "silu", make_silu },
  { "gelu", make_gelu },
  { "parameter", make_parameter },
  { "time_embed", make_time_embed },
  { "mlp", make_mlp },
  { "unet", make_unet },
  { "dit", make_dit },
  { NULL, NULL },
};

/* ==== the call ====================================================================== */

/* Times and classes may be whole numbers; the x of all other layers may not. */
static bool takes_whole(const df_layer *layer) {
  static const char *const kinds[] = { "embedding", "sinusoid", "time_embed", NULL };
  for (const char *const *kind = kinds; *kind; kind++)
    if (strcmp(layer->kind->name, *kind) == 0) return true;
  return false;
}

static df_tensor *run_call(lua_State *L, df_tape *tape) {
  df_tensor *x[DF_INPUTS] = { NULL };
  int n = lua_gettop(L) - 1;
  df_layer *layer = dfl_layer(L, 1);
  for (int i = 0; i < n && i < DF_INPUTS; i++) x[i] = dfl_tensor_or_nil(L, i + 2);
  for (int i = 0; i < n && i < layer->kind->least; i++)
    if (!x[i]) luaL_argerror(L, i + 2, "a tensor expected, got nil");
  if (x[0] && !df_dtype_is_float(x[0]->dtype) && !takes_whole(layer)) dfl_floats(L, 2);
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
  const df_layer *part = df_layer_part(layer, name);
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

/* core.layer_parts(layer) -> list of {name, layer} */
static int l_parts(lua_State *L) {
  const df_layer *layer = dfl_layer(L, 1);
  lua_createtable(L, layer->parts, 0);
  for (int i = 0; i < layer->parts; i++) {
    lua_createtable(L, 2, 0);
    lua_pushstring(L, layer->part[i].name);
    lua_rawseti(L, -2, 1);
    push_layer(L, layer->part[i].layer);
    lua_rawseti(L, -2, 2);
    lua_rawseti(L, -2, i + 1);
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
  { "is_layer", l_is_layer },       { "layer_parts", l_parts },
  { "layer_elements", l_elements }, { "layer_kind", l_kind },
  { "layer_set_eval", l_set_eval }, { NULL, NULL },
};

static const luaL_Reg meta[] = {
  { "__eq", l_eq },       { "__call", l_call },
  { "__index", l_index }, { "__tostring", l_tostring },
  { NULL, NULL },
};

void dfl_open_layer(lua_State *L) {
  static const luaL_Reg make = { "layer", l_make };
  dfl_functions(L, functions);
  luaL_newmetatable(L, DFL_LAYER);
  dfl_set_functions(L, meta);
  lua_pushcfunction(L, l_gc);
  lua_setfield(L, -2, "__gc");
  lua_pop(L, 1);
  lua_getfield(L, LUA_REGISTRYINDEX, "diffusion.core");
  lua_newtable(L);
  for (const row *r = constructors; r->name; r++) {
    lua_pushlightuserdata(L, (void *)r);
    dfl_push_function(L, &make);
    dfl_name_function(L, r->name);
    lua_setfield(L, -2, r->name);
  }
  lua_setfield(L, -2, "layer");
  lua_pop(L, 1);
}
