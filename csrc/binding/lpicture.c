/* Images for Lua: decoding and encoding, channels, sizes, and batches. */
#include <string.h>

#include "binding/binding.h"
#include "io/bound.h"
#include "io/chunks.h"
#include "io/map.h"
#include "io/picture.h"
#include "io/pixels.h"
#include "io/png.h"
#include "kernels/kernels.h"

static int fail_with(lua_State *L) {
  return df_error_code() == DF_MEMORY ? dfl_raise(L) : dfl_nil(L);
}

/* Reads a dense u8 tensor of `ndim` dimensions. */
static df_tensor *bytes_at(lua_State *L, int arg, int ndim) {
  df_tensor *x = dfl_tensor(L, arg);
  if (x->dtype != DF_U8 || x->shape.ndim != ndim || !df_tensor_is_dense(x))
    luaL_argerror(L, arg,
                  lua_pushfstring(L,
                                  "a dense u8 tensor of %d dimensions expected, "
                                  "got %s %s",
                                  ndim, df_dtype_name(x->dtype), df_tensor_text(x)));
  return x;
}

static df_tensor *new_bytes(df_tape *tape, df_int H, df_int W, df_int C) {
  df_shape shape = { 3, { H, W, C } };
  return df_scope_own(tape, df_tensor_new(DF_U8, &shape));
}

/* ==== reading ======================================================================= */

/* picture_info(file) -> height, width, channels, format, orientation; height and width
** are those that picture_read returns */
static int l_info(lua_State *L) {
  df_map *m = dfl_file(L, 1);
  df_picture p;
  if (df_picture_measure(&p, m->data, m->bytes) != DF_OK) return fail_with(L);
  lua_pushinteger(L, df_picture_height(&p));
  lua_pushinteger(L, df_picture_width(&p));
  lua_pushinteger(L, p.channels);
  lua_pushstring(L, p.format);
  lua_pushinteger(L, p.orientation);
  return 5;
}

/* Measures the image in the file at 1; if 2 is true, without EXIF orientation. */
static int measure(lua_State *L, df_picture *p) {
  df_map *m = dfl_file(L, 1);
  int code = df_picture_measure(p, m->data, m->bytes);
  if (code == DF_OK && dfl_flag(L, 2, "stored")) p->orientation = 1;
  return code;
}

static df_tensor *make_picture(lua_State *L, df_tape *tape) {
  df_picture p;
  if (measure(L, &p) != DF_OK) return NULL;
  return new_bytes(tape, df_picture_height(&p), df_picture_width(&p), p.channels);
}

/* picture_read(file [, stored]) -> u8 tensor H, W, C, oriented by EXIF, or as stored */
static int l_read(lua_State *L) {
  const df_map *m = dfl_file(L, 1);
  df_picture p;
  if (measure(L, &p) != DF_OK) return fail_with(L);
  dfl_run(L, make_picture);
  df_tensor *y = dfl_tensor(L, -1);
  if (y->shape.size[0] != df_picture_height(&p)
      || y->shape.size[1] != df_picture_width(&p) || y->shape.size[2] != p.channels)
    return luaL_error(L, "the file has changed while it was read");
  if (df_picture_read(df_tensor_data(y), &p, m->data, m->bytes) != DF_OK)
    return fail_with(L);
  return 1;
}

/* ==== writing ======================================================================= */

/* png_write(u8 tensor H, W, C) -> the file as a string */
static int l_png_write(lua_State *L) {
  const df_tensor *x = bytes_at(L, 1, 3);
  df_picture p = { .height = x->shape.size[0],
                   .width = x->shape.size[1],
                   .channels = (int)x->shape.size[2] };
  size_t bytes;
  luaL_argcheck(L, x->shape.size[2] >= 1 && x->shape.size[2] <= 4, 1,
                "1 to 4 channels expected");
  luaL_argcheck(L, p.height > 0 && p.width > 0 && p.width <= DF_PIXELS_MOST / p.height, 1,
                "no pixels, or more than a PNG is written of");
  void *file = lua_newuserdatauv(L, df_png_most(&p), 0);
  if (df_png_write(file, &bytes, &p, df_tensor_data(x)) != DF_OK) return dfl_raise(L);
  lua_pushlstring(L, file, bytes);
  return 1;
}

