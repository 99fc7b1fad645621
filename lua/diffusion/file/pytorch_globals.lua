-- The globals of PyTorch's files that stand for something here. Their functions have the arguments
-- of the Python ones. A call with an opaque argument gives an opaque value.
local parser = require "diffusion.file.parser"
local tensor = require "diffusion.file.pytorch_tensor"
local value = require "diffusion.file.pickle_value"

local fault = parser.fault "pytorch"

local globals = tensor.type_globals()

-- ==== containers ===========================================================================

local function set_pairs(dict, pairs_of)
  for _, pair in ipairs(pairs_of) do
    if value.kind(pair) ~= "tuple" and value.kind(pair) ~= "list" or #pair ~= 2 then return false end
    value.set(dict, pair[1], pair[2])
  end
  return true
end

-- dict(), dict(another) or dict([(key, value), ...])
local function dict_of(name)
  return function(args)
    local first = args[1]
    if #args == 0 then return value.dict() end
    if value.kind(first) == "dict" then return first end
    local dict = value.dict()
    local listed = value.kind(first) == "list" or value.kind(first) == "tuple"
    return listed and set_pairs(dict, first) and dict or value.opaque(name)
  end
end

globals["collections.OrderedDict"] = dict_of "collections.OrderedDict"
globals["collections.Counter"] = dict_of "collections.Counter"
globals["collections.defaultdict"] = function() return value.dict() end

-- set([...]), tuple([...]), torch.Size((...))
local function sequence_of(name, make)
  return function(args)
    local kind = value.kind(args[1])
    if #args == 0 then return make {} end
    if kind ~= "list" and kind ~= "tuple" then return value.opaque(name) end
    return make(table.move(args[1], 1, #args[1], 1, {}))
  end
end

for name, make in pairs { ["torch.Size"] = value.tuple, ["builtins.set"] = value.set_of,
  ["__builtin__.set"] = value.set_of, ["builtins.frozenset"] = value.set_of,
  ["__builtin__.frozenset"] = value.set_of } do
  globals[name] = sequence_of(name, make)
end

-- bytes in protocol 2: _codecs.encode(text, "latin1")
globals["_codecs.encode"] = function(args)
  if type(args[1]) ~= "string" or args[2] ~= "latin1" or not utf8.len(args[1]) then
    return value.opaque "_codecs.encode"
  end
  local codes = {}
  for _, code in utf8.codes(args[1]) do
    if code > 255 then return value.opaque "_codecs.encode" end
    codes[#codes + 1] = string.char(code)
  end
  return value.bytes(table.concat(codes))
end

globals["torch.device"] = function(args)
  if type(args[1]) ~= "string" then return value.opaque "torch.device" end
  return math.type(args[2]) == "integer" and ("%s:%d"):format(args[1], args[2]) or args[1]
end

-- ==== tensors ==============================================================================

-- A function whose result depends on its arguments up to `most`. With an opaque one among them the
-- result is opaque, and carries its name.
local function depending(most, fn)
  return function(args, world)
    for k = 1, math.min(most, #args) do
      if value.kind(args[k]) == "opaque" or value.kind(args[k]) == "global" then
        return value.opaque(args[k].name)
      end
    end
    return fn(args, world)
  end
end

local function check_storage(storage)
  if value.kind(storage) ~= "storage" then fault("a tensor without a storage") end
end

-- Conjugation and negation are bits of the tensor, which its values don't show.
local function marked(description, metadata)
  if value.kind(metadata) == "dict" then
    description.lazy = value.get(metadata, "conj") == true or value.get(metadata, "neg") == true
  end
  return description
end

-- (storage, offset, size, stride, requires_grad, hooks, metadata)
globals["torch._utils._rebuild_tensor_v2"] = depending(4, function(args)
  check_storage(args[1])
  return marked(tensor.new(args[1], args[1].of, args[2], args[3], args[4]), args[7])
end)
globals["torch._utils._rebuild_tensor"] = globals["torch._utils._rebuild_tensor_v2"]

-- (storage, offset, size, stride, requires_grad, hooks, dtype, metadata)
globals["torch._utils._rebuild_tensor_v3"] = depending(7, function(args)
  check_storage(args[1])
  if value.kind(args[7]) ~= "dtype" then fault("a tensor without its type") end
  return marked(tensor.new(args[1], args[7], args[2], args[3], args[4]), args[8])
end)

-- (data, requires_grad, ...)
local the_data = depending(1, function(args)
  if value.kind(args[1]) ~= "tensor" then fault("a parameter without a tensor") end
  return args[1]
end)
globals["torch._utils._rebuild_parameter"] = the_data
globals["torch._utils._rebuild_parameter_with_state"] = the_data
globals["torch.nn.parameter.Parameter"] = the_data
globals["torch.nn.parameter.Buffer"] = the_data

-- A tensor with attributes: (function, type, its arguments, attributes). Classes of other
-- libraries may give the values another meaning.
local PLAIN = { ["torch.Tensor"] = true, ["torch.nn.parameter.Parameter"] = true,
                ["torch.nn.parameter.Buffer"] = true }
local FROM_TYPE = "torch._tensor._rebuild_from_type_v2"
globals[FROM_TYPE] = function(args, world)
  local fn, class, inner = args[1], args[2], args[3]
  local known = value.kind(fn) == "global" and fn.name ~= FROM_TYPE and globals[fn.name]
  if value.kind(class) ~= "global" or not PLAIN[class.name] then
    return value.opaque(value.kind(class) == "global" and class.name or FROM_TYPE)
  end
  if type(known) ~= "function" or value.kind(inner) ~= "tuple" then
    return value.opaque(value.kind(fn) == "global" and fn.name or FROM_TYPE)
  end
  return known(inner, world)
end

return globals
