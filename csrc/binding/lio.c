/* Reading files from Lua. Mapped files are objects with bounds-checked windows. Errors of
** files are returned as nil and a message. */
#include <string.h>

#include "binding/binding.h"
#include "io/gzip.h"
#include "io/idx.h"
#include "io/map.h"
#include "io/widen.h"

#define DFL_FILE "diffusion.file"

/* ==== file objects ================================================================== */

static df_map **new_file(lua_State *L) {
  df_map **box = lua_newuserdatauv(L, sizeof *box, 0);
  *box = NULL;
  luaL_setmetatable(L, DFL_FILE);
  return box;
}

static const df_memory_kind mapped = { df_map_release, df_map_written, df_map_pages };

/* Creates storage on bytes of a file. The storage keeps the file open. */
static df_storage *storage_on(df_map *m, void *data, size_t bytes) {
  df_storage *s = df_storage_around(data, bytes, &mapped, df_map_retain(m));
  if (!s) df_map_release(m);
  return s;
}

/* Keeps the file open until the call ends, even if it is closed meanwhile. An empty
** tensor holds the file. */
static void hold_file(lua_State *L, df_map *m) {
  static const df_shape none = { 1, { 0 } };
  df_storage *s = storage_on(m, m->data, 0);
  df_tensor *x = s ? df_scope_own(dfl_tape(L), df_tensor_on(s, DF_U8, &none, 0)) : NULL;
  df_storage_release(s);
  if (!x) dfl_raise(L);
}

df_map *dfl_file(lua_State *L, int arg) {
  df_map **box = luaL_checkudata(L, arg, DFL_FILE);
  if (*box) hold_file(L, *box);
  else luaL_argerror(L, arg, "attempt to use a closed file");
  return *box;
}

/* Reads an offset or a size: an integer of 0 or more. */
static size_t whole_number(lua_State *L, int arg) {
  lua_Integer n = luaL_checkinteger(L, arg);
  luaL_argcheck(L, n >= 0, arg, "must be 0 or more");
  return (size_t)n;
}

/* map(path [, copy]) -> file; with copy = true it is read into memory */
static int l_map(lua_State *L) {
  const char *path = dfl_path(L, 1);
  bool copy = dfl_flag(L, 2, "copy");
  df_map **box = new_file(L);
  if (copy) dfl_collect(L);
  *box = copy ? df_map_copy(path) : df_map_open(path);
  return *box ? 1 : dfl_world(L, path);
}

static int l_close(lua_State *L) {
  df_map **box = luaL_checkudata(L, 1, DFL_FILE);
  df_map_release(*box);
  *box = NULL;
  return 0;
}

static int l_size(lua_State *L) {
  lua_pushinteger(L, (lua_Integer)dfl_file(L, 1)->bytes);
  return 1;
}

/* file:text(offset, bytes) -> string */
static int l_text(lua_State *L) {
  df_map *m = dfl_file(L, 1);
  size_t offset = whole_number(L, 2), bytes = whole_number(L, 3);
  const uint8_t *window = df_map_window(m, offset, bytes);
  if (!window) return dfl_nil(L);
  lua_pushlstring(L, (const char *)window, bytes);
  return 1;
}

/* file:part(offset, bytes) -> file */
static int l_part(lua_State *L) {
  df_map *m = dfl_file(L, 1);
  size_t offset = whole_number(L, 2), bytes = whole_number(L, 3);
  df_map **box = new_file(L);
  *box = df_map_part(m, offset, bytes);
  return *box ? 1 : dfl_world(L, NULL);
}

static df_code inflate_all(df_map *to, const uint8_t *from, size_t packed, bool raw) {
  df_inflate *z = df_inflate_open(from, packed, raw);
  int code = z ? df_inflate_read(z, to->data, to->bytes) : DF_MEMORY;
  if (code == DF_OK) code = df_inflate_finish(z);
  df_inflate_close(z);
  return (df_code)code;
}

/* file:inflate(offset, packed, bytes) -> file in memory, from a raw deflate stream; the
** caller has checked that `bytes` is at most DF_INFLATE_MOST * packed */
static int l_inflate(lua_State *L) {
  df_map *m = dfl_file(L, 1);
  size_t offset = whole_number(L, 2), packed = whole_number(L, 3);
  size_t bytes = whole_number(L, 4);
  const uint8_t *from = df_map_window(m, offset, packed);
  if (!from) return dfl_nil(L);
  df_map **box = new_file(L);
  dfl_collect(L);
  *box = df_map_memory(bytes);
  if (*box && inflate_all(*box, from, packed, true) == DF_OK) return 1;
  return dfl_world(L, NULL);
}

