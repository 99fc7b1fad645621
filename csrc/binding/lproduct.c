/* Matrix products for Lua: linear, matmul, conv2d, attention. */
#include "binding/binding.h"

/*** Tensor:linear
** y = x w^T + b over the last dimension.
** @param w diffusion.tensor {K,C}
** @param b? diffusion.tensor {K}
** @return diffusion.tensor {...,K} of x {...,C} */
static df_tensor *run_linear(lua_State *L, df_tape *tape) {
  df_tensor *x = dfl_tensor(L, 1), *w = dfl_tensor(L, 2);
  return df_linear(tape, x, w, dfl_tensor_or_nil(L, 3));
}

/*** Tensor:matmul
** Matrix product. Two integer matrices give exact i64, or an error.
** @param b diffusion.tensor {k,n}, or {...,k,n} with the leading sizes of x {...,m,k}
** @return diffusion.tensor {m,n} or {...,m,n} */
static df_tensor *run_matmul(lua_State *L, df_tape *tape) {
  df_tensor *a = dfl_tensor(L, 1);
  return df_matmul(tape, a, dfl_tensor(L, 2));
}

/* Reads the option `pad`: one number for all sides, or {top, bottom, left, right}. */
static void read_pad(lua_State *L, int arg, df_conv_opts *opts) {
  df_int *side[] = { &opts->top, &opts->bottom, &opts->left, &opts->right };
  bool list = !lua_isnoneornil(L, arg) && lua_getfield(L, arg, "pad") == LUA_TTABLE;
  if (list && dfl_list(L, -1, arg) != 4)
    luaL_argerror(L, arg,
                  "option 'pad': a number or {top, bottom, left, right} expected");
  for (int i = 0; i < 4; i++) {
    int whole = 1;
    if (!list) *side[i] = dfl_field_int(L, arg, "pad", 0);
    else {
      lua_rawgeti(L, -1, i + 1);
      *side[i] = (df_int)lua_tointegerx(L, -1, &whole);
      lua_pop(L, 1);
    }
    if (!whole) luaL_argerror(L, arg, "option 'pad': whole numbers expected");
  }
}

/*** Tensor:conv2d
** Cross-correlation: y[n,h,w,k] = b[k] + the sum over r, s, c of x[n, h stride + r - top,
** w stride + s - left, c] w[k,r,s,c]. It is an error if channels differ, or if the kernel
** is larger than the padded image.
** @param w diffusion.tensor {K,R,S,C}
** @param b? diffusion.tensor {K}
** @param opts? {stride: integer, pad: integer|integer[], add: diffusion.tensor} stride 1;
**   pad 0, one number or {top, bottom, left, right}; add: a tensor like y that is added
** @return diffusion.tensor {B,H',W',K} of x {B,H,W,C} */
static df_tensor *run_conv2d(lua_State *L, df_tape *tape) {
  static const char *const names[] = { "stride", "pad", "add", NULL };
  df_tensor *x = dfl_tensor(L, 1), *w = dfl_tensor(L, 2), *b = dfl_tensor_or_nil(L, 3);
  df_tensor *add = NULL;
  dfl_fields(L, 4, names);
  df_conv_opts opts = { .stride = dfl_field_int(L, 4, "stride", 1) };
  read_pad(L, 4, &opts);
  if (!lua_isnoneornil(L, 4) && lua_getfield(L, 4, "add") != LUA_TNIL) {
    add = dfl_test(L, -1);
    if (!add) luaL_argerror(L, 4, "option 'add': a tensor expected");
  }
  return df_conv2d(tape, x, w, b, add, &opts);
}

/*** Tensor:attention
** softmax(q k^T / sqrt(D)) v in each head of width D (Vaswani et al. 2017, eq. 1), with
** q = x. A query whose scores are all -inf gives zeros.
** @param k diffusion.tensor {B,M,heads D}
** @param v diffusion.tensor {B,M,heads D}
** @param opts? {heads: integer} default 1
** @return diffusion.tensor {B,N,heads D} of x {B,N,heads D} */
static df_tensor *run_attention(lua_State *L, df_tape *tape) {
  static const char *const names[] = { "heads", NULL };
  df_tensor *q = dfl_tensor(L, 1), *k = dfl_tensor(L, 2), *v = dfl_tensor(L, 3);
  dfl_fields(L, 4, names);
  return df_attention(tape, q, k, v, dfl_field_int(L, 4, "heads", 1));
}

static const dfl_op rows[] = {
  { "linear", run_linear, 3 | DFL_MORE,
    "x{3,4}, x{5,4}, x{5}; x{2,3,4}, x{6,4}; x{4}, x{2,4}, x{2}" },
  { "matmul", run_matmul, 2 | DFL_MORE,
    "x{3,4}, x{4,5}; x{2,3,4}, x{2,4,1}; x{2,2,3,5}, x{2,2,5,2}" },
  { "conv2d", run_conv2d, 4,
    "x{2,5,4,3}, x{4,3,3,3}, x{4}, {pad=1};"
    "x{2,5,4,3}, x{4,3,3,3}, x{4}, {stride=2, pad={0,1,0,1}};"
    "x{1,4,5,2}, x{3,1,1,2}, x{3};"
    "x{2,3,4,2}, x{3,1,1,2}, nil, {stride=2};"
    "x{1,7,6,1}, x{2,5,2,1}, x{2}, {stride=3, pad={2,1,3,0}};"
    "x{2,4,4,1}, x{2,4,3,1}, nil, {pad=1};"
    "x{1,3,3,2}, x{2,3,3,2}, x{2}, {pad=1, add=x{1,3,3,2}}" },
  { "attention", run_attention, 4,
    "x{2,3,4}, x{2,5,4}, x{2,5,4}, {heads=2}; x{1,4,3}, x{1,2,3}, x{1,2,3}" },
  { NULL, NULL, 0, NULL },
};

void dfl_open_product(lua_State *L) { dfl_ops(L, rows); }
