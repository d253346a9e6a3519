// The shape that the tables of filters and tests share.
#pragma once

#include <string_view>

#include "text/chat/jinja/functions.h"

namespace quern::jinja {

/// The function of that name in a table, or null.
template <typename Table>
Function find_named(const Table& table, std::string_view name) {
    for (const NamedFunction& entry : table) {
        if (entry.name == name) return entry.function;
    }
    return nullptr;
}

/// The parts of an attribute path such as "function.name" or "0"; numbers are indices.
class AttributePath {
  public:
    /// None and undefined stand for the item itself. @throws InvalidInput  when it is neither a string nor an integer
    AttributePath(const Value& path, Budget& budget);

    /// The attribute of an item; `fallback`, if given, replaces what is undefined on the way.
    Value of(Interpreter& interpreter, Value item, const Value* fallback = nullptr) const;

  private:
    Values parts_;
};

}  // namespace quern::jinja
