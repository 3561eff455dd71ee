// Renders chat templates with llama.cpp's Jinja engine, whose headers and archive scripts/bootstrap installs.

#include "chat_template.h"

#include <cstdlib>
#include <cstring>
#include <exception>
#include <string>
#include <vector>

namespace {

struct piece {
    std::string text;
    bool is_input;
};

std::string copy(tq_text text) { return std::string(text.bytes ? text.bytes : "", text.length); }
tq_text view(const std::string &text) { return {text.data(), text.size()}; }

char *duplicate(const std::string &text) {
    char *result = static_cast<char *>(std::malloc(text.size() + 1));
    if (result) { std::memcpy(result, text.c_str(), text.size() + 1); }
    return result;
}

}  // namespace

struct tq_rendering {
    tq_outcome outcome = tq_outcome_failed;
    std::string complaint;
    bool uses_date = false;
    std::vector<piece> pieces;
};

#if __has_include(<transferq/jinja/runtime.h>)

#include <algorithm>
#include <ctime>
#include <memory>

#include <transferq/jinja/lexer.h>
#include <transferq/jinja/parser.h>
#include <transferq/jinja/runtime.h>
#include <transferq/jinja/value.h>

#include "builtins.h"
#include "strictness.h"

struct tq_template {
    std::string source;
    jinja::program program;
};

namespace {

// What raise_exception throws. Not a std::exception: the engine would put its own words around the template's.
struct refusal {
    std::string message;
};

jinja::value input(tq_text text) {
    auto value = jinja::mk_val<jinja::value_string>(copy(text));
    value->mark_input();
    return value;
}

// The engine drops the first character of a template that has only spaces between it and its first block. Behind an
// expression that prints nothing, it does not.
std::string guarded(const std::string &source) {
    const size_t block = std::min(source.find("{%"), source.find("{#"));
    const size_t rest = source.find_first_not_of(" \t\r\f\v", 1);
    const bool drops = block != std::string::npos && block > 0 && rest == block &&
        std::string(" \t\r\f\v").find(source[0]) == std::string::npos;
    return drops ? "{{ '' }}" + source : source;
}

std::string text_argument(const jinja::func_args &arguments, const char *function) {
    const jinja::value first = arguments.get_pos(0);
    if (!jinja::is_val<jinja::value_string>(first)) {
        throw std::runtime_error(std::string(function) + " takes a text");
    }
    return first->as_string().str();
}

std::string formatted(const std::string &format, const tq_date &date) {
    if (format.empty()) { return ""; }
    std::tm moment = {};
    moment.tm_year = date.year - 1900;
    moment.tm_mon = date.month - 1;
    moment.tm_mday = date.day;
    moment.tm_hour = date.hour;
    moment.tm_min = date.minute;
    moment.tm_sec = date.second;
    std::tm complete = moment;
    if (timegm(&complete) != static_cast<std::time_t>(-1)) {
        moment.tm_wday = complete.tm_wday;
        moment.tm_yday = complete.tm_yday;
    }
    // A result may be empty, so a letter stands before it to tell that from too small a buffer.
    for (size_t size = 256; size <= 1 << 20; size *= 4) {
        std::string buffer(size, '\0');
        const size_t length = std::strftime(&buffer[0], size, ("." + format).c_str(), &moment);
        if (length > 0) { return buffer.substr(1, length - 1); }
    }
    throw std::runtime_error("strftime_now: the format gives too long a text");
}

void define(jinja::context &context, const tq_request &request, tq_rendering &rendering) {
    auto messages = jinja::mk_val<jinja::value_array>();
    for (size_t index = 0; index < request.message_count; ++index) {
        auto message = jinja::mk_val<jinja::value_object>();
        message->insert("role", jinja::mk_val<jinja::value_string>(copy(request.messages[index].role)));
        message->insert("content", input(request.messages[index].content));
        messages->push_back(jinja::value(message));
    }
    context.set_val("messages", messages);
    // transformers hands these to every template, without a value where a caller gave none.
    context.set_val("tools", jinja::mk_val<jinja::value_none>());
    context.set_val("documents", jinja::mk_val<jinja::value_none>());
    context.set_val("add_generation_prompt", jinja::mk_val<jinja::value_bool>(request.add_generation_prompt));
    for (size_t index = 0; index < request.variable_count; ++index) {
        const tq_variable &variable = request.variables[index];
        context.set_val(copy(variable.name), jinja::mk_val<jinja::value_string>(copy(variable.value)));
    }
    const jinja::func_handler raise = [](const jinja::func_args &arguments) -> jinja::value {
        throw refusal{text_argument(arguments, "raise_exception")};
    };
    context.set_val("raise_exception", jinja::mk_val<jinja::value_func>("raise_exception", raise));
    const jinja::func_handler range = [](const jinja::func_args &arguments) -> jinja::value {
        for (const auto &bound : arguments.get_args()) {
            if (jinja::is_val<jinja::value_int>(bound) && std::abs(bound->as_int()) > 100000) {
                throw transferq::failure{"Range too big. The sandbox blocks ranges larger than MAX_RANGE (100000)."};
            }
        }
        return jinja::global_builtins().at("range")(arguments);
    };
    context.set_val("range", jinja::mk_val<jinja::value_func>("range", range));
    const tq_date date = request.date;
    bool &uses_date = rendering.uses_date;
    const jinja::func_handler now = [date, &uses_date](const jinja::func_args &arguments) -> jinja::value {
        uses_date = true;
        return jinja::mk_val<jinja::value_string>(formatted(text_argument(arguments, "strftime_now"), date));
    };
    context.set_val("strftime_now", jinja::mk_val<jinja::value_func>("strftime_now", now));
}

}  // namespace

