#include "server/openai/embeddings.h"

#include <algorithm>
#include <bit>
#include <cmath>
#include <cstring>

#include "server/generation/evaluation_series.h"
#include "server/generation/prompt_reader.h"
#include "server/generation/wording.h"

namespace quern {
namespace {

using enum FieldKind;

constexpr FieldRule embedding_rules[] = {
    {"model", text},       {"input", any},    {"encoding_format", text}, {"dimensions", integer, 1, 1 << 20},
    {"truncate", boolean}, {"user", ignored},
};

constexpr FieldRule native_embedding_rules[] = {
    {"model", text}, {"content", any}, {"input", any}, {"embd_normalize", refused, 0, 0, "[2]"}};

void normalize(std::vector<float>& vector) {
    double sum = 0;
    for (const float value : vector) sum += static_cast<double>(value) * static_cast<double>(value);
    if (sum <= 0) return;
    const double scale = 1 / std::sqrt(sum);
    for (float& value : vector) value = static_cast<float>(static_cast<double>(value) * scale);
}

// Little-endian float32, as the byte order of every machine this runs on.
std::string base64(const std::vector<float>& vector) {
    static_assert(std::endian::native == std::endian::little);
    static constexpr char letters[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    std::string bytes(vector.size() * sizeof(float), '\0');
    std::memcpy(bytes.data(), vector.data(), bytes.size());
    std::string out;
    for (size_t i = 0; i < bytes.size(); i += 3) {
        uint32_t group = 0;
        const size_t n = std::min<size_t>(3, bytes.size() - i);
        for (size_t j = 0; j < 3; ++j) group = group << 8 | (j < n ? static_cast<uint8_t>(bytes[i + j]) : 0u);
        for (size_t j = 0; j < 4; ++j) out += j <= n ? letters[group >> (18 - 6 * j) & 63] : '=';
    }
    return out;
}

std::vector<std::vector<TokenId>> read_inputs(const Json& input, const Engine& engine, bool truncate) {
    if (!input.is_string() && !input.is_array()) refuse_type("input", "a string, or an array of strings or token ids", input);
    if (input.empty()) refuse_value("input", "is empty");
    const bool is_one = input.is_string() || input.front().is_number();
    const Json list = is_one ? Json::array({input}) : input;
    if (list.size() > most_texts) refuse_value("input", concat("has ", list.size(), " texts, and at most ", most_texts, " are possible"));
    std::vector<std::vector<TokenId>> out;
    for (size_t i = 0; i < list.size(); ++i) {
        const std::string param = is_one ? "input" : concat("input[", i, "]");
        if (list[i].empty() || list[i] == "") refuse_value(param, "is empty");
        if (list[i].is_string())
            out.push_back(engine.tokenizer().tokenize(list[i].get_ref<const std::string&>(), {.add_special = true}));
        else if (list[i].is_array())
            out.push_back(read_tokens(list[i], param, engine.info().n_vocab));
        else
            refuse_type(param, "a string or an array of token ids", list[i]);
        if (truncate) cut_to_window(engine, out.back());
    }
    return out;
}

Answer make_embeddings(const ModelRequest& asked) {
    const RequestFields fields(asked.body, {embedding_rules});
    const std::string format = fields.text("encoding_format").value_or("float");
    if (format != "float" && format != "base64") refuse_value("encoding_format", "must be float or base64");
    const Json* input = fields.find("input");
    if (!input) refuse_value("input", "is missing");
    return answer_with_embeddings(
        asked, read_inputs(*input, *asked.model->engine, fields.flag("truncate", false)), fields.integer("dimensions").value_or(0),
        [id = asked.model->id, format](const Embeddings& made) -> Answer {
            Json data = Json::array();
            for (const std::vector<float>& vector : made.vectors)
                data.push_back({{"object", "embedding"},
                                {"index", data.size()},
                                {"embedding", format == "base64" ? Json(base64(vector)) : Json(vector)}});
            return json_response({{"object", "list"},
                                  {"data", std::move(data)},
                                  {"model", id},
                                  {"usage", {{"prompt_tokens", made.n_tokens}, {"total_tokens", made.n_tokens}}}});
        });
}

/// llama.cpp's own form: a list of rows for each text, of which there is one when they are pooled.
Answer make_native_embeddings(const ModelRequest& asked) {
    const RequestFields fields(asked.body, {native_embedding_rules});
    const Json *content = fields.find("content"), *input = content ? content : fields.find("input");
    if (!input) refuse_value("content", "is missing");
    if (content && fields.find("input")) refuse_value("input", "means the same as 'content'; leave one out");
    return answer_with_embeddings(asked, read_inputs(*input, *asked.model->engine, false), 0, [](const Embeddings& made) -> Answer {
        Json list = Json::array();
        for (const std::vector<float>& vector : made.vectors)
            list.push_back({{"index", list.size()}, {"embedding", Json::array({Json(vector)})}});
        return json_response(list);
    });
}

void cut(std::vector<float>& vector, int64_t n_dimensions) {
    if (n_dimensions > static_cast<int64_t>(vector.size()))
        refuse_value("dimensions", concat("must be at most ", vector.size(), ", the length of this model's vectors"));
    if (n_dimensions > 0) vector.resize(static_cast<size_t>(n_dimensions));
    normalize(vector);
}

}  // namespace

std::span<const FieldRule> embedding_field_rules() { return embedding_rules; }
std::span<const FieldRule> native_embedding_field_rules() { return native_embedding_rules; }

void cut_to_window(const Engine& engine, std::vector<TokenId>& tokens) {
    const auto n_ctx = static_cast<size_t>(engine.info().n_ctx);
    if (tokens.size() <= n_ctx) return;
    const TokenId last = tokens.back();
    tokens.resize(n_ctx);
    if (engine.tokenizer().adds_eos()) tokens.back() = last;
}

void require_window(const Engine& engine, size_t n_tokens, const std::string& what, const char* field) {
    if (n_tokens > static_cast<size_t>(engine.info().n_ctx))
        throw ContextOverflow(concat(what, "this model's maximum context length is ", engine.info().n_ctx, " tokens, but the text has ",
                                     n_tokens, "; shorten the text, or set `truncate`"),
                              field);
}

Answer answer_with_embeddings(const ModelRequest& asked, std::vector<std::vector<TokenId>> inputs, int64_t n_dimensions,
                              std::function<Answer(const Embeddings&)> make) {
    constexpr size_t most_at_once = 2;  // so that the next is there when one is done
    const auto made = std::make_shared<Embeddings>();
    const size_t n_texts = inputs.size();
    made->vectors.resize(n_texts);
    for (size_t i = 0; i < n_texts; ++i)
        require_window(*asked.model->engine, inputs[i].size(), n_texts > 1 ? concat("text ", i, ": ") : "", "input");
    for (const std::vector<TokenId>& input : inputs) made->n_tokens += static_cast<int64_t>(input.size());
    auto start = [model = asked.model, inputs = std::move(inputs), made, wake = asked.wake](size_t i) {
        return model->engine->start_embedding({.tokens = inputs[i],
                                               .take = [made, i](std::vector<float> vector) { made->vectors[i] = std::move(vector); },
                                               .goes_on = i > 0,
                                               .on_done = wake});
    };
    const auto series = std::make_shared<EvaluationSeries>(n_texts, most_at_once, std::move(start));
    return answer_when([series] { return series->is_done(); },
                       [series, made, n_dimensions, make = std::move(make)] {
                           series->check();
                           for (std::vector<float>& vector : made->vectors) cut(vector, n_dimensions);
                           return make(*made);
                       },
                       false);
}

Answer answer_embeddings(ApiContext& api, const HttpRequest& request, const Waker& wake) {
    return answer_body(api, request, wake, &make_embeddings);
}

Answer answer_native_embeddings(ApiContext& api, const HttpRequest& request, const Waker& wake) {
    return answer_body(api, request, wake, &make_native_embeddings);
}

}  // namespace quern
