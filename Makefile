# The face of maquette: each target is one call of the CLI in python/maquette/cli/.
# Settings are make variables (make process ITERATIONS=20000); `make settings` lists them all.

MAKEFLAGS += --warn-undefined-variables --no-print-directory
SHELL := bash
.SHELLFLAGS := -eu -o pipefail -c
.DEFAULT_GOAL := help
.SUFFIXES:
# `make -j4 prepare process`: one step reads what the step before it wrote.
.NOTPARALLEL:

export MAQUETTE_MAKE_OVERRIDES := $(MAKEOVERRIDES)
# The program reads words from there as they were typed; make would expand what `$` begins.
unexport $(foreach v,$(.VARIABLES),$(if $(findstring command line,$(origin $v)),$(if $(findstring $$,$(value $v)),$v)))

PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
READY := $(VENV)/.ready
ASKED := $(filter-out file,$(origin PYTHON))
CLI := $(BIN)/maquette
# Two workers take whole files, the long ones first.
TESTS := $(BIN)/pytest -n 2 --dist loadfile --no-loadscope-reorder
MINUTES ?=
SEED ?=

##@ Start
demo: $(READY) ## Run all three steps on the sample video and show the result
	@$(CLI) demo

help: ## Show this help
	@awk -f docs/help.awk $(MAKEFILE_LIST)

settings: $(READY) ## List every setting with its default, and what MODEL's scene remembers
	@$(CLI) settings

##@ Reconstruct (MODEL=name; prepare needs INPUT=video|folder|zip|URL)
prepare: $(READY) ## Turn INPUT into posed images and a region
	@$(CLI) run prepare
process: $(READY) ## Train the surface of MODEL (resumes; FRESH=1 starts over)
	@$(CLI) run process
extract: $(READY) ## Turn the newest checkpoint into a mesh and pictures
	@$(CLI) run extract
all: $(READY) ## Run all three steps unattended; continues what was interrupted (RETRIES=2)
	@$(CLI) all
batch: $(READY) ## Run all scenes of a list, unattended: LIST=scenes.yaml JOBS=2
	@$(CLI) batch
estimate: $(READY) ## Estimate time and memory here, or with money on FLAVOR, from measured runs
	@$(CLI) estimate
texture: $(READY) ## Give a mesh the photos' colours: MESH=edited.ply, or the newest of MODEL
	@$(CLI) texture
evaluate: $(READY) ## Measure the result, against ground truth where there is one
	@$(CLI) evaluate
scenes: $(READY) ## Make COUNT scenes up with exact depth maps, in OUT, for networks to learn from
	@$(CLI) scenes
report: $(READY) ## Write report.html of MODEL anew: what became of it, on one page
	@$(CLI) report

##@ Look and adjust
adjust: $(READY) ## Set the region by hand (VIEW=blender or browser)
	@$(CLI) adjust
view: $(READY) ## Show all scenes of this machine in the browser, results and runs of each
	@$(CLI) view
region: $(READY) ## Print the region; `maquette region set|auto|fit` change it
	@$(CLI) region show
blender-addon: $(READY) ## Make the installable zip of the Blender add-on in dist/
	@$(CLI) blender-addon

##@ Share
publish: $(READY) ## Publish MODEL as a web site: TO=folder|s3://bucket/prefix, or HTML=1: one file
	@$(CLI) publish
unpublish: $(READY) ## Remove exactly what publish wrote (TO=)
	@$(CLI) unpublish

##@ Jobs (these never start anything)
prepare-job process-job extract-job: %-job: $(READY) ## Print the whole job document
	@$(CLI) job $*
prepare-status process-status extract-status: %-status: $(READY) ## Print the job's state, one word
	@$(CLI) status $*
prepare-logs process-logs extract-logs: %-logs: $(READY) ## Print the log; follow a running job
	@$(CLI) logs $*
prepare-stop process-stop extract-stop: %-stop: $(READY) ## Stop the job; it saves first
	@$(CLI) stop $*
prepare-push process-push extract-push: %-push: $(READY) ## Have a running job copy its files out now
	@$(CLI) push $*
plan-prepare plan-process plan-extract: plan-%: $(READY) ## Print the exact request, send nothing
	@$(CLI) plan $*
jobs: $(READY) ## List the jobs of all scenes
	@$(CLI) jobs

##@ OVHcloud AI Training (BACKEND=ovh runs the steps there)
login-check: $(READY) ## Tell user, role, quota and region of the token
	@$(CLI) ovh login-check
flavors: $(READY) ## List machine types with prices
	@$(CLI) flavors