/* png_chunk(type, data) -> the chunk as a string */
static int l_png_chunk(lua_State *L) {
  size_t n, bytes;
  const char *type = luaL_checklstring(L, 1, &n);
  const char *data = luaL_checklstring(L, 2, &bytes);
  luaL_argcheck(L, n == 4, 1, "four letters expected");
  luaL_argcheck(L, bytes <= INT32_MAX, 2, "longer than a chunk may be");
  luaL_Buffer b;
  char *out = luaL_buffinitsize(L, &b, bytes + DF_CHUNK_EXTRA);
  df_chunk_write(out, type, data, bytes);
  luaL_pushresultsize(&b, bytes + DF_CHUNK_EXTRA);
  return 1;
}

/* png_chunks(file) -> list of { type, offset, bytes }, up to IEND */
static int l_png_chunks(lua_State *L) {
  df_map *m = dfl_file(L, 1);
  df_chunk c = { 0 };
  size_t at = 0;
  lua_newtable(L);
  for (int k = 1; strcmp(c.type, "IEND") != 0; k++) {
    if (df_chunk_next(&c, &at, m->data, m->bytes) != DF_OK) return dfl_nil(L);
    lua_createtable(L, 3, 0);
    lua_pushlstring(L, c.type, 4);
    lua_rawseti(L, -2, 1);
    lua_pushinteger(L, c.data - m->data);
    lua_rawseti(L, -2, 2);
    lua_pushinteger(L, (lua_Integer)c.bytes);
    lua_rawseti(L, -2, 3);
    lua_rawseti(L, -2, k);
  }
  return 1;
}

/* ==== bytes and reals =============================================================== */

/* picture_to_float(x: dense u8) -> reals in [-1, 1], of the same shape */
static df_tensor *make_float(lua_State *L, df_tape *tape) {
  const df_tensor *x = dfl_tensor(L, 1);
  luaL_argcheck(L, x->dtype == DF_U8 && df_tensor_is_dense(x), 1, "dense u8 expected");
  df_tensor *y = df_result(tape, &x->shape);
  if (y)
    df_kernel()->image_from_u8(df_tensor_reals(y), df_tensor_data(x), df_tensor_count(x));
  return y;
}

static int l_to_float(lua_State *L) { return dfl_run(L, make_float); }

/* picture_to_bytes(x: reals) -> u8 of the same shape: maps [-1, 1] to 0..255 and rounds;
** values outside are clamped, NaN becomes 0 */
static df_tensor *make_u8(lua_State *L, df_tape *tape) {
  df_tensor *x = df_dense(tape, dfl_tensor(L, 1));
  df_tensor *y = x ? df_scope_own(tape, df_tensor_new(DF_U8, &x->shape)) : NULL;
  if (y) df_pixels_bytes(df_tensor_data(y), df_tensor_reals(x), df_tensor_count(x));
  return y;
}

static int l_to_bytes(lua_State *L) { return dfl_run(L, make_u8); }

/* picture_range(x: dense reals or i64) -> the minimum and maximum of the finite values
** (0, 0 if there are none), the number of NaN, the number of infinite values */
static int l_range(lua_State *L) {
  const df_tensor *x = dfl_tensor(L, 1);
  luaL_argcheck(L, (x->dtype == DF_I64 || x->dtype == DF_REAL) && df_tensor_is_dense(x),
                1, "dense reals or i64 expected");
  df_range r = x->dtype == DF_I64
                   ? df_pixels_whole_range(df_tensor_data(x), df_tensor_count(x))
                   : df_pixels_range(df_tensor_reals(x), df_tensor_count(x));
  lua_pushnumber(L, r.least);
  lua_pushnumber(L, r.most);
  lua_pushinteger(L, r.nans);
  lua_pushinteger(L, r.infinite);
  return 4;
}

/* ==== shapes of images ============================================================== */

/* picture_channels(x, 1 or 3) -> u8 tensor H, W, 1 or 3 */
static df_tensor *make_channels(lua_State *L, df_tape *tape) {
  const df_tensor *x = bytes_at(L, 1, 3);
  const df_int *size = x->shape.size;
  lua_Integer to = luaL_checkinteger(L, 2);
  luaL_argcheck(L, size[2] >= 1 && size[2] <= 4, 1, "1 to 4 channels expected");
  luaL_argcheck(L, to == 1 || to == 3, 2, "1 (grey) or 3 (RGB) expected");
  df_tensor *y = new_bytes(tape, size[0], size[1], (df_int)to);
  if (y)
    df_pixels_channels(df_tensor_data(y), (int)to, df_tensor_data(x), (int)size[2],
                       size[0] * size[1]);
  return y;
}

