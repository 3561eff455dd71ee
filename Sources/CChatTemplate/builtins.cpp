#include "chat_template.h"

#if __has_include(<transferq/jinja/runtime.h>)

#include "builtins.h"

#include <algorithm>
#include <cstdio>
#include <map>
#include <mutex>

#include "marked_text.h"
#include "strictness.h"

#include <transferq/jinja/runtime.h>

namespace transferq {
namespace {

using jinja::func_args;
using jinja::is_val;
using jinja::mk_val;
using jinja::value;

marked_text subject(const func_args &args) {
    args.ensure_vals<jinja::value_string>();
    return marked_text(args.get_pos(0));
}

value list(const std::vector<marked_text> &texts) {
    auto result = mk_val<jinja::value_array>();
    for (const auto &text : texts) { result->push_back(text.value()); }
    return result;
}

template <bool left, bool right>
value strip(const func_args &args) {
    const marked_text text = subject(args);
    const value set = args.get_kwarg_or_pos("chars", 1);
    if (!is_val<jinja::value_string>(set)) { return text.stripped(left, right).value(); }
    return text.stripped(left, right, set->as_string().str()).value();
}

template <marked_text::letter_case to>
value change(const func_args &args) {
    return subject(args).changed(to).value();
}

value length(const func_args &args) {
    return mk_val<jinja::value_int>(static_cast<int64_t>(subject(args).boundaries().size()) - 1);
}

template <bool from_right>
value split(const func_args &args) {
    const marked_text text = subject(args);
    const value separator = args.get_kwarg_or_pos("sep", 1);
    const value limit = args.get_kwarg_or_pos("maxsplit", 2);
    const int64_t count = is_val<jinja::value_int>(limit) ? limit->as_int() : -1;
    if (!is_val<jinja::value_string>(separator)) { return list(text.split_at_spaces(count, from_right)); }
    const std::string bytes = separator->as_string().str();
    if (bytes.empty()) { throw std::runtime_error("empty separator"); }
    return list(text.split(bytes, count, from_right));
}

value replace(const func_args &args) {
    args.ensure_vals<jinja::value_string, jinja::value_string, jinja::value_string>();
    const value limit = args.get_kwarg_or_pos("count", 3);
    const int64_t count = is_val<jinja::value_int>(limit) ? limit->as_int() : -1;
    return subject(args).replaced(marked_text(args.get_pos(1)), marked_text(args.get_pos(2)), count).value();
}

value slice(const func_args &args) {
    const marked_text text = subject(args);
    const auto count = static_cast<int64_t>(text.boundaries().size()) - 1;
    // The engine hands over a start, a stop and a step, where none were written those of a text as long as its bytes.
    const int64_t step = args.get_pos(3)->as_int();
    if (step == 0) { throw std::runtime_error("slice step cannot be zero"); }
    int64_t start = args.get_pos(1)->as_int(), stop = args.get_pos(2)->as_int();
    if (step > 0) {
        start = std::clamp(start < 0 ? start + count : start, int64_t(0), count);
        stop = std::clamp(stop < 0 ? stop + count : stop, int64_t(0), count);
    } else {
        start = std::clamp(start < 0 ? start + count : start, int64_t(-1), count - 1);
        // The engine writes −1 for "to the beginning".
        stop = stop == -1 ? -1 : std::clamp(stop < 0 ? stop + count : stop, int64_t(-1), count - 1);
    }
    return text.slice(start, stop, step).value();
}

value joined(const std::vector<value> &items, const marked_text &separator, const value &attribute) {
    marked_text result;
    for (size_t index = 0; index < items.size(); ++index) {
        value item = items[index];
        if (!attribute->is_undefined() && is_val<jinja::value_object>(item)) {
            value missing = mk_val<jinja::value_undefined>();
            item = item->at(attribute, missing);
        }
        if (index > 0) { result.append(separator); }
        if (!item->is_undefined()) { result.append(marked_text(item)); }
    }
    return result.value();
}

value join_array(const func_args &args) {
    args.ensure_vals<jinja::value_array>();
    const value separator = args.get_kwarg_or_pos("d", 1);
    return joined(
        args.get_pos(0)->as_array(), is_val<jinja::value_string>(separator) ? marked_text(separator) : marked_text(),
        args.get_kwarg_or_pos("attribute", 2));
}

// Python's method of a text that stands between the items, and Jinja's filter, which joins the characters of a text.
value join_string(const func_args &args) {
    const marked_text text = subject(args);
    const value nothing = mk_val<jinja::value_undefined>();
    const value other = args.get_kwarg_or_pos("d", 1);
    if (is_val<jinja::value_array>(other)) { return joined(other->as_array(), text, nothing); }
    std::vector<value> characters;
    for (const auto &character : text.characters()) { characters.push_back(character.value()); }
    return joined(characters, is_val<jinja::value_string>(other) ? marked_text(other) : marked_text(), nothing);
}

value indent(const func_args &args) {
    marked_text text = subject(args);
    const value width = args.get_kwarg_or_pos("width", 1);
    const bool first = args.get_kwarg_or_pos("first", 2)->as_bool();
    const bool blank = args.get_kwarg_or_pos("blank", 3)->as_bool();
    const marked_text before = is_val<jinja::value_string>(width)
        ? marked_text(width)
        : marked_text(std::string(is_val<jinja::value_int>(width) ? std::max<int64_t>(0, width->as_int()) : 4, ' '), false);
    text.append("\n", false);
    marked_text result;
    const auto lines = text.lines();
    for (size_t index = 0; index < lines.size(); ++index) {
        if (index > 0) { result.append("\n", false); }
        if (index == 0 ? first : (blank || !lines[index].empty())) { result.append(before); }
        result.append(lines[index]);
    }
    return result.value();
}

// Python's method with {} and Jinja's filter with %s and %d; other forms are refused.
value format(const func_args &args) {
    const marked_text text = subject(args);
    marked_text result;
    size_t next = 1, start = 0;
    const std::string &bytes = text.bytes();
    for (size_t offset = 0; offset < bytes.size();) {
        const std::string pair = bytes.substr(offset, 2);
        const bool is_hole = pair == "{}" || pair == "%s" || pair == "%d";
        if (!is_hole && (bytes[offset] == '{' || bytes[offset] == '}')) {
            throw std::runtime_error("format() only with {} or %s");
        }
        offset += is_hole ? 2 : 1;
        if (!is_hole) { continue; }
        result.append(text.part(start, offset - 2));
        result.append(marked_text(args.get_pos(next++)));
        start = offset;
    }
    result.append(text.part(start, bytes.size()));
    return result.value();
}

// Offsets of characters, −1 where there is none.
template <bool from_right>
value find(const func_args &args) {
    const marked_text text = subject(args);
    const std::string wanted = args.get_pos(1)->as_string().str();
    const size_t found = from_right ? text.bytes().rfind(wanted) : text.bytes().find(wanted);
    if (found == std::string::npos) { return mk_val<jinja::value_int>(-1); }
    return mk_val<jinja::value_int>(static_cast<int64_t>(text.part(0, found).boundaries().size()) - 1);
}

value count(const func_args &args) {
    const std::string wanted = args.get_pos(1)->as_string().str();
    const marked_text text = subject(args);
    if (wanted.empty()) { return mk_val<jinja::value_int>(static_cast<int64_t>(text.boundaries().size())); }
    return mk_val<jinja::value_int>(static_cast<int64_t>(text.split(wanted, -1, false).size()) - 1);
}

template <bool from_right>
value without(const func_args &args) {
    const marked_text text = subject(args);
    const std::string wanted = args.get_pos(1)->as_string().str();
    const size_t size = text.bytes().size();
    if (wanted.size() > size) { return text.value(); }
    const size_t offset = from_right ? size - wanted.size() : 0;
    if (text.bytes().compare(offset, wanted.size(), wanted) != 0) { return text.value(); }
    return (from_right ? text.part(0, offset) : text.part(wanted.size(), size)).value();
}

value lines(const func_args &args) { return list(subject(args).lines()); }

value is_digits(const func_args &args) {
    const std::string text = subject(args).bytes();
    return mk_val<jinja::value_bool>(!text.empty() && text.find_first_not_of("0123456789") == std::string::npos);
}

// Python's json.dumps, as transformers calls it.
class json_writer {
public:
    explicit json_writer(const func_args &args) {
        ensure_ascii = args.get_kwarg_or_pos("ensure_ascii", 1)->as_bool();
        const value width = args.get_kwarg_or_pos("indent", 2);
        const value separators = args.get_kwarg_or_pos("separators", 3);
        sort_keys = args.get_kwarg_or_pos("sort_keys", 4)->as_bool();
        has_indent = is_val<jinja::value_int>(width) || is_val<jinja::value_string>(width);
        if (is_val<jinja::value_string>(width)) { indent = width->as_string().str(); }
        if (is_val<jinja::value_int>(width)) { indent.assign(std::max<int64_t>(0, width->as_int()), ' '); }
        item_separator = has_indent ? "," : ", ";
        if (is_val<jinja::value_array>(separators) && separators->as_array().size() == 2) {
            item_separator = separators->as_array()[0]->as_string().str();
            key_separator = separators->as_array()[1]->as_string().str();
        }
    }

