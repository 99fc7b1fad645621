/* Best fit over segments. A training step requests the same sizes in the same order each
** time. Best fit then gives each block the place that it had in the previous step. The
** peak is within a few percent (measured) of a memory plan for the step. It works for any
** network and needs no plan that must be recorded or invalidated. */
#include "base/arena.h"

#include <stdlib.h>

#define SEGMENT   ((size_t)1 << 30) /* pages that are never touched cost nothing */
#define HUGE      ((size_t)2 << 20) /* a huge page */
#define BINS      256               /* lists of free pieces, four to every power of two */
#define REMAINDER ((size_t)4096)    /* a smaller rest stays with its block */

typedef struct segment {
  struct segment *next;
  char *end, *top; /* its end; the end of all bytes ever handed out */
} segment;

/* A piece is a block or the free space between two blocks. Pieces of a segment are
** adjacent. */
typedef struct piece {
  segment *home;
  size_t bytes, before; /* its size; the size of the preceding piece, or 0 */
  bool free;
  struct piece *next, *previous; /* neighbours in its bin, while it is free */
} piece;

_Static_assert(sizeof(piece) <= DF_ALIGN - sizeof(int), "the caller's word has room");
_Static_assert(sizeof(segment) <= DF_ALIGN, "the head fits the line before the pieces");

static segment *segments;
static piece *bins[BINS];
static size_t touched;

static int bin_of(size_t bytes) {
  int bits = 63 - __builtin_clzll((unsigned long long)bytes);
  return bits * 4 + (int)(bytes >> (bits - 2) & 3);
}

static void link_piece(piece *p) {
  piece **bin = &bins[bin_of(p->bytes)];
  p->free = true;
  p->previous = NULL, p->next = *bin;
  if (*bin) (*bin)->previous = p;
  *bin = p;
}

static void unlink_piece(piece *p) {
  if (p->previous) p->previous->next = p->next;
  else bins[bin_of(p->bytes)] = p->next;
  if (p->next) p->next->previous = p->previous;
  p->free = false;
}

static piece *behind(const piece *p) {
  char *at = (char *)p + p->bytes;
  return at < p->home->end ? (piece *)(void *)at : NULL;
}

static piece *ahead(const piece *p) {
  return p->before ? (piece *)(void *)((char *)p - p->before) : NULL;
}

/* The smallest piece of a bin that holds `bytes`, the lowest address first; or NULL. */
static piece *smallest(piece *p, size_t bytes) {
  piece *best = NULL;
  for (; p; p = p->next) {
    if (p->bytes < bytes) continue;
    if (!best || p->bytes < best->bytes || (p->bytes == best->bytes && p < best))
      best = p;
  }
  return best;
}

static piece *find(size_t bytes) {
  piece *best = NULL;
  for (int i = bin_of(bytes); i < BINS && !best; i++) best = smallest(bins[i], bytes);
  return best;
}

static void (*advise)(void *memory, size_t bytes);

void df_arena_advise_by(void (*how)(void *memory, size_t bytes)) { advise = how; }

static void *pages(size_t bytes) {
  void *memory;
  if (posix_memalign(&memory, HUGE, bytes) != 0) return NULL;
  if (advise) advise(memory, bytes);
  return memory;
}

/* Adds a segment that holds at least `bytes`, as one free piece. */
static piece *grow(size_t bytes) {
  size_t least = bytes + DF_ALIGN, size = least > SEGMENT / 2 ? least : SEGMENT;
  void *memory = pages(size);
  if (!memory && size > least) memory = pages(size = least);
  if (!memory) return NULL;
  segment *s = memory;
  *s = (segment){ segments, (char *)memory + size, (char *)memory + DF_ALIGN };
  segments = s;
  piece *p = (piece *)(void *)s->top;
  *p = (piece){ .home = s, .bytes = size - DF_ALIGN };
  link_piece(p);
  return p;
}

/* Cuts off the bytes that a block does not need. */
static void split(piece *p, size_t bytes) {
  if (p->bytes - bytes < REMAINDER) return;
  piece *rest = (piece *)(void *)((char *)p + bytes), *next = behind(p);
  *rest = (piece){ .home = p->home, .bytes = p->bytes - bytes, .before = bytes };
  p->bytes = bytes;
  if (next) next->before = rest->bytes;
  link_piece(rest);
}

void *df_arena_take(size_t bytes, size_t *got) {
  size_t whole = DF_ALIGN + (bytes + DF_ALIGN - 1) / DF_ALIGN * DF_ALIGN;
  piece *p = find(whole);
  if (!p) p = grow(whole);
  if (!p) return NULL;
  unlink_piece(p);
  split(p, whole);
  char *end = (char *)p + p->bytes;
  if (end > p->home->top) touched += (size_t)(end - p->home->top), p->home->top = end;
  *got = p->bytes;
  return (char *)p + DF_ALIGN;
}

/* Joins p with the next piece, which is free and in no bin. */
static void join(piece *p, const piece *next) {
  p->bytes += next->bytes;
  piece *last = behind(p);
  if (last) last->before = p->bytes;
}

size_t df_arena_give(void *block) {
  piece *p = (piece *)(void *)((char *)block - DF_ALIGN), *next = behind(p);
  size_t bytes = p->bytes;
  if (next && next->free) unlink_piece(next), join(p, next);
  piece *previous = ahead(p);
  if (previous && previous->free) {
    unlink_piece(previous);
    join(previous, p);
    p = previous;
  }
  link_piece(p);
  return bytes;
}

size_t df_arena_touched(void) { return touched; }

void df_arena_trim(void) {
  for (segment **at = &segments; *at;) {
    segment *s = *at;
    piece *p = (piece *)(void *)((char *)s + DF_ALIGN);
    if (!p->free || behind(p)) {
      at = &s->next;
      continue;
    }
    unlink_piece(p);
    touched -= (size_t)(s->top - (char *)p);
    *at = s->next;
    free(s);
  }
}
