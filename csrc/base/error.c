/* The last failure of each thread. The sentence lives in a fixed buffer, so that running
** out of memory can be reported too. It may contain names from files, so it is made
** printable. Its numbers do not depend on the locale. */
#include "base/error.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "base/locale.h"
#include "base/printable.h"

#define TEXT_MAX 1024

static _Thread_local df_code last_code;
static _Thread_local char last_text[DF_PRINTABLE_ROOM(TEXT_MAX)];

/* Removes the sign that printf shows for some NaNs; it has no meaning. */
static void drop_signs(char *text) {
  for (char *at = text; (at = strstr(at, "-nan"));) memmove(at, at + 1, strlen(at));
}

/* Truncates at TEXT_MAX. */
static void formatted(char *text, const char *format, va_list arguments) {
  df_locale l;
  bool own = df_locale_enter(&l);
  if (vsnprintf(text, TEXT_MAX, format, arguments) < 0) *text = 0;
  if (own) df_locale_leave(&l);
  drop_signs(text);
}

static void record(df_code code, const char *format, va_list arguments) {
  char text[TEXT_MAX]; /* the arguments may point into last_text */
  formatted(text, format, arguments);
  df_printable(last_text, text, strlen(text), true);
  last_code = code;
}

df_code df_fail(df_code code, const char *format, ...) {
  va_list arguments;
  va_start(arguments, format);
  record(code, format, arguments);
  va_end(arguments);
  return code;
}

void *df_fail_null(df_code code, const char *format, ...) {
  va_list arguments;
  va_start(arguments, format);
  record(code, format, arguments);
  va_end(arguments);
  return NULL;
}

df_code df_error_code(void) { return last_code; }

const char *df_error_text(void) { return last_text; }

void df_error_prefix(const char *format, ...) {
  char text[TEXT_MAX];
  va_list arguments;
  va_start(arguments, format);
  formatted(text, format, arguments);
  va_end(arguments);
  size_t used = strlen(text);
  int left = (int)(sizeof text - used) - 1;
  snprintf(text + used, sizeof text - used, "%.*s", left, last_text);
  df_printable(last_text, text, strlen(text), true);
}
