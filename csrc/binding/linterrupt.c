/* Ctrl-C for Lua. A loop can poll for it and for SIGTERM. Code run by a prompt gets an
** error, and a line that is being typed is dropped. */
#include <errno.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/interrupt.h"
#include "binding/binding.h"

#define DFL_GUARD "diffusion.interrupts"

/* ==== polling ======================================================================= */

/* Number of active guards. The first installs the handler, and the last removes it. */
static atomic_int guards;
static atomic_int noted;
static df_interrupt outside;

/* The first signal is for the loop that polls. Further ones go to the previous
** handler. */
static void note(int signal, siginfo_t *info, void *context) {
  if (atomic_fetch_add(&noted, 1) > 0) df_interrupt_pass(&outside, signal, info, context);
}

static int l_catch(lua_State *L) {
  bool *on = lua_newuserdatauv(L, sizeof *on, 0);
  *on = false;
  luaL_setmetatable(L, DFL_GUARD);
  *on = true;
  if (atomic_fetch_add(&guards, 1) > 0) return 1;
  atomic_store(&noted, 0);
  df_interrupt_begin(&outside, note, true, true);
  return 1;
}

static int l_let_go(lua_State *L) {
  bool *on = luaL_checkudata(L, 1, DFL_GUARD);
  if (*on && atomic_fetch_sub(&guards, 1) == 1) df_interrupt_end(&outside);
  *on = false;
  return 0;
}

static int l_caught(lua_State *L) {
  luaL_checkudata(L, 1, DFL_GUARD);
  lua_pushboolean(L, atomic_load(&noted) > 0);
  return 1;
}

/* ==== errors ======================================================================== */

static lua_State *volatile attended; /* the state in which a prompt runs code */
static lua_State *volatile running;  /* the coroutine that it waits for, or NULL */

static void stop(lua_State *L, lua_Debug *where) {
  (void)where;
  lua_sethook(L, NULL, 0, 0);
  lua_pushliteral(L, "interrupted!");
  lua_error(L);
}

/* A hook may be set at any time and runs at the next instruction. If a coroutine is
** running, the next instruction may be far away; then the next Ctrl-C interrupts the
** coroutine. */
static void raise_there(int signal, siginfo_t *info, void *context) {
  (void)signal, (void)info, (void)context;
  int all = LUA_MASKCALL | LUA_MASKRET | LUA_MASKLINE | LUA_MASKCOUNT;
  bool waits = running && lua_gethook(attended) == stop;
  lua_sethook(waits ? running : attended, stop, all, 1);
}

static void too_late(lua_State *L) {
  if (lua_gethook(L) == stop) lua_sethook(L, NULL, 0, 0);
}

static int trace(lua_State *L) {
  luaL_traceback(L, L, dfl_printable(L, 1, true), 1);
  return 1;
}

/* attended(fn, ...) -> true and the results of fn, or false and its error with a
** traceback. Each Ctrl-C raises such an error. */
static int l_attended(lua_State *L) {
  luaL_checktype(L, 1, LUA_TFUNCTION);
  lua_pushcfunction(L, trace);
  lua_insert(L, 1);
  df_interrupt i;
  lua_State *before = attended, *coroutine = running;
  attended = L;
  running = NULL;
  df_interrupt_begin(&i, raise_there, false, false);
  int status = lua_pcall(L, lua_gettop(L) - 2, LUA_MULTRET, 1);
  df_interrupt_end(&i);
  attended = before;
  running = coroutine;
  too_late(L);
  lua_pushboolean(L, status == LUA_OK);
  lua_replace(L, 1);
  return lua_gettop(L);
}

/* known_resume(thread, ...) -> the results of Lua's own resume, which is the upvalue */
static int l_known_resume(lua_State *L) {
  lua_State *thread = lua_tothread(L, 1), *before = running;
  lua_pushvalue(L, lua_upvalueindex(1));
  lua_insert(L, 1);
  if (thread) running = thread;
  int status = lua_pcall(L, lua_gettop(L) - 1, LUA_MULTRET, 0);
  running = before;
  if (thread) too_late(thread);
  return status == LUA_OK ? lua_gettop(L) : lua_error(L);
}

