rockspec_format = "3.0"
package = "diffusion"
version = "scm-1"

source = { url = "git+https://github.com/diffusion-lua/diffusion.git" }

description = {
  summary = "Denoising diffusion models: train, sample, measure, take apart",
  detailed = [[
    A C core over OpenBLAS with tensors, gradients, networks, noise schedules and samplers;
    every experiment and training loop is a short Lua script.]],
  license = "MIT AND CC-BY-4.0 AND OFL-1.1",
  labels = { "machine-learning", "math", "neural-network" },
}

dependencies = { "lua >= 5.4", "dkjson >= 2.5" }

external_dependencies = {
  OPENBLAS = { library = "openblas" },
  PNG = { header = "png.h" },
  ZLIB = { header = "zlib.h" },
}

build = {
  type = "make",
  build_variables = {
    CFLAGS = "$(CFLAGS)",
    LIBFLAG = "$(LIBFLAG)",
    LIB_EXTENSION = "$(LIB_EXTENSION)",
    LUA_INCDIR = "$(LUA_INCDIR)",
    OPENBLAS_INCDIR = "$(OPENBLAS_INCDIR)",
    OPENBLAS_LIBDIR = "$(OPENBLAS_LIBDIR)",
    PNG_INCDIR = "$(PNG_INCDIR)",
    PNG_LIBDIR = "$(PNG_LIBDIR)",
    ZLIB_INCDIR = "$(ZLIB_INCDIR)",
    ZLIB_LIBDIR = "$(ZLIB_LIBDIR)",
  },
  install_target = "install-module",
  install_variables = {
    INST_LUADIR = "$(LUADIR)",
    INST_LIBDIR = "$(LIBDIR)",
    LIB_EXTENSION = "$(LIB_EXTENSION)",
  },
  install = { bin = { diffusion = "lua/diffusion/cli.lua" } },
}

test = { type = "command", command = "make test" }
