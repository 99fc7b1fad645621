/* Sets the C locale for the calling thread. Numbers, letters and sort order in files then
** do not depend on the locale of the host program. */
#ifndef df_locale_h
#define df_locale_h

#include <stdbool.h>

typedef struct df_locale {
  void *own, *before;
} df_locale;

bool df_locale_enter(df_locale *l); /* false: out of memory, locale unchanged */
void df_locale_leave(const df_locale *l);

#endif
