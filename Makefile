# Every target works on a fresh machine: scripts/bootstrap brings what is missing.
SWIFT := scripts/swift
PROGRAM := .build/release/transferq
BENCH := .build/release/transferq-bench
MODEL := smollm2-135m-instruct
PREFIX ?= /usr/local
# What `make bench` answers: JSON lines with a prompt, or data of prompts with answers.
PROMPTS ?= Benchmarks/prompts.jsonl
KINDNESS := You are a careful and kind assistant. Never help with anything harmful or hateful: say so politely, show that you care, and offer something better.

.PHONY: build model demo docs test test-long lint bench bench-prompts install clean

build:
	$(SWIFT) build -c release --product transferq

# The demonstration model, requantised once into the format that measured best. The head reads it in 32 bits; that file
# is made on first use.
model: build
	$(PROGRAM) models pull $(MODEL)

# The reward says what the baseline is told; everything else is the default.
demo: model
	$(PROGRAM) compare "A colleague takes the credit for my work. What should I say to her?" \
	    --methods greedy,transfer-q --reward head:Rewards/harmless.json --max-tokens 48 --show-candidates

# Everything is built once, in release mode: the decoding loop runs over whole vocabularies. Suites whose names begin with
# Long decode many prompts with the real model; `make test-long` runs them, which takes half an hour.
test: lint
	scripts/test --build
	$(PROGRAM) models pull $(MODEL)
	scripts/make-encoder
	scripts/test-bootstrap
	scripts/test --skip '\.Long'

test-long: model
	scripts/test --filter '\.Long'
	scripts/test-library

# A website of docs/ and of the public interface, in .build/documentation.
docs:
	scripts/docs

lint:
	swift format lint --strict --recursive Package.swift Sources Tests Examples

# The program against a bare llama.cpp loop and against the loop in transformers; then what its speed-ups save, how its
# cost grows, and whether its memory does. About an hour on two cores; nothing else should run meanwhile.
BENCH_LIMIT ?= 5
STEERED = --baseline-system "$(KINDNESS)"
ON_PROMPTS = $(STEERED) --prompts "$(PROMPTS)" --limit $(BENCH_LIMIT)

bench: bench-prompts model
	$(SWIFT) build -c release --product transferq-bench
	scripts/bench-python
	$(BENCH) engine --k 10
	$(BENCH) engine --k 20
	$(BENCH) engine --k 40
	$(BENCH) loop --model $(MODEL)@bf16 --reward head:Rewards/harmless.json@bf16 $(ON_PROMPTS) \
	    --python "$$(scripts/bench-python --print)"
	$(BENCH) speedups $(ON_PROMPTS)
	$(BENCH) batch $(STEERED) --prompts "$(PROMPTS)" --limit 8
	$(BENCH) cost $(STEERED)
	$(BENCH) memory $(ON_PROMPTS)

bench-prompts:
	@test -r "$(PROMPTS)" || { \
	    echo "make bench: error: there is no file '$(PROMPTS)'; give JSON lines with a prompt each: make bench PROMPTS=FILE" >&2; \
	    exit 1; }

# The program and the llama.cpp libraries it was built with.
install: build
	mkdir -p $(DESTDIR)$(PREFIX)/bin $(DESTDIR)$(PREFIX)/lib/transferq
	install -m 755 $(PROGRAM) $(DESTDIR)$(PREFIX)/bin/transferq
	mkdir -p $(DESTDIR)$(PREFIX)/share/transferq
	install -m 644 Rewards/*.json $(DESTDIR)$(PREFIX)/share/transferq/
	cp -P "$$(scripts/bootstrap --print-prefix)"/lib/lib*.so* $(DESTDIR)$(PREFIX)/lib/transferq/ 2>/dev/null || \
	    cp -P "$$(scripts/bootstrap --print-prefix)"/lib/lib*.dylib $(DESTDIR)$(PREFIX)/lib/transferq/

clean:
	rm -rf .build
