#include "chat_template.h"

#if __has_include(<transferq/jinja/runtime.h>)

#include "strictness.h"

#include <cstdio>
#include <set>

#include "builtins.h"
#include "marked_text.h"

namespace transferq {

using namespace jinja;

namespace {

// A value that equals no other: an undefined one, where it is looked for among others.
struct absent_value : public value_t {
    std::string type() const override { return "Undefined"; }
    bool as_bool() const override { return false; }
    bool is_hashable() const override { return true; }
    hasher unique_hash() const noexcept override { return hasher(typeid(*this)); }

protected:
    bool equivalent(const value_t &) const override { return false; }
};

std::string python_name(const value &object) {
    if (object->is_none()) { return "NoneType"; }
    if (is_val<value_string>(object)) { return "str"; }
    if (is_val<value_bool>(object)) { return "bool"; }
    if (is_val<value_int>(object)) { return "int"; }
    if (is_val<value_float>(object)) { return "float"; }
    if (is_val<value_tuple>(object)) { return "tuple"; }
    if (is_val<value_array>(object)) { return "list"; }
    if (is_val<value_object>(object)) { return "dict"; }
    return "function";
}

// How Python writes a value in a list; text of people stays marked.
void represent(const value &object, marked_text &result) {
    const auto add = [&](const std::string &own) { result.append(own, false); };
    if (is_val<value_string>(object)) {
        const marked_text text(object);
        const char quote = text.bytes().find('\'') != std::string::npos && text.bytes().find('"') == std::string::npos
            ? '"'
            : '\'';
        add(std::string(1, quote));
        for (const auto &character : text.characters()) {
            const std::string &bytes = character.bytes();
            std::string escaped = bytes == "\n" ? "\\n" : bytes == "\r" ? "\\r" : bytes == "\t" ? "\\t" : "";
            if (bytes == "\\" || bytes[0] == quote) { escaped = "\\" + bytes; }
            const uint32_t code = code_point(bytes, 0).first;
            if (escaped.empty() && code != ' ' && (code < 0x20 || code == 0x7F || is_space(code))) {
                char number[8];
                std::snprintf(number, sizeof number, code < 0x100 ? "\\x%02x" : "\\u%04x", static_cast<unsigned>(code));
                escaped = number;
            }
            if (escaped.empty()) { result.append(character); } else { result.append(escaped, character.is_input(0)); }
        }
        add(std::string(1, quote));
    } else if (is_val<value_array>(object)) {
        const auto &items = object->as_array();
        const bool is_tuple = is_val<value_tuple>(object);
        add(is_tuple ? "(" : "[");
        for (size_t index = 0; index < items.size(); ++index) {
            if (index > 0) { add(", "); }
            represent(items[index], result);
        }
        add(is_tuple ? (items.size() == 1 ? ",)" : ")") : "]");
    } else if (is_val<value_object>(object)) {
        const auto &items = object->as_ordered_object();
        add("{");
        for (size_t index = 0; index < items.size(); ++index) {
            if (index > 0) { add(", "); }
            represent(items[index].first, result);
            add(": ");
            represent(items[index].second, result);
        }
        add("}");
    } else if (object->is_none()) {
        add("None");
    } else if (object->is_undefined()) {
        add("Undefined");
    } else {
        add(object->as_string().str());
    }
}

// Stands around an expression that a template prints.
struct printed : public expression {
    statement_ptr inner;

    explicit printed(statement_ptr &&inner) : inner(std::move(inner)) { pos = this->inner->pos; }
    std::string type() const override { return inner->type(); }
    void visit(context &scope) const override { inner->visit(scope); }
    value execute_impl(context &scope) const override { return printable(inner->execute(scope)); }
};

void print(statements &body) {
    for (auto &part : body) {
        if (dynamic_cast<const expression *>(part.get())) { part = std::make_unique<printed>(std::move(part)); }
    }
}

// The body of a loop that a break or a continue may leave from inside a branch. The engine forgets what such a branch
// has printed before; here it is handed over first, and then the loop is left by the interruption that follows.
struct interruptible : public statement {
    statements body;

