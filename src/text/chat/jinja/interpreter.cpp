// The interpreter: names and scopes, attributes, calls and macros.
#include "text/chat/jinja/interpreter.h"

#include <algorithm>

#include "base/error.h"
#include "text/chat/jinja/operators.h"
#include "text/chat/jinja/print.h"
#include "text/chat/jinja/unicode.h"

namespace quern::jinja {

namespace {

constexpr size_t kMaxVariables = 1000;  // they are searched one by one

}  // namespace

void Scope::set(NameId id, Value value) {
    for (auto& [name, old] : variables) {
        if (name == id) {
            old = std::move(value);
            return;
        }
    }
    if (variables.size() >= kMaxVariables)
        throw InvalidInput(concat("the chat template sets more than ", kMaxVariables, " variables in one block"));
    variables.emplace_back(id, std::move(value));
}

Interpreter::Interpreter(const Program& program, Budget& budget) : program_(program), budget_(budget), globals_(program.names.size()) {
    scope_ = enter_scope(nullptr);
}

Interpreter::~Interpreter() {
    // Namespaces may hold each other in circles and in long chains; emptied one by one they free flatly.
    for (auto& name_space : namespaces_) name_space->fields.clear();
    for (auto& loop : loops_) {
        loop->last_changed = Value();
        loop->items.reset();
    }
}

void Interpreter::define(std::string_view name, const Value& value) {
    const auto found = program_.ids.find(std::string(name));
    if (found != program_.ids.end()) scope_->set(found->second, value);
}

TextPtr Interpreter::run() {
    TextBuilder out(budget_);
    out_ = &out;
    scope_ = enter_scope(scope_);
    execute(program_.body);
    return out.finish();
}

Scope* Interpreter::enter_scope(Scope* parent) {
    if (free_scopes_.empty()) {
        budget_.allocate(256);  // with its first variables
        scopes_.push_back(std::make_unique<Scope>());
        free_scopes_.push_back(scopes_.back().get());
    }
    Scope* scope = free_scopes_.back();
    free_scopes_.pop_back();
    scope->parent = parent;
    return scope;
}

void Interpreter::leave_scope() {
    Scope* left = scope_;
    scope_ = left->parent;
    if (left->is_captured) return;
    left->variables.clear();
    free_scopes_.push_back(left);
}

Value Interpreter::evaluate_name(const Expr& expr) {
    for (const Scope* scope = scope_; scope; scope = scope->parent) {
        budget_.step(scope->variables.size() / 16);
        for (const auto& [id, value] : scope->variables) {
            if (id == expr.id) return value;
        }
    }
    Value& global = globals_[expr.id];
    if (global.is(Kind::undefined)) {
        const Function function = find_global(program_.names[expr.id]);
        if (!function) return Undefined{.name = expr.name};
        global = ObjectPtr(std::make_shared<BoundFunction>(Value(), function, program_.names[expr.id]));
    }
    return global;
}

Value Interpreter::attribute(const Value& object, const TextPtr& name) {
    budget_.step();
    if (object.is(Kind::undefined)) fail_undefined(object.undefined());
    const std::string_view word = name->bytes();
    if (object.is(Kind::object)) return object_attribute(*this, object, name);
    if (const Function method = find_method(object, word)) {
        return ObjectPtr(std::make_shared<BoundFunction>(object, method, std::string(word)));
    }
    if (object.is(Kind::dict)) {
        budget_.step(object.dict()->entries.size() / 8);
        if (const Value* found = object.dict()->find(word)) return *found;
    }
    return Undefined{.name = name, .is_unsafe = word.substr(0, 2) == "__" || is_mutating_method(object, word)};
}

Value Interpreter::subscript(const Value& object, const Value& key) {
    budget_.step();
    if (object.is(Kind::undefined)) fail_undefined(object.undefined());
    if (object.is(Kind::dict)) {
        const Value* found = is_hashable(key) ? object.dict()->find(key, budget_) : nullptr;
        if (found) return *found;
    } else if (key.is_integral()) {
        if (object.is(Kind::text)) {
            if (TextPtr character = character_at(object.text(), key.integral(), budget_)) return character;
        } else if (object.is(Kind::sequence) && object.sequence()->flavor <= Flavor::range) {
            const Values& items = object.sequence()->items;
            const int64_t size = static_cast<int64_t>(items.size());
            const int64_t index = key.integral() < 0 ? key.integral() + size : key.integral();
            if (index >= 0 && index < size) return items[static_cast<size_t>(index)];
        }
    }
    if (key.is(Kind::text)) {
        Value found = attribute(object, key.text());
        if (!found.is(Kind::undefined)) return found;
    }
    return Undefined{.name = to_text(key, budget_)};
}

SequencePtr Interpreter::iterate(const Value& value) {
    Values items;
    switch (value.kind()) {
        case Kind::sequence: {
            const SequencePtr& sequence = value.sequence();
            budget_.step(sequence->items.size() / 8);
            if (sequence->flavor != Flavor::generator) return sequence;
            if (!sequence->is_spent) {
                sequence->is_spent = true;
                return sequence;
            }
            break;
        }
        case Kind::undefined:
            break;
        case Kind::dict:
            for (const auto& [key, unused] : value.dict()->entries) items.push_back(key);
            break;
        case Kind::text: {
            const TextPtr& text = value.text();
            budget_.step(text->size());
            budget_.allocate(text->size() * sizeof(Text));
            for (size_t at = 0; at < text->size();) {
                const size_t start = at;
                next_code_point(text->bytes(), at);
                items.push_back(slice(text, start, at, budget_));
            }
            break;
        }
        default:
            throw InvalidInput(concat("'", type_name(value), "' object is not iterable"));
    }
    return make_list(std::move(items), budget_).sequence();
}

Value Interpreter::call(const Value& callee, Arguments& arguments) {
    if (callee.is(Kind::undefined)) fail_undefined(callee.undefined());
    auto* callable = callee.is(Kind::object) ? dynamic_cast<Callable*>(callee.object().get()) : nullptr;
    if (!callable) throw InvalidInput(concat("'", type_name(callee), "' object is not callable"));
    const Budget::Level level(budget_);
    return callable->call(*this, arguments);
}

Value Interpreter::make_namespace(std::vector<std::pair<TextPtr, Value>> fields) {
    budget_.allocate(sizeof(Namespace) + fields.size() * 2 * sizeof(Value));
    auto name_space = std::make_shared<Namespace>();
    name_space->fields = std::move(fields);
    namespaces_.push_back(name_space);
    return ObjectPtr(std::move(name_space));
}

void Interpreter::bind_named(const Signature& signature, const Arguments& arguments, std::vector<bool>& is_given) {
    const std::string& name = signature.name->bytes();
    Dict rest;
    for (const auto& [key, value] : arguments.named) {
        const auto found = std::find(signature.parameter_names.begin(), signature.parameter_names.end(), key);
        const size_t i = static_cast<size_t>(found - signature.parameter_names.begin());
        if (i < is_given.size()) {
            if (is_given[i]) throw InvalidInput(concat("macro '", name, "' got the argument '", key, "' twice"));
            scope_->set(signature.parameters[i], value);
            is_given[i] = true;
        } else if (key == "caller" && signature.uses_caller) {
            scope_->set(kCallerName, value);
        } else if (signature.uses_kwargs) {
            set_item(rest, make_text(key, Origin::source, budget_), value, budget_);
        } else {
            throw InvalidInput(concat("macro '", name, "' takes no keyword argument '", key, "'"));
        }
    }
    if (signature.uses_kwargs) scope_->set(kKwargsName, make_dict(std::move(rest), budget_));
}

void Interpreter::bind_arguments(const Signature& signature, const Arguments& arguments) {
    const auto undefined = [](const std::string& name) { return Undefined{.name = std::make_shared<Text>(name, Origin::source)}; };
    const size_t n = signature.parameters.size();
    const size_t n_positional = std::min(n, arguments.positional.size());
    if (arguments.positional.size() > n && !signature.uses_varargs) {
        throw InvalidInput(concat("macro '", signature.name->bytes(), "' takes not more than ", n, " argument(s)"));
    }
    if (signature.uses_caller) scope_->set(kCallerName, undefined("caller"));
    if (signature.uses_varargs) {
        const auto first = arguments.positional.begin() + static_cast<std::ptrdiff_t>(n_positional);
        scope_->set(kVarargsName, make_tuple(Values(first, arguments.positional.end()), budget_));
    }
    std::vector<bool> is_given(n, false);
    std::fill_n(is_given.begin(), n_positional, true);
    bind_named(signature, arguments, is_given);
    const size_t first_default = n - signature.defaults.size();
    for (size_t i = 0; i < n; ++i) {
        if (i < n_positional) {
            scope_->set(signature.parameters[i], arguments.positional[i]);
        } else if (!is_given[i] && i >= first_default) {
            scope_->set(signature.parameters[i], evaluate(*signature.defaults[i - first_default]));
        } else if (!is_given[i]) {
            scope_->set(signature.parameters[i], undefined(signature.parameter_names[i]));
        }
    }
}

Value Interpreter::call_macro(const Signature& signature, const Body& body, Scope* scope, const Arguments& arguments) {
    TextBuilder out(budget_);
    struct Frame {
        Frame(Interpreter& running, Scope* definition, TextBuilder& text)
            : interpreter(running), outer(running.scope_), outer_out(running.out_) {
            interpreter.scope_ = interpreter.enter_scope(definition);
            interpreter.out_ = &text;
        }
        ~Frame() {
            interpreter.leave_scope();
            interpreter.scope_ = outer;
            interpreter.out_ = outer_out;
        }
        Interpreter& interpreter;
        Scope* const outer;
        TextBuilder* const outer_out;
    } const frame(*this, scope, out);
    bind_arguments(signature, arguments);
    execute(body);
    return out.finish();
}

Value Macro::call(Interpreter& interpreter, Arguments& arguments) { return interpreter.call_macro(signature_, body_, scope_, arguments); }

}  // namespace quern::jinja