/* file:gunzip(bytes) -> file in memory, from a gzip file that inflates to `bytes`; the
** caller has checked that they are at most DF_INFLATE_MOST times the file's size */
static int l_gunzip(lua_State *L) {
  df_map *m = dfl_file(L, 1);
  size_t bytes = whole_number(L, 2);
  df_map **box = new_file(L);
  dfl_collect(L);
  *box = df_map_memory(bytes);
  if (*box && inflate_all(*box, m->data, m->bytes, false) == DF_OK) return 1;
  return dfl_world(L, NULL);
}

/* file:front(offset, packed, bytes) -> the first bytes of a raw deflate stream, as a
** string; a header can be read before memory is allocated for the rest */
static int l_front(lua_State *L) {
  df_map *m = dfl_file(L, 1);
  size_t offset = whole_number(L, 2), packed = whole_number(L, 3);
  size_t bytes = whole_number(L, 4);
  luaL_Buffer b;
  const uint8_t *from = df_map_window(m, offset, packed);
  if (!from) return dfl_nil(L);
  char *text = luaL_buffinitsize(L, &b, bytes);
  df_inflate *z = df_inflate_open(from, packed, true);
  int code = z ? df_inflate_read(z, text, bytes) : DF_MEMORY;
  df_inflate_close(z);
  if (code != DF_OK) return dfl_world(L, NULL);
  luaL_pushresultsize(&b, bytes);
  return 1;
}

/* file:inflated_crc(offset, packed, bytes) -> the checksum of the contents of a raw
** deflate stream, without storing them */
static int l_inflated_crc(lua_State *L) {
  df_map *m = dfl_file(L, 1);
  size_t offset = whole_number(L, 2), packed = whole_number(L, 3);
  size_t bytes = whole_number(L, 4);
  const uint8_t *from = df_map_window(m, offset, packed);
  if (!from) return dfl_nil(L);
  df_inflate *z = df_inflate_open(from, packed, true);
  uint32_t crc = 0;
  int code = z ? df_inflate_crc(z, &crc, bytes) : DF_MEMORY;
  if (code == DF_OK) code = df_inflate_finish(z);
  df_inflate_close(z);
  if (code != DF_OK) return dfl_world(L, NULL);
  lua_pushinteger(L, crc);
  return 1;
}

static int l_crc(lua_State *L) {
  df_map *m = dfl_file(L, 1);
  lua_pushinteger(L, df_crc32(m->data, m->bytes));
  return 1;
}

/* tensor_crc(x) -> the checksum of a dense tensor's bytes */
static int l_tensor_crc(lua_State *L) {
  const df_tensor *x = dfl_tensor(L, 1);
  luaL_argcheck(L, df_tensor_is_dense(x), 1, "a dense tensor expected");
  size_t bytes = (size_t)(df_shape_count(&x->shape) * df_dtype_size(x->dtype));
  lua_pushinteger(L, df_crc32(df_tensor_data(x), bytes));
  return 1;
}

/* ==== tensors in files ============================================================== */

/* The checked arguments of file:tensor. */
typedef struct wanted {
  const df_number *kind;
  df_shape shape;
  df_int count;
  uint8_t *window;
  bool big;
} wanted;

static df_code too_large(lua_State *L, int arg) {
  return df_fail(DF_WORLD, "a shape of %d dimensions, or too large for a tensor",
                 (int)lua_rawlen(L, arg));
}

/* Sizes come from files, so an invalid shape is an error of the file. */
static df_code read_shape(lua_State *L, int arg, df_shape *shape) {
  luaL_checktype(L, arg, LUA_TTABLE);
  if (lua_rawlen(L, arg) > DF_DIMS) return too_large(L, arg);
  shape->ndim = (int)lua_rawlen(L, arg);
  for (int k = 0; k < shape->ndim; k++) {
    lua_rawgeti(L, arg, k + 1);
    shape->size[k] = (df_int)luaL_checkinteger(L, -1);
    lua_pop(L, 1);
    if (shape->size[k] < 0) return too_large(L, arg);
  }
  return df_shape_count(shape) < 0 ? too_large(L, arg) : DF_OK;
}

static df_code check_values(const wanted *w) {
  df_int i = df_number_misfit(w->kind, w->window, w->count, w->big);
  if (i < 0) return DF_OK;
  return df_fail(DF_WORLD, "number %td is 2^63 or more, which i64 doesn't hold", i + 1);
}

