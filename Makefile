# `make demo` and `make test` set up what they need in .venv; `make help` lists the rest.
SHELL := /bin/sh
.DEFAULT_GOAL := help
.DELETE_ON_ERROR:
.PHONY: help venv demo demo-ready viewer test kernels nightly golden fuzz lint format docs clean

# Without byte code every child process compiles torch again, ten seconds each.
unexport PYTHONDONTWRITEBYTECODE

PYTHON ?= python3
OUT ?= demo_out
ARGS ?=

VENV := .venv
BIN := $(VENV)/bin
# A finished step leaves a file here: the next run starts with the first unfinished one.
DONE := $(VENV)/done

# A sourced ROS 2 is used as it is; anywhere else it comes as Python wheels.
ROS := $(if $(ROS_DISTRO),$(shell $(PYTHON) -c 'import rclpy' 2>/dev/null && echo sourced || echo wheels),wheels)

export AMENT_PREFIX_PATH := $(CURDIR)/$(VENV)$(if $(AMENT_PREFIX_PATH),:$(AMENT_PREFIX_PATH))
export CMAKE_PREFIX_PATH := $(CURDIR)/$(VENV)$(if $(CMAKE_PREFIX_PATH),:$(CMAKE_PREFIX_PATH))
ifeq ($(ROS),sourced)
export LD_LIBRARY_PATH := $(CURDIR)/$(VENV)/lib$(if $(LD_LIBRARY_PATH),:$(LD_LIBRARY_PATH))
endif

help:
	@echo "make demo [KITTI=DIR | BAG=DIR | PLACE=office]   a drive becomes a map, over ROS topics"
	@echo "make viewer                                      the rerun viewer, for kdbts view and drive.rrd"
	@echo "make test [ARGS='-k parity']                     the tests"
	@echo "make kernels                                     those of the GPU's kernels, interpreted on a CPU"
	@echo "make nightly                                     the tests that take long, and make fuzz"
	@echo "make golden [DRIVE=new]                          the golden clip anew, and what changed in it"
	@echo "make fuzz [CASES=10000]                          every reader on so many damaged files"
	@echo "make lint                                        ruff, mypy, codespell"
	@echo "make format                                      lay the code out with ruff"
	@echo "make docs                                        this documentation as a site, in build/site"
	@echo "make venv [PYTHON=python3.12]                    set up .venv, which the others do as well"
	@echo "make clean                                       remove builds, caches and demo_out; .venv stays"

venv: $(DONE)/links $(DONE)/tools $(DONE)/kernels

$(DONE)/python:
	@scripts/check_machine.sh $(PYTHON) $(ROS)
	@echo "[1/6] Python environment in $(VENV)"
	@$(BIN)/python -m pip --version >/dev/null 2>&1 || \
		$(PYTHON) -m venv $(if $(filter sourced,$(ROS)),--system-site-packages) $(VENV)
	@mkdir -p $(DONE) && touch $@

# PyTorch is as large as all others together: where two steps run at once, they are unpacked at once.
$(DONE)/torch: requirements/base.txt requirements/constraints.txt | $(DONE)/python
	@echo "[2/6] packages, pinned in requirements/constraints.txt"
	@scripts/install_packages.sh $(BIN)/python $(ROS) torch
	@touch $@

$(DONE)/most: requirements/base.txt requirements/constraints.txt | $(DONE)/python
	@scripts/install_packages.sh $(BIN)/python $(ROS) most
	@touch $@

$(DONE)/loops: $(DONE)/torch $(DONE)/most
	@scripts/install_packages.sh $(BIN)/python $(ROS) loops
	@touch $@

$(DONE)/packages: requirements/ros.txt $(DONE)/loops
	@scripts/install_packages.sh $(BIN)/python $(ROS) ros
	@touch $@

# What tests, checks, documentation and training need besides.
$(DONE)/tools: requirements/dev.txt requirements/docs.txt requirements/train.txt $(DONE)/packages
	@scripts/install_packages.sh $(BIN)/python $(ROS) tools
	@touch $@

