# diffusion: a C core for Lua 5.4. `make demo` trains and samples, `make test` tests.
LUA        ?= lua5.4
CFLAGS     ?= -O2 -g -fPIC
LIBFLAG    ?= -shared
LUA_INCDIR ?= $(shell pkg-config --variable=includedir lua5.4 2>/dev/null)/lua5.4
LIB_EXTENSION ?= so

BUILD   := build/diffusion
WARN    := -Wall -Wextra -Wshadow -Wconversion -Wstrict-prototypes -Wmissing-prototypes -Wvla
OURS    := -std=c11 -D_POSIX_C_SOURCE=200809L -fvisibility=hidden -ffp-contract=off $(WARN) \
           -Icsrc -I$(LUA_INCDIR)
LDLIBS  := -lopenblas -lpng -lz -lm -lpthread
SOURCES := $(wildcard csrc/*/*.c)

core_OBJECTS   := $(SOURCES:csrc/%.c=build/core/%.o)
core64_OBJECTS := $(SOURCES:csrc/%.c=build/core64/%.o)

# one translation unit per instruction set, each with its own flags (x86 only)
ifneq ($(filter x86_64%,$(shell $(CC) -dumpmachine)),)
build/core/kernels/isa_avx2.o:   ISA := -O3 -mavx2 -mfma -mf16c
build/core/kernels/isa_avx512.o: ISA := -O3 -mavx512f -mavx512bw -mavx512dq -mavx512vl -mfma -mf16c -mprefer-vector-width=512
endif

all: $(BUILD)/core.$(LIB_EXTENSION) $(BUILD)/core64.$(LIB_EXTENSION)

$(BUILD)/core.$(LIB_EXTENSION): $(core_OBJECTS)
$(BUILD)/core64.$(LIB_EXTENSION): $(core64_OBJECTS)
$(BUILD)/%.$(LIB_EXTENSION):
	@mkdir -p $(@D)
	$(CC) $(LIBFLAG) -Wl,-z,nodelete -o $@ $^ $(LDLIBS)

build/core/%.o: csrc/%.c
	@mkdir -p $(@D)
	$(CC) $(CFLAGS) $(OURS) $(ISA) -MMD -MP -c $< -o $@

build/core64/%.o: csrc/%.c
	@mkdir -p $(@D)
	$(CC) $(CFLAGS) $(OURS) -DDF_DOUBLE -MMD -MP -c $< -o $@

-include $(core_OBJECTS:.o=.d) $(core64_OBJECTS:.o=.d)

clean:
	rm -rf build

.PHONY: all clean
