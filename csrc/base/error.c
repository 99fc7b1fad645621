/* The last failure of each thread. A sentence is built in place and never allocated, so
** that running out of memory can be told too. */
#include "base/error.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#define TEXT_MAX 1024

static _Thread_local df_code last_code;
static _Thread_local char last_text[TEXT_MAX];

/* What printf shows of a NaN's sign says nothing to anybody. */
static void drop_signs(char *text) {
  for (char *at = text; (at = strstr(at, "-nan"));) memmove(at, at + 1, strlen(at));
}

static void record(df_code code, const char *format, va_list arguments) {
  char text[TEXT_MAX]; /* the arguments may point into last_text */
  vsnprintf(text, sizeof text, format, arguments);
  drop_signs(text);
  memcpy(last_text, text, sizeof text);
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
  int used = vsnprintf(text, sizeof text, format, arguments);
  va_end(arguments);
  if (used < 0 || used >= TEXT_MAX) return;
  snprintf(text + used, sizeof text - (size_t)used, "%s", last_text);
  memcpy(last_text, text, sizeof text);
}
