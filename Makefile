# diffusion: a C core for Lua 5.4.
#
#   make            both builds of the core: build/diffusion/core.so and core64.so
#   make demo       train on Fashion-MNIST and write samples to demo/
#   make test       all specs, or SPEC="files"; ARGS has options of busted
#   make check-kernels   compare all kernels of this machine with the scalar ones
#   make check-neon      the same for NEON, cross-compiled, under qemu
#   make check-amx       the same for AMX with emulated instructions, and the specs of
#                   products; needs AVX512-BF16 and some minutes
#   make check-alloc     fail each allocation of steps, samplers, loaders and checkpoints,
#                   then fewer of them under ASan (some minutes); TRIES=n: allocations per
#                   scenario, ONLY=words: scenarios whose names match
#   make lint       compiler warnings, clang-format, cppcheck, luacheck, NEON cross-compiled
#   make bench      compare all workloads with PyTorch, and sampling with OpenVINO.
#                   BENCH=quick takes a minute; ONLY=sd runs Stable Diffusion in full size;
#                   ONLY=pattern selects by name; the guide on performance has more
#   make peers      install PyTorch, diffusers and OpenVINO in a virtual environment: build/peers
#   make peer-sdcpp build stable-diffusion.cpp there too, for ONLY=sd; it needs cmake, a C++
#                   compiler and some minutes
#   make check-peers     compare models, schedulers and files with diffusers; ONLY=words
#   make fuzz       give damaged files to every reader: the C ones under libFuzzer until
#                   SECONDS=300 pass without a new edge and RUNS=1000000 are over, the Lua
#                   ones CASES=100000 times; ONLY=words
#   make doc        write d.help and LuaLS definitions from comments, and build/doc/*.html
#   make deps       install packages that demo, test and lint need
#   make install    install under DESTDIR and PREFIX (/usr/local)
#   make sanitize   run the specs under ASan and UBSan
#   make stress     the same, with a full garbage collection at every call of the binding
#   make clean      remove build/
# V=1 shows whole commands.

LUA           ?= lua5.4
CFLAGS        ?= -O2 -g
LIB_EXTENSION ?= so
PREFIX        ?= /usr/local
BUILD         ?= build
JOBS          ?= $(shell nproc 2>/dev/null || echo 2)
SHOW           = $(if $(V),,@echo "  $@"; )

ifeq ($(shell uname -s),Darwin)
LIBFLAG ?= -bundle -undefined dynamic_lookup
else
LIBFLAG ?= -shared
KEEP    := -Wl,-z,nodelete -Wl,-z,now # lua_close unloads modules, but threads are still running
endif

# -- libraries: from LuaRocks' variables, pkg-config, or the compiler's defaults ----------
ask = $(shell pkg-config $1 2>/dev/null)
inc = $(if $($1_INCDIR),-I"$($1_INCDIR)",$(call ask,--cflags $2))
lib = $(if $($1_LIBDIR),-L"$($1_LIBDIR)" -l$3,$(or $(call ask,--libs $2),-l$3))

ifdef LUA_INCDIR
LUA_CFLAGS := -I"$(LUA_INCDIR)"
else
LUA_CFLAGS := $(or $(call ask,--cflags lua5.4),$(call ask,--cflags lua-5.4),$(call ask,--cflags lua))
endif
INCLUDES := $(call inc,OPENBLAS,openblas) $(call inc,PNG,libpng) $(call inc,ZLIB,zlib)
LDLIBS   := $(call lib,OPENBLAS,openblas,openblas) $(call lib,PNG,libpng,png) \
            $(call lib,ZLIB,zlib,z) -lm -lpthread

ifeq ($(shell $(CC) -E -include turbojpeg.h -x c /dev/null >/dev/null 2>&1 && echo found),found)
INCLUDES += -DDF_HAVE_TURBOJPEG
LDLIBS   += $(or $(call ask,--libs libturbojpeg),-lturbojpeg)
endif

# -- the two builds of the core ------------------------------------------------------------
WARN := -Wall -Wextra -Wshadow -Wconversion -Wstrict-prototypes -Wmissing-prototypes -Wvla
OURS := -std=c11 -D_POSIX_C_SOURCE=200809L -fPIC -fvisibility=hidden -ffp-contract=off \
        $(WARN) -Icsrc $(LUA_CFLAGS) $(INCLUDES)

