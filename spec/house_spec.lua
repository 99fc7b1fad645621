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

  -- Two files of ops that call each other; `a` and `b` are their texts, `header` is added to op.h.
  local function calling(a, b, header)
    return {
      ["csrc/ops/op.h"] = "void df_a(void);\nvoid df_b(void);\nextern int df_g;\n" .. (header or ""),
      ["csrc/ops/a.c"] = '#include "ops/op.h"\n' .. a,
      ["csrc/ops/b.c"] = '#include "ops/op.h"\n' .. (b or "void df_b(void) { df_a(); }\n"),
    }
  end
  local circle = "circle of calls: csrc/ops/a.c -> csrc/ops/b.c (%s) -> csrc/ops/a.c (df_a)"
  local shapes = {
    ["a macro with arguments"] = { "void df_a(void) { GO(1); }\n", nil,
      "#define GO(x) \\\n  do { \\\n    df_b(); \\\n  } while (0)\n" },
    ["a macro of a macro"] = { "void df_a(void) { TWO(); }\n", nil, "#define ONE df_b\n#define TWO ONE\n" },
    ["an inline function"] = { "void df_a(void) { go(); }\n", nil, "static inline void go(void) { df_b(); }\n" },
    ["a variable"] = { "void df_a(void) { df_g = 1; }\n", "int df_g;\nvoid df_b(void) { df_a(); }\n", nil, "df_g" },
    ["a definition under another name"] = { "void df_a(void) { df_b(); }\n",
      "#define ME df_b\nvoid ME(void) { df_a(); }\n" },
    ["a result that is a function"] = { "void df_a(void) { df_b(); }\n",
      "int (*df_b(void))(int) { df_a(); }\n" },
    ["comments within strings"] = { 'void df_a(void) { f("/*"); df_b(); f("*/"); }\n' },
    ["quotes as characters"] = { "void df_a(void) { f('\"'); df_b(); f('\"'); }\n" },
    ["braces opened by each branch of an #if"] = {
      "void df_z(void) {\n#if X\n  if (x) {\n#else\n  if (y) {\n#endif\n  }\n}\n"
        .. "void df_a(void) { df_b(); }\n" },
  }
  for what, shape in pairs(shapes) do
    it("finds a circle of calls through " .. what, function()
      local found = faults(calling(shape[1], shape[2], shape[3]))
      assert(found:find(circle:format(shape[4] or "df_b"), 1, true), found)
    end)
  end

  broken("a table of functions that calls back", {
    ["csrc/ops/op.h"] = "void df_a(void);\nextern const op *const df_t[];\n",
    ["csrc/ops/a.c"] = '#include "ops/op.h"\nvoid df_a(void) { use(df_t[0]); }\n',
    ["csrc/ops/b.c"] = '#include "ops/op.h"\nconst op *const df_t[] = { df_a };\n',
  }, circle:format "df_t")

  broken("a circle through the text of a header", {
    ["csrc/kernels/kernels.h"] = "void df_a(void);\nvoid df_b(void);\n",
    ["csrc/kernels/body/x.h"] = "static void x(void) { df_b(); }\n",
    ["csrc/kernels/a.c"] = '#include "kernels/kernels.h"\n#include "kernels/body/x.h"\nvoid df_a(void) { x(); }\n',
    ["csrc/kernels/b.c"] = '#include "kernels/kernels.h"\nvoid df_b(void) { df_a(); }\n',
  }, "circle of calls: csrc/kernels/a.c -> csrc/kernels/b.c (df_b) -> csrc/kernels/a.c (df_a)")

  broken("a function whose name a macro makes",
    calling("void df_a(void) {}\n", "#define MAKE(n) void df_##n(void) { df_a(); }\nMAKE(b)\n"),
    "csrc/ops/op.h declares df_b, which no file defines in plain sight")

  broken("a call upward by a prototype of one's own", {
    ["csrc/base/a.c"] = "void df_b(void);\nvoid df_a(void) { df_b(); }\n",
    ["csrc/ops/b.c"] = "void df_b(void) {}\n",
  }, "csrc/base/a.c names csrc/ops/b.c, a floor above it")

  broken("a call across the landing", {
    ["csrc/base/base.h"] = "void df_b(void);\n",
    ["csrc/nn/a.c"] = '#include "base/base.h"\nvoid df_a(void) { df_b(); }\n',
    ["csrc/process/b.c"] = "void df_b(void) {}\n",
  }, "csrc/nn/a.c names csrc/process/b.c, across the landing")

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

  local requires = { "pcall(require, 'diffusion.b')", "require [[diffusion.b]]", "require 'diffusion.b'",
                     'package.loaded["diffusion.b"].run()', "local function f() return require('diffusion.b') end" }
  for _, text in ipairs(requires) do
    broken("a circle by " .. text, {
      ["lua/diffusion/a.lua"] = text .. "\n", ["lua/diffusion/b.lua"] = 'require "diffusion.a"\n',
    }, "circle: lua/diffusion/a.lua -> lua/diffusion/b.lua -> lua/diffusion/a.lua")
  end

  broken("require under another name", {
    ["lua/diffusion/data.lua"] = "local import = require\n",
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
