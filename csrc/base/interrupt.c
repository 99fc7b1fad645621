/* Installs and restores handlers of SIGINT and SIGTERM. */
#include "base/interrupt.h"

#include <stddef.h>

static bool is_plain(const struct sigaction *action, void (*handler)(int)) {
  return !(action->sa_flags & SA_SIGINFO) && action->sa_handler == handler;
}

static const int signals[2] = { SIGINT, SIGTERM };

static bool install(int signal, const struct sigaction *action,
                    struct sigaction *before) {
  return sigaction(signal, NULL, before) == 0 && !is_plain(before, SIG_IGN)
         && sigaction(signal, action, NULL) == 0;
}

void df_interrupt_begin(df_interrupt *i, df_on_interrupt *call, bool restarts,
                        bool termination) {
  struct sigaction action = { .sa_sigaction = call };
  action.sa_flags = SA_SIGINFO | (restarts ? SA_RESTART : 0);
  sigemptyset(&action.sa_mask);
  for (int k = 0; k < 2; k++)
    i->set[k] = (k == 0 || termination) && install(signals[k], &action, &i->before[k]);
}

void df_interrupt_end(df_interrupt *i) {
  for (int k = 0; k < 2; k++) {
    if (i->set[k]) sigaction(signals[k], &i->before[k], NULL);
    i->set[k] = false;
  }
}

void df_interrupt_pass(const df_interrupt *i, int signal, siginfo_t *info,
                       void *context) {
  const struct sigaction *before = &i->before[signal == SIGTERM];
  if (before->sa_flags & SA_SIGINFO) {
    before->sa_sigaction(signal, info, context);
  } else if (is_plain(before, SIG_DFL)) {
    sigaction(signal, before, NULL);
    raise(signal); /* delivered when the handler returns */
  } else {
    before->sa_handler(signal);
  }
}
