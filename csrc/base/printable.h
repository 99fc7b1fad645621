/* Foreign text for people's eyes: no byte of it reaches a terminal that would move its
** cursor, change its colours or hide what follows. */
#ifndef df_printable_h
#define df_printable_h

#include <stdbool.h>
#include <stddef.h>

/* The room that df_printable takes for a text. */
#define DF_PRINTABLE_ROOM(bytes) (4 * (bytes) + 1)

/* Writes the text with a zero behind it and returns its length. UTF-8 stays; control
** characters, those too that hide in UTF-8 or turn lines around, and bytes that are no
** UTF-8 become \n, \t, \r, \xHH or \u{H}. With `lines`, line breaks and tabs stay. */
size_t df_printable(char *out, const char *text, size_t bytes, bool lines);

#endif
