// Runs a parsed template: one Interpreter per rendering.
#pragma once

#include <memory>
#include <string_view>
#include <utility>
#include <vector>

#include "text/chat/jinja/ast.h"
#include "text/chat/jinja/functions.h"
#include "text/chat/jinja/objects.h"

namespace quern::jinja {

/// The variables of one block, searched outwards.
struct Scope {
    Scope* parent = nullptr;
    std::vector<std::pair<NameId, Value>> variables;
    bool is_captured = false;  ///< a macro refers to it: it must outlive its block

    void set(NameId id, Value value);
};

class Interpreter {
  public:
    Interpreter(const Program& program, Budget& budget);
    ~Interpreter();
    Interpreter(const Interpreter&) = delete;
    Interpreter& operator=(const Interpreter&) = delete;

    /// Defines a variable of the input. Names that the template does not mention cost nothing.
    void define(std::string_view name, const Value& value);
    /// Renders the whole template. @throws InvalidInput
    TextPtr run();
    /// Where the interpreter is, for messages.
    Position position() const { return position_; }

    // ---- for filters, tests, methods and objects
    Budget& budget() { return budget_; }
    /// object.name
    Value attribute(const Value& object, const TextPtr& name);
    /// object[key]
    Value subscript(const Value& object, const Value& key);
    Value call(const Value& callee, Arguments& arguments);
    /// What a loop over the value gives. A generator is spent by it. @throws InvalidInput  when it cannot be iterated
    SequencePtr iterate(const Value& value);
    Value call_macro(const Signature& signature, const Body& body, Scope* scope, const Arguments& arguments);
    Value make_namespace(std::vector<std::pair<TextPtr, Value>> fields);
    /// Objects that can come to hold themselves are emptied when the rendering ends.
    void keep_loop(std::shared_ptr<LoopState> loop) { loops_.push_back(std::move(loop)); }

  private:
    enum class Flow : uint8_t { next, break_loop, continue_loop };
    class ScopeGuard;
    class Capture;

    // ---- statements
    Flow execute(const Body& body);
    Flow execute(const Stmt& statement);
    Flow execute_branch(const Stmt& statement);
    Flow execute_loop(const Stmt& statement);
    SequencePtr loop_items(const Stmt& statement);
    void execute_set_block(const Stmt& statement);
    void execute_macro(const Stmt& statement);
    void execute_call_block(const Stmt& statement);
    Flow execute_filter_block(const Stmt& statement);
    Flow execute_with(const Stmt& statement);
    void assign(const Expr& target, const Value& value);

    // ---- expressions
    Value evaluate(const Expr& expr);
    Value evaluate_name(const Expr& expr);
    Value evaluate_items(const Expr& expr, Flavor flavor);
    Value evaluate_dict(const Expr& expr);
    Value evaluate_slice(const Expr& expr);
    Value evaluate_call(const Expr& expr);
    Value evaluate_function(const Expr& expr, const Value& subject);
    Value evaluate_unary(const Expr& expr);
    Value evaluate_arithmetic(const Expr& expr);
    Value evaluate_concat(const Expr& expr);
    Value evaluate_compare(const Expr& expr);
    /// A chain of filters around `subject`, as filter blocks have it.
    Value apply_filters(const Expr* chain, const Value& subject);
    void evaluate_arguments(const Expr& expr, Arguments& arguments);
    bool compare_with(Op op, const Value& left, const Value& right);

    /// Sets a macro's parameters and implicit variables in the current scope.
    void bind_arguments(const Signature& signature, const Arguments& arguments);
    void bind_named(const Signature& signature, const Arguments& arguments, std::vector<bool>& is_given);
    Scope* enter_scope(Scope* parent);
    void leave_scope();

    const Program& program_;
    Budget& budget_;
    Position position_;
    TextBuilder* out_ = nullptr;
    Scope* scope_ = nullptr;
    std::vector<std::unique_ptr<Scope>> scopes_;
    std::vector<Scope*> free_scopes_;
    std::vector<std::shared_ptr<Namespace>> namespaces_;
    std::vector<std::shared_ptr<LoopState>> loops_;
    std::vector<Value> globals_;  ///< by NameId; made when first used
};

}  // namespace quern::jinja
