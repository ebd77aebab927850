# The front door. `make run` and `make test` are all that a newcomer needs; each installs what is missing first.
BUILD ?= build
PORT ?= 8000
DATA ?= data
CLANG ?= clang
generator := $(if $(shell command -v ninja),-G Ninja)

.PHONY: all run test lint fmt asan tsan fuzz bench install clean setup setup-test setup-bench

# The tests are built where `make test`, `make lint` or `make bench` asked for them: they need packages that mien does not.
all: setup
	@cmake $(generator) -B $(BUILD) -DCMAKE_BUILD_TYPE=Release $(CMAKE_OPTIONS) >$(BUILD).log 2>&1 || { cat $(BUILD).log; exit 1; }
	@mv $(BUILD).log $(BUILD)/configure.log
	@cmake --build $(BUILD)

run: all
	@$(BUILD)/mien serve --port $(PORT) --data-dir $(DATA)

# ends in the line "N passed, N failed, N skipped"
test: setup-test
	@$(MAKE) --no-print-directory all CMAKE_OPTIONS=-DMIEN_TESTS=ON
	@tests/run $(BUILD)

lint: setup-test
	@$(MAKE) --no-print-directory all CMAKE_OPTIONS=-DMIEN_TESTS=ON
	@tools/lint $(BUILD)

fmt: setup-test
	@clang-format -i $$(git ls-files '*.c' '*.h')

asan: setup-test
	@cmake $(generator) -B build-asan -DCMAKE_C_COMPILER=$(CLANG) -DMIEN_SANITIZE=address,undefined -DMIEN_TESTS=ON >/dev/null
	@cmake --build build-asan
	@TEST_LIMIT_SECONDS=1800 tests/run build-asan

tsan: setup-test
	@cmake $(generator) -B build-tsan -DCMAKE_C_COMPILER=$(CLANG) -DMIEN_SANITIZE=thread -DMIEN_TESTS=ON >/dev/null
	@cmake --build build-tsan
	@TEST_LIMIT_SECONDS=1800 tests/run build-tsan unit kernels http

# FUZZ_SECONDS for each target, starting from the committed corpora
fuzz: setup-test
	@cmake $(generator) -B build-fuzz -DCMAKE_C_COMPILER=$(CLANG) -DMIEN_SANITIZE=address,undefined -DMIEN_FUZZ=ON >/dev/null
	@cmake --build build-fuzz
	@tools/fuzz build-fuzz

bench: setup-bench
	@$(MAKE) --no-print-directory all CMAKE_OPTIONS=-DMIEN_TESTS=ON
	@bench/run $(BUILD)

install: all
	@cmake --install $(BUILD)

clean:
	rm -rf build build-asan build-tsan build-fuzz

setup:
	@scripts/setup build
setup-test:
	@scripts/setup test
setup-bench:
	@scripts/setup bench