OF_RANKS       := $(wildcard csrc/comm/*.c) csrc/binding/lmpi.c
SOURCES        := $(filter-out $(OF_RANKS),$(wildcard csrc/*/*.c))
CORES          := $(BUILD)/diffusion/core.$(LIB_EXTENSION) $(BUILD)/diffusion/core64.$(LIB_EXTENSION)
core_OBJECTS   := $(SOURCES:csrc/%.c=$(BUILD)/core/%.o)
core64_OBJECTS := $(SOURCES:csrc/%.c=$(BUILD)/core64/%.o)

# Each instruction set has its own translation unit and flags.
$(BUILD)/core/kernels/isa_%.o $(BUILD)/core64/kernels/isa_%.o: \
  ISA = -O3 -fno-math-errno -fno-trapping-math $(ISA_$(@F:isa_%.o=%))
ifneq ($(filter x86_64%,$(shell $(CC) -dumpmachine)),)
ISA_avx2   := -mavx2 -mfma -mf16c
ISA_avx512 := -mavx512f -mavx512bw -mavx512dq -mavx512vl -mfma -mf16c -mprefer-vector-width=512
knows = $(shell $(CC) $1 -E -x c /dev/null >/dev/null 2>&1 && echo yes)
ifeq ($(call knows,-mavx512bf16),yes)
ISA_avx512bf16 := $(ISA_avx512) -mavx512bf16
OURS           += -DDF_HAVE_AVX512BF16
endif
ifeq ($(call knows,-mamx-tile -mamx-bf16),yes)
ISA_amx := $(ISA_avx512) -mamx-tile -mamx-bf16
OURS    += -DDF_HAVE_AMX
endif
endif

# -- diffusion/mpi.so, where MPI is found: MPI=no leaves it out, MPI=mpich names its pkg-config ----
ifndef MPI
MPI        := $(firstword $(foreach name,ompi-c ompi mpich mpi-c mpi,$(if $(call ask,--libs $(name)),$(name))) \
              $(if $(shell command -v mpicc),mpicc))
endif
ifeq ($(filter-out no,$(MPI)),mpicc)
MPI_CC     := mpicc
else ifneq ($(filter-out no,$(MPI)),)
MPI_CC     := $(CC) $(call ask,--cflags $(MPI))
MPI_LIBS   := $(call ask,--libs $(MPI))
endif
MODULES     = $(CORES) $(if $(MPI_CC),$(BUILD)/diffusion/mpi.$(LIB_EXTENSION))
mpi_OBJECTS := $(OF_RANKS:csrc/%.c=$(BUILD)/mpi/%.o)

all: $(MODULES)

$(BUILD)/diffusion/mpi.$(LIB_EXTENSION): $(mpi_OBJECTS)
	@mkdir -p $(@D)
	$(SHOW)$(MPI_CC) $(LIBFLAG) $(KEEP) $(CHECKS) -o $@ $^ $(MPI_LIBS)

$(BUILD)/mpi/%.o: csrc/%.c $(BUILD)/flags $(BUILD)/mpi/flags
	@mkdir -p $(@D)
	$(SHOW)$(MPI_CC) $(CFLAGS) -O3 $(OURS) $(CHECKS) -MMD -MP -c $< -o $@

$(BUILD)/diffusion/core.$(LIB_EXTENSION): $(core_OBJECTS)
$(BUILD)/diffusion/core64.$(LIB_EXTENSION): $(core64_OBJECTS)
$(CORES):
	@mkdir -p $(@D)
	$(SHOW)$(CC) $(LIBFLAG) $(KEEP) $(CHECKS) -o $@ $^ $(LDLIBS)

$(BUILD)/core/%.o: csrc/%.c $(BUILD)/flags
	@mkdir -p $(@D)
	$(SHOW)$(CC) $(CFLAGS) $(OURS) $(CHECKS) $(ISA) -MMD -MP -c $< -o $@

$(BUILD)/core64/%.o: csrc/%.c $(BUILD)/flags
	@mkdir -p $(@D)
	$(SHOW)$(CC) $(CFLAGS) $(OURS) $(CHECKS) $(ISA) -DDF_DOUBLE -MMD -MP -c $< -o $@

# These change only when the flags have changed since the last build.
$(BUILD)/flags: FLAGS = $(CC) $(CFLAGS) $(OURS) $(CHECKS)
$(BUILD)/mpi/flags: FLAGS = $(MPI_CC) $(MPI_LIBS)
$(BUILD)/flags $(BUILD)/mpi/flags: always
	@mkdir -p $(@D)
	@echo '$(FLAGS)' | cmp -s - $@ || echo '$(FLAGS)' > $@

-include $(core_OBJECTS:.o=.d) $(core64_OBJECTS:.o=.d) $(mpi_OBJECTS:.o=.d)

