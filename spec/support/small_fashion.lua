-- small_fashion(folder) writes a small Fashion-MNIST in IDX files: 40 images of 28 x 28
-- to train and 40 to test.
local child = dofile "spec/support/child.lua"

return function(folder)
  local pixels, labels = {}, {}
  for i = 1, 40 do
    labels[i] = string.char((i - 1) % 10)
    for y = 1, 28 do
      for x = 1, 28 do pixels[#pixels + 1] = string.char((x * y + 23 * i) % 256) end
    end
  end
  local images = (">I4I4I4I4"):pack(0x803, 40, 28, 28) .. table.concat(pixels)
  for _, stem in ipairs { "train", "t10k" } do
    child.write(("%s/%s-images-idx3-ubyte"):format(folder, stem), images)
    child.write(("%s/%s-labels-idx1-ubyte"):format(folder, stem), (">I4I4"):pack(0x801, 40) .. table.concat(labels))
  end
end
