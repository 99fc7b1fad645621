/* Writes without signals: errno alone reports failures. */
#ifndef df_quiet_h
#define df_quiet_h

#include <stddef.h>
#include <sys/types.h>

/* write() that doesn't end the process if a pipe's reader has left (SIGPIPE) or the file
** exceeds a size limit (SIGXFSZ): -1 with EPIPE or EFBIG. Signals are blocked in this
** thread only, while it writes. Handlers stay as they are. */
ssize_t df_write_quietly(int file, const void *data, size_t bytes);

#endif
