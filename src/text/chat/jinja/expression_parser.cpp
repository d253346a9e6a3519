// Expressions, from the loosest binding (a if b else c) to the tightest (names and literals). Grammar: Jinja 3.1.
#include "text/chat/jinja/expression_parser.h"

#include <algorithm>

#include "base/error.h"
#include "text/chat/jinja/functions.h"

namespace quern::jinja {

ExpressionParser::Nesting::Nesting(ExpressionParser& parser) : parser_(parser) {
    if (parser_.nesting_ >= kMaxNesting) fail_at(parser_.peek().at, "the template nests too deeply");
    ++parser_.nesting_;
}

ExpressionParser::ExpressionParser(std::vector<Token> tokens) : tokens_(std::move(tokens)) {
    for (const char* name : {"loop", "caller", "varargs", "kwargs"}) intern(name);
}

// ---- tokens

Token ExpressionParser::take() {
    Token token = std::move(tokens_[at_]);
    tokens_[at_].kind = token.kind;
    tokens_[at_].at = token.at;
    if (at_ + 1 < tokens_.size()) ++at_;
    return token;
}

bool ExpressionParser::skip_symbol(std::string_view symbol) {
    if (!peek().is_symbol(symbol)) return false;
    take();
    return true;
}

bool ExpressionParser::skip_name(std::string_view name) {
    if (!peek().is_name(name)) return false;
    take();
    return true;
}

void ExpressionParser::expect_symbol(std::string_view symbol) {
    if (!skip_symbol(symbol)) fail_unexpected(concat("'", symbol, "'"));
}

std::string ExpressionParser::expect_name() {
    if (peek().kind != TokenKind::name) fail_unexpected("a name");
    return take().text;
}

void ExpressionParser::fail_unexpected(std::string_view wanted) const {
    const Token& token = peek();
    std::string found;
    switch (token.kind) {
        case TokenKind::end:
            found = "the end of the template";
            break;
        case TokenKind::variable_end:
        case TokenKind::block_end:
            found = "the end of the tag";
            break;
        case TokenKind::string:
            found = "a string";
            break;
        case TokenKind::integer:
        case TokenKind::real:
            found = "a number";
            break;
        default:
            found = concat("'", token.text, "'");
    }
    fail_at(token.at, concat("expected ", wanted, ", found ", found));
}

// ---- tree

ExprPtr ExpressionParser::make(ExprKind kind, Position at) const {
    auto node = std::make_unique<Expr>();
    node->kind = kind;
    node->at = at;
    return node;
}

void ExpressionParser::adopt(Expr& parent, ExprPtr child) const {
    if (child) {
        parent.depth = std::max(parent.depth, child->depth + 1);
        if (parent.depth > kMaxTreeDepth) fail_at(child->at, "the expression is too long");
    }
    parent.parts.push_back(std::move(child));
}

NameId ExpressionParser::intern(const std::string& name) {
    const auto [found, is_new] = program_.ids.emplace(name, static_cast<NameId>(program_.names.size()));
    if (is_new) program_.names.push_back(name);
    return found->second;
}

ExprPtr ExpressionParser::binary(ExprKind kind, Position at, ExprPtr left, ExprPtr right) const {
    ExprPtr node = make(kind, at);
    adopt(*node, std::move(left));
    adopt(*node, std::move(right));
    return node;
}

// ---- precedence

ExprPtr ExpressionParser::parse_expression() {
    const Nesting nesting(*this);
    ExprPtr node = parse_or();
    while (peek().is_name("if")) {
        const Position at = take().at;
        ++conditional_depth_;
        ExprPtr conditional = make(ExprKind::conditional, at);
        adopt(*conditional, parse_or());
        adopt(*conditional, std::move(node));
        adopt(*conditional, skip_name("else") ? parse_expression() : nullptr);
        node = std::move(conditional);
        --conditional_depth_;
    }
    return node;
}

ExprPtr ExpressionParser::parse_or() {
    ExprPtr left = parse_and();
    while (peek().is_name("or")) {
        const Position at = take().at;
        left = binary(ExprKind::logical_or, at, std::move(left), parse_and());
    }
    return left;
}

ExprPtr ExpressionParser::parse_and() {
    ExprPtr left = parse_not();
    while (peek().is_name("and")) {
        const Position at = take().at;
        left = binary(ExprKind::logical_and, at, std::move(left), parse_not());
    }
    return left;
}

ExprPtr ExpressionParser::parse_not() {
    if (!peek().is_name("not")) return parse_compare();
    const Nesting nesting(*this);
    ExprPtr node = make(ExprKind::logical_not, take().at);
    adopt(*node, parse_not());
    return node;
}

ExprPtr ExpressionParser::parse_compare() {
    constexpr std::pair<std::string_view, Op> kOps[] = {{"==", Op::eq}, {"!=", Op::ne}, {"<", Op::lt},
                                                        {"<=", Op::le}, {">", Op::gt},  {">=", Op::ge}};
    ExprPtr first = parse_sum();
    ExprPtr node;
    while (true) {
        Op op = Op::in;
        const Token& token = peek();
        const auto* symbol = std::find_if(std::begin(kOps), std::end(kOps), [&](const auto& o) { return token.is_symbol(o.first); });
        if (symbol != std::end(kOps)) {
            op = symbol->second;
        } else if (token.is_name("not") && peek(1).is_name("in")) {
            op = Op::not_in;
            take();
        } else if (!token.is_name("in")) {
            break;
        }
        const Position at = take().at;
        if (!node) {
            node = make(ExprKind::compare, at);
            adopt(*node, std::move(first));
        }
        node->ops.push_back(op);
        adopt(*node, parse_sum());
    }
    return node ? std::move(node) : std::move(first);
}

ExprPtr ExpressionParser::parse_sum() {
    ExprPtr left = parse_concat();
    while (peek().is_symbol("+") || peek().is_symbol("-")) {
        const Op op = peek().is_symbol("+") ? Op::add : Op::subtract;
        const Position at = take().at;
        left = binary(ExprKind::arithmetic, at, std::move(left), parse_concat());
        left->ops.push_back(op);
    }
    return left;
}

ExprPtr ExpressionParser::parse_concat() {
    ExprPtr first = parse_product();
    if (!peek().is_symbol("~")) return first;
    ExprPtr node = make(ExprKind::concat, peek().at);
    adopt(*node, std::move(first));
    while (skip_symbol("~")) adopt(*node, parse_product());
    return node;
}

ExprPtr ExpressionParser::parse_product() {
    constexpr std::pair<std::string_view, Op> kOps[] = {
        {"*", Op::multiply}, {"/", Op::divide}, {"//", Op::floor_divide}, {"%", Op::modulo}};
    ExprPtr left = parse_power();
    while (true) {
        const auto* op = std::find_if(std::begin(kOps), std::end(kOps), [&](const auto& o) { return peek().is_symbol(o.first); });
        if (op == std::end(kOps)) return left;
        const Position at = take().at;
        left = binary(ExprKind::arithmetic, at, std::move(left), parse_power());
        left->ops.push_back(op->second);
    }
}

ExprPtr ExpressionParser::parse_power() {
    ExprPtr left = parse_unary(true);
    while (peek().is_symbol("**")) {
        const Position at = take().at;
        left = binary(ExprKind::arithmetic, at, std::move(left), parse_unary(true));
        left->ops.push_back(Op::power);
    }
    return left;
}

ExprPtr ExpressionParser::parse_unary(bool with_filters) {
    const Nesting nesting(*this);
    ExprPtr node;
    if (peek().is_symbol("-") || peek().is_symbol("+")) {
        const ExprKind kind = peek().is_symbol("-") ? ExprKind::negate : ExprKind::plus;
        node = make(kind, take().at);
        adopt(*node, parse_unary(false));
    } else {
        node = parse_primary();
    }
    node = parse_postfix(std::move(node));
    return with_filters ? parse_filters_and_tests(std::move(node)) : std::move(node);
}

// ---- what follows an operand

ExprPtr ExpressionParser::parse_postfix(ExprPtr node) {
    while (true) {
        if (peek().is_symbol(".") || peek().is_symbol("[")) {
            node = parse_subscript(std::move(node));
        } else if (peek().is_symbol("(")) {
            ExprPtr call = make(ExprKind::call, peek().at);
            adopt(*call, std::move(node));
            parse_arguments(*call);
            node = std::move(call);
        } else {
            return node;
        }
    }
}

ExprPtr ExpressionParser::parse_filters_and_tests(ExprPtr node) {
    while (true) {
        if (peek().is_symbol("|")) {
            node = parse_filters(std::move(node));
        } else if (peek().is_name("is")) {
            node = parse_test(std::move(node));
        } else if (peek().is_symbol("(")) {
            node = parse_postfix(std::move(node));
        } else {
            return node;
        }
    }
}

ExprPtr ExpressionParser::parse_filters(ExprPtr subject) {
    while (skip_symbol("|")) subject = parse_one_filter(std::move(subject));
    return subject;
}

ExprPtr ExpressionParser::parse_one_filter(ExprPtr subject) {
    ExprPtr node = make(ExprKind::filter, peek().at);
    const std::string name = expect_name();
    node->name = std::make_shared<Text>(name, Origin::source);
    node->function = find_filter(name);
    if (!node->function && conditional_depth_ == 0) fail_at(node->at, concat("no filter named '", name, "'"));
    adopt(*node, std::move(subject));
    if (peek().is_symbol("(")) parse_arguments(*node);
    return node;
}

bool ExpressionParser::at_test_argument() const {
    const Token& token = peek();
    switch (token.kind) {
        case TokenKind::name:
            return token.text != "else" && token.text != "or" && token.text != "and";
        case TokenKind::string:
        case TokenKind::integer:
        case TokenKind::real:
            return true;
        case TokenKind::symbol:
            return token.text == "[" || token.text == "{";
        default:
            return false;
    }
}

ExprPtr ExpressionParser::parse_test(ExprPtr subject) {
    const Position at = take().at;
    const bool is_negated = skip_name("not");
    ExprPtr node = make(ExprKind::test, at);
    const std::string name = expect_name();
    node->name = std::make_shared<Text>(name, Origin::source);
    node->function = find_test(name);
    if (!node->function && conditional_depth_ == 0) fail_at(at, concat("no test named '", name, "'"));
    adopt(*node, std::move(subject));
    if (peek().is_symbol("(")) {
        parse_arguments(*node);
    } else if (at_test_argument()) {
        if (peek().is_name("is")) fail_at(peek().at, "tests with 'is' cannot be chained");
        Argument argument;
        argument.value = parse_postfix(parse_primary());
        node->depth = std::max(node->depth, argument.value->depth + 1);
        node->arguments.push_back(std::move(argument));
    }
    if (!is_negated) return node;
    ExprPtr negation = make(ExprKind::logical_not, at);
    adopt(*negation, std::move(node));
    return negation;
}

ExprPtr ExpressionParser::parse_subscript(ExprPtr object) {
    const Position at = peek().at;
    if (skip_symbol(".")) {
        if (peek().kind == TokenKind::integer) {
            ExprPtr index = make(ExprKind::constant, at);
            index->constant = take().integer;
            return binary(ExprKind::subscript, at, std::move(object), std::move(index));
        }
        ExprPtr node = make(ExprKind::attribute, at);
        node->name = std::make_shared<Text>(expect_name(), Origin::source);
        adopt(*node, std::move(object));
        return node;
    }
    expect_symbol("[");
    ExprPtr parts[3];
    int n_colons = 0;
    while (!peek().is_symbol("]")) {
        if (n_colons < 2 && skip_symbol(":")) {
            ++n_colons;
        } else if (!parts[n_colons]) {
            parts[n_colons] = parse_tuple();
        } else {
            fail_unexpected("']'");
        }
    }
    expect_symbol("]");
    if (n_colons == 0) {
        if (!parts[0]) fail_at(at, "a subscript is missing");
        return binary(ExprKind::subscript, at, std::move(object), std::move(parts[0]));
    }
    ExprPtr node = make(ExprKind::slice, at);
    adopt(*node, std::move(object));
    for (ExprPtr& part : parts) adopt(*node, std::move(part));
    return node;
}

void ExpressionParser::parse_arguments(Expr& call) {
    using Style = Argument::Style;
    const Nesting nesting(*this);
    const Position opened = peek().at;
    expect_symbol("(");
    Style last = Style::positional;
    bool has_star = false;
    while (!peek().is_symbol(")")) {
        if (!call.arguments.empty()) {
            expect_symbol(",");
            if (peek().is_symbol(")")) break;
        }
        Argument argument;
        if (skip_symbol("*")) {
            argument.style = Style::star;
        } else if (skip_symbol("**")) {
            argument.style = Style::double_star;
        } else if (peek().kind == TokenKind::name && peek(1).is_symbol("=")) {
            argument.style = Style::named;
            argument.name = take().text;
            take();
        }
        const bool is_late_star = argument.style == Style::star && has_star;
        if (last == Style::double_star || is_late_star || (argument.style == Style::positional && last != Style::positional)) {
            fail_at(opened, "the arguments of this call are in the wrong order");
        }
        has_star = has_star || argument.style == Style::star;
        last = argument.style;
        argument.value = parse_expression();
        call.depth = std::max(call.depth, argument.value->depth + 1);
        if (call.depth > kMaxTreeDepth) fail_at(opened, "the expression is too long");
        call.arguments.push_back(std::move(argument));
    }
    expect_symbol(")");
}

}  // namespace quern::jinja
