-- The rules of the house hold for the project, and each of them can be broken.
local house = dofile "spec/support/house.lua"
local lengths = dofile "spec/support/lengths.lua"

local function faults(files) return table.concat(house.check(files), "\n") end

describe("the house", function()
  it("stands", function()
    assert.equal("", faults(house.read()))
  end)

  it("accepts arrows that go down", function()
    assert.equal("", faults{
      ["csrc/base/base.h"] = "",
      ["csrc/ops/tape.h"] = '#include "base/base.h"\n',
      ["csrc/ops/tape.c"] = '#include "ops/tape.h"\n#include <math.h>\n',
      ["csrc/binding/linit.c"] = '#include "ops/tape.h"\n#include <lua.h>\n',
      ["lua/diffusion/init.lua"] = 'local core = require "diffusion.core"\n',
      ["lua/diffusion/trainer.lua"] = 'require "diffusion.nn.model"\n require "diffusion.fail"\n',
      ["lua/diffusion/nn/model.lua"] = 'require "diffusion.process"\n require "diffusion.file.json"\n',
      ["lua/diffusion/process.lua"] = 'require "diffusion.opts"\n',
      ["lua/diffusion/file/json.lua"] = 'require "diffusion.fail"\n',
      ["lua/diffusion/fail.lua"] = 'require "diffusion.core"\n',
      ["lua/diffusion/opts.lua"] = 'require "diffusion.fail"\n',
      ["examples/01.lua"] = 'local d = require "diffusion"\n',
    })
  end)

  local function broken(what, files, message)
    it("refuses " .. what, function()
      assert.equal(message, faults(files))
    end)
  end

  broken("an arrow up", {
    ["csrc/base/alloc.c"] = '#include "ops/tape.h"\n', ["csrc/ops/tape.h"] = "",
  }, "csrc/base/alloc.c names csrc/ops/tape.h, a floor above it")

  broken("an arrow across the landing", {
    ["csrc/nn/mlp.c"] = '#include "process/schedule.h"\n', ["csrc/process/schedule.h"] = "",
  }, "csrc/nn/mlp.c names csrc/process/schedule.h, across the landing")

  broken("tensors in the engine", {
    ["csrc/engine/gemm.c"] = '#include "tensor/tensor.h"\n', ["csrc/tensor/tensor.h"] = "",
  }, "csrc/engine/gemm.c names csrc/tensor/tensor.h, which its room may not know")

  broken("a header that isn't there", {
    ["csrc/nn/mlp.c"] = '#include "nn/mlp.h"\n',
  }, 'csrc/nn/mlp.c includes "nn/mlp.h", which is no file here')

  broken("a second door to the outside", {
    ["csrc/ops/linear.c"] = "#include <cblas.h>\n",
  }, "csrc/ops/linear.c opens <cblas.h>, which has its own door")

  broken("a circle", {
    ["lua/diffusion/a.lua"] = 'require "diffusion.b"\n', ["lua/diffusion/b.lua"] = 'require "diffusion.a"\n',
  }, "circle: lua/diffusion/a.lua -> lua/diffusion/b.lua -> lua/diffusion/a.lua")

  broken("a circle of calls behind one header", {
    ["csrc/ops/op.h"] = "void df_add(void);\nvoid df_sum(void);\n",
    ["csrc/ops/binary.c"] = '#include "ops/op.h"\nvoid df_add(void) { df_sum(); }\n',
    ["csrc/ops/reduce.c"] = '#include "ops/op.h"\nvoid df_sum(void) {\n  /* df_mean() */\n  df_add();\n}\n',
    ["csrc/ops/mix.c"] = '#include "ops/op.h"\nvoid df_mix(void) { df_add(); }\n',
  }, "circle of calls: csrc/ops/binary.c -> csrc/ops/reduce.c (df_sum) -> csrc/ops/binary.c (df_add)")

  broken("a circle of calls through a macro", {
    ["csrc/binding/check.h"] = "void dfl_fail(void);\nvoid dfl_show(void);\n#define luaL_fail dfl_fail\n",
    ["csrc/binding/lcheck.c"] = '#include "binding/check.h"\nvoid dfl_fail(void) { dfl_show(); }\n',
    ["csrc/binding/lshow.c"] = '#include "binding/check.h"\nvoid dfl_show(void) { luaL_fail(); }\n',
  }, "circle of calls: csrc/binding/lcheck.c -> csrc/binding/lshow.c (dfl_show) -> "
     .. "csrc/binding/lcheck.c (dfl_fail)")

  broken("a type declared twice", {
    ["csrc/io/write.h"] = "typedef struct df_part {\n  int n;\n} df_part;\n",
    ["csrc/nn/layers.h"] = "typedef struct df_part {\n  int x; /*\n} df_kind; */\n} df_part;\n",
  }, "csrc/io/write.h and csrc/nn/layers.h both declare df_part")

  broken("an upward require in the front room", {
    ["lua/diffusion/fail.lua"] = 'require "diffusion.file.json"\n',
    ["lua/diffusion/file/json.lua"] = 'require "diffusion.process"\n',
    ["lua/diffusion/process.lua"] = 'local function f() return require("diffusion.trainer") end\n',
    ["lua/diffusion/trainer.lua"] = "",
  }, "lua/diffusion/fail.lua names lua/diffusion/file/json.lua, a floor above it\n"
    .. "lua/diffusion/file/json.lua names lua/diffusion/process.lua, a floor above it\n"
    .. "lua/diffusion/process.lua names lua/diffusion/trainer.lua, a floor above it")

  broken("the front door from inside", {
    ["lua/diffusion/data.lua"] = 'local d = require("diffusion")\n',
  }, "lua/diffusion/data.lua requires the front door itself")

  broken("a lesson behind the front room", {
    ["examples/01.lua"] = 'require "diffusion.schedule"\n', ["lua/diffusion/schedule.lua"] = "",
  }, 'examples/01.lua requires "diffusion.schedule"; it may know only "diffusion"')

  broken("a computed module name", {
    ["lua/diffusion/data.lua"] = 'require("diffusion." .. name)\n',
  }, "lua/diffusion/data.lua computes a module's name")

  broken("output from the core", {
    ["csrc/ops/mix.c"] = 'void df_mix(void) {\n  printf("mixing");\n}\n',
  }, "csrc/ops/mix.c calls printf")

  broken("a jump behind another door than libpng's", {
    ["csrc/io/jpeg.c"] = "#include <setjmp.h>\n",
  }, "csrc/io/jpeg.c opens <setjmp.h>, which has its own door")

  broken("a jump from elsewhere", {
    ["csrc/ops/mix.c"] = "void df_mix(void) {\n  longjmp(home, 1);\n}\n",
  }, "csrc/ops/mix.c calls longjmp")

  broken("a long function", {
    ["csrc/ops/mix.c"] = "void df_mix(void) {\n" .. ("  work();\n"):rep(59) .. "}\n",
  }, "csrc/ops/mix.c:1: df_mix is 61 lines long")

  broken("a long file", {
    ["csrc/ops/mix.c"] = ("int x;\n"):rep(601),
  }, "csrc/ops/mix.c is 601 lines long")

  it("has short functions: half under 12 lines, nine in ten under 30", function()
    local under12, under30, count = lengths.shares(house.read())
    assert(count > 1000, count .. " functions found")
    assert(under12 >= 0.5, ("under 12 lines: %.3f"):format(under12))
    assert(under30 >= 0.9, ("under 30 lines: %.3f"):format(under30))
  end)

  it("counts the lines of functions by their braces", function()
    local text = [[
#define LOOP(n) \
  for (int i = 0; i < n; i++) {
static const int table[] = {
  1, 2,
};
int one(void) { return '{'; } /* { */

static int *two(int a,
                int b) {
  const char *s = "}\"}";
  if (a) {
    b = 1;
  }
  return f(s);
}
typedef struct { int x; } three;
enum { FOUR };
void five(void) {}
]]
    assert.same({ { name = "one", line = 6, lines = 1 }, { name = "two", line = 8, lines = 8 },
      { name = "five", line = 18, lines = 1 } }, lengths.functions(text))
  end)

  it("lets comments and long kernels be", function()
    assert.equal("", faults{
      ["csrc/kernels/isa_scalar.c"] = "void df_mix(void) {\n" .. ("  work();\n"):rep(90) .. "}\n",
      ["csrc/ops/mix.c"] = "/* never calls exit() */\n",
      ["lua/diffusion/data.lua"] = '-- not require "diffusion"\n',
    })
  end)
end)
