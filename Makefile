# The commands of this project: `make help` lists them.
#
# Builds go to build/<preset> (CMakePresets.json); what is downloaded or takes long to build goes to the cache,
# ~/.cache/llm-gateway, by version, so that a clean clone on the same machine finds it there.
#
#   ARGS="--config my.yaml"   passed to `llm-gateway serve` by `make run`
#   ENGINE=none               without the local engine
#   JOBS=2                    how many compilers at once
#   FUZZ_SECONDS=60 FUZZ=sse  how long, and which target only
#   T=NAME                    which tests only, in `make unit` and `make e2e`
#   TESTS="unit e2e"          steps of `make test` (tools/run-tests says which there are)

JOBS ?= $(shell nproc)
ENGINE ?= build
FUZZ_SECONDS ?= 60
PREFIX ?= /usr/local
export JOBS

# Runs cmake where a build has not been configured yet; after that ninja does it whenever it must.
configure = test -e build/$(1)/build.ninja || { echo "configuring build/$(1)"; cmake --preset $(1) --log-level=WARNING >/dev/null; }
# $(call compile,PRESET[,TARGETS]): on a terminal ninja shows how far it is; in a log only what goes wrong.
compile = ninja -C build/$(1) -j $(JOBS) $(if $(MAKE_TERMOUT),,--quiet) $(2)
# An engine that cannot be had is no reason not to serve the cloud providers, or not to run the other tests.
ifeq ($(ENGINE),none)
local_engine = echo "without the local engine (ENGINE=none); 'make engine' gets it" >&2
else
local_engine = tools/install-deps engine && tools/engine || echo "going on without a local model; 'make engine' tries again" >&2
endif
# Nor is the want of Node.js: the tests of its SDKs and of the agents are skipped then.
node_packages = tools/install-deps node && tools/node-modules tests/node tests/node/agents >/dev/null || \
	echo "going on without the Node SDKs and the agents" >&2

build:  ## the release binary, build/release/llm-gateway (needs no local engine)
	@tools/install-deps build
	@$(call configure,release)
	@$(call compile,release)

run:  ## everything that is missing, then llm-gateway on 127.0.0.1:8080 with a local model
	@tools/install-deps build
	@$(local_engine)
	@$(call configure,release)
	@$(call compile,release)
	@exec build/release/llm-gateway serve $(ARGS)

engine:  ## the local engine (llama-server) and its default model only
	@tools/install-deps build engine
	@tools/engine

test:  ## all tests; the last line is `N passed, N failed`
	@tools/install-deps build test
	@$(node_packages)
	@$(local_engine)
	@tools/run-tests $(TESTS)

unit: asan  ## the unit tests and the fuzz corpora; T=wire/sse: only those whose name matches
	@ctest --test-dir build/asan -j $(JOBS) --output-on-failure $(if $(T),-R '$(T)')

e2e:  ## the end-to-end tests; T=name: only those whose name matches (pytest -k)
	@tools/install-deps build test
	@$(node_packages)
	@PYTEST_ARGS="$(if $(T),-k '$(T)')" tools/run-tests e2e

lint:  ## layers, banned functions, layout, and the warnings of both compilers
	@tools/install-deps build test
	@tools/check-layers
	@tools/check-banned
	@tools/check-format
	@$(MAKE) --no-print-directory build asan

fmt:  ## lays out all C as .clang-format says
	@tools/check-format --fix

asan:  ## the build with address, leak and undefined-behaviour sanitizers, build/asan
	@tools/install-deps build test
	@$(call configure,asan)
	@$(call compile,asan)

tsan:  ## the tests of parts that threads share, under the thread sanitizer
	@tools/install-deps build test
	@tools/run-tests threads

fuzz:  ## every fuzz target for FUZZ_SECONDS
	@tools/install-deps build test
	@$(call configure,fuzz)
	@$(call compile,fuzz)
	@tools/fuzz $(FUZZ_SECONDS) $(FUZZ)

soak:  ## the long tests
	@tools/install-deps build test
	@$(local_engine)
	@tools/run-tests soak

traps:  ## which protocol traps have a test
	@tools/traps

pgo: build  ## the binary that `make install` installs: optimised for what it was seen to do (gcc), build/pgo/llm-gateway
	@$(call compile,release,bench-tools)
	@tools/build-pgo

bench: pgo  ## the side-by-side benchmark against nginx
	@tools/install-deps bench
	@bench/run --gateway build/pgo/llm-gateway $(ARGS)

install: pgo  ## into PREFIX (/usr/local), under DESTDIR
	@DESTDIR=$(DESTDIR) cmake --install build/pgo --prefix $(PREFIX)

lock:  ## the lock files of the tests' packages anew (Python's newest; Node's as their package.json says)
	@tools/lock

clean:  ## the build folders; the cache stays
	@rm -rf build

help:  ## this list
	@awk -F':.*## ' '/^[a-z0-9]+:.*## / { printf "  make %-8s %s\n", $$1, $$2 }' $(MAKEFILE_LIST)

.PHONY: build run engine test unit e2e lint fmt asan tsan fuzz soak traps pgo bench install lock clean help
