/* A strict UTF-8 reader. Invalid bytes and characters that control a terminal are
** escaped. The result does not depend on the locale. */
#include "base/printable.h"

#include <stdint.h>
#include <string.h>

static const char HEX[] = "0123456789abcdef";

/* Decodes the character at s and returns its length in bytes. Returns 0 for invalid
** UTF-8: overlong forms, surrogates and code points above U+10FFFF. */
static size_t letter_at(const unsigned char *s, size_t left, uint32_t *letter) {
  static const uint32_t least[] = { 0, 0, 0x80, 0x800, 0x10000 };
  size_t n = *s < 0x80 ? 1 : *s >> 5 == 6 ? 2 : *s >> 4 == 14 ? 3 : *s >> 3 == 30 ? 4 : 0;
  if (n == 0 || n > left) return 0;
  *letter = n == 1 ? *s : *s & (0x7fu >> n);
  for (size_t k = 1; k < n; k++) {
    if (s[k] >> 6 != 2) return 0;
    *letter = *letter << 6 | (s[k] & 0x3fu);
  }
  bool whole = *letter >= least[n] && *letter <= 0x10ffff && *letter >> 11 != 0x1b;
  return whole ? n : 0;
}

/* Controls of C0 and C1, line separators, direction marks and non-characters. */
static bool steers(uint32_t c) {
  return c < 0x20 || (c >= 0x7f && c < 0xa0) || (c >= 0x2028 && c <= 0x202e)
         || (c >= 0x2066 && c <= 0x2069) || (c & 0xfffe) == 0xfffe;
}

static size_t put_byte(char *out, unsigned char c) {
  out[0] = '\\';
  out[1] = c == '\n' ? 'n' : c == '\t' ? 't' : c == '\r' ? 'r' : 'x';
  if (out[1] != 'x') return 2;
  out[2] = HEX[c >> 4];
  out[3] = HEX[c & 15];
  return 4;
}

static size_t put_code(char *out, uint32_t c) {
  memcpy(out, "\\u{", 3);
  size_t n = 3;
  for (int shift = 20; shift >= 0; shift -= 4)
    if (c >> shift) out[n++] = HEX[c >> shift & 15];
  out[n++] = '}';
  return n;
}

size_t df_printable(char *out, const char *text, size_t bytes, bool lines) {
  const unsigned char *s = (const unsigned char *)text;
  size_t used = 0, at = 0;
  while (at < bytes) {
    uint32_t c;
    size_t n = letter_at(s + at, bytes - at, &c);
    if (n > 0 && (!steers(c) || (lines && (c == '\n' || c == '\t')))) {
      memcpy(out + used, s + at, n);
      used += n;
    } else {
      used += n > 1 ? put_code(out + used, c) : put_byte(out + used, s[at]);
    }
    at += n > 0 ? n : 1;
  }
  out[used] = 0;
  return used;
}
