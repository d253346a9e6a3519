// Statements: text, {{ }} and {% %}. Grammar: Jinja 3.1 with the loop controls and `generation` blocks of transformers.
#include "text/chat/jinja/parser.h"

#include <algorithm>
#include <initializer_list>

#include "base/error.h"
#include "text/chat/jinja/expression_parser.h"

namespace quern::jinja {

namespace {

class Parser : public ExpressionParser {
  public:
    explicit Parser(std::vector<Token> tokens) : ExpressionParser(std::move(tokens)) {}

    Program run() {
        program_.body = parse_body({});
        return std::move(program_);
    }

  private:
    using Names = std::initializer_list<std::string_view>;

    static Stmt statement(StmtKind kind, Position at) {
        Stmt made;
        made.kind = kind;
        made.at = at;
        return made;
    }

    void end_tag() {
        if (peek().kind != TokenKind::block_end) fail_unexpected("the end of the tag");
        take();
    }

    /// Statements up to a tag named in `ends`, whose name is the next token afterwards. Without `ends`: to the end.
    Body parse_body(Names ends) {
        const Nesting nesting(*this);
        Body body;
        while (true) {
            const Token& token = peek();
            if (token.kind == TokenKind::end) {
                if (ends.size() > 0) fail_unexpected(concat("{% ", *(ends.end() - 1), " %}"));
                return body;
            }
            if (token.kind == TokenKind::data) {
                Stmt data = statement(StmtKind::data, token.at);
                data.text = std::make_shared<Text>(take().text, Origin::source);
                body.push_back(std::move(data));
            } else if (token.kind == TokenKind::variable_begin) {
                body.push_back(parse_output());
            } else {
                take();
                if (peek().kind == TokenKind::name && std::find(ends.begin(), ends.end(), peek().text) != ends.end()) return body;
                parse_statement(body);
                end_tag();
            }
        }
    }

    /// The body of a block whose opening tag ends here; the closing tag's name is taken.
    Body parse_block(std::string_view end) {
        skip_symbol(":");
        end_tag();
        Body body = parse_body({end});
        take();
        return body;
    }

    Stmt parse_output() {
        Stmt output = statement(StmtKind::output, take().at);
        output.exprs.push_back(parse_tuple());
        if (peek().kind != TokenKind::variable_end) fail_unexpected("'}}'");
        take();
        return output;
    }

    void parse_statement(Body& body) {
        const Position at = peek().at;
        const std::string tag = expect_name();
        if (tag == "if") return body.push_back(parse_if(at));
        if (tag == "for") return body.push_back(parse_for(at));
        if (tag == "set") return body.push_back(parse_set(at));
        if (tag == "macro") return body.push_back(parse_macro(at));
        if (tag == "call") return body.push_back(parse_call(at));
        if (tag == "filter") return body.push_back(parse_filter(at));
        if (tag == "with") return body.push_back(parse_with(at));
        if (tag == "print") return parse_print(at, body);
        if (tag == "generation") {
            Stmt scope = statement(StmtKind::scope, at);
            scope.bodies.push_back(parse_block("endgeneration"));
            return body.push_back(std::move(scope));
        }
        if (tag == "break" || tag == "continue") {
            if (loop_depth_ == 0) fail_at(at, concat("'", tag, "' outside a loop"));
            return body.push_back(statement(tag == "break" ? StmtKind::break_loop : StmtKind::continue_loop, at));
        }
        fail_at(at, concat("no tag named '", tag, "' is expected here"));
    }

    Stmt parse_if(Position at) {
        Stmt branch = statement(StmtKind::branch, at);
        ++conditional_depth_;
        while (true) {
            branch.exprs.push_back(parse_tuple(false));
            skip_symbol(":");
            end_tag();
            branch.bodies.push_back(parse_body({"elif", "else", "endif"}));
            if (skip_name("elif")) continue;
            if (take().text == "else") branch.bodies.push_back(parse_block("endif"));
            break;
        }
        --conditional_depth_;
        return branch;
    }

    Stmt parse_for(Position at) {
        Stmt loop = statement(StmtKind::loop, at);
        loop.target = parse_target(false);
        if (!skip_name("in")) fail_unexpected("'in'");
        loop.exprs.push_back(parse_tuple(false));
        loop.exprs.push_back(skip_name("if") ? parse_expression() : nullptr);
        if (peek().is_name("recursive")) fail_at(peek().at, "recursive loops are not supported");
        skip_symbol(":");
        end_tag();
        ++loop_depth_;
        loop.bodies.push_back(parse_body({"else", "endfor"}));
        --loop_depth_;
        if (take().text == "else") loop.bodies.push_back(parse_block("endfor"));
        return loop;
    }

