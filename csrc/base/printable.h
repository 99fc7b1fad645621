/* Makes foreign text safe to print. No byte reaches a terminal that could move its
** cursor, change its colours or hide the text that follows. */
#ifndef df_printable_h
#define df_printable_h

#include <stdbool.h>
#include <stddef.h>

/* The size of the buffer that df_printable needs for a text. */
#define DF_PRINTABLE_ROOM(bytes) (4 * (bytes) + 1)

/* Writes the text with a terminating zero and returns its length. Valid UTF-8 is copied.
** Control characters and invalid bytes become \n, \t, \r, \xHH or \u{H}. Unicode's
** control and direction characters count as control characters. With `lines`, line breaks
** and tabs are copied. */
size_t df_printable(char *out, const char *text, size_t bytes, bool lines);

#endif
