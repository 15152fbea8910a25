# Two commands: `make demo` answers a real question on real data; `make test` runs every check.
# Both make their own environment in .venv and need only Python 3.11+ (and, for speed, a C++ compiler).

# First Python of at least 3.11 on the PATH; override with PYTHON=/path/to/python.
PYTHON ?= $(shell for p in python3 python3.14 python3.13 python3.12 python3.11; do \
    $$p -c 'import sys, venv; sys.exit(sys.version_info < (3, 11))' 2>/dev/null && { echo $$p; break; }; done)
BIN := .venv/bin
BUILD_INPUTS := pyproject.toml CMakeLists.txt $(wildcard cpp/*.cpp cpp/*.hpp)

.PHONY: demo test lint types contracts pytest slow clean tools

demo: .venv/.stamp-demo
	@$(BIN)/whence demo

test: .venv/.stamp-test pytest

# What continuous integration runs besides the tests.
lint: .venv/.stamp-test
	@$(BIN)/ruff check src tests bench
types: .venv/.stamp-test
	@$(BIN)/basedpyright
contracts: .venv/.stamp-test
	@$(BIN)/lint-imports

pytest: .venv/.stamp-test
	@$(BIN)/pytest -n auto --dist worksteal

slow: .venv/.stamp-test
	@$(BIN)/pytest -m slow

tools:
	@if [ -z "$(PYTHON)" ]; then \
	  echo "whence needs Python 3.11 or later with the venv module, and none was found."; \
	  echo "  Debian or Ubuntu:  sudo apt install python3 python3-venv"; \
	  echo "  Fedora:            sudo dnf install python3"; \
	  echo "  macOS:             brew install python"; \
	  echo "Or name one: make demo PYTHON=/path/to/python3"; exit 2; fi
	@command -v c++ >/dev/null || command -v g++ >/dev/null || command -v clang++ >/dev/null || { \
	  echo "No C++ compiler was found: whence will run on its slower NumPy kernels."; \
	  echo "  Debian or Ubuntu:  sudo apt install g++    Fedora:  sudo dnf install gcc-c++    macOS:  xcode-select --install"; \
	  echo "Then run: make clean, and this command again."; }

.venv/bin/python: | tools
	@echo "Making the environment in .venv with $(PYTHON) ..."
	@$(PYTHON) -m venv .venv

.venv/.stamp-demo: .venv/bin/python $(BUILD_INPUTS)
	@echo "Installing whence and the demo's data (a minute or two, once) ..."
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check --editable '.[demo]'
	@touch $@

.venv/.stamp-test: .venv/bin/python $(BUILD_INPUTS)
	@echo "Installing whence and what its tests need (a minute or two, once) ..."
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check --editable '.[test]'
	@touch $@ .venv/.stamp-demo

clean:
	rm -rf .venv build