/* Arguments: file, kind, shape, offset, exact (the tensor must end at the end of the
** file), big (-endian). */
static df_code read_wanted(lua_State *L, wanted *w) {
  df_map *m = dfl_file(L, 1);
  w->kind = df_number_find(luaL_checkstring(L, 2));
  luaL_argcheck(L, w->kind, 2, "no such kind of number");
  size_t offset = whole_number(L, 4);
  if (read_shape(L, 3, &w->shape) != DF_OK) return DF_WORLD;
  w->count = df_shape_count(&w->shape);
  if (w->count > PTRDIFF_MAX / 16) return too_large(L, 3); /* in bytes, and widened */
  size_t bytes = (size_t)w->count * (size_t)w->kind->bytes;
  w->window = df_map_window(m, offset, bytes);
  if (!w->window) return DF_WORLD;
  if (lua_toboolean(L, 5) && bytes != m->bytes - offset)
    return df_fail(DF_WORLD, "%s takes %zu bytes, file holds %zu for it",
                   df_shape_text(&w->shape), bytes, m->bytes - offset);
  w->big = lua_toboolean(L, 6) && w->kind->bytes > 1;
  return check_values(w);
}

/* Creates a window on the file itself, which keeps it open. */
static df_tensor *on_file(df_map *m, const wanted *w) {
  size_t bytes = (size_t)w->count * (size_t)w->kind->bytes;
  df_storage *s = storage_on(m, w->window, bytes);
  if (!s) return NULL;
  df_tensor *x = df_tensor_on(s, w->kind->dtype, &w->shape, 0);
  df_storage_release(s);
  return x;
}

static df_tensor *make_tensor(lua_State *L, df_tape *tape) {
  wanted w = { 0 };
  if (read_wanted(L, &w) != DF_OK) return NULL;
  bool aligned = (uintptr_t)w.window % (uintptr_t)w.kind->bytes == 0;
  if (aligned && !w.kind->widen && !w.big && w.count > 0)
    return df_scope_own(tape, on_file(dfl_file(L, 1), &w));
  df_tensor *x = df_scope_own(tape, df_tensor_new(w.kind->dtype, &w.shape));
  if (x) df_number_read(w.kind, df_tensor_data(x), w.window, w.count, w.big);
  return x;
}

static int l_tensor(lua_State *L) {
  wanted w = { 0 };
  if (read_wanted(L, &w) != DF_OK) return dfl_nil(L);
  return dfl_run(L, make_tensor);
}

/* ==== blocks ======================================================================== */

/* The checked arguments of file:blocks. */
typedef struct stored {
  df_dtype dtype;
  df_shape shape;
  uint8_t *window;
  size_t bytes;
} stored;

/* Arguments: file, type, shape, offset. Blocks lie along the last dimension. */
static df_code read_stored(lua_State *L, stored *w) {
  df_map *m = dfl_file(L, 1);
  bool known = df_dtype_find(luaL_checkstring(L, 2), &w->dtype);
  luaL_argcheck(L, known && df_dtype_in_blocks(w->dtype), 2, "no such type of blocks");
  size_t offset = whole_number(L, 4);
  if (read_shape(L, 3, &w->shape) != DF_OK) return DF_WORLD;
  df_int count = df_shape_count(&w->shape), n = w->shape.ndim;
  if (count > PTRDIFF_MAX / 16) return too_large(L, 3);
  if (n == 0 || w->shape.size[n - 1] % DF_BLOCK_ELEMENTS != 0)
    return df_fail(DF_WORLD, "a shape %s, whose rows aren't blocks of %d",
                   df_shape_text(&w->shape), DF_BLOCK_ELEMENTS);
  w->bytes = (size_t)df_dtype_bytes(w->dtype, count);
  w->window = df_map_window(m, offset, w->bytes);
  return w->window ? DF_OK : DF_WORLD;
}

static df_tensor *make_stored(lua_State *L, df_tape *tape) {
  stored w = { 0 };
  if (read_stored(L, &w) != DF_OK) return NULL;
  df_storage *s = storage_on(dfl_file(L, 1), w.window, w.bytes);
  if (!s) return NULL;
  df_tensor *x = df_scope_own(tape, df_tensor_on(s, w.dtype, &w.shape, 0));
  df_storage_release(s);
  return x;
}

/* file:blocks(type, shape, offset) -> a window on weights in ggml's blocks */
static int l_blocks(lua_State *L) {
  stored w = { 0 };
  if (read_stored(L, &w) != DF_OK) return dfl_nil(L);
  return dfl_run(L, make_stored);
}

/* ==== strided windows =============================================================== */

/* The checked arguments of strided. */
typedef struct strided {
  df_shape shape;
  df_int stride[DF_DIMS], offset;
} strided;

/* Elements of the vector that the window needs; -1 if that overflows. */
static df_int reach(const strided *w) {
  df_int last = w->offset;
  for (int k = 0; k < w->shape.ndim; k++) {
    df_int steps = w->shape.size[k] - 1;
    if (steps < 0) return 0;
    if (steps > 0 && w->stride[k] > (PTRDIFF_MAX - 1 - last) / steps) return -1;
    last += steps * w->stride[k];
  }
  return last < PTRDIFF_MAX ? last + 1 : -1;
}