bool tq_engine_is_available(void) { return true; }

tq_template *tq_template_parse(tq_text source, char **complaint) {
    try {
        transferq::correct_builtins();
        const std::string text = guarded(copy(source));
        jinja::lexer lexer;
        const jinja::lexer_result tokens = lexer.tokenize(text);
        auto result = std::make_unique<tq_template>();
        result->source = text;
        result->program = jinja::parse_from_tokens(tokens);
        transferq::make_strict(result->program);
        return result.release();
    } catch (const std::exception &error) {
        *complaint = duplicate(error.what());
    } catch (...) {
        *complaint = duplicate("it is no template in Jinja");
    }
    return nullptr;
}

void tq_template_free(tq_template *parsed) { delete parsed; }

tq_rendering *tq_template_render(const tq_template *parsed, const tq_request *request) {
    auto *rendering = new tq_rendering;
    try {
        jinja::context context(parsed->source);
        define(context, *request, *rendering);
        jinja::runtime runtime(context);
        const auto result = jinja::runtime::gather_string_parts(runtime.execute(parsed->program));
        for (const auto &part : result->val_str.parts) {
            if (!part.val.empty()) { rendering->pieces.push_back({part.val, part.is_input}); }
        }
        rendering->outcome = tq_outcome_rendered;
    } catch (const refusal &said) {
        rendering->outcome = tq_outcome_refused;
        rendering->complaint = said.message;
    } catch (const transferq::failure &said) {
        rendering->complaint = said.message;
    } catch (const std::exception &error) {
        rendering->complaint = transferq::reason(error.what());
    } catch (...) {
        rendering->complaint = "it cannot be carried out";
    }
    if (rendering->outcome != tq_outcome_rendered) { rendering->pieces.clear(); }
    return rendering;
}

#else

struct tq_template {};

bool tq_engine_is_available(void) { return false; }

tq_template *tq_template_parse(tq_text, char **complaint) {
    *complaint = duplicate("llama.cpp's Jinja engine was not installed when this program was built");
    return nullptr;
}

void tq_template_free(tq_template *parsed) { delete parsed; }

tq_rendering *tq_template_render(const tq_template *, const tq_request *) { return new tq_rendering; }

#endif

void tq_string_free(char *string) { std::free(string); }
void tq_rendering_free(tq_rendering *rendering) { delete rendering; }
tq_outcome tq_rendering_outcome(const tq_rendering *rendering) { return rendering->outcome; }
tq_text tq_rendering_complaint(const tq_rendering *rendering) { return view(rendering->complaint); }
bool tq_rendering_uses_date(const tq_rendering *rendering) { return rendering->uses_date; }
size_t tq_rendering_piece_count(const tq_rendering *rendering) { return rendering->pieces.size(); }
tq_text tq_rendering_piece(const tq_rendering *rendering, size_t index) {
    return view(rendering->pieces[index].text);
}
bool tq_rendering_piece_is_input(const tq_rendering *rendering, size_t index) {
    return rendering->pieces[index].is_input;
}
