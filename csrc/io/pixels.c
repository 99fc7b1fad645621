/* Pixels: channels, sizes, batches. A picture is resized in floats along one axis, then
** the other, and rounded once. */
#include "io/pixels.h"

#include <math.h>
#include <string.h>

#include "base/alloc.h"
#include "base/error.h"
#include "base/pool.h"
#include "kernels/kernels.h"

static uint8_t grey(const uint8_t *x) {
  return (uint8_t)((299 * x[0] + 587 * x[1] + 114 * x[2] + 500) / 1000);
}

static uint8_t over_white(int value, int alpha) {
  return (uint8_t)((value * alpha + 255 * (255 - alpha) + 127) / 255);
}

/* One pixel as RGB without alpha. */
static void flatten(uint8_t rgb[3], const uint8_t *x, int from) {
  bool colour = from >= 3;
  int alpha = from % 2 ? 255 : x[from - 1];
  for (int c = 0; c < 3; c++) rgb[c] = over_white(x[colour ? c : 0], alpha);
}

void df_pixels_channels(uint8_t *y, int to, const uint8_t *x, int from, df_int n) {
  for (df_int i = 0; i < n; i++, x += from, y += to) {
    uint8_t rgb[3];
    flatten(rgb, x, from);
    if (to == 3) memcpy(y, rgb, 3);
    else y[0] = from <= 2 ? rgb[0] : grey(rgb);
  }
}

/* Row i of y is row i of x, or column i if the picture lies on its side. Either may be
** read from its other end. */
void df_pixels_turn(uint8_t *y, const uint8_t *x, df_int H, df_int W, int C,
                    int orientation) {
  static const bool upwards[9] = { [3] = true, [4] = true, [6] = true, [7] = true };
  static const bool leftwards[9] = { [2] = true, [3] = true, [7] = true, [8] = true };
  bool up = upwards[orientation], left = leftwards[orientation], lies = orientation >= 5;
  df_int along = left ? -C : C, down = up ? -W * C : W * C;
  const uint8_t *first = x + (up ? (H - 1) * W * C : 0) + (left ? (W - 1) * C : 0);
  df_int h = lies ? W : H, w = lies ? H : W;
  for (df_int i = 0; i < h; i++)
    for (df_int j = 0; j < w; j++, y += C)
      memcpy(y, first + (lies ? j * down + i * along : i * down + j * along), (size_t)C);
}

void df_pixels_bytes(uint8_t *y, const df_real *x, df_int n) {
  for (df_int i = 0; i < n; i++) {
    double v = ((double)x[i] + 1) * 127.5;
    y[i] = (uint8_t)(v > 0 ? fmin(v, 255) + 0.5 : 0); /* NaN isn't > 0 */
  }
}

static void widen(df_range *r, double v, bool *any) {
  r->least = *any ? fmin(r->least, v) : v;
  r->most = *any ? fmax(r->most, v) : v;
  *any = true;
}

df_range df_pixels_range(const df_real *x, df_int n) {
  df_range r = { 0 };
  bool any = false;
  for (df_int i = 0; i < n; i++) {
    if (isnan(x[i])) r.nans++;
    else if (isinf(x[i])) r.infinite++;
    else widen(&r, (double)x[i], &any);
  }
  return r;
}

df_range df_pixels_whole_range(const int64_t *x, df_int n) {
  df_range r = { 0 };
  bool any = false;
  for (df_int i = 0; i < n; i++) widen(&r, (double)x[i], &any);
  return r;
}

/* ---- resize: y = sum_k weight[k] x[start + k], along one axis, then the other
** --------- */

typedef struct taps {
  df_int from, count; /* inputs [from, from + count) */
} taps;

/* The taps of output j, and their weights, which sum to 1: a triangle around the place of
** j among the inputs, half as wide as `reach`. */
static taps taps_of(float *weight, df_int j, df_int n, double scale, double reach) {
  double centre = ((double)j + 0.5) * scale - 0.5, total = 0;
  df_int from = df_max(0, (df_int)ceil(centre - reach));
  df_int end = df_min(n, (df_int)floor(centre + reach) + 1);
  for (df_int i = from; i < end; i++) {
    double v = fmax(0, 1 - fabs((double)i - centre) / reach);
    weight[i - from] = (float)v;
    total += v;
  }
  for (df_int i = from; i < end; i++)
    weight[i - from] = (float)((double)weight[i - from] / total);
  return (taps){ from, end - from };
}

