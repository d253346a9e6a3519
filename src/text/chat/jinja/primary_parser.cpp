// The innermost expressions: names, literals, brackets, tuples; and the targets of assignments.
#include "base/error.h"
#include "text/chat/jinja/expression_parser.h"

namespace quern::jinja {

ExprPtr ExpressionParser::parse_primary() {
    const Token& token = peek();
    switch (token.kind) {
        case TokenKind::name:
            return parse_name();
        case TokenKind::string: {
            ExprPtr node = make(ExprKind::constant, token.at);
            std::string joined = take().text;
            while (peek().kind == TokenKind::string) joined += take().text;
            node->constant = TextPtr(std::make_shared<Text>(std::move(joined), Origin::source));
            return node;
        }
        case TokenKind::integer: {
            ExprPtr node = make(ExprKind::constant, token.at);
            node->constant = take().integer;
            return node;
        }
        case TokenKind::real: {
            ExprPtr node = make(ExprKind::constant, token.at);
            node->constant = take().real;
            return node;
        }
        default:
            break;
    }
    if (token.is_symbol("[")) return parse_list();
    if (token.is_symbol("{")) return parse_dict();
    if (!token.is_symbol("(")) fail_unexpected("an expression");
    const Position at = take().at;
    ExprPtr node = peek().is_symbol(")") ? make(ExprKind::tuple, at) : parse_tuple();
    expect_symbol(")");
    return node;
}

ExprPtr ExpressionParser::parse_name() {
    const Position at = peek().at;
    const std::string name = take().text;
    if (name == "true" || name == "True" || name == "false" || name == "False") {
        ExprPtr node = make(ExprKind::constant, at);
        node->constant = name[0] == 't' || name[0] == 'T';
        return node;
    }
    if (name == "none" || name == "None") {
        ExprPtr node = make(ExprKind::constant, at);
        node->constant = nullptr;
        return node;
    }
    ExprPtr node = make(ExprKind::name, at);
    node->id = intern(name);
    node->name = std::make_shared<Text>(name, Origin::source);
    uses_caller_ = uses_caller_ || node->id == kCallerName;
    uses_varargs_ = uses_varargs_ || node->id == kVarargsName;
    uses_kwargs_ = uses_kwargs_ || node->id == kKwargsName;
    return node;
}

ExprPtr ExpressionParser::parse_list() {
    ExprPtr node = make(ExprKind::list, peek().at);
    expect_symbol("[");
    while (!peek().is_symbol("]")) {
        if (!node->parts.empty()) expect_symbol(",");
        if (peek().is_symbol("]")) break;
        adopt(*node, parse_expression());
    }
    expect_symbol("]");
    return node;
}

ExprPtr ExpressionParser::parse_dict() {
    ExprPtr node = make(ExprKind::dict, peek().at);
    expect_symbol("{");
    while (!peek().is_symbol("}")) {
        if (!node->parts.empty()) expect_symbol(",");
        if (peek().is_symbol("}")) break;
        adopt(*node, parse_expression());
        expect_symbol(":");
        adopt(*node, parse_expression());
    }
    expect_symbol("}");
    return node;
}

bool ExpressionParser::at_tuple_end() const {
    const Token& token = peek();
    return token.kind == TokenKind::variable_end || token.kind == TokenKind::block_end || token.is_symbol(")") || token.is_symbol("]") ||
           token.is_name("recursive");
}

ExprPtr ExpressionParser::parse_tuple(bool with_conditional) {
    const Nesting nesting(*this);
    const auto parse_one = [&] { return with_conditional ? parse_expression() : parse_or(); };
    ExprPtr first = parse_one();
    if (!peek().is_symbol(",")) return first;
    ExprPtr node = make(ExprKind::tuple, first->at);
    adopt(*node, std::move(first));
    while (skip_symbol(",") && !at_tuple_end()) adopt(*node, parse_one());
    return node;
}

ExprPtr ExpressionParser::parse_target_item(bool with_namespace) {
    const Nesting nesting(*this);
    const Position at = peek().at;
    if (skip_symbol("(")) {
        ExprPtr node = parse_target(with_namespace);
        expect_symbol(")");
        return node;
    }
    if (peek().kind != TokenKind::name) fail_unexpected("a name to assign to");
    ExprPtr node = parse_name();
    if (node->kind != ExprKind::name) fail_at(at, "a constant cannot be assigned to");
    if (!with_namespace || !skip_symbol(".")) return node;
    ExprPtr field = make(ExprKind::attribute, at);
    field->name = std::make_shared<Text>(expect_name(), Origin::source);
    adopt(*field, std::move(node));
    return field;
}

ExprPtr ExpressionParser::parse_target(bool with_namespace) {
    ExprPtr first = parse_target_item(with_namespace);
    if (!peek().is_symbol(",")) return first;
    ExprPtr node = make(ExprKind::tuple, first->at);
    adopt(*node, std::move(first));
    while (skip_symbol(",")) {
        if (peek().is_name("in") || peek().is_symbol("=") || peek().is_symbol(")") || peek().kind == TokenKind::block_end) break;
        adopt(*node, parse_target_item(with_namespace));
    }
    return node;
}

}  // namespace quern::jinja
