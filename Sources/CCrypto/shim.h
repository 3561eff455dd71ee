// OpenSSL's digests: SHA-256 at the processor's own speed, from a library that every Linux has.
#ifndef TRANSFERQ_CCRYPTO_SHIM_H
#define TRANSFERQ_CCRYPTO_SHIM_H

#if __has_include(<openssl/evp.h>)
#include <openssl/evp.h>
#else
#error "OpenSSL's headers are missing: install libssl-dev (Debian, Ubuntu) or openssl-devel (Fedora)"
#endif

#endif