static int l_channels(lua_State *L) { return dfl_run(L, make_channels); }

/* picture_fit(x, h, w) -> u8 tensor h, w, C: the largest central part with that aspect
** ratio, resized */
static df_tensor *make_fit(lua_State *L, df_tape *tape) {
  const df_tensor *x = bytes_at(L, 1, 3);
  df_int H = x->shape.size[0], W = x->shape.size[1], C = x->shape.size[2];
  lua_Integer h = luaL_checkinteger(L, 2), w = luaL_checkinteger(L, 3);
  luaL_argcheck(L, h > 0 && h < 65536, 2, "a height in 1..65535 expected");
  luaL_argcheck(L, w > 0 && w < 65536, 3, "a width in 1..65535 expected");
  luaL_argcheck(L, H > 0 && W > 0 && C > 0, 1, "no pixels");
  df_int tall = df_max(1, df_min(H, W * (df_int)h / (df_int)w));
  df_int wide = df_max(1, df_min(W, H * (df_int)w / (df_int)h));
  df_tensor *y = new_bytes(tape, (df_int)h, (df_int)w, C);
  const uint8_t *from = df_tensor_data(x);
  from += ((H - tall) / 2 * W + (W - wide) / 2) * C;
  if (!y
      || df_pixels_resize(df_tensor_data(y), (df_int)h, (df_int)w, from, W * C, tall,
                          wide, (int)C)
             != DF_OK)
    return NULL;
  return y;
}

static int l_fit(lua_State *L) { return dfl_run(L, make_fit); }

/* ==== batches ======================================================================= */

static void check_index(lua_State *L, const df_tensor *index, df_int n) {
  const int64_t *at = df_tensor_data(index);
  for (df_int k = 0; k < index->shape.size[0]; k++)
    if (at[k] < 1 || at[k] > n)
      luaL_error(L, "gather_images: index %I of a set of %I", (lua_Integer)at[k],
                 (lua_Integer)n);
}

/* gather_images(x: u8 n, H, W, C; index: i64 B [, flip: u8 B]) -> reals B, H, W, C in
** [-1, 1] */
static df_tensor *make_gather(lua_State *L, df_tape *tape) {
  const df_tensor *x = bytes_at(L, 1, 4), *index = dfl_tensor(L, 2);
  const df_tensor *flip = lua_isnoneornil(L, 3) ? NULL : bytes_at(L, 3, 1);
  luaL_argcheck(
      L, index->dtype == DF_I64 && index->shape.ndim == 1 && df_tensor_is_dense(index), 2,
      "a dense i64 tensor of 1 dimension expected");
  const df_int *size = x->shape.size, B = index->shape.size[0];
  luaL_argcheck(L, !flip || flip->shape.size[0] == B, 3,
                "a flip for each index expected");
  check_index(L, index, size[0]);
  df_shape shape = { 4, { B, size[1], size[2], size[3] } };
  df_tensor *y = df_result(tape, &shape);
  if (!y) return NULL;
  df_batch g = { .y = df_tensor_reals(y),
                 .x = df_tensor_data(x),
                 .index = df_tensor_data(index),
                 .flip = flip ? df_tensor_data(flip) : NULL,
                 .B = B,
                 .H = size[1],
                 .W = size[2],
                 .C = size[3] };
  df_pixels_gather(&g);
  return y;
}

static int l_gather(lua_State *L) { return dfl_run(L, make_gather); }

static const luaL_Reg functions[] = {
  { "picture_info", l_info },         { "picture_read", l_read },
  { "png_write", l_png_write },       { "png_chunk", l_png_chunk },
  { "png_chunks", l_png_chunks },     { "picture_channels", l_channels },
  { "picture_fit", l_fit },           { "picture_to_float", l_to_float },
  { "picture_to_bytes", l_to_bytes }, { "picture_range", l_range },
  { "gather_images", l_gather },      { NULL, NULL },
};

void dfl_open_picture(lua_State *L) { dfl_functions(L, functions); }
