/* Both signals go to the thread that writes. They are blocked there, so they wait until
** they are removed. */
#include "io/quiet.h"

#include <errno.h>
#include <signal.h>
#include <stdbool.h>
#include <unistd.h>

static bool is_pending(int signal) {
  sigset_t pending;
  return sigpending(&pending) == 0 && sigismember(&pending, signal) == 1;
}

static void take(int signal) {
  sigset_t one;
  int taken;
  if (!is_pending(signal)) return;
  sigemptyset(&one);
  sigaddset(&one, signal);
  sigwait(&one, &taken);
}

ssize_t df_write_quietly(int file, const void *data, size_t bytes) {
  sigset_t ours, before;
  sigemptyset(&ours);
  sigaddset(&ours, SIGPIPE);
  sigaddset(&ours, SIGXFSZ);
  /* a signal that was pending before isn't ours */
  bool pipe_waits = is_pending(SIGPIPE), size_waits = is_pending(SIGXFSZ);
  pthread_sigmask(SIG_BLOCK, &ours, &before);
  ssize_t n = write(file, data, bytes);
  int why = errno;
  /* a pipe's signal may come with a short write */
  bool whole = n >= 0 && (size_t)n == bytes;
  if (!whole && !pipe_waits) take(SIGPIPE);
  if (!whole && !size_waits) take(SIGXFSZ);
  pthread_sigmask(SIG_SETMASK, &before, NULL);
  errno = why;
  return n;
}
