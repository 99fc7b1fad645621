#!/usr/bin/env python3
"""Writes spec/fixtures/jpegs.bin: small JPEGs and their pixels as decoded by Pillow, with
ImageOps.exif_transpose and convert("RGB"). Needs Pillow:

  python3 -m venv venv && venv/bin/pip install pillow && venv/bin/python spec/support/make_jpegs.py

The file: <I4> bytes, then so many as a raw deflate stream, of records <I1><I4I2I2I2>: the
name behind its length; length of the JPEG, H, W, C; the JPEG; the pixels H x W x C.
"""
import io
import os
import struct
import zlib

from PIL import Image, ImageOps


def gradient(width, height, mode):
    """All corners differ."""
    bands = len(Image.new(mode, (1, 1)).getbands())
    weights = ((11, 3, 0), (0, 17, 20), (-5, 6, 200), (4, 2, 10))
    flat = bytes(max(0, min(255, a * x + b * y + c)) for y in range(height) for x in range(width)
                 for a, b, c in weights[:bands])
    return Image.frombytes(mode, (width, height), flat)


def exif(order, orientation, kind=3):
    pack = lambda format, *values: struct.pack(("<" if order == b"II" else ">") + format, *values)
    value = pack("HH", orientation, 0) if kind == 3 else pack("I", orientation)
    rows = [pack("HHI", 0x0100, 3, 1) + pack("HH", 9, 0), pack("HHI", 0x0112, kind, 1) + value]
    return (b"Exif\0\0" + order + pack("HI", 42, 8) + pack("H", len(rows)) + b"".join(rows) + pack("I", 0))


def saved(picture, **how):
    out = io.BytesIO()
    picture.save(out, "JPEG", **how)
    return out.getvalue()


def with_transform(jpeg, transform):
    """Changes the transform in the Adobe segment: 2 means YCCK; None removes the segment."""
    at = jpeg.index(b"\xff\xee")
    end = at + 2 + struct.unpack_from(">H", jpeg, at + 2)[0]
    if transform is None:
        return jpeg[:at] + jpeg[end:]
    return jpeg[:end - 1] + bytes([transform]) + jpeg[end:]


def collection():
    picture = gradient(20, 12, "L")
    for order in b"II", b"MM":
        for orientation in range(0, 10):
            yield "%s %d" % (order.decode(), orientation), saved(picture, quality=90, exif=exif(order, orientation))
        yield "%s long" % order.decode(), saved(picture, quality=90, exif=exif(order, 6, 4))
    inks = gradient(17, 11, "CMYK")
    cmyk = saved(inks, quality=95)
    yield "CMYK", cmyk
    yield "YCCK", with_transform(cmyk, 2)
    yield "CMYK without Adobe", with_transform(cmyk, None)
    yield "CMYK turned", saved(inks, quality=95, exif=exif(b"MM", 8))
    colours = gradient(19, 13, "RGB")
    for name, sampling in ("444", 0), ("422", 1), ("420", 2):
        yield name, saved(colours, quality=90, subsampling=sampling)
    yield "progressive", saved(colours, quality=90, progressive=True)
    yield "turned", saved(colours, quality=90, exif=exif(b"II", 5))


def record(name, jpeg):
    picture = ImageOps.exif_transpose(Image.open(io.BytesIO(jpeg)))
    if picture.mode == "CMYK":
        picture = picture.convert("RGB")
    channels = len(picture.getbands())
    return (bytes([len(name)]) + name.encode() + struct.pack("<IHHH", len(jpeg), picture.height, picture.width, channels)
            + jpeg + picture.tobytes())


def main():
    records = b"".join(record(name, jpeg) for name, jpeg in collection())
    packer = zlib.compressobj(9, zlib.DEFLATED, -15)
    packed = packer.compress(records) + packer.flush()
    here = os.path.dirname(os.path.abspath(__file__))
    with open(os.path.join(here, "..", "fixtures", "jpegs.bin"), "wb") as file:
        file.write(struct.pack("<I", len(records)) + packed)
    print("%d bytes, %d packed" % (len(records), len(packed)))


if __name__ == "__main__":
    main()