# -- targets that run in the tree -----------------------------------------------------------------
IN_TREE = DIFFUSION_BUILD=$(BUILD) \
  LUA_PATH_5_4="$(CURDIR)/lua/?.lua;$(CURDIR)/lua/?/init.lua;$${LUA_PATH_5_4:-$${LUA_PATH:-;}}" \
  LUA_CPATH_5_4="$(CURDIR)/$(BUILD)/?.so;$${LUA_CPATH_5_4:-$${LUA_CPATH:-;}}"
PARALLEL = $(if $(findstring jobserver,$(MAKEFLAGS)),,-j$(JOBS))

deps:
	@.ci/deps build demo test lint

demo:
	@.ci/deps build demo
	@$(MAKE) $(PARALLEL) all
	@$(IN_TREE) $(LUA) examples/03_fashion_mnist.lua $(ARGS)

test:
	@.ci/deps build test
	@$(MAKE) $(PARALLEL) all alloc-host
	@$(IN_TREE) $(LUA) spec/support/run.lua $(SPEC) $(ARGS)

bench: all
	@$(IN_TREE) LUA=$(LUA) PEERS=$(PEERS) $(LUA) spec/bench/run.lua

# PyTorch and others, for `make bench` and `make check-peers`.
PEERS     ?= $(BUILD)/peers
PEER_PIPS := torch==2.13.0 numpy==2.4.6 safetensors==0.8.0 diffusers==0.42.1 \
             accelerate==1.15.0 transformers==5.24.0 scipy==1.17.1 torchsde==0.2.6 \
             peft==0.21.2
PEER_DATA := clip-anytorch==2.6.0 # for its list of merges, which CLIP's tokenizer is made of
PEER_OV   := openvino==2026.4.0 # for `make bench`
PEER_PIP   = $(PEERS)/bin/pip install -qqq --disable-pip-version-check --retries 1

peers:
	@{ python3 -m venv $(PEERS) && $(PEER_PIP) $(PEER_PIPS) \
	  && $(PEER_PIP) --no-deps $(PEER_DATA); } \
	  || { rm -rf $(PEERS); \
	       echo "cannot install torch==2.13.0; make bench leaves its columns blank"; }
	@[ ! -d $(PEERS) ] || $(PEER_PIP) $(PEER_OV) \
	  || echo "cannot install $(PEER_OV); make bench leaves its columns blank"

# stable-diffusion.cpp, for ONLY=sd. The source distribution of its Python package has all of its source. It is
# built for this machine, and for AVX2 alone.
SDCPP        := stable_diffusion_cpp_python-0.4.7
SDCPP_CMAKE   = cmake -S spec/bench/peer/sdcpp \
                -DSDCPP=$(abspath $(PEERS))/sdcpp/$(SDCPP)/vendor/stable-diffusion.cpp
SDCPP_AVX2   := -DGGML_NATIVE=OFF $(patsubst %,-DGGML_%=ON,SSE42 AVX AVX2 BMI2 FMA F16C)

peer-sdcpp: $(PEERS)/sdcpp/$(SDCPP).tar.gz
	tar -xzf $< -C $(PEERS)/sdcpp
	$(SDCPP_CMAKE) -B $(PEERS)/sdcpp/native
	cmake --build $(PEERS)/sdcpp/native -j$(JOBS)
	$(SDCPP_CMAKE) -B $(PEERS)/sdcpp/avx2 $(SDCPP_AVX2)
	cmake --build $(PEERS)/sdcpp/avx2 -j$(JOBS)

$(PEERS)/sdcpp/$(SDCPP).tar.gz:
	@mkdir -p $(@D)
	$(PEERS)/bin/pip download -q --no-deps --no-binary :all: -d $(@D) \
	  stable-diffusion-cpp-python==$(SDCPP:stable_diffusion_cpp_python-%=%)

check-peers: all
	@$(IN_TREE) LUA=$(LUA) PEERS=$(PEERS) ONLY="$(ONLY)" $(LUA) spec/peers/run.lua

doc: all
	@$(IN_TREE) $(LUA) spec/support/doc.lua

stress: CHECKS := -DDF_STRESS
sanitize stress:
	@.ci/deps build test
	@$(MAKE) $(PARALLEL) BUILD=build/$@ CFLAGS="-O1 -g -fno-omit-frame-pointer" \
	  CHECKS="$(SANITIZED) $(CHECKS)" all alloc-host
	@$(MAKE) BUILD=build/$@ specs-sanitized

SANITIZED := -fsanitize=address,undefined -fno-sanitize-recover=undefined
ASAN       = "$$($(CC) -print-file-name=libasan.so)"
SANITIZER  = ASAN_OPTIONS=allocator_may_return_null=1:$(UNWIND) \
  LSAN_OPTIONS=suppressions=$(CURDIR)/spec/support/$(LEAKS):print_suppressions=0
