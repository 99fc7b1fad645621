/* A handler for Ctrl-C (SIGINT) during a long call. df_interrupt_end restores the
** previous handler. A process that ignores SIGINT, as under nohup, continues to ignore
** it. */
#ifndef df_interrupt_h
#define df_interrupt_h

#include <signal.h>
#include <stdbool.h>

typedef struct df_interrupt {
  struct sigaction before;
  bool set;
} df_interrupt;

typedef void df_on_interrupt(int signal, siginfo_t *info, void *context);

/* With `restarts`, interrupted system calls restart instead of failing. */
void df_interrupt_begin(df_interrupt *i, df_on_interrupt *call, bool restarts);
void df_interrupt_end(df_interrupt *i);

/* Runs the previous action from within a handler. */
void df_interrupt_pass(const df_interrupt *i, int signal, siginfo_t *info, void *context);

#endif