    Stmt parse_set(Position at) {
        ExprPtr target = parse_target(true);
        if (skip_symbol("=")) {
            Stmt set = statement(StmtKind::set, at);
            set.target = std::move(target);
            set.exprs.push_back(parse_tuple());
            return set;
        }
        Stmt block = statement(StmtKind::set_block, at);
        block.target = std::move(target);
        block.exprs.push_back(parse_filters(nullptr));
        block.bodies.push_back(parse_block("endset"));
        return block;
    }

    void parse_signature(Signature& signature) {
        expect_symbol("(");
        while (!peek().is_symbol(")")) {
            if (!signature.parameters.empty()) expect_symbol(",");
            const Position at = peek().at;
            const std::string name = expect_name();
            signature.parameters.push_back(intern(name));
            signature.parameter_names.push_back(name);
            if (skip_symbol("=")) {
                signature.defaults.push_back(parse_expression());
            } else if (!signature.defaults.empty()) {
                fail_at(at, "a parameter without a default follows one with a default");
            }
        }
        expect_symbol(")");
    }

    /// The body of a macro or call block; notes which of the implicit variables it reads.
    Body parse_macro_body(Signature& signature, std::string_view end) {
        const bool outer[] = {uses_caller_, uses_varargs_, uses_kwargs_};
        const int outer_loops = std::exchange(loop_depth_, 0);
        uses_caller_ = uses_varargs_ = uses_kwargs_ = false;
        Body body = parse_block(end);
        signature.uses_caller = uses_caller_;
        signature.uses_varargs = uses_varargs_;
        signature.uses_kwargs = uses_kwargs_;
        uses_caller_ |= outer[0];
        uses_varargs_ |= outer[1];
        uses_kwargs_ |= outer[2];
        loop_depth_ = outer_loops;
        return body;
    }

    Stmt parse_macro(Position at) {
        Stmt macro = statement(StmtKind::macro, at);
        macro.signature = std::make_unique<Signature>();
        const std::string name = expect_name();
        macro.signature->name = std::make_shared<Text>(name, Origin::source);
        macro.signature->id = intern(name);
        parse_signature(*macro.signature);
        macro.bodies.push_back(parse_macro_body(*macro.signature, "endmacro"));
        return macro;
    }

    Stmt parse_call(Position at) {
        Stmt block = statement(StmtKind::call_block, at);
        block.signature = std::make_unique<Signature>();
        block.signature->name = std::make_shared<Text>("caller", Origin::source);
        block.signature->id = kCallerName;
        if (peek().is_symbol("(")) parse_signature(*block.signature);
        block.exprs.push_back(parse_expression());
        if (block.exprs[0]->kind != ExprKind::call) fail_at(at, "a call block needs a call");
        block.bodies.push_back(parse_macro_body(*block.signature, "endcall"));
        return block;
    }

    Stmt parse_filter(Position at) {
        Stmt block = statement(StmtKind::filter_block, at);
        block.exprs.push_back(parse_filters(parse_one_filter(nullptr)));
        block.bodies.push_back(parse_block("endfilter"));
        return block;
    }

    Stmt parse_with(Position at) {
        Stmt with = statement(StmtKind::with, at);
        with.target = make(ExprKind::tuple, at);
        while (peek().kind != TokenKind::block_end) {
            if (!with.exprs.empty()) expect_symbol(",");
            ExprPtr target = make(ExprKind::name, peek().at);
            target->id = intern(expect_name());
            adopt(*with.target, std::move(target));
            expect_symbol("=");
            with.exprs.push_back(parse_expression());
        }
        with.bodies.push_back(parse_block("endwith"));
        return with;
    }

    void parse_print(Position at, Body& body) {
        do {
            Stmt output = statement(StmtKind::output, at);
            output.exprs.push_back(parse_expression());
            body.push_back(std::move(output));
        } while (skip_symbol(","));
    }

    int loop_depth_ = 0;
};

}  // namespace

Program parse(std::string_view source) { return Parser(tokenize(source)).run(); }

}  // namespace quern::jinja
