// Corrections of the syntax tree that llama.cpp's Jinja engine builds, where it is more lenient than Jinja.

#pragma once

#include <string>

#include <transferq/jinja/runtime.h>

namespace transferq {

/// What Jinja itself says about a template that cannot be carried out. Not a std::exception: the engine would put its
/// own words around the sentence.
struct failure {
    std::string message;
};

/// Makes a program refuse what Jinja refuses, in Jinja's words: a calculation with a name that is not defined, a look
/// into it, a loop over nothing. The engine takes all of them for an empty text. Also lets it loop over the characters
/// of a text, and pick one.
void make_strict(jinja::program &program);

/// A value as Jinja prints it: the engine prints nothing for None and for a dictionary, and runs lists together.
jinja::value printable(const jinja::value &object);

/// The reason alone, in Jinja's words where they are known, out of what the engine says about an error.
std::string reason(const std::string &complaint);

}  // namespace transferq
