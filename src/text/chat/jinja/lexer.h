// Splits Jinja source into tokens. Rules: Jinja 3.1 with trim_blocks and lstrip_blocks.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

namespace quern::jinja {

/// Where something stands in the source, from 1.
struct Position {
    uint32_t line = 1;
    uint32_t column = 1;
};

enum class TokenKind : uint8_t { data, variable_begin, variable_end, block_begin, block_end, name, string, integer, real, symbol, end };

struct Token {
    TokenKind kind = TokenKind::end;
    Position at;
    std::string text;  ///< of data, name, string (unescaped) and symbol
    int64_t integer = 0;
    double real = 0;

    bool is_symbol(std::string_view symbol) const { return kind == TokenKind::symbol && text == symbol; }
    bool is_name(std::string_view name) const { return kind == TokenKind::name && text == name; }
};

/// The tokens of a source, closed by one of kind `end`.
/// @throws ModelError  with line and column
std::vector<Token> tokenize(std::string_view source);

/// Throws the ModelError that every fault in a template's source becomes.
[[noreturn]] void fail_at(Position at, const std::string& message);

}  // namespace quern::jinja
