#include "chat_template.h"

#if __has_include(<transferq/jinja/runtime.h>)

#include "marked_text.h"

#include <algorithm>
#include <cwctype>
#include <locale.h>

namespace transferq {

std::pair<uint32_t, size_t> code_point(const std::string &bytes, size_t offset) {
    const auto byte = [&](size_t index) { return static_cast<unsigned char>(bytes[index]); };
    const unsigned char first = byte(offset);
    const size_t length = first < 0x80 ? 1 : first < 0xC0 ? 0 : first < 0xE0 ? 2 : first < 0xF0 ? 3 : first < 0xF8 ? 4 : 0;
    if (length == 0 || offset + length > bytes.size()) { return {0xFFFD, 1}; }
    if (length == 1) { return {first, 1}; }
    uint32_t result = first & (0x7F >> length);
    for (size_t index = offset + 1; index < offset + length; ++index) {
        if ((byte(index) & 0xC0) != 0x80) { return {0xFFFD, 1}; }
        result = (result << 6) | (byte(index) & 0x3F);
    }
    return {result, length};
}

bool is_space(uint32_t code) {
    return (code >= 0x09 && code <= 0x0D) || (code >= 0x1C && code <= 0x20) || code == 0x85 || code == 0xA0 ||
        code == 0x1680 || (code >= 0x2000 && code <= 0x200A) || code == 0x2028 || code == 0x2029 || code == 0x202F ||
        code == 0x205F || code == 0x3000;
}

static std::string encoded(uint32_t code) {
    std::string result;
    if (code < 0x80) {
        result += static_cast<char>(code);
    } else if (code < 0x800) {
        result += static_cast<char>(0xC0 | (code >> 6));
        result += static_cast<char>(0x80 | (code & 0x3F));
    } else if (code < 0x10000) {
        result += static_cast<char>(0xE0 | (code >> 12));
        result += static_cast<char>(0x80 | ((code >> 6) & 0x3F));
        result += static_cast<char>(0x80 | (code & 0x3F));
    } else {
        result += static_cast<char>(0xF0 | (code >> 18));
        result += static_cast<char>(0x80 | ((code >> 12) & 0x3F));
        result += static_cast<char>(0x80 | ((code >> 6) & 0x3F));
        result += static_cast<char>(0x80 | (code & 0x3F));
    }
    return result;
}

marked_text::marked_text(const jinja::string &text) {
    for (const auto &part : text.parts) { append(part.val, part.is_input); }
}

marked_text::marked_text(const std::string &bytes, bool is_input) { append(bytes, is_input); }

jinja::string marked_text::string() const {
    jinja::string result;
    for (size_t start = 0, end = 0; start < bytes_.size(); start = end) {
        end = std::min(marks_.find_first_not_of(marks_[start], start), bytes_.size());
        result.parts.push_back({marks_[start] != 0, bytes_.substr(start, end - start)});
    }
    return result;
}

marked_text marked_text::part(size_t start, size_t end) const {
    marked_text result;
    result.bytes_ = bytes_.substr(start, end - start);
    result.marks_ = marks_.substr(start, end - start);
    return result;
}

void marked_text::append(const marked_text &other) {
    bytes_ += other.bytes_;
    marks_ += other.marks_;
}

void marked_text::append(const std::string &bytes, bool is_input) {
    bytes_ += bytes;
    marks_.append(bytes.size(), is_input ? 1 : 0);
}

std::vector<size_t> marked_text::boundaries() const {
    std::vector<size_t> result;
    for (size_t offset = 0; offset < bytes_.size(); offset += code_point(bytes_, offset).second) {
        result.push_back(offset);
    }
    result.push_back(bytes_.size());
    return result;
}

std::vector<marked_text> marked_text::characters() const {
    const auto edges = boundaries();
    std::vector<marked_text> result;
    for (size_t index = 0; index + 1 < edges.size(); ++index) { result.push_back(part(edges[index], edges[index + 1])); }
    return result;
}

template <typename Predicate>
static marked_text strip(const marked_text &text, bool left, bool right, Predicate belongs) {
    const auto edges = text.boundaries();
    size_t start = 0, end = edges.size() - 1;
    const auto matches = [&](size_t index) { return belongs(code_point(text.bytes(), edges[index]).first); };
    while (left && start < end && matches(start)) { ++start; }
    while (right && end > start && matches(end - 1)) { --end; }
    return text.part(edges[start], edges[end]);
}

marked_text marked_text::stripped(bool left, bool right) const { return strip(*this, left, right, is_space); }

marked_text marked_text::stripped(bool left, bool right, const std::string &set) const {
    std::vector<uint32_t> members;
    for (size_t offset = 0; offset < set.size();) {
        const auto [code, length] = code_point(set, offset);
        members.push_back(code);
        offset += length;
    }
    return strip(*this, left, right, [&](uint32_t code) {
        return std::find(members.begin(), members.end(), code) != members.end();
    });
}

marked_text marked_text::slice(int64_t start, int64_t stop, int64_t step) const {
    const auto all = characters();
    const auto count = static_cast<int64_t>(all.size());
    marked_text result;
    for (int64_t index = start; step > 0 ? index < stop : index > stop; index += step) {
        if (index >= 0 && index < count) { result.append(all[static_cast<size_t>(index)]); }
    }
    return result;
}

marked_text marked_text::replaced(const marked_text &old_text, const marked_text &new_text, int64_t count) const {
    marked_text result;
    if (old_text.empty()) {
        for (const auto &character : characters()) {
            if (count-- != 0) { result.append(new_text); } else { count = 0; }
            result.append(character);
        }
        if (count != 0) { result.append(new_text); }
        return result;
    }
    size_t start = 0;
    for (size_t found; count != 0 && (found = bytes_.find(old_text.bytes_, start)) != std::string::npos; --count) {
        result.append(part(start, found));
        result.append(new_text);
        start = found + old_text.bytes_.size();
    }
    result.append(part(start, bytes_.size()));
    return result;
}

std::vector<marked_text> marked_text::split(const std::string &separator, int64_t limit, bool from_right) const {
    std::vector<marked_text> result;
    size_t start = 0, end = bytes_.size(), found;
    if (from_right) {
        while (limit-- != 0 && end >= separator.size() &&
            (found = bytes_.rfind(separator, end - separator.size())) != std::string::npos) {
            result.push_back(part(found + separator.size(), end));
            end = found;
        }
        result.push_back(part(0, end));
        std::reverse(result.begin(), result.end());
        return result;
    }
    while (limit-- != 0 && (found = bytes_.find(separator, start)) != std::string::npos) {
        result.push_back(part(start, found));
        start = found + separator.size();
    }
    result.push_back(part(start, end));
    return result;
}

std::vector<marked_text> marked_text::split_at_spaces(int64_t limit, bool from_right) const {
    std::vector<marked_text> result;
    marked_text rest = stripped(true, true);
    while (!rest.empty() && limit-- != 0) {
        const auto edges = rest.boundaries();
        const auto count = edges.size() - 1;
        const auto space = [&](size_t index) { return is_space(code_point(rest.bytes(), edges[index]).first); };
        size_t word = 0;
        while (word < count && !space(from_right ? count - 1 - word : word)) { ++word; }
        if (from_right) {
            result.push_back(rest.part(edges[count - word], edges[count]));
            rest = rest.part(0, edges[count - word]).stripped(false, true);
        } else {
            result.push_back(rest.part(0, edges[word]));
            rest = rest.part(edges[word], edges[count]).stripped(true, false);
        }
    }
    if (!rest.empty()) { result.push_back(rest); }
    if (from_right) { std::reverse(result.begin(), result.end()); }
    return result;
}

std::vector<marked_text> marked_text::lines() const {
    std::vector<marked_text> result;
    const auto edges = boundaries();
    size_t start = 0;
    for (size_t index = 0; index + 1 < edges.size(); ++index) {
        const uint32_t code = code_point(bytes_, edges[index]).first;
        const bool ends = (code >= 0x0A && code <= 0x0D) || (code >= 0x1C && code <= 0x1E) || code == 0x85 ||
            code == 0x2028 || code == 0x2029;
        if (!ends) { continue; }
        result.push_back(part(start, edges[index]));
        if (code == 0x0D && bytes_.compare(edges[index + 1], 1, "\n") == 0) { ++index; }
        start = edges[index + 1];
    }
    if (start < bytes_.size()) { result.push_back(part(start, bytes_.size())); }
    return result;
}

marked_text marked_text::changed(letter_case to) const {
    // Letters of every script, whatever the locale of this process.
    static const locale_t letters = newlocale(LC_CTYPE_MASK, "C.UTF-8", nullptr);
    const auto upper = [](uint32_t code) { return letters ? towupper_l(code, letters) : towupper(code); };
    const auto lower = [](uint32_t code) { return letters ? towlower_l(code, letters) : towlower(code); };
    const auto is_letter = [](uint32_t code) { return (letters ? iswalpha_l(code, letters) : iswalpha(code)) != 0; };
    marked_text result;
    bool begins = true;
    for (size_t offset = 0; offset < bytes_.size();) {
        const auto [code, length] = code_point(bytes_, offset);
        const bool rises = to == letter_case::upper || (to != letter_case::lower && begins);
        const uint32_t other = rises ? upper(code) : lower(code);
        if (rises && code == 0xDF) {
            result.append(to == letter_case::upper ? "SS" : "Ss", is_input(offset));
        } else if (other == code) {
            result.append(part(offset, offset + length));
        } else {
            result.append(encoded(other), is_input(offset));
        }
        // Python's capitalize looks at the first character only, Jinja's title at each that follows a separator.
        begins = to == letter_case::title && !is_letter(code) && code != '\'' && (code < '0' || code > '9');
        offset += length;
    }
    return result;
}

}  // namespace transferq

#endif
