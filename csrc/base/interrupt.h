/* What Ctrl-C (SIGINT) does while something lasts; afterwards it does again what it did
** before. A process that ignores it, as under nohup, goes on ignoring it. */
#ifndef df_interrupt_h
#define df_interrupt_h

#include <signal.h>
#include <stdbool.h>

typedef struct df_interrupt {
  struct sigaction before;
  bool set;
} df_interrupt;

typedef void df_on_interrupt(int signal, siginfo_t *info, void *context);

/* restarts: system calls that wait go on after it, instead of failing */
void df_interrupt_begin(df_interrupt *i, df_on_interrupt *call, bool restarts);
void df_interrupt_end(df_interrupt *i);

/* Out of a handler: does what would have been done before. */
void df_interrupt_pass(const df_interrupt *i, int signal, siginfo_t *info, void *context);

#endif
