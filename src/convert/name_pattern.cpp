#include "convert/name_pattern.h"

#define PCRE2_CODE_UNIT_WIDTH 8
#include <pcre2.h>

#include "base/error.h"
#include "base/printable.h"

namespace quern {
namespace {

constexpr size_t longest_pattern = 10'000;
constexpr uint32_t most_match_steps = 1'000'000, most_heap_kib = 16 << 10;

PCRE2_SPTR units(std::string_view text) { return reinterpret_cast<PCRE2_SPTR>(text.data()); }

struct FreeMatch {
    void operator()(pcre2_match_data* data) const { pcre2_match_data_free(data); }
    void operator()(pcre2_match_context* context) const { pcre2_match_context_free(context); }
};

}  // namespace

struct NamePattern::Code {
    explicit Code(pcre2_code* compiled) : code(compiled) {}
    ~Code() { pcre2_code_free(code); }
    Code(const Code&) = delete;
    Code& operator=(const Code&) = delete;

    pcre2_code* code;
};

NamePattern::NamePattern(std::string pattern) : text_(std::move(pattern)) {
    if (text_.size() > longest_pattern)
        throw InvalidInput(concat("a pattern of ", text_.size(), " bytes is too long for names of tensors"));
    int error = 0;
    PCRE2_SIZE at = 0;
    pcre2_code* const code = pcre2_compile(units(text_), text_.size(), PCRE2_NEVER_BACKSLASH_C, &error, &at, nullptr);
    if (!code) {
        PCRE2_UCHAR reason[256] = "";
        pcre2_get_error_message(error, reason, sizeof reason);
        throw InvalidInput(
            concat(quoted(text_), " is no regular expression: ", reinterpret_cast<const char*>(reason), " at character ", at));
    }
    code_ = std::make_shared<const Code>(code);
}

bool NamePattern::is_in(std::string_view name) const {
    const std::unique_ptr<pcre2_match_data, FreeMatch> match(pcre2_match_data_create(1, nullptr));
    const std::unique_ptr<pcre2_match_context, FreeMatch> context(pcre2_match_context_create(nullptr));
    if (!match || !context) throw DeviceError("no memory for a pattern");
    pcre2_set_match_limit(context.get(), most_match_steps);
    pcre2_set_heap_limit(context.get(), most_heap_kib);
    const int result = pcre2_match(code_->code, units(name), name.size(), 0, 0, match.get(), context.get());
    if (result < 0 && result != PCRE2_ERROR_NOMATCH)
        throw InvalidInput(concat(quoted(text_), " takes too long to look for in the name ", quoted(name), "; write a simpler pattern"));
    return result >= 0;
}

}  // namespace quern
