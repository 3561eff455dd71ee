// The one place where the installed llama.cpp enters Swift.
#ifndef TRANSFERQ_CLLAMA_SHIM_H
#define TRANSFERQ_CLLAMA_SHIM_H

#if __has_include(<llama.h>)
#include <llama.h>
#include <ggml.h>
#include <gguf.h>
#else
#error "llama.cpp is not installed for this build: run scripts/bootstrap and build through scripts/swift (Linux), or `brew install llama.cpp pkg-config` (macOS)"
#endif

#endif
