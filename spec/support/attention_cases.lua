-- Attention composed of matmul and softmax, and the cases that the op is held against it in.
local d = require "diffusion"
local core = require "diffusion.core"

local M = {}

-- ---- masks: each is a function of (B, N, M, heads) ---------------------------------------

local function added(...) return d.randn(...) end

-- About a third of the keys is hidden, and with them all keys of the last query or sample.
local function kept(dtype, dim, ...)
  local mask = (d.rand(...):gt(1 / 3)):to(dtype)
  mask:narrow(dim, mask:size(dim), 1):zero_()
  return mask
end

M.masks = {
  ["no mask"] = function() end,
  ["floats of keys"] = function(B, _, m) return added(B, m) end,
  ["floats of the keys of all samples"] = function(_, _, m) return added(1, m) end,
  ["floats of queries and keys"] = function(_, N, m) return added(1, N, m) end,
  ["floats of a batch, its queries and keys"] = function(B, N, m) return added(B, N, m) end,
  ["floats of all heads"] = function(B, N, m, heads) return added(B, heads, N, m) end,
  ["floats of heads, the same for samples"] = function(_, N, m, heads) return added(1, heads, N, m) end,
  ["floats of heads and keys"] = function(B, _, m, heads) return added(B, heads, 1, m) end,
  ["floats of f16"] = function(B, _, m) return added(B, 1, 1, m):to "f16" end,
  ["floats of 0 and -inf"] = function(B, N, m)
    local mask = d.zeros(B, N, m)
    return d.where(kept("u8", 2, B, N, m), mask, -math.huge)
  end,
  ["a window of floats"] = function(B, N, m) return added(B, m, N + 1):narrow(3, 2, N):permute(1, 3, 2) end,
  ["floats that are expanded"] = function(B, N, m) return added(B, 1, m):expand(B, N, m) end,
  ["u8 of keys"] = function(B, _, m) return kept("u8", 1, B, m) end,
  ["i64 of keys"] = function(B, _, m) return kept("i64", 1, B, m) * 3 end,
  ["u8 of queries and keys"] = function(_, N, m) return kept("u8", 2, 1, N, m) end,
  ["i64 of all heads"] = function(B, N, m, heads) return kept("i64", 3, B, heads, N, m) end,
  ["u8 that is transposed"] = function(B, N, m) return kept("u8", 3, B, m, N):permute(1, 3, 2) end,
}

-- B, N, M, heads, D: blocks of queries, tiles and parts of keys, one query, one key
M.sizes = {
  { 2, 3, 5, 2, 3 }, { 1, 1, 1, 1, 1 }, { 2, 1, 7, 1, 4 }, { 2, 7, 1, 1, 5 }, { 2, 33, 33, 3, 8 },
  { 1, 70, 130, 2, 16 }, { 2, 130, 70, 4, 5 }, { 1, 65, 77, 8, 40 }, { 1, 300, 260, 1, 33 },
  { 2, 5, 1100, 5, 3 }, { 1, 600, 1030, 1, 8 }, { 1, 33, 1030, 1, 32 }, { 1, 17, 31, 7, 2 },
  { 2, 40, 40, 6, 1 },
}

-- ---- the definition ----------------------------------------------------------------------

-- The mask of one head as reals to add to its scores, {B or 1, N or 1, M}; 0 for no mask.
local function added_in(mask, head)
  if not mask then return 0 end
  local real = mask:to(core.real)
  if mask:dtype() == "u8" or mask:dtype() == "i64" then
    real = d.where(mask:ne(0), d.zeros(1), -math.huge)
  end
  if real:dim() == 2 then return real:unsqueeze(2) end
  return real:dim() == 3 and real or real:narrow(2, math.min(head, real:size(2)), 1):squeeze(2)
end

-- -inf where query i doesn't see key j: j > i + M - N
local function hidden_later(N, m)
  local j, i = d.arange(1, m):view(1, 1, m), d.arange(1, N):view(1, N, 1)
  return d.where(j:gt(i + (m - N)), d.full(1, -math.huge), d.zeros(1))
end

--- softmax(q k^T / sqrt(D) + mask) v, head by head.
function M.composed(q, k, v, o)
  local D, out = q:size(3) // o.heads, {}
  for h = 1, o.heads do
    local function part(x) return x:narrow(3, (h - 1) * D + 1, D):contiguous() end
    local scores = part(q):matmul(part(k):permute(1, 3, 2):contiguous()) * D ^ -0.5 + added_in(o.mask, h)
    if o.causal then scores = scores + hidden_later(q:size(2), k:size(2)) end
    out[h] = scores:softmax(3):matmul(part(v))
  end
  return d.cat(out, 3)
end

-- ---- the cases ---------------------------------------------------------------------------

--- q, k, v, weights of the result, and options.
function M.draw(size, name, causal)
  local B, N, m, heads, D = table.unpack(size)
  local function tokens(n) return d.randn(B, n, heads * D) end
  local q, k, v, g = tokens(N), tokens(m), tokens(m), tokens(N)
  return q, k, v, g, { heads = heads, causal = causal, mask = M.masks[name](B, N, m, heads) }
end

--- The result of f and its gradients: a list of four.
function M.evaluate(f, q, k, v, g, o)
  local dq, dk, dv = d.grad(function(a, b, c) return (f(a, b, c, o) * g):sum() end, q, k, v)
  return { f(q, k, v, o), dq, dk, dv }
end

--- Calls visit(what, size, name of the mask, causal) for each case.
function M.each(visit)
  for i, size in ipairs(M.sizes) do
    for name in pairs(M.masks) do
      for _, causal in ipairs { false, true } do
        visit(("size %d, %s%s"):format(i, name, causal and ", causal" or ""), size, name, causal)
      end
    end
  end
end

--- Raises unless the op's result and gradients are near those of the composition. |x - y| is at
--- most bound times |y|, or times `least` if |y| is smaller: a gradient may be 0 but for rounding.
function M.hold(bound, least)
  M.each(function(what, size, name, causal)
    d.manual_seed(3)
    local q, k, v, g, o = M.draw(size, name, causal)
    local want, got = M.evaluate(M.composed, q, k, v, g, o), M.evaluate(core.ops.attention, q, k, v, g, o)
    for i, part in ipairs { "y", "dq", "dk", "dv" } do
      local off, norm = (got[i] - want[i]):norm():item(), want[i]:norm():item()
      assert(off <= bound * math.max(norm, least), ("%s: %s is off by %.2g of %.2g"):format(what, part, off, norm))
    end
  end)
end

return M