    value written(const value &object) {
        write(object, 0);
        return result.value();
    }

private:
    marked_text result;
    bool ensure_ascii, sort_keys, has_indent;
    std::string indent, item_separator, key_separator = ": ";

    void add(const std::string &own) { result.append(own, false); }

    void line(size_t depth) {
        if (!has_indent) { return; }
        add("\n");
        for (size_t level = 0; level < depth; ++level) { add(indent); }
    }

    void write(const marked_text &text) {
        add("\"");
        for (size_t offset = 0; offset < text.bytes().size();) {
            const auto [code, count] = code_point(text.bytes(), offset);
            std::string escaped;
            switch (code) {
            case '"': escaped = "\\\""; break;
            case '\\': escaped = "\\\\"; break;
            case '\b': escaped = "\\b"; break;
            case '\f': escaped = "\\f"; break;
            case '\n': escaped = "\\n"; break;
            case '\r': escaped = "\\r"; break;
            case '\t': escaped = "\\t"; break;
            default:
                if (code < 0x20 || (ensure_ascii && code > 0x7E)) { escaped = unicode(code); }
            }
            if (escaped.empty()) {
                result.append(text.part(offset, offset + count));
            } else {
                result.append(escaped, text.is_input(offset));
            }
            offset += count;
        }
        add("\"");
    }