    explicit interruptible(statements &&body) : body(std::move(body)) {}

    std::string pending() const { return "!" + std::to_string(reinterpret_cast<uintptr_t>(this)); }

    value execute_impl(context &scope) const override {
        scope.set_val(pending(), mk_val<value_int>(0));
        auto result = mk_val<value_array>();
        run(body, scope, *result);
        return result;
    }

    static bool leaves(const statements &body) {
        for (const auto &part : body) {
            const auto *branch = dynamic_cast<const if_statement *>(part.get());
            if (branch && (leaves(branch->body) || leaves(branch->alternate))) { return true; }
            if (dynamic_cast<const break_statement *>(part.get())) { return true; }
            if (dynamic_cast<const continue_statement *>(part.get())) { return true; }
        }
        return false;
    }

private:
    // Whether the body was run to its end.
    bool run(const statements &body, context &scope, value_array_t &result) const {
        for (const auto &part : body) {
            const bool breaks = dynamic_cast<const break_statement *>(part.get());
            if (breaks || dynamic_cast<const continue_statement *>(part.get())) {
                scope.set_val(pending(), mk_val<value_int>(breaks ? 1 : 2));
                return false;
            }
            if (const auto *branch = dynamic_cast<const if_statement *>(part.get())) {
                const bool holds = branch->test->execute(scope)->as_bool();
                if (!run(holds ? branch->body : branch->alternate, scope, result)) { return false; }
            } else {
                result.push_back(part->execute(scope));
            }
        }
        return true;
    }
};

struct interruption : public statement {
    std::string pending;

    explicit interruption(const std::string &pending) : pending(pending) {}

    value execute_impl(context &scope) const override {
        const int64_t kind = scope.get_val(pending)->as_int();
        if (kind == 1) { throw break_statement::signal(); }
        if (kind == 2) { throw continue_statement::signal(); }
        return mk_val<value_undefined>();
    }
};

// What Jinja says of an expression without a value.
std::string undefined(const statement &node, context &scope) {
    if (const auto *name = dynamic_cast<const identifier *>(&node)) { return "'" + name->val + "' is undefined"; }
    const auto *member = dynamic_cast<const member_expression *>(&node);
    if (!member || dynamic_cast<const slice_expression *>(member->property.get())) { return "value is undefined"; }
    const value object = member->object->execute(scope);
    if (member->computed || !dynamic_cast<const identifier *>(member->property.get())) {
        const value key = member->property->execute(scope);
        if (is_val<value_string>(key)) {
            return "'" + python_name(object) + " object' has no attribute '" + key->as_string().str() + "'";
        }
        return python_name(object) + " object has no element " + key->as_string().str();
    }
    const std::string &name = static_cast<const identifier *>(member->property.get())->val;
    const std::string owner = object->is_none() ? "None" : python_name(object) + " object";
    return "'" + owner + "' has no attribute '" + name + "'";
}

// Stands around a part of an expression and looks at its value.
struct watched : public expression {
    enum class role { operand, summand, addend, joined, member, callee, searched, looped, listed };

    statement_ptr inner;
    role as;
    const statement *parent;

    watched(statement_ptr &&inner, role as, const statement *parent)
        : inner(std::move(inner)), as(as), parent(parent) {
        pos = this->inner->pos;
    }
    std::string type() const override { return inner->type(); }
    void visit(context &scope) const override { inner->visit(scope); }