/* known(coroutine.resume) -> a function like it, so that Ctrl-C can find its
** coroutines */
static int l_known(lua_State *L) {
  luaL_checktype(L, 1, LUA_TFUNCTION);
  lua_settop(L, 1);
  lua_pushcclosure(L, l_known_resume, 1);
  return 1;
}

/* ==== input lines =================================================================== */

/* readline of the interpreter, if it is linked to one. It can edit lines and has a
** history. */
extern char *readline(const char *mark) __attribute__((weak));
extern void add_history(const char *line) __attribute__((weak));
extern int (*rl_event_hook)(void) __attribute__((weak));
extern int rl_done __attribute__((weak));

static volatile sig_atomic_t dropped;

static bool has_readline(void) {
  return readline && add_history && &rl_event_hook && &rl_done && isatty(0) && isatty(1);
}

static void drop(int signal, siginfo_t *info, void *context) {
  (void)signal, (void)info, (void)context;
  dropped = 1;
  if (has_readline()) rl_done = 1;
}

/* With such a hook, readline checks ten times per second whether it is done. */
static int look(void) { return 0; }

static char *edited_line(const char *mark) {
  rl_event_hook = look;
  char *line = readline(mark);
  rl_event_hook = NULL;
  if (line && *line && !dropped) add_history(line);
  return line;
}

static char *plain_line(const char *mark) {
  char *line = NULL;
  size_t room = 0;
  fputs(mark, stdout);
  fflush(stdout);
  clearerr(stdin);
  ssize_t n = getline(&line, &room, stdin);
  if (n > 0 && line[n - 1] == '\n') line[n - 1] = 0;
  if (n >= 0) return line;
  if (dropped) fputs("\n", stdout);
  free(line);
  return NULL;
}

/* read_line(mark) -> a line of standard input; nil at its end; false if Ctrl-C dropped
** the line */
static int l_read_line(lua_State *L) {
  static char *line; /* freed here, so that no error can leak it */
  const char *mark = luaL_checkstring(L, 1);
  free(line);
  dropped = 0;
  line = has_readline() ? edited_line(mark) : plain_line(mark);
  if (dropped) lua_pushboolean(L, 0);
  else lua_pushstring(L, line);
  return 1;
}

/* at_prompt(fn, ...) -> the results of fn, or raises its error. Meanwhile Ctrl-C ends
** only the current line. */
static int l_at_prompt(lua_State *L) {
  df_interrupt i;
  df_interrupt_begin(&i, drop, false, false);
  int status = lua_pcall(L, lua_gettop(L) - 1, LUA_MULTRET, 0);
  df_interrupt_end(&i);
  return status == LUA_OK ? lua_gettop(L) : lua_error(L);
}

static const luaL_Reg functions[] = {
  { "catch_interrupts", l_catch },
  { "known", l_known },
  { "read_line", l_read_line },
  { NULL, NULL },
};

/* These run as long as the functions that they call, and hold no tensors. They bypass the
** door: it would keep the tensors of failed calls until these functions end. */
static const luaL_Reg hosts[] = {
  { "attended", l_attended },
  { "at_prompt", l_at_prompt },
  { NULL, NULL },
};

void dfl_open_interrupt(lua_State *L) {
  dfl_functions(L, functions);
  lua_getfield(L, LUA_REGISTRYINDEX, DFL_CORE);
  luaL_setfuncs(L, hosts, 0);
  lua_pop(L, 1);
  luaL_newmetatable(L, DFL_GUARD);
  lua_pushcfunction(L, l_let_go);
  lua_setfield(L, -2, "__gc");
  lua_pushcfunction(L, l_let_go);
  lua_setfield(L, -2, "__close");
  lua_pushcfunction(L, l_caught);
  lua_setfield(L, -2, "__call");
  lua_pop(L, 1);
}
