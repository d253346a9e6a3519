// Everything that a template can call by name: filters, tests, methods, global functions; and the binding of their arguments.
#pragma once

#include <initializer_list>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "text/chat/jinja/ast.h"

namespace quern::jinja {

/// The evaluated arguments of one call.
struct Arguments {
    Values positional;
    std::vector<std::pair<std::string, Value>> named;
};

/// Arguments matched to parameter names, as Python matches them.
class Bound {
  public:
    /// @throws InvalidInput  for a missing, unknown, double or surplus argument; the message names `callee`
    Bound(std::string_view callee, const Arguments& arguments, std::initializer_list<std::string_view> names, size_t n_required = 0);

    /// Whether the argument was given and is not None.
    bool has(size_t i) const { return values_[i] && !values_[i]->is(Kind::none); }
    /// The argument, or an undefined value.
    const Value& at(size_t i) const;
    bool flag(size_t i, bool fallback) const;
    /// @throws InvalidInput  when it is no integer
    int64_t integer(size_t i, int64_t fallback) const;
    /// @throws InvalidInput  when it is no string
    const TextPtr& text(size_t i) const;

  private:
    std::string callee_;
    std::vector<const Value*> values_;
};

/// An entry of a table of functions.
struct NamedFunction {
    std::string_view name;
    Function function;
};

/// Null when there is none of that name.
Function find_filter(std::string_view name);
Function find_test(std::string_view name);
/// The method of a string, list, tuple or dict; null when its kind has none of that name.
Function find_method(const Value& self, std::string_view name);
/// range, dict, namespace, cycler, joiner, raise_exception, strftime_now.
Function find_global(std::string_view name);

Function find_text_method(std::string_view name);
Function find_container_method(const Value& self, std::string_view name);
Function find_text_filter(std::string_view name);
Function find_number_filter(std::string_view name);
Function find_sequence_filter(std::string_view name);
Function find_selection_filter(std::string_view name);

/// Whether Python has this method but the sandbox hides it because it changes its object.
bool is_mutating_method(const Value& self, std::string_view name);

/// An error that a template raised on purpose; its message is shown as it is.
class RaisedByTemplate : public InvalidInput {
  public:
    using InvalidInput::InvalidInput;
};

}  // namespace quern::jinja
