#include "chat_template.h"

#if __has_include(<transferq/jinja/runtime.h>)

#include "strictness.h"

#include <set>

#include "marked_text.h"

namespace transferq {
namespace {

using namespace jinja;

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
    enum class role { operand, member, callee, searched, looped };

    statement_ptr inner;
    role as;
    const member_expression *parent;

    watched(statement_ptr &&inner, role as, const member_expression *parent = nullptr)
        : inner(std::move(inner)), as(as), parent(parent) {
        pos = this->inner->pos;
    }
    std::string type() const override { return inner->type(); }
    void visit(context &scope) const override { inner->visit(scope); }

    value execute_impl(context &scope) const override {
        value result = inner->execute(scope);
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
        const bool picks = as == role::member && parent->computed && is_val<value_string>(result) &&
            !dynamic_cast<const slice_expression *>(parent->property.get());
        if (picks && is_val<value_int>(parent->property->execute(scope))) { return characters(result); }
        return result;
    }

private:
    static value characters(const value &text) {
        auto result = mk_val<value_array>();
        for (const auto &character : marked_text(text).characters()) { result->push_back(character.value()); }
        return result;
    }
};

void watch(statement_ptr &part, watched::role as, const member_expression *parent = nullptr) {
    if (part && !dynamic_cast<const watched *>(part.get())) {
        part = std::make_unique<watched>(std::move(part), as, parent);
    }
}

void watch_parts(statement &node) {
    static const std::set<std::string> calculations = {"+", "-", "*", "/", "%", "<", ">", "<=", ">="};
    if (auto *operation = dynamic_cast<binary_expression *>(&node)) {
        if (calculations.count(operation->op.value)) {
            watch(operation->left, watched::role::operand);
            watch(operation->right, watched::role::operand);
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

void make_strict(program &program) {
    std::set<const statement *> kept;
    for (const auto &node : program.body) { visit(node.get(), kept); }
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
