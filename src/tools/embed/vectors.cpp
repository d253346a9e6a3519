#include "tools/embed/vectors.h"

#include <algorithm>
#include <charconv>
#include <cmath>

#include "base/error.h"
#include "base/printable.h"

namespace quern {
namespace {

void append_number(std::string& out, float value) {
    char text[32];
    out.append(text, std::to_chars(text, text + sizeof text, value).ptr);
}

void append_decimals(std::string& out, double value, int n_decimals) {
    char text[64];
    const auto written = std::to_chars(text, text + sizeof text, value, std::chars_format::fixed, n_decimals);
    out.append(text, written.ptr);
}

void append_vector(std::string& out, std::span<const float> vector) {
    out += '[';
    for (size_t i = 0; i < vector.size(); ++i) {
        if (i > 0) out += ", ";
        append_number(out, vector[i]);
    }
    out += ']';
}

/// One vector, or a list of the tokens'.
void append_text(std::string& out, const TextVectors& text) {
    if (!text.by_token) return append_vector(out, text.rows.front());
    out += '[';
    for (size_t i = 0; i < text.rows.size(); ++i) {
        if (i > 0) out += ", ";
        append_vector(out, text.rows[i]);
    }
    out += ']';
}

bool can_compare(std::span<const TextVectors> texts) {
    return std::none_of(texts.begin(), texts.end(), [](const TextVectors& text) { return text.by_token; });
}

std::string plain_text(std::span<const TextVectors> texts) {
    std::string out;
    for (size_t i = 0; i < texts.size(); ++i)
        for (size_t j = 0; j < texts[i].rows.size(); ++j) {
            out += texts[i].by_token ? concat("embedding ", i, ", token ", j, ":") : concat("embedding ", i, ":");
            for (const float value : texts[i].rows[j]) append_decimals(out += ' ', static_cast<double>(value), 6);
            out += '\n';
        }
    if (texts.size() < 2 || !can_compare(texts)) return out;
    out += "\ncosine similarity:\n";
    for (const TextVectors& a : texts) {
        for (const TextVectors& b : texts)
            append_decimals(out += out.ends_with('\n') ? "" : " ", cosine(a.rows.front(), b.rows.front()), 4);
        out += '\n';
    }
    return out;
}

std::string plain_array(std::span<const TextVectors> texts) {
    std::string out = "[";
    for (size_t i = 0; i < texts.size(); ++i) {
        if (i > 0) out += ",\n ";
        append_text(out, texts[i]);
    }
    return out + "]\n";
}

std::string json(std::span<const TextVectors> texts, bool with_cosine) {
    std::string out = "{\n  \"object\": \"list\",\n  \"data\": [";
    for (size_t i = 0; i < texts.size(); ++i) {
        out += concat(i > 0 ? "," : "", "\n    {\"object\": \"embedding\", \"index\": ", i, ", \"embedding\": ");
        append_text(out, texts[i]);
        out += '}';
    }
    out += "\n  ]";
    if (with_cosine && can_compare(texts)) {
        out += ",\n  \"cosineSimilarity\": [";
        for (size_t i = 0; i < texts.size(); ++i) {
            std::vector<float> row;
            for (const TextVectors& other : texts) row.push_back(static_cast<float>(cosine(texts[i].rows.front(), other.rows.front())));
            out += i > 0 ? ",\n    " : "\n    ";
            append_vector(out, row);
        }
        out += "\n  ]";
    }
    return out + "\n}\n";
}

/// What the vector is divided by.
double norm_of(std::span<const float> vector, int norm) {
    double result = 0;
    for (const float value : vector) {
        const double size = std::abs(static_cast<double>(value));
        if (norm == 0)
            result = std::max(result, size / 32760.0);
        else
            result += norm == 2 ? size * size : std::pow(size, norm);
    }
    return norm < 2 ? result : std::pow(result, 1.0 / norm);
}

}  // namespace

void normalize(std::vector<float>& vector, int norm) {
    if (norm < 0) return;
    const double length = norm_of(vector, norm);
    if (!(length > 0) || !std::isfinite(length)) return;
    for (float& value : vector) value = static_cast<float>(static_cast<double>(value) / length);
}

double cosine(std::span<const float> a, std::span<const float> b) {
    QUERN_CHECK(a.size() == b.size());
    double product = 0, a_squares = 0, b_squares = 0;
    for (size_t i = 0; i < a.size(); ++i) {
        const auto x = static_cast<double>(a[i]), y = static_cast<double>(b[i]);
        product += x * y;
        a_squares += x * x;
        b_squares += y * y;
    }
    const double lengths = std::sqrt(a_squares) * std::sqrt(b_squares);
    return lengths > 0 ? std::clamp(product / lengths, -1.0, 1.0) : 0.0;
}

std::string format_scores(std::span<const PairScores> pairs, VectorFormat format) {
    const bool is_text = format == VectorFormat::text, is_array = format == VectorFormat::array;
    std::string out = is_text ? "" : is_array ? "[" : "{\n  \"object\": \"list\",\n  \"results\": [";
    for (size_t i = 0; i < pairs.size(); ++i) {
        const PairScores& pair = pairs[i];
        if (is_text) {
            for (size_t j = 0; j < pair.scores.size(); ++j) {
                append_number(out += concat("rerank score ", i, ": "), pair.scores[j]);
                out += pair.labels.size() > 1 ? concat(" [", printable(pair.labels[j]), "]\n") : "\n";
            }
            continue;
        }
        out += i > 0 ? "," : "";
        if (!is_array) out += concat("\n    {\"index\": ", i, pair.scores.size() > 1 ? ", \"scores\": " : ", \"relevance_score\": ");
        if (pair.scores.size() > 1)
            append_vector(out, pair.scores);
        else
            append_number(out, pair.scores.front());
        out += is_array ? "" : "}";
    }
    return out + (is_text ? "" : is_array ? "]\n" : "\n  ]\n}\n");
}

std::string format_vectors(std::span<const TextVectors> texts, VectorFormat format) {
    switch (format) {
        case VectorFormat::text:
            return plain_text(texts);
        case VectorFormat::array:
            return plain_array(texts);
        case VectorFormat::json:
            return json(texts, false);
        case VectorFormat::json_with_cosine:
            return json(texts, true);
    }
    throw InternalError("a format of vectors that is not written");
}

}  // namespace quern
