// Needs what the whole package needs and depends on nothing, so a build without it ends within seconds, with the sentence of
// the header that misses something, and not after everything else is built.
#include "../CLlama/shim.h"
#ifdef __linux__
#include "../CCrypto/shim.h"
#endif
