/* Emulates AMX on a machine with AVX-512, slowly. Preload this library. It handles the
** SIGILL of each tile instruction: it executes the instruction as in Intel's manual (SDM
** volume 2) and continues after it. Each thread has its own eight tiles. It supports the
** instructions in csrc/kernels/tile_amx.h, in VEX encoding with any addressing:
** LDTILECFG, TILERELEASE, TILEZERO, TILELOADD, TILESTORED and TDPBF16PS. Cases that fault
** by the manual, such as no configuration or other prefixes, still raise SIGILL. So do
** other instructions. Only `make check-amx` needs it. */
#define _GNU_SOURCE
#include <signal.h>
#include <stdbool.h>
#include <stdint.h>
#include <string.h>
#include <ucontext.h>
#include <xmmintrin.h>

#define TILES 8
#define ROWS  16
#define BYTES 64

/* -- state of a thread --------------------------------------------------------------- */

typedef union tile {
  float real[ROWS][BYTES / 4];
  uint32_t pair[ROWS][BYTES / 4];
  uint8_t byte[ROWS][BYTES];
} tile;

static _Thread_local struct {
  bool configured;
  int rows[TILES], bytes[TILES];
  tile tile[TILES];
} state;

/* Configures as LDTILECFG does; false if it would fault. */
static bool configure(const uint8_t *from) {
  memset(&state, 0, sizeof state);
  if (from[0] == 0) return true; /* palette 0: as after TILERELEASE */
  if (from[0] != 1) return false;
  for (int i = 1; i < BYTES; i++)
    if (from[i] != 0 && (i < 16 || (i >= 32 && i < 48) || i >= 56)) return false;
  for (int t = 0; t < TILES; t++) {
    state.bytes[t] = from[16 + 2 * t] | from[17 + 2 * t] << 8;
    state.rows[t] = from[48 + t];
    if (state.bytes[t] > BYTES || state.rows[t] > ROWS) return false;
    if ((state.bytes[t] == 0) != (state.rows[t] == 0)) return false;
  }
  return state.configured = true;
}

static bool usable(int t) { return state.configured && t < TILES && state.rows[t] > 0; }

static void load(int t, const uint8_t *from, int64_t pitch) {
  memset(&state.tile[t], 0, sizeof(tile));
  for (int i = 0; i < state.rows[t]; i++)
    memcpy(state.tile[t].byte[i], from + i * pitch, (size_t)state.bytes[t]);
}

static void store(int t, uint8_t *to, int64_t pitch) {
  for (int i = 0; i < state.rows[t]; i++)
    memcpy(to + i * pitch, state.tile[t].byte[i], (size_t)state.bytes[t]);
}

static float wide(uint32_t bits) {
  float f;
  memcpy(&f, &bits, sizeof f);
  return f;
}

/* c += a b. The even products of a row and a column are summed apart from the odd ones.
** Each step is a multiplication and addition, rounded once. Then both sums are added,
** then added to c. */
static void dot(int c, int a, int b) {
  tile *to = &state.tile[c];
  const tile *x = &state.tile[a], *w = &state.tile[b];
  int columns = state.bytes[c] / 4;
  for (int i = 0; i < state.rows[c]; i++) {
    float even[BYTES / 4] = { 0 }, odd[BYTES / 4] = { 0 };
    for (int k = 0; k < state.bytes[a] / 4; k++)
      for (int j = 0; j < BYTES / 4; j++) {
        uint32_t p = x->pair[i][k], q = w->pair[k][j];
        even[j] = __builtin_fmaf(wide(p << 16), wide(q << 16), even[j]);
        odd[j] = __builtin_fmaf(wide(p & 0xffff0000u), wide(q & 0xffff0000u), odd[j]);
      }
    for (int j = 0; j < columns; j++) to->real[i][j] += even[j] + odd[j];
    for (int j = columns; j < BYTES / 4; j++) to->real[i][j] = 0;
  }
  for (int i = state.rows[c]; i < ROWS; i++) memset(to->byte[i], 0, BYTES);
}

/* Checks the shapes of TDPBF16PS: C is m x n, A m x k, B k x n. */
static bool fit(int c, int a, int b) {
  return usable(c) && usable(a) && usable(b) && c != a && c != b && a != b
         && state.rows[c] == state.rows[a] && state.bytes[c] == state.bytes[b]
         && state.bytes[a] == 4 * state.rows[b] && state.bytes[a] % 4 == 0
         && state.bytes[c] % 4 == 0;
}

/* -- decoding ------------------------------------------------------------------------ */

typedef struct instruction {
  int prefix, opcode; /* prefix: 0 none, 1 66, 2 F3, 3 F2 */
  int reg, rm, third; /* reg and rm of ModRM; third is VEX.vvvv */
  bool memory;
  int64_t base, stride; /* memory operand: address; index << scale */
  bool indexed;         /* has a SIB byte, which tiles need */
  int length;
} instruction;

