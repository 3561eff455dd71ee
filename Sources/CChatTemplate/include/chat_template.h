/// Chat templates in Jinja, rendered by llama.cpp's own engine, for callers in C and Swift.
///
/// The engine is C++ and reports what a piece of its result is made of: text of the template, or text that people wrote.
/// Where the engine's headers were not installed when this was compiled, `tq_engine_is_available` is false and
/// `tq_template_parse` fails with a sentence that says so.
#ifndef TRANSFERQ_CHAT_TEMPLATE_H
#define TRANSFERQ_CHAT_TEMPLATE_H

#include <stdbool.h>
#include <stddef.h>

#ifdef __cplusplus
extern "C" {
#endif

/// A parsed template. Rendering does not change it, so several threads may render at the same time.
typedef struct tq_template tq_template;
/// What rendering gave: pieces of text, or the sentence that says why there are none.
typedef struct tq_rendering tq_rendering;

/// UTF-8, not closed by a zero byte.
typedef struct tq_text {
    const char *bytes;
    size_t length;
} tq_text;

typedef struct tq_message {
    tq_text role;
    tq_text content;
} tq_message;

/// A text that the template knows by a name, such as `bos_token`.
typedef struct tq_variable {
    tq_text name;
    tq_text value;
} tq_variable;

/// What `strftime_now` tells: a moment in local time.
typedef struct tq_date {
    int year;    // e.g. 2026
    int month;   // 1 to 12
    int day;     // 1 to 31
    int hour;    // 0 to 23
    int minute;  // 0 to 59
    int second;  // 0 to 59
} tq_date;

typedef struct tq_request {
    const tq_message *messages;
    size_t message_count;
    const tq_variable *variables;
    size_t variable_count;
    bool add_generation_prompt;
    tq_date date;
} tq_request;

typedef enum tq_outcome {
    /// There are pieces.
    tq_outcome_rendered,
    /// The template itself refuses the conversation (`raise_exception`); the sentence is its own.
    tq_outcome_refused,
    /// The template cannot be carried out; the sentence says why.
    tq_outcome_failed,
} tq_outcome;

bool tq_engine_is_available(void);

/// Parses a template; NULL when it is none, and then `complaint` has the reason, to be freed with `tq_string_free`.
tq_template *tq_template_parse(tq_text source, char **complaint);
void tq_template_free(tq_template *parsed);
void tq_string_free(char *string);

/// Renders a conversation; never NULL. To be freed with `tq_rendering_free`.
tq_rendering *tq_template_render(const tq_template *parsed, const tq_request *request);
void tq_rendering_free(tq_rendering *rendering);

tq_outcome tq_rendering_outcome(const tq_rendering *rendering);
/// Why there are no pieces; empty when there are. Lives as long as the rendering.
tq_text tq_rendering_complaint(const tq_rendering *rendering);
/// Whether the template asked for the date.
bool tq_rendering_uses_date(const tq_rendering *rendering);
size_t tq_rendering_piece_count(const tq_rendering *rendering);
/// Lives as long as the rendering.
tq_text tq_rendering_piece(const tq_rendering *rendering, size_t index);
/// Whether a piece was written by people (a message's content, or made out of it), not by the template.
bool tq_rendering_piece_is_input(const tq_rendering *rendering, size_t index);

#ifdef __cplusplus
}
#endif

#endif
