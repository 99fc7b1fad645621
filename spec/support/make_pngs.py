#!/usr/bin/env python3
"""Writes spec/fixtures/pngs.bin: PNGs of every colour type, depth and interlacing, and a
checksum of the pixels of each. Encoder and decoder here share no code with libpng. The
decoder must return the input of the encoder. It needs only Python's own library.

The file: <I4> bytes, then that many bytes of a raw deflate stream, of records <I4I4I2I2I2>:
length of the PNG, CRC-32 of "pxls" and the pixels H x W x C in 8 bits, H, W, C; the PNG.
"""
import os
import struct
import sys
import zlib

SAMPLES = {0: 1, 2: 3, 3: 1, 4: 2, 6: 4}
DEPTHS = {0: (1, 2, 4, 8, 16), 2: (8, 16), 3: (1, 2, 4, 8), 4: (8, 16), 6: (8, 16)}
# Adam7: first column, first row, step across, step down
PASSES = ((0, 0, 8, 8), (4, 0, 8, 8), (0, 4, 4, 8), (2, 0, 4, 4), (0, 2, 2, 4), (1, 0, 2, 2), (0, 1, 1, 2))


# ---- pixels ------------------------------------------------------------------------------

def sample(x, y, c, depth, seed):
    if depth == 16:
        return (x * 1817 + y * 4369 + c * 21931 + seed * 7) & 0xFFFF
    if depth == 8:
        return (x * 7 + y * 17 + c * 85 + seed) & 0xFF
    return ((x * 5 ^ y * 3) + (x * y >> 2) + c + seed) & ((1 << depth) - 1)


def grid(width, height, colour, depth, seed, palette):
    top = palette if colour == 3 else 1 << depth
    return [[tuple(sample(x, y, c, depth, seed) % top for c in range(SAMPLES[colour]))
             for x in range(width)] for y in range(height)]


# ---- encoding ----------------------------------------------------------------------------

def chunk(kind, data):
    return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))


def packed_row(row, depth):
    values = [v for pixel in row for v in pixel]
    if depth == 16:
        return struct.pack(">%dH" % len(values), *values)
    bits = "".join(format(v, "0%db" % depth) for v in values)
    bits += "0" * (-len(bits) % 8)
    return bytes(int(bits[i:i + 8], 2) for i in range(0, len(bits), 8))


def paeth(a, b, c):
    p = a + b - c
    near = min((abs(p - a), 0), (abs(p - b), 1), (abs(p - c), 2))
    return (a, b, c)[near[1]]


