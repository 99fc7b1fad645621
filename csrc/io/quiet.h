/* Writing without signals: what fails is told by errno alone. */
#ifndef df_quiet_h
#define df_quiet_h

#include <stddef.h>
#include <sys/types.h>

/* write(), of which a reader that left (SIGPIPE) and a limit on a file's size (SIGXFSZ)
** don't end the process: -1 with EPIPE or EFBIG. Signals are held back in this thread
** only and while it writes; what others have set for them stays as it is. */
ssize_t df_write_quietly(int file, const void *data, size_t bytes);

#endif