/* Arguments: vector, sizes, strides, offset. */
static df_code read_strided(lua_State *L, strided *w) {
  const df_tensor *x = dfl_tensor(L, 1);
  luaL_argcheck(L, x->shape.ndim == 1 && df_tensor_is_dense(x), 1,
                "a dense vector expected");
  if (read_shape(L, 2, &w->shape) != DF_OK) return DF_WORLD;
  luaL_checktype(L, 3, LUA_TTABLE);
  for (int k = 0; k < w->shape.ndim; k++) {
    lua_rawgeti(L, 3, k + 1);
    w->stride[k] = (df_int)whole_number(L, -1);
    lua_pop(L, 1);
  }
  w->offset = (df_int)whole_number(L, 4);
  df_int needed = reach(w);
  if (needed >= 0 && needed <= x->shape.size[0]) return DF_OK;
  return df_fail(DF_WORLD, "a window %s that leaves its %td elements",
                 df_shape_text(&w->shape), x->shape.size[0]);
}

static df_tensor *make_strided(lua_State *L, df_tape *tape) {
  strided w = { 0 };
  if (read_strided(L, &w) != DF_OK) return NULL;
  const df_tensor *x = dfl_tensor(L, 1);
  df_int dense[DF_DIMS];
  bool empty = df_shape_count(&w.shape) == 0;
  df_shape_strides(&w.shape, dense);
  for (int k = 0; k < w.shape.ndim; k++) /* strides that aren't used may be of any size */
    if (empty || w.shape.size[k] == 1) w.stride[k] = dense[k];
  df_int offset = x->offset + (empty ? 0 : w.offset);
  return df_scope_own(tape, df_tensor_window(x, &w.shape, w.stride, offset));
}

/* strided(x, sizes, strides, offset) -> the window whose element i, j, ... is
** x[offset + i * strides[1] + j * strides[2] + ...], counted from 0; nil and a message if
** it leaves x */
static int l_strided(lua_State *L) {
  strided w = { 0 };
  if (read_strided(L, &w) != DF_OK) return dfl_nil(L);
  return dfl_run(L, make_strided);
}

/* ==== idx =========================================================================== */

static df_tensor *make_idx(lua_State *L, df_tape *tape) {
  df_map *m = dfl_file(L, 1);
  df_idx idx;
  if (df_idx_measure(&idx, m->data, m->bytes) != DF_OK) return NULL;
  df_shape shape = { .ndim = idx.ndim };
  memcpy(shape.size, idx.size, sizeof idx.size);
  return df_scope_own(tape, df_tensor_new(DF_U8, &shape));
}

/* file:idx_sizes() -> list of sizes in the header of an IDX file */
static int l_idx_sizes(lua_State *L) {
  df_map *m = dfl_file(L, 1);
  df_idx idx;
  if (df_idx_measure(&idx, m->data, m->bytes) != DF_OK) return dfl_world(L, NULL);
  lua_createtable(L, idx.ndim, 0);
  for (int k = 0; k < idx.ndim; k++) {
    lua_pushinteger(L, idx.size[k]);
    lua_rawseti(L, -2, k + 1);
  }
  return 1;
}

/* file:idx() -> u8 tensor of an IDX file, gzipped or not */
static int l_idx(lua_State *L) {
  df_map *m = dfl_file(L, 1);
  df_idx idx;
  if (df_idx_measure(&idx, m->data, m->bytes) != DF_OK) return dfl_world(L, NULL);
  dfl_run(L, make_idx);
  uint8_t *y = df_tensor_data(dfl_tensor(L, -1));
  if (df_idx_read(y, &idx, m->data, m->bytes) != DF_OK) return dfl_world(L, NULL);
  return 1;
}

static const luaL_Reg methods[] = {
  { "size", l_size },     { "text", l_text },
  { "part", l_part },     { "inflate", l_inflate },
  { "front", l_front },   { "inflated_crc", l_inflated_crc },
  { "crc", l_crc },       { "tensor", l_tensor },
  { "blocks", l_blocks }, { "idx_sizes", l_idx_sizes },
  { "idx", l_idx },       { "gunzip", l_gunzip },
  { "close", l_close },   { NULL, NULL },
};

static const luaL_Reg meta[] = { { "__close", l_close }, { NULL, NULL } };

static const luaL_Reg functions[] = {
  { "map", l_map },
  { "strided", l_strided },
  { "tensor_crc", l_tensor_crc },
  { NULL, NULL },
};

void dfl_open_io(lua_State *L) {
  dfl_functions(L, functions);
  dfl_new_type(L, DFL_FILE, l_close, meta, methods);
}
