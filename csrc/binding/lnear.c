/* The known name that a mistyped one most resembles. */
#include <string.h>

#include "binding/binding.h"

static size_t smaller(size_t a, size_t b) { return a < b ? a : b; }

/* Row i of the optimal string alignment: the changes that lead from a's first i letters
** to b's first j. A change inserts, deletes or replaces a letter, or swaps two
** neighbours. `row` holds rows i, i - 1 and i - 2. */
static void align(size_t *const row[3], size_t i, const char *a, const char *b,
                  size_t n) {
  row[0][0] = i;
  for (size_t j = 1; j <= n; j++) {
    size_t change = row[1][j - 1] + (a[i - 1] != b[j - 1]);
    row[0][j] = smaller(smaller(row[1][j], row[0][j - 1]) + 1, change);
    if (i > 1 && j > 1 && a[i - 1] == b[j - 2] && a[i - 2] == b[j - 1])
      row[0][j] = smaller(row[0][j], row[2][j - 2] + 1);
  }
}

static size_t distance(lua_State *L, const char *a, size_t m, const char *b, size_t n) {
  size_t *room = lua_newuserdatauv(L, 3 * (n + 1) * sizeof *room, 0);
  size_t *row[3] = { room, room + n + 1, room + 2 * (n + 1) };
  for (size_t j = 0; j <= n; j++) row[0][j] = j;
  for (size_t i = 1; i <= m; i++) {
    size_t *oldest = row[2];
    row[2] = row[1], row[1] = row[0], row[0] = oldest;
    align(row, i, a, b, n);
  }
  size_t apart = row[0][n];
  lua_pop(L, 1);
  return apart;
}

/* Whether the word is the beginning of a name: "drop" of "dropout". It counts as one
** change. */
static bool begins(const char *word, size_t letters, const char *name, size_t n) {
  return letters >= 3 && letters < n && strncmp(word, name, letters) == 0;
}

size_t dfl_near(size_t letters) { return (letters / 3 > 1 ? letters / 3 : 1) + 1; }

bool dfl_nearer(lua_State *L, const char *word, size_t letters, const char *name,
                size_t *least) {
  size_t n = strlen(name), apart = letters > n ? letters - n : n - letters;
  if (begins(word, letters, name, n)) apart = 1;
  else if (apart < *least) apart = distance(L, word, letters, name, n);
  if (apart >= *least) return false;
  *least = apart;
  return true;
}
