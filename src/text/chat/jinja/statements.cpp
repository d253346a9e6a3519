// The interpreter: statements.
#include <algorithm>

#include "base/error.h"
#include "text/chat/jinja/interpreter.h"
#include "text/chat/jinja/operators.h"
#include "text/chat/jinja/print.h"

namespace quern::jinja {

/// A scope for as long as it lives.
class Interpreter::ScopeGuard {
  public:
    explicit ScopeGuard(Interpreter& interpreter) : interpreter_(interpreter) {
        interpreter_.scope_ = interpreter_.enter_scope(interpreter_.scope_);
    }
    ~ScopeGuard() { interpreter_.leave_scope(); }
    ScopeGuard(const ScopeGuard&) = delete;
    ScopeGuard& operator=(const ScopeGuard&) = delete;

  private:
    Interpreter& interpreter_;
};

/// Collects what is written for as long as it lives.
class Interpreter::Capture {
  public:
    explicit Capture(Interpreter& interpreter) : interpreter_(interpreter), out_(interpreter.budget_) {
        outer_ = std::exchange(interpreter_.out_, &out_);
    }
    ~Capture() { interpreter_.out_ = outer_; }
    Capture(const Capture&) = delete;
    Capture& operator=(const Capture&) = delete;
    TextPtr finish() { return out_.finish(); }

