# Every target sets itself up: a bare checkout needs Python 3.11 or later and make, nothing else.
.DEFAULT_GOAL := help
.PHONY: help install demo test check clean

READY := .venv/ready

help:
	@echo "make demo    train the digits example and look into it"
	@echo "make test    run the tests"
	@echo "make check   format, lint, types, version"
	@echo "make install set up .venv (the others do it for you)"
	@echo "make clean   remove .venv and everything made by running"

# The stamp is older than these when what must be installed may have changed.
$(READY): pyproject.toml constraints.txt scripts/install tests/support/s3-requirements.txt
	@scripts/install
	@touch $@

install: $(READY)

demo: $(READY)
	@scripts/demo

test: $(READY)
	@scripts/test

check: $(READY)
	@scripts/check

clean:
	rm -rf .venv build dist .hypothesis .mypy_cache .pytest_cache .ruff_cache
