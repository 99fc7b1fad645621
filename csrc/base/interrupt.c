/* Installs and restores SIGINT handlers. */
#include "base/interrupt.h"

#include <stddef.h>

static bool is_plain(const struct sigaction *action, void (*handler)(int)) {
  return !(action->sa_flags & SA_SIGINFO) && action->sa_handler == handler;
}

void df_interrupt_begin(df_interrupt *i, df_on_interrupt *call, bool restarts) {
  struct sigaction action = { .sa_sigaction = call };
  action.sa_flags = SA_SIGINFO | (restarts ? SA_RESTART : 0);
  sigemptyset(&action.sa_mask);
  i->set = sigaction(SIGINT, NULL, &i->before) == 0 && !is_plain(&i->before, SIG_IGN)
           && sigaction(SIGINT, &action, NULL) == 0;
}

void df_interrupt_end(df_interrupt *i) {
  if (i->set) sigaction(SIGINT, &i->before, NULL);
  i->set = false;
}

void df_interrupt_pass(const df_interrupt *i, int signal, siginfo_t *info,
                       void *context) {
  if (i->before.sa_flags & SA_SIGINFO) {
    i->before.sa_sigaction(signal, info, context);
  } else if (is_plain(&i->before, SIG_DFL)) {
    sigaction(signal, &i->before, NULL);
    raise(signal); /* delivered when the handler returns */
  } else {
    i->before.sa_handler(signal);
  }
}