LEAKS      = leaks.supp

specs-sanitized:
	@$(IN_TREE) DIFFUSION_PRELOAD=$(ASAN) $(SANITIZER) \
	  $(LUA) spec/support/run.lua $(SPEC) $(ARGS)

# A host program for Lua that makes allocations fail. alloc_spec is skipped without it.
LUA_LIBS ?= $(or $(call ask,--libs lua5.4),$(call ask,--libs lua-5.4),-llua5.4)

$(BUILD)/alloc_host: spec/support/alloc_host.c
	@mkdir -p $(@D)
	$(SHOW)$(CC) -O1 -g -std=c11 $(WARN) $(LUA_CFLAGS) -rdynamic -o $@ $< $(LUA_LIBS) -ldl -lm

alloc-host: $(MODULES)
	@$(MAKE) -s $(BUILD)/alloc_host 2> $(BUILD)/alloc_host.log \
	  || echo "cannot build the host for alloc_spec; see $(BUILD)/alloc_host.log"

check-alloc:
	@.ci/deps build test
	@$(MAKE) $(PARALLEL) all $(BUILD)/alloc_host
	@$(IN_TREE) $(BUILD)/alloc_host spec/support/alloc_check.lua $(or $(TRIES),2000) "$(ONLY)"
	@$(MAKE) $(PARALLEL) BUILD=build/sanitize CFLAGS="-O1 -g -fno-omit-frame-pointer" \
	  CHECKS="$(SANITIZED)" all build/sanitize/alloc_host
	@$(MAKE) BUILD=build/sanitize check-alloc-sanitized

check-alloc-sanitized: UNWIND = fast_unwind_on_malloc=0 # the stack passes through the malloc of the host
check-alloc-sanitized: LEAKS = alloc_leaks.supp
check-alloc-sanitized:
	@$(IN_TREE) LD_PRELOAD=$(ASAN) $(SANITIZER) \
	  $(BUILD)/alloc_host spec/support/alloc_check.lua $(or $(TRIES),60) "$(ONLY)"

$(BUILD)/forker.$(LIB_EXTENSION): spec/support/forker.c
	@mkdir -p $(@D)
	$(SHOW)$(CC) -O2 $(WARN) -fPIC -fvisibility=hidden $(LUA_CFLAGS) $(LIBFLAG) -o $@ $< -lpthread

CHECKED := $(filter $(BUILD)/core/kernels/% $(BUILD)/core/base/%,$(core_OBJECTS))

check-kernels: $(BUILD)/check_kernels
	@$(RUN) $<

$(BUILD)/check_kernels: $(wildcard spec/support/check_*.c) $(CHECKED)
	$(SHOW)$(CC) $(CFLAGS) $(OURS) $(LDFLAGS) -o $@ $^ -lm -lpthread

NEON := BUILD=build/neon CC=aarch64-linux-gnu-gcc CFLAGS="-O2 -Werror" LDFLAGS=-static

check-neon:
	@.ci/deps lint
	@$(MAKE) $(PARALLEL) $(NEON) RUN=qemu-aarch64 check-kernels

AMX       := BUILD=build/amx CHECKS=-DDF_AMX_EMULATED
AMX_SPECS := $(patsubst %,spec/%_spec.lua,product attention conv algorithm operand single isa determinism)

check-amx:
	@.ci/deps build test
	@$(MAKE) $(PARALLEL) $(AMX) all build/amx/check_kernels build/amx/emulator.so
	@LD_PRELOAD=build/amx/emulator.so build/amx/check_kernels
	@$(MAKE) $(AMX) specs-amx

specs-amx:
	@$(IN_TREE) DIFFUSION_ISA=amx DIFFUSION_PRELOAD=$(CURDIR)/$(BUILD)/emulator.so \
	  $(LUA) spec/support/run.lua $(or $(SPEC),$(AMX_SPECS)) $(ARGS)

$(BUILD)/emulator.so: spec/support/amx_emulator.c
	@mkdir -p $(@D)
	$(SHOW)$(CC) -O2 -mavx2 -mfma $(WARN) -fPIC -shared -o $@ $<

# invalidPointerCast is suppressed: scratch memory holds arrays of several types.
CPPCHECK := --quiet --std=c11 -j$(JOBS) -Icsrc --enable=warning,performance,portability \
            --suppress=invalidPointerCast --inline-suppr --error-exitcode=1

# -- damaged files ---------------------------------------------------------------------------------
SECONDS ?= 300
RUNS    ?= 1000000
CASES   ?= 100000