    value execute_impl(context &scope) const override {
        if (as == role::callee) {
            if (const value method = text_method(scope)) { return method; }
        }
        value result = inner->execute(scope);
        if (as == role::joined) { return printable(result); }
        if (as == role::listed) { return is_val<value_string>(result) ? characters(result) : result; }
        if (result->is_undefined()) {
            if (as == role::looped) { return result; }
            if (as == role::searched) { return mk_val<absent_value>(); }
            throw failure{undefined(*inner, scope)};
        }
        if (as == role::looped) {
            if (is_val<value_string>(result)) { return characters(result); }
            if (!is_val<value_array>(result) && !is_val<value_object>(result)) {
                throw failure{"'" + python_name(result) + "' object is not iterable"};
            }
        }
        if (as == role::summand) { scope.set_val(summand(), result); }
        if (as == role::addend) { check_sum(scope.get_val(summand()), result); }
        if (as == role::member && is_val<value_string>(result)) {
            const auto *member = static_cast<const member_expression *>(parent);
            const bool picks = member->computed && !dynamic_cast<const slice_expression *>(member->property.get());
            if (picks && is_val<value_int>(member->property->execute(scope))) { return characters(result); }
        }
        return result;
    }

private:
    // Where the left side of this sum is kept while the right side is worked out; no template has such a name.
    std::string summand() const { return "+" + std::to_string(reinterpret_cast<uintptr_t>(parent)); }

    static void check_sum(const value &left, const value &right) {
        const auto is_number = [](const value &side) {
            return is_val<value_int>(side) || is_val<value_float>(side) || is_val<value_bool>(side);
        };
        const bool fits = (is_val<value_string>(left) && is_val<value_string>(right)) ||
            (is_val<value_array>(left) && is_val<value_array>(right)) || (is_number(left) && is_number(right));
        if (fits) { return; }
        const std::string one = python_name(left), other = python_name(right);
        if (one == "str" || one == "list") {
            throw failure{"can only concatenate " + one + " (not \"" + other + "\") to " + one};
        }
        throw failure{"unsupported operand type(s) for +: '" + one + "' and '" + other + "'"};
    }

    // A method of texts that the engine does not have.
    value text_method(context &scope) const {
        const auto *member = dynamic_cast<const member_expression *>(inner.get());
        const auto *name = member && !member->computed ? dynamic_cast<const identifier *>(member->property.get()) : nullptr;
        if (!name) { return nullptr; }
        const func_handler method = more_text_methods(name->val);
        if (!method) { return nullptr; }
        const value object = member->object->execute(scope);
        return is_val<value_string>(object) ? mk_val<value_func>(name->val, method, object) : nullptr;
    }