  private:
    Interpreter& interpreter_;
    TextBuilder out_;
    TextBuilder* outer_;
};

Interpreter::Flow Interpreter::execute(const Body& body) {
    for (const Stmt& statement : body) {
        const Flow flow = execute(statement);
        if (flow != Flow::next) return flow;
    }
    return Flow::next;
}

Interpreter::Flow Interpreter::execute(const Stmt& statement) {
    const Budget::Level level(budget_);
    budget_.step();
    position_ = statement.at;
    switch (statement.kind) {
        case StmtKind::data:
            out_->append(*statement.text);
            break;
        case StmtKind::output:
            print(evaluate(*statement.exprs[0]), *out_, budget_);
            break;
        case StmtKind::branch:
            return execute_branch(statement);
        case StmtKind::loop:
            return execute_loop(statement);
        case StmtKind::set:
            assign(*statement.target, evaluate(*statement.exprs[0]));
            break;
        case StmtKind::set_block:
            execute_set_block(statement);
            break;
        case StmtKind::macro:
            execute_macro(statement);
            break;
        case StmtKind::call_block:
            execute_call_block(statement);
            break;
        case StmtKind::filter_block:
            return execute_filter_block(statement);
        case StmtKind::with:
            return execute_with(statement);
        case StmtKind::scope: {
            const ScopeGuard guard(*this);
            return execute(statement.bodies[0]);
        }
        case StmtKind::break_loop:
            return Flow::break_loop;
        case StmtKind::continue_loop:
            return Flow::continue_loop;
    }
    return Flow::next;
}

Interpreter::Flow Interpreter::execute_branch(const Stmt& statement) {
    for (size_t i = 0; i < statement.exprs.size(); ++i) {
        if (is_truthy(evaluate(*statement.exprs[i]))) return execute(statement.bodies[i]);
    }
    if (statement.bodies.size() > statement.exprs.size()) return execute(statement.bodies.back());
    return Flow::next;
}

SequencePtr Interpreter::loop_items(const Stmt& statement) {
    SequencePtr all = iterate(evaluate(*statement.exprs[0]));
    if (!statement.exprs[1]) return all;
    Values kept;
    for (const Value& item : all->items) {
        const ScopeGuard guard(*this);
        assign(*statement.target, item);
        if (is_truthy(evaluate(*statement.exprs[1]))) kept.push_back(item);
    }
    return make_list(std::move(kept), budget_).sequence();
}

Interpreter::Flow Interpreter::execute_loop(const Stmt& statement) {
    const SequencePtr items = loop_items(statement);
    if (items->items.empty()) {
        if (statement.bodies.size() < 2) return Flow::next;
        const ScopeGuard guard(*this);
        return execute(statement.bodies[1]);
    }
    budget_.allocate(sizeof(LoopState));
    const auto loop = std::make_shared<LoopState>(items);
    struct End {
        LoopState& loop;
        ~End() { loop.items.reset(); }  // a `loop` kept in a namespace must not hold its items, or chains of them would grow
    } const end{*loop};
    for (const Value& item : items->items) {
        budget_.step();
        const ScopeGuard guard(*this);
        scope_->set(kLoopName, ObjectPtr(loop));
        assign(*statement.target, item);
        if (execute(statement.bodies[0]) == Flow::break_loop) break;
        ++loop->index0;
    }
    return Flow::next;
}

void Interpreter::assign(const Expr& target, const Value& value) {
    if (target.kind == ExprKind::name) return scope_->set(target.id, value);
    if (target.kind == ExprKind::attribute) {
        const Value owner = evaluate_name(*target.parts[0]);
        auto* name_space = owner.is(Kind::object) ? dynamic_cast<Namespace*>(owner.object().get()) : nullptr;
        if (!name_space) throw InvalidInput(concat("cannot assign attribute '", target.name->bytes(), "' on a non-namespace object"));
        if (target.name->bytes()[0] == '_') throw InvalidInput("attributes of a namespace may not begin with an underscore");
        budget_.step(name_space->fields.size() / 8);
        budget_.allocate(2 * sizeof(Value));
        return name_space->set(target.name, value);
    }
    const SequencePtr items = iterate(value);
    if (items->items.size() != target.parts.size()) {
        throw InvalidInput(concat("cannot unpack ", items->items.size(), " values into ", target.parts.size(), " names"));
    }
    for (size_t i = 0; i < target.parts.size(); ++i) assign(*target.parts[i], items->items[i]);
}

Value Interpreter::apply_filters(const Expr* chain, const Value& subject) {
    if (!chain) return subject;
    const Value inner = apply_filters(chain->parts[0].get(), subject);
    return evaluate_function(*chain, inner);
}

void Interpreter::execute_set_block(const Stmt& statement) {
    Value value;
    {
        Capture capture(*this);
        const ScopeGuard guard(*this);
        execute(statement.bodies[0]);
        value = capture.finish();
    }
    assign(*statement.target, apply_filters(statement.exprs[0].get(), value));
}

void Interpreter::execute_macro(const Stmt& statement) {
    budget_.allocate(sizeof(Macro));
    for (Scope* scope = scope_; scope && !scope->is_captured; scope = scope->parent) scope->is_captured = true;
    scope_->set(statement.signature->id, ObjectPtr(std::make_shared<Macro>(*statement.signature, statement.bodies[0], scope_)));
}

void Interpreter::execute_call_block(const Stmt& statement) {
    const Expr& call_expr = *statement.exprs[0];
    const Value callee = evaluate(*call_expr.parts[0]);
    Arguments arguments;
    evaluate_arguments(call_expr, arguments);
    budget_.allocate(sizeof(Macro));
    for (Scope* scope = scope_; scope && !scope->is_captured; scope = scope->parent) scope->is_captured = true;
    arguments.named.emplace_back("caller", ObjectPtr(std::make_shared<Macro>(*statement.signature, statement.bodies[0], scope_)));
    print(call(callee, arguments), *out_, budget_);
}

Interpreter::Flow Interpreter::execute_filter_block(const Stmt& statement) {
    Value value;
    {
        Capture capture(*this);
        const ScopeGuard guard(*this);
        const Flow flow = execute(statement.bodies[0]);
        if (flow != Flow::next) return flow;
        value = capture.finish();
    }
    print(apply_filters(statement.exprs[0].get(), value), *out_, budget_);
    return Flow::next;
}

Interpreter::Flow Interpreter::execute_with(const Stmt& statement) {
    Values values;
    for (const ExprPtr& expr : statement.exprs) values.push_back(evaluate(*expr));
    const ScopeGuard guard(*this);
    for (size_t i = 0; i < values.size(); ++i) scope_->set(statement.target->parts[i]->id, values[i]);
    return execute(statement.bodies[0]);
}

}  // namespace quern::jinja
