/* POSIX locales of a thread. localeconv, printf, strtod, strcoll and isalpha follow
** it. */
#include "base/locale.h"

#include <locale.h>
#ifdef __APPLE__
#include <xlocale.h>
#endif

bool df_locale_enter(df_locale *l) {
  locale_t own = newlocale(LC_ALL_MASK, "C", (locale_t)0);
  if (!own) return false;
  *l = (df_locale){ own, uselocale(own) };
  return true;
}

void df_locale_leave(const df_locale *l) {
  uselocale((locale_t)l->before);
  freelocale((locale_t)l->own);
}
