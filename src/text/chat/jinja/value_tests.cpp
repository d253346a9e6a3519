// The tests: what may stand behind `is`.
#include "base/error.h"
#include "text/chat/jinja/filter_table.h"
#include "text/chat/jinja/interpreter.h"
#include "text/chat/jinja/operators.h"
#include "text/chat/jinja/print.h"

namespace quern::jinja {

namespace {

const Value& argument_of(const Arguments& arguments) {
    if (arguments.positional.size() != 1 || !arguments.named.empty()) throw InvalidInput("this test takes one argument");
    return arguments.positional[0];
}

void refuse_arguments(const Arguments& arguments) {
    if (!arguments.positional.empty() || !arguments.named.empty()) throw InvalidInput("this test takes no argument");
}

template <Kind kind>
Value test_kind(Interpreter&, const Value& self, Arguments& arguments) {
    refuse_arguments(arguments);
    return self.is(kind);
}

Value test_defined(Interpreter&, const Value& self, Arguments& arguments) {
    refuse_arguments(arguments);
    return !self.is(Kind::undefined);
}

template <bool wanted>
Value test_truth(Interpreter&, const Value& self, Arguments& arguments) {
    refuse_arguments(arguments);
    return self.is(Kind::boolean) && self.boolean() == wanted;
}

Value test_number(Interpreter&, const Value& self, Arguments& arguments) {
    refuse_arguments(arguments);
    return self.is_number();
}

Value test_sequence(Interpreter&, const Value& self, Arguments& arguments) {
    refuse_arguments(arguments);
    if (self.is(Kind::sequence)) return self.sequence()->flavor <= Flavor::range;
    return self.is(Kind::text) || self.is(Kind::dict) || self.is(Kind::undefined);
}

Value test_iterable(Interpreter&, const Value& self, Arguments& arguments) {
    refuse_arguments(arguments);
    const bool is_loop = self.is(Kind::object) && dynamic_cast<const LoopState*>(self.object().get());
    return is_loop || self.is(Kind::sequence) || self.is(Kind::text) || self.is(Kind::dict) || self.is(Kind::undefined);
}

Value test_callable(Interpreter&, const Value& self, Arguments& arguments) {
    refuse_arguments(arguments);
    return self.is(Kind::undefined) || (self.is(Kind::object) && dynamic_cast<const Callable*>(self.object().get()));
}

Value is_remainder(const Value& self, const Value& divisor, int64_t wanted, Budget& budget) {
    return equal(arithmetic(Op::modulo, self, divisor, budget), Value(wanted), budget);
}

template <int wanted>
Value test_parity(Interpreter& interpreter, const Value& self, Arguments& arguments) {
    refuse_arguments(arguments);
    return is_remainder(self, Value(int64_t{2}), wanted, interpreter.budget());
}

Value test_divisible(Interpreter& interpreter, const Value& self, Arguments& arguments) {
    return is_remainder(self, argument_of(arguments), 0, interpreter.budget());
}

template <bool wanted>
Value test_equal(Interpreter& interpreter, const Value& self, Arguments& arguments) {
    return equal(self, argument_of(arguments), interpreter.budget()) == wanted;
}

/// Passes when the order is one of the two given (-1 less, 0 equal, 1 greater).
template <int first, int second>
Value test_order(Interpreter& interpreter, const Value& self, Arguments& arguments) {
    const int order = compare(self, argument_of(arguments), interpreter.budget());
    return order == first || order == second;
}

Value test_in(Interpreter& interpreter, const Value& self, Arguments& arguments) {
    return contains(argument_of(arguments), self, interpreter.budget());
}

Value test_same(Interpreter& interpreter, const Value& self, Arguments& arguments) {
    const Value& other = argument_of(arguments);
    if (self.kind() != other.kind()) return false;
    if (self.is(Kind::sequence)) return self.sequence() == other.sequence();
    if (self.is(Kind::dict)) return self.dict() == other.dict();
    return equal(self, other, interpreter.budget());
}

template <bool upper>
Value test_case(Interpreter& interpreter, const Value& self, Arguments& arguments) {
    refuse_arguments(arguments);
    return find_text_method(upper ? "isupper" : "islower")(interpreter, to_text(self, interpreter.budget()), arguments);
}

Value test_escaped(Interpreter&, const Value& self, Arguments& arguments) {
    refuse_arguments(arguments);
    return self.is(Kind::text) && self.text()->is_markup();
}

Value test_filter(Interpreter&, const Value& self, Arguments& arguments) {
    refuse_arguments(arguments);
    return self.is(Kind::text) && find_filter(self.bytes()) != nullptr;
}

Value test_test(Interpreter&, const Value& self, Arguments& arguments) {
    refuse_arguments(arguments);
    return self.is(Kind::text) && find_test(self.bytes()) != nullptr;
}

constexpr NamedFunction kTests[] = {{"defined", test_defined},
                                    {"undefined", test_kind<Kind::undefined>},
                                    {"none", test_kind<Kind::none>},
                                    {"string", test_kind<Kind::text>},
                                    {"mapping", test_kind<Kind::dict>},
                                    {"boolean", test_kind<Kind::boolean>},
                                    {"integer", test_kind<Kind::integer>},
                                    {"float", test_kind<Kind::real>},
                                    {"true", test_truth<true>},
                                    {"false", test_truth<false>},
                                    {"number", test_number},
                                    {"sequence", test_sequence},
                                    {"iterable", test_iterable},
                                    {"callable", test_callable},
                                    {"odd", test_parity<1>},
                                    {"even", test_parity<0>},
                                    {"divisibleby", test_divisible},
                                    {"eq", test_equal<true>},
                                    {"equalto", test_equal<true>},
                                    {"==", test_equal<true>},
                                    {"ne", test_equal<false>},
                                    {"!=", test_equal<false>},
                                    {"lt", test_order<-1, -1>},
                                    {"lessthan", test_order<-1, -1>},
                                    {"<", test_order<-1, -1>},
                                    {"le", test_order<-1, 0>},
                                    {"<=", test_order<-1, 0>},
                                    {"gt", test_order<1, 1>},
                                    {"greaterthan", test_order<1, 1>},
                                    {">", test_order<1, 1>},
                                    {"ge", test_order<1, 0>},
                                    {">=", test_order<1, 0>},
                                    {"in", test_in},
                                    {"sameas", test_same},
                                    {"upper", test_case<true>},
                                    {"lower", test_case<false>},
                                    {"escaped", test_escaped},
                                    {"filter", test_filter},
                                    {"test", test_test}};

}  // namespace

Function find_test(std::string_view name) { return find_named(kTests, name); }

}  // namespace quern::jinja
