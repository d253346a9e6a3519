// The expression half of the parser; the statement half derives from it.
#pragma once

#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "text/chat/jinja/ast.h"

namespace quern::jinja {

/// Reads expressions from a token list. Each level of precedence is one function, named after what it binds.
class ExpressionParser {
  protected:
    static constexpr int kMaxNesting = 150;    ///< brackets and blocks in each other
    static constexpr int kMaxTreeDepth = 400;  ///< chains such as a + b + c count too

    explicit ExpressionParser(std::vector<Token> tokens);

    // ---- tokens
    const Token& peek(size_t ahead = 0) const { return tokens_[at_ + ahead < tokens_.size() ? at_ + ahead : tokens_.size() - 1]; }
    Token take();
    bool skip_symbol(std::string_view symbol);
    bool skip_name(std::string_view name);
    void expect_symbol(std::string_view symbol);
    std::string expect_name();
    [[noreturn]] void fail_unexpected(std::string_view wanted) const;

    // ---- expressions
    ExprPtr parse_expression();
    /// One expression, or a tuple where commas follow.
    ExprPtr parse_tuple(bool with_conditional = true);
    ExprPtr parse_primary();
    /// `| name(...) | name(...)` behind `subject`, which may be null.
    ExprPtr parse_filters(ExprPtr subject);
    ExprPtr parse_one_filter(ExprPtr subject);
    /// A name, `ns.name` where `with_namespace`, or a tuple of them.
    ExprPtr parse_target(bool with_namespace);

    ExprPtr make(ExprKind kind, Position at) const;
    /// Makes `child` a part of `parent`; refuses trees that are too deep.
    void adopt(Expr& parent, ExprPtr child) const;
    NameId intern(const std::string& name);

    /// One level of nesting for as long as it lives.
    class Nesting {
      public:
        explicit Nesting(ExpressionParser& parser);
        ~Nesting() { --parser_.nesting_; }
        Nesting(const Nesting&) = delete;
        Nesting& operator=(const Nesting&) = delete;

      private:
        ExpressionParser& parser_;
    };

    Program program_;
    bool uses_caller_ = false, uses_varargs_ = false, uses_kwargs_ = false;
    int conditional_depth_ = 0;  ///< inside a branch an unknown filter fails only when it runs, as in Jinja

  private:
    ExprPtr parse_or();
    ExprPtr parse_and();
    ExprPtr parse_not();
    ExprPtr parse_compare();
    ExprPtr parse_sum();
    ExprPtr parse_concat();
    ExprPtr parse_product();
    ExprPtr parse_power();
    ExprPtr parse_unary(bool with_filters);
    ExprPtr parse_postfix(ExprPtr node);
    ExprPtr parse_filters_and_tests(ExprPtr node);
    ExprPtr parse_test(ExprPtr subject);
    ExprPtr parse_subscript(ExprPtr object);
    ExprPtr parse_name();
    ExprPtr parse_list();
    ExprPtr parse_dict();
    ExprPtr parse_target_item(bool with_namespace);
    void parse_arguments(Expr& call);
    bool at_tuple_end() const;
    bool at_test_argument() const;
    ExprPtr binary(ExprKind kind, Position at, ExprPtr left, ExprPtr right) const;

    std::vector<Token> tokens_;
    size_t at_ = 0;
    int nesting_ = 0;
};

}  // namespace quern::jinja