/* y: h x w x C from x: H x w x C of floats, H -> h; `weight` has room for the taps. */
static void shrink_rows(float *y, df_int h, const float *x, df_int H, df_int line,
                        float *weight) {
  double scale = (double)H / (double)h, reach = fmax(1, scale);
  memset(y, 0, (size_t)(h * line) * sizeof *y);
  for (df_int j = 0; j < h; j++) {
    taps t = taps_of(weight, j, H, scale, reach);
    for (df_int k = 0; k < t.count; k++) {
      const float *row = x + (t.from + k) * line;
      for (df_int i = 0; i < line; i++) y[j * line + i] += weight[k] * row[i];
    }
  }
}

/* y: w x H x C from x: H x W x C, transposed, so that the second pass works along rows
** too. */
static void load_turned(float *y, const uint8_t *x, df_int pitch, df_int H, df_int W,
                        int C) {
  for (df_int i = 0; i < H; i++)
    for (df_int j = 0; j < W; j++)
      for (int c = 0; c < C; c++) y[(j * H + i) * C + c] = x[i * pitch + j * C + c];
}

static void turn(float *y, const float *x, df_int n, df_int m, int C) {
  for (df_int i = 0; i < n; i++)
    for (df_int j = 0; j < m; j++)
      memcpy(y + (j * n + i) * C, x + (i * m + j) * C, (size_t)C * sizeof *y);
}

static void round_bytes(uint8_t *y, const float *x, df_int n) {
  for (df_int i = 0; i < n; i++) y[i] = (uint8_t)(fminf(fmaxf(x[i], 0), 255) + 0.5f);
}

int df_pixels_resize(uint8_t *y, df_int h, df_int w, const uint8_t *x, df_int pitch,
                     df_int H, df_int W, int C) {
  df_int room = df_max(df_max(W * H, w * H), h * w) * C;
  df_int most = 2 * df_max(H, W) + 4;
  float *a = df_alloc((size_t)(2 * room + most) * sizeof *a);
  if (!a) return DF_MEMORY;
  float *b = a + room, *weight = b + room;
  load_turned(a, x, pitch, H, W, C);      /* W, H, C */
  shrink_rows(b, w, a, W, H * C, weight); /* w, H, C */
  turn(a, b, w, H, C);                    /* H, w, C */
  shrink_rows(b, h, a, H, w * C, weight); /* h, w, C */
  round_bytes(y, b, h * w * C);
  df_free(a);
  return DF_OK;
}

/* ---- gather
** -------------------------------------------------------------------------- */

/* y: rows of W pixels of C channels, each mirrored */
static inline void mirror(df_real *y, df_int rows, df_int W, df_int C) {
  for (df_int r = 0; r < rows; r++, y += W * C)
    for (df_int i = 0, j = W - 1; i < j; i++, j--)
      for (df_int c = 0; c < C; c++) {
        df_real left = y[i * C + c];
        y[i * C + c] = y[j * C + c], y[j * C + c] = left;
      }
}

static void mirror_image(df_real *y, df_int H, df_int W, df_int C) {
  if (C == 1) mirror(y, H, W, 1); /* C as a constant: twice as fast */
  else if (C == 3) mirror(y, H, W, 3);
  else mirror(y, H, W, C);
}

static void gather_task(void *context, df_int begin, df_int end) {
  const df_batch *g = context;
  df_int image = g->H * g->W * g->C;
  for (df_int b = begin; b < end; b++) {
    const uint8_t *x = g->x + (g->index[b] - 1) * image;
    df_real *y = g->y + b * image;
    df_kernel()->image_from_u8(y, x, image);
    if (g->flip && g->flip[b]) mirror_image(y, g->H, g->W, g->C);
  }
}

void df_pixels_gather(const df_batch *g) {
  df_int image = df_max(1, g->H * g->W * g->C);
  df_batch work = *g;
  df_parallel(g->B, df_max(1, 65536 / image), gather_task, &work);
}
