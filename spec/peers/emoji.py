# Pixels of emoji, averaged over areas, for spec/emoji_spec.lua. Pillow reads the pictures, and NumPy averages them: 64
# cells of 17/8 pixels are 17 of eighths. The font's pictures are found by their first bytes.
import io
import re

import numpy
from PIL import Image

FONT = "/usr/share/fonts/truetype/noto/NotoColorEmoji.ttf"
PLACES = ((32, 32), (20, 40), (50, 20), (10, 30))  # row and column from 1

data = open(FONT, "rb").read()
starts = [m.start() for m in re.finditer(rb"\x89PNG\r\n\x1a\n", data)]


def small(start):
    picture = Image.open(io.BytesIO(data[start:])).convert("RGBA")
    square = Image.new("RGBA", (136, 136), (255, 255, 255, 255))
    square.alpha_composite(picture, (0, 4))
    eighths = numpy.asarray(square.convert("RGB"), dtype=float).repeat(8, 0).repeat(8, 1)
    return eighths.reshape(64, 17, 64, 17, 3).mean((1, 3)).round().astype(int)


for name, number in (("red apple", 318), ("grinning face", 879), ("fox", 1201), ("flag: Japan", 1598)):
    x = small(starts[number - 1])
    print(name, [x[row - 1, column - 1].tolist() for row, column in PLACES])
