// Values with behaviour: functions, macros, the `loop` variable, cycler and joiner.
#pragma once

#include <string>
#include <string_view>

#include "text/chat/jinja/functions.h"

namespace quern::jinja {

struct Scope;

/// Something that can be called.
class Callable : public Object {
  public:
    using Object::Object;
    virtual Value call(Interpreter& interpreter, Arguments& arguments) = 0;
};

/// A method with the value it belongs to, or a global function with an undefined one.
class BoundFunction final : public Callable {
  public:
    BoundFunction(Value self, Function function, std::string name)
        : Callable(self.depth() + 1), self_(std::move(self)), function_(function), name_(std::move(name)) {
        if (depth() > kMaxValueDepth) throw InvalidInput("a value in the chat template nests too deeply");
    }
    std::string_view type_name() const override { return "builtin_function_or_method"; }
    std::string describe() const override { return "<built-in method " + name_ + ">"; }
    Value call(Interpreter& interpreter, Arguments& arguments) override { return function_(interpreter, self_, arguments); }

  private:
    Value self_;
    Function function_;
    std::string name_;
};

/// A macro, or the body of a call block. Scopes live as long as the rendering.
class Macro final : public Callable {
  public:
    Macro(const Signature& signature, const Body& body, Scope* scope) : signature_(signature), body_(body), scope_(scope) {}
    std::string_view type_name() const override { return "Macro"; }
    std::string describe() const override { return "<Macro '" + name()->bytes() + "'>"; }
    Value call(Interpreter& interpreter, Arguments& arguments) override;
    const TextPtr& name() const { return signature_.name; }

  private:
    const Signature& signature_;
    const Body& body_;
    Scope* scope_;
};

/// The `loop` variable of a running loop.
class LoopState final : public Object {
  public:
    explicit LoopState(SequencePtr loop_items) : items(std::move(loop_items)), length(static_cast<int64_t>(items->items.size())) {}
    std::string_view type_name() const override { return "LoopContext"; }
    std::string describe() const override { return concat("<LoopContext ", index0 + 1, "/", length, ">"); }

    SequencePtr items;  ///< null once the loop has ended
    int64_t length;
    int64_t index0 = 0;
    Value last_changed;
};

/// cycler('a', 'b'): next() gives the items in turn.
class Cycler final : public Object {
  public:
    explicit Cycler(SequencePtr cycle_items) : Object(cycle_items->depth + 1), items(std::move(cycle_items)) {}
    std::string_view type_name() const override { return "Cycler"; }
    std::string describe() const override { return "<Cycler>"; }

    SequencePtr items;
    size_t position = 0;
};

/// joiner(', '): nothing at the first call, the separator afterwards.
class Joiner final : public Callable {
  public:
    explicit Joiner(TextPtr separator) : separator_(std::move(separator)) {}
    std::string_view type_name() const override { return "Joiner"; }
    std::string describe() const override { return "<Joiner>"; }
    Value call(Interpreter& interpreter, Arguments& arguments) override;

  private:
    TextPtr separator_;
    bool is_used_ = false;
};

/// An attribute of an object, undefined when it has none of that name.
Value object_attribute(Interpreter& interpreter, const Value& self, const TextPtr& name);

}  // namespace quern::jinja
