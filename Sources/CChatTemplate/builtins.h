// Corrections of functions of llama.cpp's Jinja engine, where they differ from Python's.

#pragma once

#include <string>

#include <transferq/jinja/value.h>

namespace transferq {

/// Puts functions that act as Python's do, and that keep track of what people wrote, in the place of the engine's:
/// those count bytes instead of characters, strip ASCII's spaces only, and lose the marks of people's text when they
/// split, join or write JSON. Once per process; safe to call from anywhere, any number of times.
void correct_builtins();

/// A method of Python's texts that the engine does not have; nothing for other names.
jinja::func_handler more_text_methods(const std::string &name);

}  // namespace transferq
