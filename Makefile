# make demo   the whole pipeline on the embedded synthetic data, in a few minutes
# make test   lint and all tests
# make bench  instruction counts, memory and speed, compared with the committed budgets
# make lock   write the versions of the installed packages to constraints.txt
#
# Everything is installed on first use: a Python environment in .venv, and the cross compiler and
# emulator from Debian packages. Later runs start at once.

PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
STAMP := $(VENV)/.installed
DEBIAN_TOOLS := gcc-arm-none-eabi libnewlib-arm-none-eabi qemu-system-arm

C_FILES = $(shell find deploy tests -name '*.c' -o -name '*.h' | sort)

.DEFAULT_GOAL := help
.PHONY: help setup tools demo test lint format bench lock wheel clean

help:
	@sed -n 's/^# \{0,1\}//p' Makefile | head -n 7

setup: $(STAMP) tools

$(STAMP): setup.cfg pyproject.toml constraints.txt | tools
	test -x $(BIN)/pip || $(PYTHON) -m venv --clear $(VENV)
	$(BIN)/python -m pip install --quiet --constraint constraints.txt --editable '.[test]'
	touch $@

tools:
	@PYTHON="$(PYTHON)" sh tools/install-tools.sh $(DEBIAN_TOOLS)

demo: setup
	$(BIN)/trecx demo --out build/demo

test: setup lint
	$(BIN)/python -m pytest -n 2 --dist loadfile

lint: $(STAMP)
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	@echo clang-format of $(words $(C_FILES)) C files
	@$(BIN)/clang-format --dry-run --Werror $(C_FILES)

format: $(STAMP)
	$(BIN)/ruff format .
	$(BIN)/ruff check --fix .
	$(BIN)/clang-format -i $(C_FILES)

bench: setup
	$(BIN)/python -m benchmarks.run

lock: $(STAMP)
	$(BIN)/python tools/lock.py > constraints.new
	mv constraints.new constraints.txt

wheel: $(STAMP)
	rm -rf build/lib build/bdist.*
	$(BIN)/python -m pip wheel --quiet --no-deps --wheel-dir dist .

clean:
	rm -rf build dist *.egg-info
