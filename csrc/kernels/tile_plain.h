/* The tile operations of tile_amx.h in plain C, to test the bodies on machines without
** AMX. Sums equal those of TDPBF16PS, except that subnormals are not flushed to 0. */
#ifndef df_tile_plain_h
#define df_tile_plain_h

#include <math.h>
#include <stdint.h>
#include <string.h>

static union tile {
  float real[16][16];
  uint16_t half[16][32];
} tile[8];
static int tiles_open;

static inline void tile_open(void) { tiles_open++, memset(tile, 0, sizeof tile); }
static inline void tile_close(void) { tiles_open--; }
static inline void tile_zero(int t) { memset(&tile[t], 0, sizeof tile[t]); }

static inline void tile_load(int t, const void *p, long pitch) {
  for (int i = 0; i < 16; i++) memcpy(tile[t].real[i], (const char *)p + i * pitch, 64);
}
static inline void tile_store(int t, void *p, long pitch) {
  for (int i = 0; i < 16; i++) memcpy((char *)p + i * pitch, tile[t].real[i], 64);
}

static inline float tile_number(uint16_t half) {
  uint32_t bits = (uint32_t)half << 16;
  float wide;
  memcpy(&wide, &bits, sizeof wide);
  return wide;
}
static inline void tile_dot(int t, int a, int b) {
  for (int i = 0; i < 16; i++)
    for (int j = 0; j < 16; j++) {
      float even = 0, odd = 0;
      for (int k = 0; k < 16; k++) {
        const uint16_t *x = &tile[a].half[i][2 * k], *w = &tile[b].half[k][2 * j];
        even = fmaf(tile_number(x[0]), tile_number(w[0]), even);
        odd = fmaf(tile_number(x[1]), tile_number(w[1]), odd);
      }
      tile[t].real[i][j] += even + odd;
    }
}

#endif
