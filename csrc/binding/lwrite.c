/* Writing files from Lua: whole files, logs that grow, and lists of folders. Errors of
** files are returned as nil and a message. */
#include "binding/binding.h"
#include "io/folder.h"
#include "io/place.h"
#include "io/write.h"

#define DFL_LOG "diffusion.log"

/* ==== whole files =================================================================== */

static df_bytes part_at(lua_State *L, int index) {
  df_bytes p = { 0 };
  const df_tensor *x = dfl_test(L, index);
  if (lua_type(L, index) == LUA_TSTRING) {
    p.data = lua_tolstring(L, index, &p.bytes);
  } else if (x && df_tensor_is_dense(x)) {
    p.data = df_tensor_data(x);
    p.bytes = (size_t)df_tensor_count(x) * (size_t)df_dtype_size(x->dtype);
  } else {
    luaL_error(L, "write_file: a part is neither a string nor a dense tensor");
  }
  return p;
}

/* write_file(path, list of strings and dense tensors) -> true */
static int l_write_file(lua_State *L) {
  const char *path = dfl_path(L, 1);
  luaL_checktype(L, 2, LUA_TTABLE);
  size_t n = lua_rawlen(L, 2);
  df_bytes *part = lua_newuserdatauv(L, (n + 1) * sizeof *part, 0);
  for (size_t k = 0; k < n; k++) {
    lua_rawgeti(L, 2, (lua_Integer)k + 1);
    part[k] = part_at(L, -1); /* the list keeps it alive */
    lua_pop(L, 1);
  }
  if (df_write_file(path, part, n) != DF_OK) return dfl_world(L, path);
  lua_pushboolean(L, 1);
  return 1;
}

/* place(path) -> "new", "file" or "stream": the kind of file at the path */
static int l_place(lua_State *L) {
  static const char *const kinds[] = {
    [DF_PLACE_NEW] = "new", [DF_PLACE_FILE] = "file", [DF_PLACE_STREAM] = "stream"
  };
  const char *path = dfl_path(L, 1);
  df_place place;
  if (df_place_find(&place, path) != DF_OK) return dfl_world(L, path);
  lua_pushstring(L, kinds[place.kind]);
  return 1;
}

/* ==== logs ========================================================================== */

typedef struct log_box {
  int file; /* -1: closed */
} log_box;

/* log(path [, fresh]) -> log; with fresh = true it is emptied first */
static int l_log(lua_State *L) {
  const char *path = dfl_path(L, 1);
  log_box *box = lua_newuserdatauv(L, sizeof *box, 1);
  box->file = -1;
  luaL_setmetatable(L, DFL_LOG);
  lua_pushvalue(L, 1);
  lua_setiuservalue(L, -2, 1); /* for messages */
  if (df_log_open(&box->file, path, dfl_flag(L, 2, "fresh")) == DF_OK) return 1;
  return dfl_world(L, path);
}

/* log:write(text) -> true */
static int l_log_write(lua_State *L) {
  log_box *box = luaL_checkudata(L, 1, DFL_LOG);
  df_bytes part;
  part.data = luaL_checklstring(L, 2, &part.bytes);
  luaL_argcheck(L, box->file >= 0, 1, "attempt to use a closed log");
  lua_getiuservalue(L, 1, 1);
  if (df_log_write(box->file, &part) != DF_OK) return dfl_world(L, lua_tostring(L, -1));
  lua_pushboolean(L, 1);
  return 1;
}

static int l_log_close(lua_State *L) {
  log_box *box = luaL_checkudata(L, 1, DFL_LOG);
  if (box->file >= 0) df_log_close(box->file);
  box->file = -1;
  return 0;
}

/* ==== folders ======================================================================= */

static int push_names(lua_State *L) {
  const df_names *names = lua_touserdata(L, 1);
  lua_createtable(L, (int)names->count, 0);
  for (size_t k = 0; k < names->count; k++) {
    lua_pushstring(L, names->name[k]);
    lua_rawseti(L, -2, (lua_Integer)k + 1);
  }
  return 1;
}

/* list(path) -> sorted names in a folder, with '/' after names of folders, and a name of
** the folder. That name is the same for all links to the folder. */
static int l_list(lua_State *L) {
  const char *path = dfl_path(L, 1);
  df_names names;
  lua_pushcfunction(L, push_names);
  if (df_folder_list(&names, path) != DF_OK) return dfl_world(L, path);
  lua_Integer device = (lua_Integer)names.device, file = (lua_Integer)names.file;
  lua_pushlightuserdata(L, &names);
  int status = lua_pcall(L, 1, 1, 0);
  df_names_free(&names);
  if (status != LUA_OK) return lua_error(L);
  lua_pushfstring(L, "%I:%I", device, file);
  return 2;
}

/* make_folder(path) -> true; folders above it that are missing are made too */
static int l_make_folder(lua_State *L) {
  const char *path = dfl_path(L, 1);
  if (df_folder_make(path) != DF_OK) return dfl_world(L, path);
  lua_pushboolean(L, 1);
  return 1;
}

static const luaL_Reg log_methods[] = {
  { "write", l_log_write },
  { "close", l_log_close },
  { NULL, NULL },
};

static const luaL_Reg functions[] = {
  { "write_file", l_write_file },
  { "place", l_place },
  { "log", l_log },
  { "list", l_list },
  { "make_folder", l_make_folder },
  { NULL, NULL },
};

void dfl_open_write(lua_State *L) {
  dfl_functions(L, functions);
  luaL_newmetatable(L, DFL_LOG);
  lua_pushcfunction(L, l_log_close);
  lua_setfield(L, -2, "__gc");
  lua_pushcfunction(L, l_log_close);
  lua_setfield(L, -2, "__close");
  luaL_newlib(L, log_methods);
  lua_setfield(L, -2, "__index");
  lua_pop(L, 1);
}
