// quern embed: vectors of texts.
#include <cstdio>
#include <map>
#include <memory>

#include "base/error.h"
#include "base/printable.h"
#include "engine/engine.h"
#include "tools/command_line.h"
#include "tools/embed/vectors.h"
#include "tools/engine_flags.h"
#include "tools/environment.h"
#include "tools/run/escapes.h"
#include "tools/text_file.h"

namespace quern {
namespace {

struct EmbedFlags {
    EngineOptions engine;
    std::vector<std::string> prompts;
    std::string file, separator = "\n", pair_separator = "\t", pooling, format;
    int norm = 2;
    bool normalize = false, json = false, escape = false;
};

struct NamedText {
    std::string name;  // for messages
    std::string text;
};

void append_parts(const std::string& name, std::string_view text, std::string_view separator, std::vector<NamedText>& out) {
    const bool is_one = separator.empty() || text.find(separator) == std::string_view::npos;
    for (int number = 1;; ++number) {
        const size_t end = separator.empty() ? std::string_view::npos : text.find(separator);
        std::string part(text.substr(0, end));
        if (separator == "\n" && part.ends_with('\r')) part.pop_back();
        out.push_back({is_one ? name : concat(separator == "\n" ? "line " : "part ", number, " of ", name), std::move(part)});
        if (end == std::string_view::npos) return;
        text.remove_prefix(end + separator.size());
    }
}

std::vector<NamedText> read_texts(const EmbedFlags& flags) {
    const std::string separator = unescape(flags.separator);
    std::vector<NamedText> texts;
    for (const std::string& prompt : flags.prompts)
        append_parts("the text of -p", flags.escape ? unescape(prompt) : prompt, separator, texts);
    if (!flags.file.empty()) append_parts(flags.file, read_text_file(flags.file), separator, texts);
    if (texts.empty()) throw InvalidInput("there is no text: give -p or -f", "prompt");
    for (const NamedText& each : texts)
        if (each.text.empty()) throw InvalidInput(concat(each.name, " is empty: an empty text has no vector"), "prompt");
    return texts;
}

std::optional<Pooling> read_pooling(const std::string& name) {
    static const std::map<std::string, Pooling> known = {
        {"none", Pooling::none}, {"mean", Pooling::mean}, {"cls", Pooling::cls}, {"last", Pooling::last}, {"rank", Pooling::rank}};
    return name.empty() ? std::nullopt : std::optional(known.at(name));
}

VectorFormat read_format(const EmbedFlags& flags) {
    if (flags.format == "array") return VectorFormat::array;
    if (flags.format == "json+") return VectorFormat::json_with_cosine;
    return flags.json || flags.format == "json" ? VectorFormat::json : VectorFormat::text;
}

TextVectors embed_text(Engine& engine, const NamedText& text, const EmbedFlags& flags) {
    const std::vector<TokenId> tokens = engine.tokenizer().tokenize(text.text, {.add_special = true});
    std::vector<float> values;
    try {
        values = engine.embed(tokens);
    } catch (const ContextOverflow& error) {
        throw ContextOverflow(concat(text.name, ": ", error.what()), "prompt");
    }
    TextVectors out{.rows = {}, .by_token = engine.info().pooling == Pooling::none};
    const auto n_embd = static_cast<std::ptrdiff_t>(engine.info().n_embd);
    for (auto at = values.begin(); at != values.end(); at += n_embd) {
        out.rows.emplace_back(at, at + n_embd);
        normalize(out.rows.back(), flags.norm);
    }
    return out;
}

/// A query and a document with a separator between them.
PairScores score_pair(Engine& engine, const NamedText& text, const EmbedFlags& flags) {
    const std::string separator = unescape(flags.pair_separator);
    const size_t at = separator.empty() ? std::string::npos : text.text.find(separator);
    if (at == std::string::npos)
        throw InvalidInput(concat(text.name, ": this model scores pairs of texts: a query and a document with ",
                                  quoted(flags.pair_separator), " between them (--cls-separator)"),
                           "prompt");
    const auto pair = engine.tokenizer().tokenize_pair(text.text.substr(0, at), text.text.substr(at + separator.size()));
    try {
        return {.scores = engine.score(pair), .labels = engine.info().label_names};
    } catch (const ContextOverflow& error) {
        throw ContextOverflow(concat(text.name, ": ", error.what()), "prompt");
    }
}

void print(const std::string& text) {
    std::fputs(text.c_str(), stdout);
    if (std::fflush(stdout) != 0) throw DeviceError("cannot write the vectors to standard output");
}

int embed(EmbedFlags& flags) {
    flags.engine.isa = isa_from_environment();
    flags.engine.embeddings = true;
    flags.engine.pooling = read_pooling(flags.pooling);
    if (flags.normalize) flags.norm = 2;
    const std::vector<NamedText> texts = read_texts(flags);
    const std::unique_ptr<Engine> engine = Engine::load(flags.engine);
    if (engine->info().pooling == Pooling::rank) {
        std::vector<PairScores> scores;
        for (const NamedText& text : texts) scores.push_back(score_pair(*engine, text, flags));
        print(format_scores(scores, read_format(flags)));
        return 0;
    }
    std::vector<TextVectors> vectors;
    for (const NamedText& text : texts) vectors.push_back(embed_text(*engine, text, flags));
    print(format_vectors(vectors, read_format(flags)));
    return 0;
}

Command setup(CLI::App& app) {
    const auto flags = std::make_shared<EmbedFlags>();
    flags->engine.cache_type_k = flags->engine.cache_type_v = KvType::f32;  // nothing is kept: they can be exact
    declare_engine_flags(app, flags->engine);
    app.add_option("-p,--prompt", flags->prompts, "a text; may be given more than once")
        ->multi_option_policy(CLI::MultiOptionPolicy::TakeAll)
        ->expected(1)
        ->type_name("TEXT");
    app.add_option("-f,--file", flags->file, "a file with a text on each line")->type_name("FILE");
    app.add_flag("-e,--escape", flags->escape, "read \\n and the like in -p");
    app.add_option("--embd-separator", flags->separator, "what separates texts in -p and -f; \"\": nothing")
        ->default_str("\\n")
        ->type_name("TEXT");
    app.add_option("--pooling", flags->pooling,
                   "how a text's vector is made of its tokens': none, mean, cls, last (default: the model's own, or last); rank: "
                   "scores of pairs, by a cross-encoder")
        ->check(CLI::IsMember({"none", "mean", "cls", "last", "rank"}))
        ->type_name("HOW");
    app.add_option("--cls-separator", flags->pair_separator, "what separates a query from its document")
        ->default_str("\\t")
        ->type_name("TEXT");
    app.add_option("--embd-normalize", flags->norm, "-1: none, 0: largest value 32760, 1: taxicab, 2: Euclidean, above: p-norm")
        ->check(CLI::Range(-1, 1000))
        ->capture_default_str()
        ->type_name("N");
    app.add_flag("--normalize", flags->normalize, "vectors of length 1: --embd-normalize 2");
    app.add_option("--embd-output-format", flags->format,
                   "array, json (as /v1/embeddings answers), json+ (with similarities), or \"\" for text")
        ->check(CLI::IsMember({"", "array", "json", "json+"}))
        ->type_name("FORMAT");
    app.add_flag("--json", flags->json, "--embd-output-format json");
    declare_log_flags(app);
    return [flags] { return embed(*flags); };
}

}  // namespace

const Subcommand embed_command = {"embed", "Make vectors of texts", &setup};

}  // namespace quern
