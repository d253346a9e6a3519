// The interpreter: expressions.
#include "base/error.h"
#include "text/chat/jinja/interpreter.h"
#include "text/chat/jinja/operators.h"
#include "text/chat/jinja/print.h"

namespace quern::jinja {

Value Interpreter::evaluate(const Expr& expr) {
    const Budget::Level level(budget_);
    budget_.step();
    switch (expr.kind) {
        case ExprKind::constant:
            return expr.constant;
        case ExprKind::name:
            return evaluate_name(expr);
        case ExprKind::list:
            return evaluate_items(expr, Flavor::list);
        case ExprKind::tuple:
            return evaluate_items(expr, Flavor::tuple);
        case ExprKind::dict:
            return evaluate_dict(expr);
        case ExprKind::attribute:
            return attribute(evaluate(*expr.parts[0]), expr.name);
        case ExprKind::subscript: {
            const Value object = evaluate(*expr.parts[0]);
            return subscript(object, evaluate(*expr.parts[1]));
        }
        case ExprKind::slice:
            return evaluate_slice(expr);
        case ExprKind::call:
            return evaluate_call(expr);
        case ExprKind::filter:
        case ExprKind::test:
            return evaluate_function(expr, evaluate(*expr.parts[0]));
        case ExprKind::logical_and: {
            Value left = evaluate(*expr.parts[0]);
            return is_truthy(left) ? evaluate(*expr.parts[1]) : left;
        }
        case ExprKind::logical_or: {
            Value left = evaluate(*expr.parts[0]);
            return is_truthy(left) ? left : evaluate(*expr.parts[1]);
        }
        case ExprKind::conditional:
            if (is_truthy(evaluate(*expr.parts[0]))) return evaluate(*expr.parts[1]);
            return expr.parts[2] ? evaluate(*expr.parts[2]) : Value();
        case ExprKind::arithmetic:
            return evaluate_arithmetic(expr);
        case ExprKind::concat:
            return evaluate_concat(expr);
        case ExprKind::compare:
            return evaluate_compare(expr);
        default:
            return evaluate_unary(expr);
    }
}

Value Interpreter::evaluate_unary(const Expr& expr) {
    const Value value = evaluate(*expr.parts[0]);
    position_ = expr.at;
    if (expr.kind == ExprKind::logical_not) return !is_truthy(value);
    return expr.kind == ExprKind::negate ? negate(value) : plus(value);
}

Value Interpreter::evaluate_items(const Expr& expr, Flavor flavor) {
    Values items;
    items.reserve(expr.parts.size());
    for (const ExprPtr& part : expr.parts) items.push_back(evaluate(*part));
    return make_sequence(std::move(items), flavor, budget_);
}

Value Interpreter::evaluate_dict(const Expr& expr) {
    Dict dict;
    for (size_t i = 0; i < expr.parts.size(); i += 2) {
        Value key = evaluate(*expr.parts[i]);
        set_item(dict, std::move(key), evaluate(*expr.parts[i + 1]), budget_);
    }
    return make_dict(std::move(dict), budget_);
}

Value Interpreter::evaluate_slice(const Expr& expr) {
    const Value object = evaluate(*expr.parts[0]);
    Value bounds[3];
    const Value* given[3] = {};
    for (size_t i = 0; i < 3; ++i) {
        if (!expr.parts[i + 1]) continue;
        bounds[i] = evaluate(*expr.parts[i + 1]);
        if (!bounds[i].is(Kind::none)) given[i] = &bounds[i];
    }
    position_ = expr.at;
    return slice_value(object, given[0], given[1], given[2], budget_);
}

void Interpreter::evaluate_arguments(const Expr& expr, Arguments& arguments) {
    for (const Argument& argument : expr.arguments) {
        Value value = evaluate(*argument.value);
        switch (argument.style) {
            case Argument::Style::positional:
                arguments.positional.push_back(std::move(value));
                break;
            case Argument::Style::named:
                arguments.named.emplace_back(argument.name, std::move(value));
                break;
            case Argument::Style::star: {
                const SequencePtr items = iterate(value);
                budget_.allocate(items->items.size() * sizeof(Value));
                arguments.positional.insert(arguments.positional.end(), items->items.begin(), items->items.end());
                break;
            }
            case Argument::Style::double_star:
                if (!value.is(Kind::dict)) throw InvalidInput("the argument after ** must be a mapping");
                for (const auto& [key, item] : value.dict()->entries) {
                    if (!key.is(Kind::text)) throw InvalidInput("keywords must be strings");
                    arguments.named.emplace_back(key.bytes(), item);
                }
                break;
        }
    }
}

Value Interpreter::evaluate_call(const Expr& expr) {
    const Expr& callee = *expr.parts[0];
    // A method call needs no object for the bound method.
    if (callee.kind == ExprKind::attribute) {
        const Value self = evaluate(*callee.parts[0]);
        const Function method = find_method(self, callee.name->bytes());
        const Value function = method ? Value() : attribute(self, callee.name);
        Arguments arguments;
        evaluate_arguments(expr, arguments);
        position_ = expr.at;
        return method ? method(*this, self, arguments) : call(function, arguments);
    }
    const Value function = evaluate(callee);
    Arguments arguments;
    evaluate_arguments(expr, arguments);
    position_ = expr.at;
    return call(function, arguments);
}

Value Interpreter::evaluate_function(const Expr& expr, const Value& subject) {
    Arguments arguments;
    evaluate_arguments(expr, arguments);
    position_ = expr.at;
    if (!expr.function) {
        throw InvalidInput(concat("no ", expr.kind == ExprKind::test ? "test" : "filter", " named '", expr.name->bytes(), "'"));
    }
    return expr.function(*this, subject, arguments);
}

Value Interpreter::evaluate_arithmetic(const Expr& expr) {
    const Value left = evaluate(*expr.parts[0]);
    const Value right = evaluate(*expr.parts[1]);
    position_ = expr.at;
    return arithmetic(expr.ops[0], left, right, budget_);
}

Value Interpreter::evaluate_concat(const Expr& expr) {
    TextBuilder out(budget_);
    for (const ExprPtr& part : expr.parts) print(evaluate(*part), out, budget_);
    return out.finish();
}

bool Interpreter::compare_with(Op op, const Value& left, const Value& right) {
    switch (op) {
        case Op::eq:
            return equal(left, right, budget_);
        case Op::ne:
            return !equal(left, right, budget_);
        case Op::in:
            return contains(right, left, budget_);
        case Op::not_in:
            return !contains(right, left, budget_);
        default:
            break;
    }
    const int order = compare(left, right, budget_);
    if (order == 2) return false;
    switch (op) {
        case Op::lt:
            return order < 0;
        case Op::le:
            return order <= 0;
        case Op::gt:
            return order > 0;
        default:
            return order >= 0;
    }
}

Value Interpreter::evaluate_compare(const Expr& expr) {
    Value left = evaluate(*expr.parts[0]);
    for (size_t i = 0; i < expr.ops.size(); ++i) {
        Value right = evaluate(*expr.parts[i + 1]);
        position_ = expr.at;
        if (!compare_with(expr.ops[i], left, right)) return false;
        left = std::move(right);
    }
    return true;
}

}  // namespace quern::jinja
