// A text that knows, byte by byte, what of it people wrote. Offsets and lengths count characters, as Python's do.

#pragma once

#include <cstdint>
#include <string>
#include <utility>
#include <vector>

#include <transferq/jinja/value.h>

namespace transferq {

class marked_text {
public:
    marked_text() = default;
    explicit marked_text(const jinja::string &text);
    explicit marked_text(const jinja::value &value) : marked_text(value->as_string()) {}
    marked_text(const std::string &bytes, bool is_input);

    const std::string &bytes() const { return bytes_; }
    bool empty() const { return bytes_.empty(); }
    jinja::string string() const;
    jinja::value value() const { return jinja::mk_val<jinja::value_string>(string()); }

    /// The part between two offsets in bytes.
    marked_text part(size_t start, size_t end) const;
    void append(const marked_text &other);
    /// Appends bytes that are marked as those at `origin` are; for texts that a transformation makes out of this one.
    void append(const std::string &bytes, bool is_input);
    bool is_input(size_t offset) const { return marks_[offset] != 0; }

    /// One text for each character.
    std::vector<marked_text> characters() const;
    /// Where each character begins, in bytes, and the end.
    std::vector<size_t> boundaries() const;

    marked_text stripped(bool left, bool right) const;
    /// Without the characters in `set` at the ends.
    marked_text stripped(bool left, bool right, const std::string &set) const;
    marked_text slice(int64_t start, int64_t stop, int64_t step) const;
    marked_text replaced(const marked_text &old_text, const marked_text &new_text, int64_t count) const;
    /// At each separator, `limit` times at most (less than zero: always), counted from the left or the right.
    std::vector<marked_text> split(const std::string &separator, int64_t limit, bool from_right) const;
    /// At white space, the empty parts left out.
    std::vector<marked_text> split_at_spaces(int64_t limit, bool from_right) const;
    std::vector<marked_text> lines() const;

    enum class letter_case { upper, lower, title, capital };
    marked_text changed(letter_case to) const;

private:
    std::string bytes_;
    std::string marks_;  // as long as bytes_: 1 where people wrote the byte
};

/// One code point and its length in bytes at an offset; what is not UTF-8 counts as one byte each.
std::pair<uint32_t, size_t> code_point(const std::string &bytes, size_t offset);
/// What Python's `str.isspace` and `str.strip` take for white space.
bool is_space(uint32_t code_point);

}  // namespace transferq
