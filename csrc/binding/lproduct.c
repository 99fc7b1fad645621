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

/* An option that is a tensor, held on the stack; NULL where it isn't given. */
static df_tensor *tensor_field(lua_State *L, int arg, const char *name) {
  if (lua_isnoneornil(L, arg) || lua_getfield(L, arg, name) == LUA_TNIL) return NULL;
  df_tensor *x = dfl_test(L, -1);
  if (!x)
    luaL_argerror(L, arg, lua_pushfstring(L, "option '%s': a tensor expected", name));
  return x;
}

/*** Tensor:conv2d
** Cross-correlation: y[n,h,w,k] = b[k] + the sum over r, s, c of x[n, h stride + r - top,
** w stride + s - left, c] w[k,r,s,c]. It is an error if channels differ, or if the kernel
** is larger than the padded image.
** @param w diffusion.tensor {K,R,S,C}
** @param b? diffusion.tensor {K}
** @param opts? diffusion.conv2d_options
** @option stride integer (1; >= 1) step between two places of the kernel
** @option pad integer|integer[] (0; >= 0) zeros around the image: one number or {top,
**   bottom, left, right}
** @option add diffusion.tensor a tensor of the result's shape, which is added to it
** @return diffusion.tensor {B,H',W',K} of x {B,H,W,C} */
static df_tensor *run_conv2d(lua_State *L, df_tape *tape) {
  static const char *const names[] = { "stride", "pad", "add", NULL };
  df_tensor *x = dfl_tensor(L, 1), *w = dfl_tensor(L, 2), *b = dfl_tensor_or_nil(L, 3);
  dfl_fields(L, 4, names);
  df_conv_opts opts = { .stride = dfl_field_int(L, 4, "stride", 1) };
  read_pad(L, 4, &opts);
  return df_conv2d(tape, x, w, b, tensor_field(L, 4, "add"), &opts);
}

/*** Tensor:attention
** softmax(q k^T / sqrt(D) + mask) v in each head of width D (Vaswani et al. 2017, eq. 1);
** q is x. With `causal`, query i sees the keys 1 to i + M - N, so the last query sees
** all. The mask is {B,M} (of keys), {B,N,M} or {B,heads,N,M}; B, heads and N may be 1.
** A mask of floats is added to the scores, and -inf hides a key. In a mask of u8 or i64,
** 0 hides a key and any other value keeps it. A query that sees no key gets zeros. A mask
** has no gradient.
** @param k diffusion.tensor {B,M,heads D}
** @param v diffusion.tensor {B,M,heads D}
** @param opts? diffusion.attention_options
** @option heads integer (1; >= 1) number of heads, which divides the width
** @option causal boolean (false) token i attends to tokens 1 .. i
** @option mask diffusion.tensor the mask, as above
** @return diffusion.tensor {B,N,heads D} of x {B,N,heads D}
** @usage local x = d.randn(2, 5, 8)
** local y = x:attention(x, x, {heads = 2, causal = true}) */
static df_tensor *run_attention(lua_State *L, df_tape *tape) {
  static const char *const names[] = { "heads", "causal", "mask", NULL };
  df_tensor *q = dfl_tensor(L, 1), *k = dfl_tensor(L, 2), *v = dfl_tensor(L, 3);
  dfl_fields(L, 4, names);
  const df_attention_opts opts = { .heads = dfl_field_int(L, 4, "heads", 1),
                                   .causal = dfl_field_flag(L, 4, "causal", false),
                                   .mask = tensor_field(L, 4, "mask") };
  return df_attention(tape, q, k, v, &opts);
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
    "x{2,3,4}, x{2,5,4}, x{2,5,4}, {heads=2}; x{1,4,3}, x{1,2,3}, x{1,2,3};"
    "x{2,3,4}, x{2,5,4}, x{2,5,4}, {heads=2, causal=true};"
    "x{1,4,3}, x{1,2,3}, x{1,2,3}, {causal=true};"
    "x{2,3,4}, x{2,5,4}, x{2,5,4}, {mask=int{0,1,{2,5}}};"
    "x{2,3,4}, x{2,5,4}, x{2,5,4}, {heads=2, mask=int{-1,1,{1,3,5}}:to \"f32\"};"
    "x{2,3,4}, x{2,3,4}, x{2,3,4}, {heads=2, causal=true, mask=int{0,2,{2,2,3,3}}}" },
  { NULL, NULL, 0, NULL },
};

void dfl_open_product(lua_State *L) { dfl_ops(L, rows); }
