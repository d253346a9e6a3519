// What a template computes with: JSON-like values with the meaning they have in Python, and a few objects (namespace, macro, loop).
#pragma once

#include <cstdint>
#include <memory>
#include <string>
#include <string_view>
#include <utility>
#include <variant>
#include <vector>

#include "text/chat/jinja/text.h"

namespace quern::jinja {

class Value;
class Object;
struct Sequence;
struct Dict;
using SequencePtr = std::shared_ptr<const Sequence>;
using DictPtr = std::shared_ptr<const Dict>;
using ObjectPtr = std::shared_ptr<Object>;

/// Containers deeper than this are refused, so that printing and freeing them cannot exhaust the stack.
constexpr int kMaxValueDepth = 100;

/// A name that nothing defines. It prints as nothing and fails when it is used.
struct Undefined {
    TextPtr name;            ///< may be null
    bool is_unsafe = false;  ///< an attribute that the sandbox hides
};

enum class Kind : uint8_t { undefined, none, boolean, integer, real, text, sequence, dict, object };

/// A value; cheap to copy, shares its storage, immutable but for objects.
class Value {
  public:
    Value() : data_(Undefined{}) {}
    Value(Undefined undefined) : data_(std::move(undefined)) {}
    Value(std::nullptr_t) : data_(nullptr) {}
    Value(bool boolean) : data_(boolean) {}
    Value(int64_t integer) : data_(integer) {}
    Value(double real) : data_(real) {}
    Value(TextPtr text) : data_(std::move(text)) {}
    Value(SequencePtr sequence) : data_(std::move(sequence)) {}
    Value(DictPtr dict) : data_(std::move(dict)) {}
    Value(ObjectPtr object) : data_(std::move(object)) {}

    Kind kind() const { return static_cast<Kind>(data_.index()); }
    bool is(Kind kind) const { return this->kind() == kind; }
    bool is_number() const { return kind() == Kind::boolean || kind() == Kind::integer || kind() == Kind::real; }
    /// Integers, and booleans, which Python counts as integers.
    bool is_integral() const { return kind() == Kind::boolean || kind() == Kind::integer; }

    /// REQUIRES of these: the kind fits.
    const Undefined& undefined() const { return std::get<Undefined>(data_); }
    bool boolean() const { return std::get<bool>(data_); }
    int64_t integral() const { return is(Kind::boolean) ? int64_t{boolean()} : std::get<int64_t>(data_); }
    double number() const { return is(Kind::real) ? std::get<double>(data_) : static_cast<double>(integral()); }
    const TextPtr& text() const { return std::get<TextPtr>(data_); }
    const std::string& bytes() const { return text()->bytes(); }
    const SequencePtr& sequence() const { return std::get<SequencePtr>(data_); }
    const DictPtr& dict() const { return std::get<DictPtr>(data_); }
    const ObjectPtr& object() const { return std::get<ObjectPtr>(data_); }

    /// Levels of containers in this value; 0 for a scalar.
    int depth() const;

  private:
    std::variant<Undefined, std::nullptr_t, bool, int64_t, double, TextPtr, SequencePtr, DictPtr, ObjectPtr> data_;
};

using Values = std::vector<Value>;

/// How a sequence behaves in Python. All but `list` and `tuple` print in their own way; a generator can be read once.
enum class Flavor : uint8_t { list, tuple, range, generator, dict_keys, dict_values, dict_items };

struct Sequence {
    Values items;
    Flavor flavor = Flavor::list;
    int depth = 1;
    bool from_input = false;                ///< its brackets count as input when it is printed
    mutable bool is_spent = false;          ///< a generator that has been read
    int64_t start = 0, stop = 0, step = 1;  ///< of a range
};

struct Dict {
    std::vector<std::pair<Value, Value>> entries;  ///< in the order of insertion, keys unique
    int depth = 1;
    bool from_input = false;

    /// The value of a string key, or null.
    const Value* find(std::string_view key) const;
    /// The value of any key, or null.
    const Value* find(const Value& key, Budget& budget) const;
};

/// Something with identity: a namespace, a macro, a bound method, a loop.
class Object {
  public:
    explicit Object(int depth = 1) : depth_(depth) {}
    virtual ~Object() = default;
    /// As Python's type(x).__name__.
    virtual std::string_view type_name() const = 0;
    /// What it prints as.
    virtual std::string describe() const = 0;
    int depth() const { return depth_; }

  private:
    int depth_;
};

/// The only value that a template can change: `{% set ns.name = ... %}`.
class Namespace final : public Object {
  public:
    std::string_view type_name() const override { return "Namespace"; }
    std::string describe() const override { return "<Namespace>"; }
    std::vector<std::pair<TextPtr, Value>> fields;
    const Value* find(std::string_view name) const;
    void set(const TextPtr& name, Value value);
};

/// @throws InvalidInput  when the result would nest too deeply
Value make_sequence(Values items, Flavor flavor, Budget& budget);
Value make_list(Values items, Budget& budget);
Value make_tuple(Values items, Budget& budget);
/// Takes a filled dict and sets its depth. @throws InvalidInput  when it nests too deeply
Value make_dict(Dict dict, Budget& budget);
Value make_text(std::string bytes, Origin origin, Budget& budget);

/// Sets dict[key] = value as Python does. @throws InvalidInput  for a key that Python cannot hash
void set_item(Dict& dict, Value key, Value value, Budget& budget);

bool is_truthy(const Value& value);
/// Python's ==, which never fails.
bool equal(const Value& a, const Value& b, Budget& budget);
/// Python's order: negative, 0, positive; 2 when a NaN is involved. @throws InvalidInput  for kinds without an order
int compare(const Value& a, const Value& b, Budget& budget);
/// Whether Python can use it as a dict key.
bool is_hashable(const Value& value);
/// As Python's type(x).__name__, for messages.
std::string_view type_name(const Value& value);
/// Fails with what Jinja says about the use of an undefined value.
[[noreturn]] void fail_undefined(const Undefined& undefined);

}  // namespace quern::jinja
