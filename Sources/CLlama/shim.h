// The one place where the installed llama.cpp enters Swift.
#ifndef TRANSFERQ_CLLAMA_SHIM_H
#define TRANSFERQ_CLLAMA_SHIM_H

#if __has_include(<llama.h>)
#include <llama.h>
#include <ggml.h>
#include <gguf.h>
#else
#error "llama.cpp is not in reach of this build: build with TransferQ's scripts/swift in place of swift (Linux; from a package of your own: PATH-TO-TransferQ/scripts/swift build), or `brew install llama.cpp pkg-config` (macOS)"
#endif

#endif
