/* Large blocks, cut from a few large segments of system memory. A freed block is joined
** with its free neighbours, so blocks of all sizes reuse the same memory. The 64 bytes
** before a block hold the arena's header; their last 4 bytes are left to the caller. The
** functions are not thread-safe: alloc.c holds its lock around every call. */
#ifndef df_arena_h
#define df_arena_h

#include "base/base.h"

void *df_arena_take(size_t bytes, size_t *got); /* NULL: the system has no memory */
size_t df_arena_give(void *block);              /* returns the value of `got` */
size_t df_arena_touched(void); /* bytes of all segments, up to the highest ever used */
void df_arena_trim(void);      /* frees segments without a block */
/* The function is called with each new segment. It begins at a huge page. */
void df_arena_advise_by(void (*advise)(void *memory, size_t bytes));

#endif
