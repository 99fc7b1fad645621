/* The C locale for this thread alone, while a number, a letter or an order must be what
** files and other programs take it for, whatever the host program has set. */
#ifndef df_locale_h
#define df_locale_h

#include <stdbool.h>

typedef struct df_locale {
  void *own, *before;
} df_locale;

bool df_locale_enter(df_locale *l); /* false: not enough memory, nothing is changed */
void df_locale_leave(const df_locale *l);

#endif
