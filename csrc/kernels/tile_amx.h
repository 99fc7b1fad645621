/* Tile operations in AMX: eight registers of 16 rows of 64 bytes. On each thread
** tile_open precedes the other operations and tile_close follows them. While a thread has
** tiles open, the processor is slower and the system saves 8 KB more per thread.
**   tile_zero(t)  tile_load(t, p, pitch)  tile_store(t, p, pitch): pitch in bytes
**   tile_dot(t, a, b): t[i][j] += sum over k of the pairs a[i][k] . b[k][j], t of floats
** Tile numbers are literals. tile_plain.h implements the same operations in C. */
#ifndef df_tile_amx_h
#define df_tile_amx_h

#include <immintrin.h>
#include <stdint.h>

typedef struct tile_shape {
  uint8_t palette, start, none[14];
  uint16_t bytes[16];
  uint8_t rows[16];
} tile_shape;

static inline void tile_open(void) {
  static const tile_shape whole = { .palette = 1,
                                    .bytes = { 64, 64, 64, 64, 64, 64, 64, 64 },
                                    .rows = { 16, 16, 16, 16, 16, 16, 16, 16 } };
  _tile_loadconfig(&whole);
}
static inline void tile_close(void) { _tile_release(); }

/* Tells the compiler that a load reads memory. */
#define tile_load(t, p, pitch)                                                           \
  do {                                                                                   \
    __asm__ volatile("" ::: "memory");                                                   \
    _tile_loadd(t, p, pitch);                                                            \
  } while (0)
#define tile_store(t, p, pitch) _tile_stored(t, p, pitch)
#define tile_zero(t)            _tile_zero(t)
#define tile_dot(t, a, b)       _tile_dpbf16ps(t, a, b)

#endif