$(DONE)/tf2_msgs: cmake/install_interfaces.py $(wildcard third_party_interfaces/tf2_msgs/*) \
		| $(DONE)/packages
	@echo "[3/6] tf2_msgs, where ROS 2 comes without it"
	@mkdir -p build
	@$(BIN)/python -c 'import tf2_msgs.msg' 2>/dev/null || \
		$(call logged,tf2_msgs,--source third_party_interfaces/tf2_msgs)
	@touch $@

$(DONE)/messages: cmake/install_interfaces.py cmake/prune_missing_includes.cmake CMakeLists.txt \
		$(wildcard msg/*.msg srv/*.srv) | $(DONE)/packages
	@echo "[4/6] messages of kdbts_ros"
	@mkdir -p build
	@$(call logged,messages,--source . --python-dir share/kdbts_ros/python)
	@touch $@

$(DONE)/package: setup.py package.xml $(DONE)/packages $(DONE)/tf2_msgs \
		$(DONE)/messages
	@echo "[5/6] kdbts_ros itself, from this source tree"
	@PYTHONWARNINGS=ignore $(BIN)/python -m pip install -q --no-deps --no-build-isolation \
		--config-settings editable_mode=compat -e .
	@touch $@

$(DONE)/links: scripts/link_source_tree.py $(wildcard launch/* config/* config/training/*) \
		$(DONE)/package
	@$(BIN)/python scripts/link_source_tree.py
	@touch $@

viewer: $(DONE)/viewer

$(DONE)/viewer: requirements/viewer.txt requirements/constraints.txt | $(DONE)/packages
	@$(BIN)/python -m pip install --no-compile -c requirements/constraints.txt -r requirements/viewer.txt
	@touch $@

# What a demo runs, compiled while the steps above go on: that needs the sources, not the package.
NUMBA_SOURCES := $(shell grep -rl --include='*.py' numba kdbts_ros)
$(DONE)/demo-maps $(DONE)/demo-rays: | $(DONE)/loops
$(DONE)/demo-%: $(NUMBA_SOURCES) | $(DONE)/most
	@echo "      compiling meanwhile, one to three minutes: loops of the demo's $*"
	@mkdir -p build
	@$(BIN)/python -m kdbts_ros.cli.main warm-up --only $* >build/demo-$*.log 2>&1 || \
		{ cat build/demo-$*.log; exit 1; }
	@touch $@

# Compiled loops lie beside their sources; each source that changed is compiled again.
$(DONE)/kernels: $(NUMBA_SOURCES) | $(DONE)/links
	@echo "[6/6] compiled loops, so that the first start of the node need not wait for them"
	@$(BIN)/kdbts warm-up
	@touch $@

logged = $(BIN)/python cmake/install_interfaces.py $(2) --build build/$(1) --prefix $(VENV) \
	>build/$(1).log 2>&1 || { cat build/$(1).log; exit 1; }

# Not every shell replaces the ~ of KITTI=~/kitti.
home = $(patsubst ~/%,$(HOME)/%,$(1))

# In this order the longest way begins first, and ROS is waited for by what needs it alone.
demo-ready: $(DONE)/demo-maps $(DONE)/demo-worlds $(DONE)/demo-rays $(DONE)/links
	@:

# Two steps at a time: compiling loops takes one core, and so does compiling messages.
demo:
	@$(MAKE) --no-print-directory -j2 demo-ready
	@$(BIN)/kdbts demo $(if $(KITTI),--kitti "$(call home,$(KITTI))") \
		$(if $(BAG),--bag "$(call home,$(BAG))") $(if $(PLACE),--place "$(PLACE)") --out "$(OUT)"

# Message fields are type-checked, and nothing is heard from or sent to other machines.
test: export ROS_PYTHON_CHECK_FIELDS := 1
test: export ROS_AUTOMATIC_DISCOVERY_RANGE := LOCALHOST
test: export OMP_NUM_THREADS ?= 1
test: venv
	@$(BIN)/python -m pytest --strict-config $(ARGS)

# Triton is large, and a torch for GPUs brings its own: it stays out of what everyone installs.
TRITON := $(CURDIR)/$(VENV)/triton
$(DONE)/triton: requirements/triton.txt | $(DONE)/packages
	@$(BIN)/python -c 'import triton' 2>/dev/null || $(BIN)/python -m pip install -q --no-compile \
		--no-deps --upgrade --target $(TRITON) -r requirements/triton.txt
	@touch $@

kernels nightly: export TRITON_INTERPRET := 1
kernels nightly: export PYTHONPATH := $(TRITON)$(if $(PYTHONPATH),:$(PYTHONPATH))
kernels nightly golden: export OMP_NUM_THREADS ?= 1
KERNEL_TESTS := test/density/engines/test_gpu.py test/density/whole_frame/test_gpu_frames.py \
	test/golden/test_golden.py
kernels: venv $(DONE)/triton
	@$(BIN)/python -m pytest --strict-config -o timeout=600 $(KERNEL_TESTS) $(ARGS)

nightly: export ROS_PYTHON_CHECK_FIELDS := 1
nightly: export ROS_AUTOMATIC_DISCOVERY_RANGE := LOCALHOST
nightly: venv $(DONE)/triton
	@$(BIN)/python -m pytest --strict-config -m nightly -o timeout=7200 $(ARGS)
	@$(MAKE) --no-print-directory fuzz

golden: venv
	@$(BIN)/python -m test.golden $(if $(DRIVE),--drive)

# Decoders tell of each damaged picture on stderr; what fails is told on stdout.
CASES ?= 10000
fuzz: export OMP_NUM_THREADS ?= 1
fuzz: venv
	@$(BIN)/python -m test.fuzz.run $(CASES) 2>/dev/null

lint: venv
	@$(BIN)/ruff check .
	@$(BIN)/ruff format --check .
	@$(BIN)/mypy
	@$(BIN)/codespell

format: venv
	@$(BIN)/ruff check --fix .
	@$(BIN)/ruff format .

# The notice that is turned off says that a later mkdocs will have no plugins: it is pinned.
docs: $(DONE)/tools
	@NO_MKDOCS_2_WARNING=1 $(BIN)/python -m mkdocs build --quiet --clean
	@echo "the site is build/site/index.html; its search needs a server:"
	@echo "$(PYTHON) -m http.server --bind 127.0.0.1 --directory build/site"

clean:
	rm -rf build install log dist demo_out *.egg-info .pytest_cache .mypy_cache .ruff_cache .hypothesis
	find kdbts_ros test launch cmake scripts -name __pycache__ -type d -prune -exec rm -rf {} +
	rm -f $(DONE)/kernels $(DONE)/demo-*