sweep: $(READY) ## List and stop running jobs of ours that no document knows (asks first)
	@$(CLI) sweep
emulator: $(READY) ## Serve an emulated service on LISTEN, to try it without an account
	@$(CLI) emulator

##@ Ray cluster (BACKEND=ray spreads steps over its machines)
ray-local: $(READY) ## Start one here to try it: a head and NODES=2 nodes
	@MAQUETTE_RAY_PYTHON=$$(bash .ci/ray_environment) $(CLI) ray-local
ray-local-stop: $(READY) ## End it
	@$(CLI) ray-local-stop

##@ Data
push-data data-push: $(READY) ## Upload what is new here to a bucket (DRY_RUN=1 shows it)
	@$(CLI) data push
pull-data: $(READY) ## Download what is new there (ONLY=results, checkpoints, glob)
	@$(CLI) data pull
clear-data: $(READY) ## Remove the scene from its bucket (asks first)
	@$(CLI) data clear
store: $(READY) ## Show the built-in store, used when no data store is added
	@$(CLI) store
disk: $(READY) ## Show what each stage of MODEL keeps, and what can be made again
	@$(CLI) disk
clean: $(READY) ## Delete the scene and the logs of MODEL (asks first)
	@$(CLI) clean

##@ Containers (BACKEND=docker runs the steps in them)
images: $(READY) ## Build our images (VARIANT=cpu, cuda12 or cuda13)
	@$(CLI) images build
push-images: $(READY) ## Push them to REGISTRY
	@$(CLI) images push
check-image: $(READY) ## Check an image: contents, commands, libraries, GPUs, kernels
	@$(CLI) images check
clean-containers: $(READY) ## Remove ended containers of jobs and their volumes (asks first)
	@$(CLI) clean-containers

##@ Develop
test: $(READY) ## Run the tests that need nothing but this machine (some minutes)
	@$(TESTS) -m "not docker and not pages and not cluster and not soak"
test-docker: $(READY) ## Run those of containers, with a Docker daemon
	@$(BIN)/python tests/recon_image.py
	@$(TESTS) -m "docker and not soak"
test-pages: $(READY) ## Run those of pages, with Blender and Chromium
	@$(TESTS) -m "pages and not soak"
test-cluster: $(READY) ## Run those of clusters of Ray and Slurm, started here as processes
	@MAQUETTE_RAY_PYTHON=$$(bash .ci/ray_environment) $(BIN)/pytest -m "cluster and not soak"
test-all: $(READY) ## Run all, and soak: an hour (MINUTES=30 ends it, SEED=1 repeats it)
	@$(BIN)/python tests/recon_image.py
	@MAQUETTE_BPY_PYTHONS=$$(bash .ci/blender_modules) MAQUETTE_RAY_PYTHON=$$(bash .ci/ray_environment) $(TESTS) $(if $(MINUTES),--minutes $(MINUTES)) $(if $(SEED),--seed $(SEED))
check: $(READY) ## Lint, types, import contracts, docs drift
	@bash .ci/check
page: $(READY) ## Build the web page that shows results (fetches its parts, once)
	@$(CLI) page
wheel: page ## Build the wheel in dist/, for pip install
	@$(BIN)/pip wheel --quiet --no-deps --no-build-isolation --wheel-dir dist ./python
lock: $(READY) ## Pin the newest versions that fit python/pyproject.toml
	@$(BIN)/uv pip compile --quiet --universal --python-version 3.11 --all-extras --no-header --upgrade python/pyproject.toml -o python/constraints.txt

$(READY): python/pyproject.toml python/constraints.txt $(shell bash .ci/environment check '$(PYTHON)' '$(ASKED)')
	@bash .ci/environment make '$(PYTHON)' '$(ASKED)'
	@echo "installing into $(VENV) (once) …"
	@$(BIN)/pip install --quiet --disable-pip-version-check -e 'python[recon,view,emulator,geo,dev]' -c python/constraints.txt
	@touch $(READY)

%:
	@echo "error: there is no target \`$@\`" >&2; echo >&2; echo "hint: \`make help\` lists them" >&2; exit 2

.PHONY: stale page publish unpublish all batch estimate login-check flavors sweep emulator demo help settings prepare process extract texture evaluate scenes report adjust view region blender-addon jobs \
  images push-images check-image clean-containers push-data data-push pull-data clear-data store clean test test-docker test-pages test-cluster test-all ray-local ray-local-stop check wheel lock \
  $(foreach step,prepare process extract,$(step)-job $(step)-status $(step)-logs $(step)-stop $(step)-push plan-$(step))
