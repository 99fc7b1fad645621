"""The tables of lua/diffusion/text/unicode_tables.lua, measured on Hugging Face's tokenizers.

    python spec/peers/unicode.py lua/diffusion/text/unicode_tables.lua
    python spec/peers/unicode.py --check lua/diffusion/text/unicode_tables.lua

CLIP's tokenizer is a normalizer and a regular expression of that library, whose parts are of different versions of
Unicode. Every character is passed through them, so the tables are those of the installed library.
"""
import argparse
import sys
import unicodedata

import tokenizers
from tokenizers import Regex, normalizers

POINTS = [c for c in range(0x110000) if not 0xD800 <= c < 0xE000]
HANGUL = range(0xAC00, 0xAC00 + 11172)
nfc = normalizers.NFC().normalize_str
nfd = normalizers.NFD().normalize_str
lower = normalizers.Lowercase().normalize_str


def members(pattern):
    """The code points that a regular expression of one character matches."""
    remove = normalizers.Replace(Regex(pattern), "").normalize_str
    text = "".join(map(chr, POINTS))
    left = set(remove(text))
    return [c for c in POINTS if chr(c) not in left]


def ranges(points):
    """Consecutive code points as pairs: first, last."""
    out = []
    for c in points:
        if out and out[-1][1] == c - 1:
            out[-1][1] = c
        else:
            out.append([c, c])
    return out


def class_table(pattern):
    """The gap to each range, and its length less one."""
    out, at = [], 0
    for first, last in ranges(members(pattern)):
        out += [first - at, last - first]
        at = last
    return out


def lower_table():
    """Runs of letters with one distance to their lower case: gap, step, count, distance. The rest, whose lower case
    has several characters, is returned as it is."""
    pairs = [(c, lower(chr(c))) for c in POINTS if lower(chr(c)) != chr(c)]
    special = {c: s for c, s in pairs if len(s) > 1}
    runs = []
    for c, s in pairs:
        if c in special:
            continue
        far = ord(s) - c
        last = runs[-1] if runs else None
        gap = c - last[0] - last[1] * (last[2] - 1) if last else 0
        if last and last[3] == far and gap <= 2 and (last[2] == 1 or gap == last[1]):
            last[1], last[2] = gap, last[2] + 1
        else:
            runs.append([c, 1, 1, far])
    out, at = [], 0
    for first, step, count, far in runs:
        out += [first - at, step, count, far]
        at = first
    return out, special


def canonical_class(mark, known):
    """The class of a mark, by the order in which decomposition puts it beside marks of known classes."""
    below = [k for k, m in known.items() if m != mark and nfd("a" + mark + m) == "a" + m + mark]
    above = [k for k, m in known.items() if m != mark and nfd("a" + m + mark) == "a" + mark + m]
    left = [k for k in known if k not in below and k not in above]
    if not below and not above:
        return 0
    assert len(left) == 1 and max(below, default=0) < left[0] < min(above, default=255), hex(ord(mark))
    return left[0]


def moves(mark):
    """Whether decomposition orders a mark: one of a class below U+0345's, or above U+0334's."""
    low, high = "\u0334", "\u0345"
    return len(nfd(mark)) == 1 and (nfd(high + mark) != high + mark or nfd(mark + low) != mark + low)


def mark_table():
    """Runs of marks of one class: gap, length less one, class."""
    known = {}
    for c in POINTS:
        if unicodedata.combining(chr(c)) and moves(chr(c)):
            known.setdefault(unicodedata.combining(chr(c)), chr(c))
    marks = sorted(set(members(r"\p{M}")) | {c for c in POINTS if unicodedata.combining(chr(c))})
    classes = {c: canonical_class(chr(c), known) for c in marks if len(nfd(chr(c))) == 1}
    runs = []
    for c in marks:
        k = classes.get(c, 0)
        if k and runs and runs[-1][1:] == [c - 1, k]:
            runs[-1][1] = c
        elif k:
            runs.append([c, c, k])
    out, at = [], 0
    for first, last, k in runs:
        out += [first - at, last - first, k]
        at = last
    return out


def decomposition_tables():
    """Characters that are composed of two: gap, distance of the first from the character before, the second. And
    characters that always decompose: gap, count, the characters."""
    pairs, others, at, before, there = [], [], 0, 0, 0
    for c in POINTS:
        parts = nfd(chr(c))
        if parts == chr(c) or c in HANGUL:
            continue
        if nfc(chr(c)) == chr(c):
            first = nfc(parts[:-1])
            assert len(first) == 1 and nfc(first + parts[-1]) == chr(c), hex(c)
            pairs += [c - at, ord(first) - before, ord(parts[-1])]
            at, before = c, ord(first)
        else:
            others += [c - there, len(parts)] + [ord(p) for p in parts]
            there = c
    return pairs, others


def check_hangul():
    for c in HANGUL:
        i = c - 0xAC00
        parts = [0x1100 + i // 588, 0x1161 + i % 588 // 28] + ([0x11A7 + i % 28] if i % 28 else [])
        assert nfd(chr(c)) == "".join(map(chr, parts)) and nfc(nfd(chr(c))) == chr(c), hex(c)


DIGITS = "0123456789abcdefghijklmnopqrstuvwxyz"


def word(n):
    sign, n, out = "-" if n < 0 else "", abs(n), ""
    while n or not out:
        n, out = n // 36, DIGITS[n % 36] + out
    return sign + out


def lines(numbers):
    out, line = [], ""
    for n in numbers:
        w = word(n)
        if len(line) + 1 + len(w) > 119:
            out.append(line)
            line = w
        else:
            line += (" " if line else "") + w
    return "\n".join(out + [line])


HEAD = """-- Generated by spec/peers/unicode.py from tokenizers {version}. In that library classes are those of Unicode 16, lower
-- case is that of Unicode 17, and normalization is that of Unicode 12.
-- All numbers are in base 36. lua/diffusion/text/unicode.lua and normal.lua read them.
return {{
"""


def text():
    check_hangul()
    low, special = lower_table()
    pairs, others = decomposition_tables()
    assert special == {0x130: "i\u0307"}, special
    parts = [("letters", "gap to a range of letters (L*), and its length less one", class_table(r"\p{L}")),
             ("numbers", "the same for numbers (N*)", class_table(r"\p{N}")),
             ("spaces", "the same for white space", class_table(r"\s")),
             ("lower", "a run of capital letters: gap to the first, step, count, distance to the small letter", low),
             ("marks", "a run of marks: gap, length less one, canonical class", mark_table()),
             ("pairs", "gap to a character, distance of its first part from that before, its second part", pairs),
             ("decomposed", "gap to a character that no text in NFC has, the number of its parts, the parts", others)]
    out = HEAD.format(version=tokenizers.__version__)
    for name, comment, numbers in parts:
        out += "  -- %s\n  %s = [[\n%s\n]],\n" % (comment, name, lines(numbers))
    return out + "}\n"


def main():
    args = argparse.ArgumentParser()
    args.add_argument("path")
    args.add_argument("--check", action="store_true")
    given = args.parse_args()
    made = text()
    if given.check:
        with open(given.path, encoding="utf-8") as f:
            sys.exit(0 if f.read() == made else "%s differs from the tables of this library" % given.path)
    with open(given.path, "w", encoding="utf-8") as f:
        f.write(made)


main()
