--- Stable Diffusion 1.5 in full size at 512 x 512, with random weights: a step of the UNet with guidance, decoding, and
-- two texts of 77 tokens. They run if ONLY has "sd". The weights are gigabytes, so ours meets one peer after another.
local list = {}

for _, part in ipairs { "unet", "decode", "text" } do
  for _, precision in ipairs { "high", "medium" } do
    list[#list + 1] = { name = ("sd.%s.%s"):format(part, precision), quick = false, way = "duel", task = "sd",
                        part = part, precision = precision, asks = "sd", apart = true, rounds = 3,
                        beside = { "openvino", "sdcpp" } }
  end
end

return list