def guess(kind, a, b, c):
    return (0, a, b, (a + b) // 2, paeth(a, b, c))[kind]


def filtered(rows, reach, first):
    """Each row after its filter; the filters are used in turn."""
    out, before = b"", None
    for i, row in enumerate(rows):
        kind = (first + i) % 5
        up = before or bytes(len(row))
        line = bytes((v - guess(kind, row[k - reach] if k >= reach else 0, up[k],
                                up[k - reach] if k >= reach else 0)) & 0xFF for k, v in enumerate(row))
        out += bytes([kind]) + line
        before = row
    return out


def passes_of(width, height, interlaced):
    for x0, y0, dx, dy in PASSES if interlaced else ((0, 0, 1, 1),):
        if x0 < width and y0 < height:
            yield x0, y0, dx, dy


def encode(pixels, colour, depth, interlaced, before=b"", first=0, level=9, cut=None):
    height, width = len(pixels), len(pixels[0])
    reach = max(1, SAMPLES[colour] * depth // 8)
    raw = b""
    for x0, y0, dx, dy in passes_of(width, height, interlaced):
        raw += filtered([packed_row(row[x0::dx], depth) for row in pixels[y0::dy]], reach, first)
    body = zlib.compress(raw, level)
    cut = cut or len(body)
    parts = [chunk(b"IDAT", body[i:i + cut]) for i in range(0, len(body), cut)]
    if cut < len(body):
        parts.insert(1, chunk(b"IDAT", b""))
    return (b"\x89PNG\r\n\x1a\n"
            + chunk(b"IHDR", struct.pack(">IIBBBBB", width, height, depth, colour, 0, 0, interlaced))
            + before + b"".join(parts) + chunk(b"IEND", b""))


# ---- decoding ----------------------------------------------------------------------------

def chunks_of(png):
    at = 8
    while at < len(png):
        (n,) = struct.unpack_from(">I", png, at)
        yield png[at + 4:at + 8], png[at + 8:at + 8 + n]
        at += 12 + n


def unfiltered(raw, at, rows, length, reach):
    lines, before = [], bytes(length)
    for _ in range(rows):
        kind, line = raw[at], bytearray(raw[at + 1:at + 1 + length])
        for k in range(length):
            a, c = (line[k - reach], before[k - reach]) if k >= reach else (0, 0)
            line[k] = (line[k] + guess(kind, a, before[k], c)) & 0xFF
        lines.append(bytes(line))
        before = lines[-1]
        at += 1 + length
    return lines, at


def unpacked(line, count, depth):
    if depth == 16:
        return struct.unpack(">%dH" % count, line)
    number = int.from_bytes(line, "big")
    total = 8 * len(line)
    return [number >> (total - (k + 1) * depth) & ((1 << depth) - 1) for k in range(count)]


def to_8(value, depth):
    top = (1 << depth) - 1
    return (value * 255 * 2 + top) // (2 * top)


def shown(pixel, colour, depth, palette, clear):
    """A pixel with 8 bits per channel: PLTE is RGB, tRNS is alpha."""
    if colour == 3:
        rgb = palette[3 * pixel[0]:3 * pixel[0] + 3]
        if clear is None:
            return rgb
        return rgb + bytes([clear[pixel[0]] if pixel[0] < len(clear) else 255])
    out = bytes(to_8(v, depth) for v in pixel)
    if clear is None:
        return out
    key = struct.unpack(">%dH" % SAMPLES[colour], clear)
    return out + bytes([0 if tuple(pixel) == key else 255])


def decode(png):
    facts = dict(chunks_of(png))
    body = b"".join(data for kind, data in chunks_of(png) if kind == b"IDAT")
    width, height, depth, colour, _, _, interlaced = struct.unpack(">IIBBBBB", facts[b"IHDR"])
    raw, at, n = zlib.decompress(body), 0, SAMPLES[colour]
    pixels = [[None] * width for _ in range(height)]
    for x0, y0, dx, dy in passes_of(width, height, interlaced):
        w, h = -(-(width - x0) // dx), -(-(height - y0) // dy)
        lines, at = unfiltered(raw, at, h, -(-w * n * depth // 8), max(1, n * depth // 8))
        for i, line in enumerate(lines):
            values = unpacked(line, w * n, depth)
            for j in range(w):
                pixels[y0 + i * dy][x0 + j * dx] = tuple(values[j * n:j * n + n])
    assert at == len(raw)
    palette, clear = facts.get(b"PLTE"), facts.get(b"tRNS")
    shown_all = b"".join(shown(p, colour, depth, palette, clear) for row in pixels for p in row)
    return pixels, shown_all, len(shown_all) // (width * height)


# ---- the collection ------------------------------------------------------------------------

def transparency(pixels, colour, depth, palette):
    if colour == 3:
        return bytes((k * 37 + 5) & 0xFF for k in range(max(1, palette - 1)))
    middle = pixels[len(pixels) // 2][len(pixels[0]) // 2]
    if depth == 16 and len(pixels[0]) > 1:  # a neighbour that differs only in the last bit
        pixels[0][-1] = tuple(v ^ 1 for v in middle[:-1]) + (middle[-1] ^ 1,)
    return struct.pack(">%dH" % len(middle), *middle)


def record(pixels, *how, **more):
    png = encode(pixels, *how, **more)
    back, flat, channels = decode(png)
    assert back == pixels
    return struct.pack("<IIHHH", len(png), zlib.crc32(b"pxls" + flat), len(pixels), len(pixels[0]), channels) + png


def one(width, height, colour, depth, interlaced, clear, seed, before=b"", **more):
    palette = min(1 << depth, (2, 3, 11, 60)[depth.bit_length() - 1]) if colour == 3 else 0
    pixels = grid(width, height, colour, depth, seed, palette)
    if colour == 3:
        before += chunk(b"PLTE", bytes((k * 53 + c * 101) & 0xFF for k in range(palette) for c in range(3)))
    if clear:
        before += chunk(b"tRNS", transparency(pixels, colour, depth, palette))
    return record(pixels, colour, depth, interlaced, before=before, first=seed % 5, **more)


def beside():
    """Chunks that do not change pixels: the stored values count."""
    yield chunk(b"gAMA", struct.pack(">I", 100000)) + chunk(b"cHRM", struct.pack(">8I", *[31270, 32900] * 4))
    yield chunk(b"gAMA", struct.pack(">I", 45455)) + chunk(b"sRGB", b"\0") + chunk(b"sBIT", b"\5" * 3)
    yield chunk(b"iCCP", b"x\0\0" + zlib.compress(b"no profile")) + chunk(b"bKGD", b"\0\1" * 3)
    yield chunk(b"tEXt", b"a\0b") + chunk(b"pHYs", b"\0" * 9) + chunk(b"tIME", b"\7\xd0\1\1\0\0\0")
    yield chunk(b"zTXt", b"bomb\0\0" + zlib.compress(bytes(1 << 16))) + chunk(b"prVt", b"private")


def height_of(width):
    """Small images are square. Larger ones are flat or tall, to keep the file small."""
    if width < 10 or width == 33:
        return width
    return 1 + width * 5 % 11


def collection():
    seed = 0
    for colour, depths in DEPTHS.items():
        for depth in depths:
            for clear in (False, True) if colour in (0, 2, 3) else (False,):
                for interlaced in (0, 1):
                    for size in range(1, 34):
                        if clear and 9 < size < 33:
                            continue
                        seed += 1
                        sides = (size, height_of(size))[::1 if seed % 2 else -1]
                        yield one(*sides, colour, depth, interlaced, clear, seed)
    for extra in beside():
        for depth in 8, 16:
            yield one(9, 7, 2, depth, 1, False, 3, extra)
    for more in {"level": 0}, {"level": 1, "cut": 1}, {"cut": 7}:
        yield one(17, 6, 6, 16, 1, False, 4, **more)


def main():
    records = b"".join(collection())
    packer = zlib.compressobj(9, zlib.DEFLATED, -15)
    packed = packer.compress(records) + packer.flush()
    where = os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "fixtures", "pngs.bin")
    with open(sys.argv[1] if len(sys.argv) > 1 else where, "wb") as file:
        file.write(struct.pack("<I", len(records)) + packed)
    print("%d bytes, %d packed" % (len(records), len(packed)))


if __name__ == "__main__":
    main()
