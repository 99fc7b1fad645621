/* Large blocks, cut from a few segments of the system's memory and joined with their free
** neighbours when they come back, so that blocks of all sizes use the same room one after
** the other. The line before a block is the arena's but for its last four bytes. Not
** safe from threads: alloc.c holds its lock around every call. */
#ifndef df_arena_h
#define df_arena_h

#include "base/base.h"

void *df_arena_take(size_t bytes, size_t *got); /* NULL: the system has none */
size_t df_arena_give(void *block);              /* the bytes that `got` was */
size_t df_arena_touched(void); /* bytes of segments up to the last that was ever used */
void df_arena_trim(void);      /* gives segments that nobody uses back to the system */

#endif
