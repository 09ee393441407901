# SPDX-License-Identifier: MIT
# nnc with a C compiler and make alone: no libraries, no tests. Meson (meson.build) is the way otherwise.
#   make -f scripts/plain.mk -j4 BUILD=build-plain
BUILD   ?= build-plain
CC      ?= cc
AR      ?= ar
CFLAGS  ?= -O2
ROOT    := $(CURDIR)
override BUILD := $(abspath $(BUILD))
FLAGS   := -std=gnu11 -fPIC -Icompiler -Iruntime -Ifrontends
DEFINES := -DNNC_VERSION='"0.1.0"' -DNNC_RUNTIME_INSTALLED='"$(BUILD)/runtime"' \
           -DNNC_BUILD_ROOT='"$(BUILD)"' -DNNC_SOURCE_ROOT='"$(ROOT)"'
SOURCES := $(wildcard runtime/*.c compiler/*.c compiler/*/*.c frontends/*/*.c)
OBJECTS := $(SOURCES:%.c=$(BUILD)/%.o) $(BUILD)/embedded_runtime.o $(BUILD)/embedded_std.o
TEXTS   := $(shell sed -n "/^compiler_embedded/,/output:/p" compiler/meson.build | grep -o "'[^']*\.h'" | tr -d "'")
TEXTS   := $(addprefix compiler/,$(TEXTS))

$(BUILD)/nnc: $(OBJECTS) $(BUILD)/runtime/libnnc_program.a
	$(CC) -rdynamic -o $@ $(OBJECTS) -lm -ldl -lpthread

$(BUILD)/runtime/libnnc_program.a: $(patsubst %.c,$(BUILD)/%.o,$(wildcard runtime/*.c))
	rm -f $@
	$(AR) rcs $@ $^

$(BUILD)/embed: scripts/embed.c
	@mkdir -p $(@D)
	$(CC) -O1 -o $@ $<
$(BUILD)/embedded_runtime.c: $(BUILD)/embed $(TEXTS)
	$(BUILD)/embed $@ embedded_runtime $(TEXTS)
$(BUILD)/embedded_std.c: $(BUILD)/embed $(wildcard frontends/nnd/std/*.nnd)
	$(BUILD)/embed $@ nnd_std $(wildcard frontends/nnd/std/*.nnd)
$(BUILD)/embedded_%.o: $(BUILD)/embedded_%.c
	$(CC) $(CFLAGS) $(FLAGS) -c -o $@ $<
$(BUILD)/%.o: %.c
	@mkdir -p $(@D)
	$(CC) $(CFLAGS) $(FLAGS) $(DEFINES) -c -o $@ $<
