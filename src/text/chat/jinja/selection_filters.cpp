// The filters that apply another filter or a test to every item: map, select, reject, selectattr, rejectattr.
#include "base/error.h"
#include "text/chat/jinja/filter_table.h"
#include "text/chat/jinja/interpreter.h"

namespace quern::jinja {

namespace {

/// The items; none for what counts as false, such as none.
SequencePtr items_of(Interpreter& interpreter, const Value& value) { return interpreter.iterate(is_truthy(value) ? value : Value()); }

/// Takes the first positional argument out.
Value take_first(Arguments& arguments) {
    Value first = arguments.positional.front();
    arguments.positional.erase(arguments.positional.begin());
    return first;
}

Value map_attribute(Interpreter& interpreter, const SequencePtr& items, const Arguments& arguments) {
    const Bound bound("map", arguments, {"attribute", "default"});
    const AttributePath path(bound.at(0), interpreter.budget());
    const Value* fallback = bound.has(1) ? &bound.at(1) : nullptr;
    Values mapped;
    for (const Value& item : items->items) mapped.push_back(path.of(interpreter, item, fallback));
    return make_sequence(std::move(mapped), Flavor::generator, interpreter.budget());
}

Value filter_map(Interpreter& interpreter, const Value& self, Arguments& arguments) {
    const SequencePtr items = items_of(interpreter, self);
    if (arguments.positional.empty()) return map_attribute(interpreter, items, arguments);
    const Value name = take_first(arguments);
    const Function filter = name.is(Kind::text) ? find_filter(name.bytes()) : nullptr;
    if (!filter) throw InvalidInput("map() needs the name of a filter");
    Values mapped;
    for (const Value& item : items->items) {
        const Budget::Level level(interpreter.budget());
        interpreter.budget().step();
        Arguments copy = arguments;
        mapped.push_back(filter(interpreter, item, copy));
    }
    return make_sequence(std::move(mapped), Flavor::generator, interpreter.budget());
}

/// The items whose attribute (or themselves, for an empty path) pass the test, or fail it.
Value choose(Interpreter& interpreter, const Value& self, const AttributePath& path, Arguments& arguments, bool wanted) {
    Function test = nullptr;
    if (!arguments.positional.empty()) {
        const Value name = take_first(arguments);
        test = name.is(Kind::text) ? find_test(name.bytes()) : nullptr;
        if (!test) throw InvalidInput("select() and reject() need the name of a test");
    }
    Values kept;
    const SequencePtr items = items_of(interpreter, self);
    for (const Value& item : items->items) {
        interpreter.budget().step();
        const Value value = path.of(interpreter, item);
        Arguments copy = arguments;
        if (is_truthy(test ? test(interpreter, value, copy) : value) == wanted) kept.push_back(item);
    }
    return make_sequence(std::move(kept), Flavor::generator, interpreter.budget());
}

template <bool wanted>
Value filter_choose(Interpreter& interpreter, const Value& self, Arguments& arguments) {
    return choose(interpreter, self, AttributePath(Value(), interpreter.budget()), arguments, wanted);
}

template <bool wanted>
Value filter_choose_by_attribute(Interpreter& interpreter, const Value& self, Arguments& arguments) {
    if (arguments.positional.empty()) throw InvalidInput("selectattr() and rejectattr() need the name of an attribute");
    const AttributePath path(take_first(arguments), interpreter.budget());
    return choose(interpreter, self, path, arguments, wanted);
}

constexpr NamedFunction kFilters[] = {{"map", filter_map},
                                      {"select", filter_choose<true>},
                                      {"reject", filter_choose<false>},
                                      {"selectattr", filter_choose_by_attribute<true>},
                                      {"rejectattr", filter_choose_by_attribute<false>}};

}  // namespace

Function find_selection_filter(std::string_view name) { return find_named(kFilters, name); }

}  // namespace quern::jinja