    static value characters(const value &text) {
        auto result = mk_val<value_array>();
        for (const auto &character : marked_text(text).characters()) { result->push_back(character.value()); }
        return result;
    }
};

void watch(statement_ptr &part, watched::role as, const statement *parent = nullptr) {
    if (part && !dynamic_cast<const watched *>(part.get())) {
        part = std::make_unique<watched>(std::move(part), as, parent);
    }
}

void watch_parts(statement &node) {
    static const std::set<std::string> calculations = {"-", "*", "/", "%", "<", ">", "<=", ">="};
    static const std::set<std::string> lists = {"first", "last", "list"};
    if (auto *branch = dynamic_cast<if_statement *>(&node)) {
        print(branch->body);
        print(branch->alternate);
    } else if (auto *block = dynamic_cast<set_statement *>(&node)) {
        print(block->body);
    } else if (auto *macro = dynamic_cast<macro_statement *>(&node)) {
        print(macro->body);
    } else if (auto *called = dynamic_cast<call_statement *>(&node)) {
        print(called->body);
    } else if (auto *filtered = dynamic_cast<filter_statement *>(&node)) {
        print(filtered->body);
    } else if (auto *filter = dynamic_cast<filter_expression *>(&node)) {
        const auto *name = dynamic_cast<const identifier *>(filter->filter.get());
        if (name && lists.count(name->val)) { watch(filter->operand, watched::role::listed); }
    } else if (auto *operation = dynamic_cast<binary_expression *>(&node)) {
        if (calculations.count(operation->op.value)) {
            watch(operation->left, watched::role::operand);
            watch(operation->right, watched::role::operand);
        } else if (operation->op.value == "+") {
            watch(operation->left, watched::role::summand, &node);
            watch(operation->right, watched::role::addend, &node);
        } else if (operation->op.value == "~") {
            watch(operation->left, watched::role::joined);
            watch(operation->right, watched::role::joined);
        } else if (operation->op.value == "in" || operation->op.value == "not in") {
            watch(operation->left, watched::role::searched);
        }
    } else if (auto *member = dynamic_cast<member_expression *>(&node)) {
        watch(member->object, watched::role::member, member);
    } else if (auto *call = dynamic_cast<call_expression *>(&node)) {
        watch(call->callee, watched::role::callee);
    } else if (auto *loop = dynamic_cast<for_statement *>(&node)) {
        auto *selection = dynamic_cast<select_expression *>(loop->iterable.get());
        watch(selection ? selection->lhs : loop->iterable, watched::role::looped);
        print(loop->body);
        print(loop->default_block);
        if (interruptible::leaves(loop->body)) {
            auto body = std::make_unique<interruptible>(std::move(loop->body));
            auto end = std::make_unique<interruption>(body->pending());
            body->pos = end->pos = loop->pos;
            loop->body.clear();
            loop->body.push_back(std::move(body));
            loop->body.push_back(std::move(end));
        }
    }
}

// The parts of a node in the engine's own words; it offers them for reading, but the tree is ours to change.
void visit(const statement *node, std::set<const statement *> &kept) {
    if (!node) { return; }
    std::vector<const statement *> parts;
    context scope;
    scope.visitor = [&](bool, const statement *, std::vector<visitor_pair> children) {
        for (const auto &child : children) { parts.insert(parts.end(), child.second.begin(), child.second.end()); }
    };
    node->visit(scope);
    if (const auto *literal = dynamic_cast<const object_literal *>(node)) {
        for (const auto &pair : literal->val) { parts.insert(parts.end(), {pair.first.get(), pair.second.get()}); }
    }
    if (const auto *literal = dynamic_cast<const array_literal *>(node)) {
        for (const auto &item : literal->val) { parts.push_back(item.get()); }
    }
    if (const auto *literal = dynamic_cast<const tuple_literal *>(node)) {
        for (const auto &item : literal->val) { parts.push_back(item.get()); }
    }
    // The engine looks at what stands here itself: the name of a filter, of a test, of a macro that is called.
    if (const auto *filter = dynamic_cast<const filter_expression *>(node)) { kept.insert(filter->filter.get()); }
    if (const auto *filter = dynamic_cast<const filter_statement *>(node)) { kept.insert(filter->filter.get()); }
    if (const auto *test = dynamic_cast<const test_expression *>(node)) { kept.insert(test->test.get()); }
    for (const auto *part : parts) { visit(part, kept); }
    if (!kept.count(node)) { watch_parts(*const_cast<statement *>(node)); }
}

}  // namespace

value printable(const value &object) {
    if (!object->is_none() && !is_val<value_array>(object) && !is_val<value_object>(object)) { return object; }
    marked_text result;
    represent(object, result);
    return result.value();
}

void make_strict(program &program) {
    std::set<const statement *> kept;
    for (const auto &node : program.body) { visit(node.get(), kept); }
    print(program.body);
}

std::string reason(const std::string &complaint) {
    const std::string marker = "\nError: ";
    const size_t found = complaint.rfind(marker);
    std::string text = found == std::string::npos ? complaint : complaint.substr(found + marker.size());
    if (text == "Cannot perform operation on null values") { return "argument of type 'NoneType' is not iterable"; }
    if (text.rfind("Unknown (built-in) filter 'tojson' for type Undefined", 0) == 0) {
        return "Object of type Undefined is not JSON serializable";
    }
    return text;
}

}  // namespace transferq

#endif
