// quern tokenize: text to token ids and back.
#include <cstdio>
#include <iostream>
#include <memory>
#include <sstream>

#include <nlohmann/json.hpp>

#include "base/error.h"
#include "base/printable.h"
#include "engine/load_vocabulary.h"
#include "gguf/gguf_file.h"
#include "tools/command_line.h"
#include "tools/run/escapes.h"
#include "tools/text_file.h"

namespace quern {
namespace {

struct TokenizeFlags {
    std::string model, file;
    std::optional<std::string> prompt;
    bool from_stdin = false, ids = false, no_bos = false, no_escape = false, no_parse_special = false, show_count = false;
    bool jsonl = false, detokenize = false;
};

std::string read_all(std::istream& in) {
    std::ostringstream text;
    text << in.rdbuf();
    return std::move(text).str();
}

std::string read_text(const TokenizeFlags& flags) {
    if (flags.from_stdin) return read_all(std::cin);
    if (flags.prompt) return flags.no_escape ? *flags.prompt : unescape(*flags.prompt);
    if (flags.file.empty()) throw InvalidInput("there is no text: give -p, -f or --stdin");
    return read_whole_file(flags.file);
}

std::string ids_line(std::span<const TokenId> tokens) {
    std::string line = "[";
    for (const TokenId token : tokens) line += concat(line.size() > 1 ? ", " : "", token.value);
    return line + "]";
}

[[noreturn]] void refuse_line(int64_t number, const char* expected) {
    throw InvalidInput(concat("line ", number, " of standard input is not ", expected));
}

std::vector<TokenId> read_ids(const nlohmann::json& json, int64_t line, int64_t n_vocab) {
    if (!json.is_array()) refuse_line(line, "an array of token ids");
    std::vector<TokenId> tokens;
    for (const auto& id : json) {
        if (!id.is_number_integer() || id < 0 || id >= n_vocab) refuse_line(line, "an array of ids within the vocabulary");
        tokens.push_back({id.get<int32_t>()});
    }
    return tokens;
}

// One JSON value a line on stdin, one a line on stdout.
void convert_lines(const Tokenizer& tokenizer, const TokenizeFlags& flags, TokenizeOptions options) {
    int64_t number = 0;
    for (std::string line; std::getline(std::cin, line);) {
        const auto json = nlohmann::json::parse(line, nullptr, false);
        ++number;
        if (flags.detokenize) {
            const std::string text = tokenizer.detokenize(read_ids(json, number, tokenizer.n_vocab()));
            std::printf("%s\n", nlohmann::json(text).dump(-1, ' ', true, nlohmann::json::error_handler_t::replace).c_str());
        } else {
            if (!json.is_string()) refuse_line(number, "a JSON string");
            std::printf("%s\n", ids_line(tokenizer.tokenize(json.get<std::string>(), options)).c_str());
        }
    }
}

void print_tokens(const Tokenizer& tokenizer, std::span<const TokenId> tokens, const TokenizeFlags& flags) {
    if (flags.ids) {
        std::printf("%s\n", ids_line(tokens).c_str());
    } else {
        for (const TokenId token : tokens)
            std::printf("%6d -> %s\n", token.value, quern::quoted(tokenizer.token_bytes(token, true)).c_str());
    }
    if (flags.show_count) std::printf("Total number of tokens: %zu\n", tokens.size());
}

int tokenize(const TokenizeFlags& flags) {
    if (flags.detokenize && !flags.jsonl) throw InvalidInput("--detokenize goes with --jsonl");
    const auto file = GgufFile::open(flags.model);
    const auto tokenizer = make_tokenizer(*file, load_vocabulary(*file));
    const TokenizeOptions options{.add_special = !flags.no_bos, .parse_special = !flags.no_parse_special};
    if (flags.jsonl)
        convert_lines(*tokenizer, flags, options);
    else
        print_tokens(*tokenizer, tokenizer->tokenize(read_text(flags), options), flags);
    if (std::fflush(stdout) != 0) throw DeviceError("cannot write the tokens to standard output");
    return 0;
}

Command setup(CLI::App& app) {
    const auto flags = std::make_shared<TokenizeFlags>();
    app.add_option("-m,--model", flags->model, "GGUF file with the vocabulary")->required();
    app.add_option("-p,--prompt", flags->prompt, "the text");
    app.add_option("-f,--file", flags->file, "a file with the text");
    app.add_flag("--stdin", flags->from_stdin, "read the text from standard input");
    app.add_flag("--ids", flags->ids, "print only the ids, as [1, 2, 3]");
    app.add_flag("--no-bos", flags->no_bos, "add no special tokens");
    app.add_flag("--no-escape", flags->no_escape, "leave \\n and the like in -p as they are");
    app.add_flag("--no-parse-special", flags->no_parse_special, "control tokens written in the text stay text");
    app.add_flag("--show-count", flags->show_count, "print the number of tokens");
    app.add_flag("--jsonl", flags->jsonl, "read a JSON string on each line of standard input, write an array of ids for each");
    app.add_flag("--detokenize", flags->detokenize, "with --jsonl: from arrays of ids to strings");
    return [flags] { return tokenize(*flags); };
}

}  // namespace

const Subcommand tokenize_command = {"tokenize", "turns text into token ids", &setup};

}  // namespace quern