FUZZERS      := $(filter-out fuzz,$(patsubst spec/fuzz/%.c,%,$(wildcard spec/fuzz/*.c)))
fuzz_OBJECTS := $(patsubst csrc/%.c,$(BUILD)/fuzz/%.o,$(wildcard csrc/base/*.c csrc/io/*.c \
                csrc/tensor/*.c)) $(filter $(BUILD)/core/kernels/%,$(core_OBJECTS))
FUZZ_CC      := clang -O1 -g -fno-omit-frame-pointer -fsanitize=address,undefined \
                -fno-sanitize-recover=undefined -D__SANITIZE_ADDRESS__

fuzz:
	@.ci/deps build test fuzz
	@$(MAKE) $(PARALLEL) all $(FUZZERS:%=$(BUILD)/fuzz/%)
	@$(IN_TREE) $(LUA) spec/fuzz/run.lua $(SECONDS) $(RUNS) "$(ONLY)"
	@$(MAKE) $(PARALLEL) BUILD=build/sanitize CFLAGS="-O1 -g -fno-omit-frame-pointer" \
	  CHECKS="$(SANITIZED)" all
	@$(MAKE) BUILD=build/sanitize fuzz-parsers

fuzz-parsers:
	@$(IN_TREE) LD_PRELOAD=$(ASAN) $(SANITIZER) $(LUA) spec/fuzz/parsers.lua $(CASES) "$(ONLY)"

$(BUILD)/fuzz/%.o: csrc/%.c $(BUILD)/flags
	@mkdir -p $(@D)
	$(SHOW)$(FUZZ_CC) -fsanitize=fuzzer-no-link $(filter-out $(WARN),$(OURS)) -MMD -MP -c $< -o $@

$(FUZZERS:%=$(BUILD)/fuzz/%): $(BUILD)/fuzz/%: spec/fuzz/%.c spec/fuzz/fuzz.c spec/fuzz/fuzz.h \
  $(fuzz_OBJECTS)
	$(SHOW)$(FUZZ_CC) -fsanitize=fuzzer $(OURS) -Ispec/fuzz -o $@ $(filter-out %.h,$^) $(LDLIBS)

-include $(fuzz_OBJECTS:.o=.d)

lint:
	@.ci/deps build lint
	@$(MAKE) $(PARALLEL) BUILD=build/lint CFLAGS="-O2 -Werror" all
	clang-format --dry-run -Werror $$(find csrc spec -name '*.[ch]')
	cppcheck $(CPPCHECK) csrc
	luacheck --quiet $(wildcard lua spec examples) *.rockspec .busted .luacheckrc
	@$(MAKE) $(PARALLEL) $(NEON) build/neon/check_kernels

# -- installing ----------------------------------------------------------------------------
INST_LUADIR ?= $(DESTDIR)$(PREFIX)/share/lua/5.4
INST_LIBDIR ?= $(DESTDIR)$(PREFIX)/lib/lua/5.4
INST_BINDIR ?= $(DESTDIR)$(PREFIX)/bin

install: all
	@$(MAKE) install-module install-command

install-module:
	install -d "$(INST_LIBDIR)/diffusion"
	install -m 755 $(MODULES) "$(INST_LIBDIR)/diffusion"
	cd lua && find diffusion -type f -exec install -D -m 644 '{}' "$(INST_LUADIR)/{}" \;

install-command:
	install -d "$(INST_BINDIR)"
	printf '%s\n' '#!/bin/sh' \
	  'LUA_PATH_5_4="$(PREFIX)/share/lua/5.4/?.lua;$(PREFIX)/share/lua/5.4/?/init.lua;$${LUA_PATH_5_4:-$${LUA_PATH:-;}}"' \
	  'LUA_CPATH_5_4="$(PREFIX)/lib/lua/5.4/?.so;$${LUA_CPATH_5_4:-$${LUA_CPATH:-;}}"' \
	  'export LUA_PATH_5_4 LUA_CPATH_5_4' \
	  'exec $(LUA) "$(PREFIX)/share/lua/5.4/diffusion/cli.lua" "$$@"' > "$(INST_BINDIR)/diffusion"
	chmod 755 "$(INST_BINDIR)/diffusion"

clean:
	rm -rf build

MAKEFLAGS += --no-print-directory
.PHONY: all alloc-host always bench check-alloc check-alloc-sanitized check-amx check-peers \
        check-kernels check-neon clean demo deps doc fuzz fuzz-parsers install install-command install-module \
        lint peer-sdcpp peers sanitize specs-amx specs-sanitized stress test
