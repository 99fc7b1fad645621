/* Weights in ggml's blocks of 32: element k is (q_k - zero) d, or q_k d + m. d and m are
** f16, and come first. The fifth bits of q5 are a word of 32. The low four bits of byte k
** are those of q_k, the high ones those of q_(k+16). */
static df_real half_at(const uint8_t *x) {
  uint16_t code;
  df_real y;
  memcpy(&code, x, sizeof code);
  from_f16(&y, &code, 1);
  return y;
}

static void block_q8_0(df_real *y, const uint8_t *x) {
  const df_real d = half_at(x);
  const int8_t *q = (const int8_t *)x + 2;
  for (int k = 0; k < 32; k++) y[k] = d * (df_real)q[k];
}

static void block_q4_0(df_real *y, const uint8_t *x) {
  const df_real d = half_at(x);
  for (int k = 0; k < 16; k++) {
    y[k] = d * (df_real)((x[2 + k] & 15) - 8);
    y[k + 16] = d * (df_real)((x[2 + k] >> 4) - 8);
  }
}

static void block_q4_1(df_real *y, const uint8_t *x) {
  const df_real d = half_at(x), m = half_at(x + 2);
  for (int k = 0; k < 16; k++) {
    y[k] = d * (df_real)(x[4 + k] & 15) + m;
    y[k + 16] = d * (df_real)(x[4 + k] >> 4) + m;
  }
}

/* The fifth bit of q_k, as 16 or 0. */
static int fifth(const uint8_t *high, int k) { return (high[k / 8] >> k % 8 & 1) << 4; }

static void block_q5_0(df_real *y, const uint8_t *x) {
  const df_real d = half_at(x);
  const uint8_t *high = x + 2, *q = x + 6;
  for (int k = 0; k < 16; k++) {
    y[k] = d * (df_real)((q[k] & 15) + fifth(high, k) - 16);
    y[k + 16] = d * (df_real)((q[k] >> 4) + fifth(high, k + 16) - 16);
  }
}

static void block_q5_1(df_real *y, const uint8_t *x) {
  const df_real d = half_at(x), m = half_at(x + 2);
  const uint8_t *high = x + 4, *q = x + 8;
  for (int k = 0; k < 16; k++) {
    y[k] = d * (df_real)((q[k] & 15) + fifth(high, k)) + m;
    y[k + 16] = d * (df_real)((q[k] >> 4) + fifth(high, k + 16)) + m;
  }
}

typedef void block_reader(df_real *y, const uint8_t *x);

/* Elements [first, first + n) of the blocks from x on, which have `bytes` bytes. */
static void from_blocks(block_reader *read, int bytes, df_real *y, const uint8_t *x,
                        df_int first, df_int n) {
  df_real some[32];
  for (df_int done = 0, m; done < n; done += m) {
    df_int at = (first + done) % 32;
    const uint8_t *block = x + (first + done) / 32 * bytes;
    m = df_min(32 - at, n - done);
    if (m == 32) {
      read(y + done, block);
    } else {
      read(some, block);
      memcpy(y + done, some + at, (size_t)m * sizeof *y);
    }
  }
}

static void from_q8_0(df_real *y, const uint8_t *x, df_int first, df_int n) {
  from_blocks(block_q8_0, 34, y, x, first, n);
}
static void from_q4_0(df_real *y, const uint8_t *x, df_int first, df_int n) {
  from_blocks(block_q4_0, 18, y, x, first, n);
}
static void from_q4_1(df_real *y, const uint8_t *x, df_int first, df_int n) {
  from_blocks(block_q4_1, 20, y, x, first, n);
}
static void from_q5_0(df_real *y, const uint8_t *x, df_int first, df_int n) {
  from_blocks(block_q5_0, 22, y, x, first, n);
}
static void from_q5_1(df_real *y, const uint8_t *x, df_int first, df_int n) {
  from_blocks(block_q5_1, 24, y, x, first, n);
}
