// The syntax tree of a template. Immutable once parsed, so that threads can share it.
#pragma once

#include <memory>
#include <string>
#include <unordered_map>
#include <vector>

#include "text/chat/jinja/lexer.h"
#include "text/chat/jinja/value.h"

namespace quern::jinja {

class Interpreter;
struct Arguments;
/// A filter, test, method or global function. `self` is what stands before the bar, the `is` or the dot.
using Function = Value (*)(Interpreter&, const Value& self, Arguments&);

/// A variable's name as a number of this template.
using NameId = uint32_t;

/// Names that the interpreter itself binds.
enum SpecialName : NameId { kLoopName, kCallerName, kVarargsName, kKwargsName, kSpecialNames };

enum class Op : uint8_t { add, subtract, multiply, divide, floor_divide, modulo, power, eq, ne, lt, le, gt, ge, in, not_in };

enum class ExprKind : uint8_t {
    constant,     // constant
    name,         // id, name
    list,         // parts
    tuple,        // parts
    dict,         // parts: key, value, key, value ...
    attribute,    // parts[0].name
    subscript,    // parts[0][parts[1]]
    slice,        // parts[0][parts[1]:parts[2]:parts[3]], the last three may be null
    call,         // parts[0](arguments)
    filter,       // parts[0] | name(arguments); parts[0] is null in a filter block
    test,         // parts[0] is name(arguments)
    negate,       // -parts[0]
    plus,         // +parts[0]
    logical_not,  // not parts[0]
    logical_and,  // parts[0] and parts[1]
    logical_or,   // parts[0] or parts[1]
    arithmetic,   // parts[0] ops[0] parts[1]
    concat,       // parts[0] ~ parts[1] ~ ...
    compare,      // parts[0] ops[0] parts[1] ops[1] parts[2] ...
    conditional   // parts[1] if parts[0] else parts[2], which may be null
};

struct Expr;
using ExprPtr = std::unique_ptr<Expr>;

struct Argument {
    enum class Style : uint8_t { positional, named, star, double_star };
    Style style = Style::positional;
    std::string name;
    ExprPtr value;
};

struct Expr {
    ExprKind kind;
    Position at;
    int depth = 1;  ///< levels of this tree, bounded by the parser
    Value constant;
    TextPtr name;
    NameId id = 0;
    std::vector<ExprPtr> parts;
    std::vector<Op> ops;
    std::vector<Argument> arguments;
    Function function = nullptr;  ///< of a filter or test; null when the name is unknown
};

enum class StmtKind : uint8_t {
    data,          // text
    output,        // exprs[0]
    branch,        // if/elif: exprs[i] guards bodies[i]; one more body is the else
    loop,          // for target in exprs[0] if exprs[1] (may be null): bodies[0], else bodies[1]
    set,           // target = exprs[0]
    set_block,     // target = bodies[0] through the filters exprs[0] (may be null)
    macro,         // signature, bodies[0]
    call_block,    // exprs[0] is the call; signature and bodies[0] are the caller
    filter_block,  // bodies[0] through the filters exprs[0]
    with,          // target (a tuple) = exprs, then bodies[0]
    scope,         // bodies[0] with variables of its own
    break_loop,
    continue_loop
};

struct Stmt;
using Body = std::vector<Stmt>;

/// The parameters of a macro or of a call block. The last defaults.size() parameters have defaults.
struct Signature {
    TextPtr name;
    NameId id = 0;
    std::vector<NameId> parameters;
    std::vector<std::string> parameter_names;
    std::vector<ExprPtr> defaults;
    bool uses_caller = false, uses_varargs = false, uses_kwargs = false;
};

struct Stmt {
    StmtKind kind;
    Position at;
    TextPtr text;
    ExprPtr target;
    std::vector<ExprPtr> exprs;
    std::vector<Body> bodies;
    std::unique_ptr<Signature> signature;
};

/// A parsed template.
struct Program {
    Body body;
    std::vector<std::string> names;  ///< by NameId
    std::unordered_map<std::string, NameId> ids;
};

}  // namespace quern::jinja