static int64_t register_of(const ucontext_t *at, int number) {
  static const int order[] = { REG_RAX, REG_RCX, REG_RDX, REG_RBX, REG_RSP, REG_RBP,
                               REG_RSI, REG_RDI, REG_R8,  REG_R9,  REG_R10, REG_R11,
                               REG_R12, REG_R13, REG_R14, REG_R15 };
  return at->uc_mcontext.gregs[order[number]];
}

static int32_t offset_at(const uint8_t *p) {
  int32_t offset;
  memcpy(&offset, p, sizeof offset);
  return offset;
}

/* Decodes ModRM at p + 4, with SIB and displacement; rex has VEX's bits R, X, B,
** inverted. */
static void address(instruction *i, const ucontext_t *at, const uint8_t *p, int x,
                    int b) {
  int mod = p[4] >> 6, base = i->rm;
  int64_t index = 0;
  i->length = 5;
  if (base == 4) {
    uint8_t sib = p[i->length++];
    int number = (sib >> 3 & 7) | x << 3;
    if (number != 4) index = register_of(at, number) << (sib >> 6);
    base = sib & 7;
    i->indexed = true;
  }
  i->stride = index;
  if (mod == 0 && base == 5) { /* no base: an offset from the next instruction */
    i->base = offset_at(p + i->length);
    i->length += 4;
    if (!i->indexed) i->base += at->uc_mcontext.gregs[REG_RIP] + i->length;
    return;
  }
  i->base = register_of(at, base | b << 3);
  if (mod == 1) i->base += (int8_t)p[i->length++];
  if (mod == 2) i->base += offset_at(p + i->length), i->length += 4;
}

/* Decodes three bytes of VEX with map 0F38, W 0 and 128 bits; false for other bytes. */
static bool decode(instruction *i, const ucontext_t *at) {
  const uint8_t *p = (const uint8_t *)at->uc_mcontext.gregs[REG_RIP];
  memset(i, 0, sizeof *i);
  if (p[0] != 0xc4 || (p[1] & 0x1f) != 2 || (p[2] & 0x84) != 0) return false;
  i->prefix = p[2] & 3, i->opcode = p[3];
  i->third = ~(p[2] >> 3) & 15;
  i->reg = (p[4] >> 3 & 7) | (p[1] & 0x80 ? 0 : 8);
  i->rm = p[4] & 7;
  i->memory = p[4] >> 6 != 3;
  if (i->memory) address(i, at, p, !(p[1] & 0x40), !(p[1] & 0x20));
  else i->length = 5, i->rm |= p[1] & 0x20 ? 0 : 8;
  return true;
}

static bool on_configuration(const instruction *i) {
  if (i->third != 0) return false;
  if (i->prefix == 0 && i->memory && i->reg == 0)
    return configure((const uint8_t *)(i->base + i->stride));
  if (i->prefix == 0 && !i->memory && i->reg == 0 && i->rm == 0)
    return memset(&state, 0, sizeof state), true;
  if (i->prefix != 3 || i->memory || i->rm != 0 || !usable(i->reg)) return false;
  memset(&state.tile[i->reg], 0, sizeof(tile));
  return true;
}

static bool on_memory(const instruction *i) {
  if (i->third != 0 || !i->memory || !i->indexed || !usable(i->reg)) return false;
  if (i->prefix == 3) load(i->reg, (const uint8_t *)i->base, i->stride);
  else if (i->prefix == 2) store(i->reg, (uint8_t *)i->base, i->stride);
  return i->prefix >= 2;
}

static bool on_product(const instruction *i) {
  if (i->prefix != 2 || i->memory || !fit(i->reg, i->rm, i->third)) return false;
  dot(i->reg, i->rm, i->third);
  return true;
}

static bool perform(const instruction *i) {
  switch (i->opcode) {
  case 0x49: return on_configuration(i);
  case 0x4b: return on_memory(i);
  case 0x5c: return on_product(i);
  default: return false;
  }
}

/* -- signal -------------------------------------------------------------------------- */

/* Tiles round to nearest and flush subnormals, whatever MXCSR says. The system restores
** MXCSR on return. */
static void on_illegal(int number, siginfo_t *info, void *context) {
  ucontext_t *at = context;
  instruction i;
  (void)info;
  _mm_setcsr(0x9fc0); /* all exceptions masked, results and operands flushed */
  if (decode(&i, at) && perform(&i)) at->uc_mcontext.gregs[REG_RIP] += i.length;
  else signal(number, SIG_DFL); /* raised again, with the default action */
}

__attribute__((constructor)) static void begin(void) {
  struct sigaction action = { .sa_sigaction = on_illegal,
                              .sa_flags = SA_SIGINFO | SA_NODEFER };
  sigaction(SIGILL, &action, NULL);
}