    static std::string unicode(uint32_t code) {
        const auto unit = [](uint32_t number) {
            char buffer[8];
            std::snprintf(buffer, sizeof buffer, "\\u%04x", static_cast<unsigned>(number));
            return std::string(buffer);
        };
        if (code < 0x10000) { return unit(code); }
        return unit(0xD800 + ((code - 0x10000) >> 10)) + unit(0xDC00 + ((code - 0x10000) & 0x3FF));
    }

    void write(const value &object, size_t depth) {
        if (is_val<jinja::value_none>(object)) {
            add("null");
        } else if (is_val<jinja::value_bool>(object)) {
            add(object->as_bool() ? "true" : "false");
        } else if (is_val<jinja::value_int>(object) || is_val<jinja::value_float>(object)) {
            add(object->as_string().str());
        } else if (is_val<jinja::value_string>(object)) {
            write(marked_text(object));
        } else if (is_val<jinja::value_array>(object)) {
            const auto &items = object->as_array();
            add("[");
            for (size_t index = 0; index < items.size(); ++index) {
                if (index > 0) { add(item_separator); }
                line(depth + 1);
                write(items[index], depth + 1);
            }
            if (!items.empty()) { line(depth); }
            add("]");
        } else if (is_val<jinja::value_object>(object)) {
            auto items = object->as_ordered_object();
            if (sort_keys) {
                std::sort(items.begin(), items.end(), [](const auto &one, const auto &other) {
                    return one.first->as_string().str() < other.first->as_string().str();
                });
            }
            add("{");
            for (size_t index = 0; index < items.size(); ++index) {
                if (index > 0) { add(item_separator); }
                line(depth + 1);
                write(marked_text(items[index].first));
                add(key_separator);
                write(items[index].second, depth + 1);
            }
            if (!items.empty()) { line(depth); }
            add("}");
        } else {
            throw std::runtime_error(
                object->is_undefined() ? "Object of type Undefined is not JSON serializable"
                                       : "Object of type " + object->type() + " is not JSON serializable");
        }
    }
};

value to_json(const func_args &args) {
    args.ensure_count(1, 5);
    return json_writer(args).written(args.get_pos(0));
}

// The engine's tables are constant to their readers, but what they hold lives in nodes on the heap, which are not: a
// function may be replaced there; none may be added.
void replace(const jinja::func_builtins &table, const char *name, jinja::func_handler function) {
    const auto entry = table.find(name);
    if (entry != table.end()) { const_cast<jinja::func_handler &>(entry->second) = std::move(function); }
}

}  // namespace

jinja::func_handler more_text_methods(const std::string &name) {
    static const std::map<std::string, jinja::func_handler> methods = {
        {"find", find<false>}, {"rfind", find<true>}, {"count", count}, {"removeprefix", without<false>},
        {"removesuffix", without<true>}, {"splitlines", lines}, {"isdigit", is_digits},
    };
    const auto entry = methods.find(name);
    return entry == methods.end() ? jinja::func_handler() : entry->second;
}

void correct_builtins() {
    static std::once_flag once;
    std::call_once(once, [] {
        const auto &text = mk_val<jinja::value_string>("")->get_builtins();
        replace(text, "strip", strip<true, true>);
        replace(text, "lstrip", strip<true, false>);
        replace(text, "rstrip", strip<false, true>);
        replace(text, "upper", change<marked_text::letter_case::upper>);
        replace(text, "lower", change<marked_text::letter_case::lower>);
        replace(text, "title", change<marked_text::letter_case::title>);
        replace(text, "capitalize", change<marked_text::letter_case::capital>);
        replace(text, "length", length);
        replace(text, "split", split<false>);
        replace(text, "rsplit", split<true>);
        replace(text, "replace", static_cast<jinja::func_hptr *>(replace));
        replace(text, "slice", slice);
        replace(text, "join", join_string);
        replace(text, "indent", indent);
        replace(text, "format", format);
        replace(mk_val<jinja::value_array>()->get_builtins(), "join", join_array);
        const auto written = [](const func_args &args) -> value { return printable(args.get_pos(0)); };
        replace(mk_val<jinja::value_array>()->get_builtins(), "string", written);
        replace(mk_val<jinja::value_object>()->get_builtins(), "string", written);
        const std::vector<value> kinds = {
            mk_val<jinja::value_string>(""), mk_val<jinja::value_int>(0), mk_val<jinja::value_float>(0.0),
            mk_val<jinja::value_bool>(false), mk_val<jinja::value_array>(), mk_val<jinja::value_object>(),
            mk_val<jinja::value_none>(),
        };
        for (const auto &kind : kinds) { replace(kind->get_builtins(), "tojson", to_json); }
        replace(jinja::global_builtins(), "tojson", to_json);
    });
}

}  // namespace transferq

#endif
