/* A handler for Ctrl-C (SIGINT) during a long call, and for SIGTERM, by which a cluster
** announces the end. df_interrupt_end restores the previous handlers. A process that
** ignores SIGINT, as under nohup, continues to ignore it. */
#ifndef df_interrupt_h
#define df_interrupt_h

#include <signal.h>
#include <stdbool.h>

typedef struct df_interrupt {
  struct sigaction before[2]; /* SIGINT, SIGTERM */
  bool set[2];
} df_interrupt;

typedef void df_on_interrupt(int signal, siginfo_t *info, void *context);

/* With `restarts`, interrupted system calls restart instead of failing. With
** `termination`, the handler is for SIGTERM too. */
void df_interrupt_begin(df_interrupt *i, df_on_interrupt *call, bool restarts,
                        bool termination);
void df_interrupt_end(df_interrupt *i);

/* Runs the previous action from within a handler. */
void df_interrupt_pass(const df_interrupt *i, int signal, siginfo_t *info, void *context);

#endif
