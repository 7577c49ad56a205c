# The commands of this project. `make help` lists them; docs/ says more.
# Builds go to build/<preset>, downloads and the local engine to the cache (~/.cache/llm-gateway).

JOBS ?= $(shell nproc)

all: build

build: build/release/build.ninja                 ## the release binary, build/release/llm-gateway
	@ninja -C build/release -j $(JOBS)

asan: build/asan/build.ninja                     ## the build with address, leak and undefined-behaviour sanitizers
	@ninja -C build/asan -j $(JOBS)

build/%/build.ninja:
	@cmake --preset $*

.PHONY: all build asan
