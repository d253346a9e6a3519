#include "text/tokenizer/pre_tokenizer.h"

#define PCRE2_CODE_UNIT_WIDTH 8
#include <pcre2.h>

#include <algorithm>

#include "base/error.h"
#include "base/log.h"
#include "base/utf8.h"

namespace quern {
namespace {

// Unicode's White_Space, which is what the tokenizers' own regex engines mean by \s; PCRE2's \s counts one character more or many less.
constexpr std::string_view white_space =
    R"(\x{09}-\x{0D}\x{20}\x{85}\x{A0}\x{1680}\x{2000}-\x{200A}\x{2028}\x{2029}\x{202F}\x{205F}\x{3000})";
constexpr size_t largest_jit_stack = size_t{64} << 20;
// A pattern of a model file that goes on for ever stops here: what follows is one word then.
constexpr uint32_t most_match_steps = 50'000'000, most_heap_kib = 256 << 10;

// Writes \s and \S out, inside and outside of character classes.
std::string spell_out_spaces(std::string_view pattern) {
    std::string out;
    bool in_class = false;
    for (size_t at = 0; at < pattern.size(); ++at) {
        const char c = pattern[at];
        if (c == '\\' && at + 1 < pattern.size()) {
            const char next = pattern[++at];
            if (next == 's')
                out += in_class ? std::string(white_space) : concat("[", white_space, "]");
            else if (next == 'S' && !in_class)
                out += concat("[^", white_space, "]");
            else
                out.append({c, next});
            continue;
        }
        if (c == '[' && !in_class)
            in_class = true;
        else if (c == ']')
            in_class = false;
        out += c;
    }
    return out;
}

const PreTokenizerFamily& family_of(std::string_view name) {
    if (const PreTokenizerFamily* family = find_pre_tokenizer_family(name)) return *family;
    const PreTokenizerFamily& family = common_pre_tokenizer_family();
    log_warning(concat("pre-tokenizer '", name, "' is not known: using that of ", family.name,
                       ", so token boundaries may differ from the original"));
    return family;
}

template <auto Free>
struct Freeing {
    template <typename T>
    void operator()(T* pointer) const {
        Free(pointer);
    }
};

}  // namespace

/// What one call of split() needs: patterns themselves are shared between threads.
class PreTokenizer::Scratch {
  public:
    Scratch() : match_(pcre2_match_data_create(1, nullptr)), context_(pcre2_match_context_create(nullptr)) {
        if (!match_ || !context_) throw DeviceError("no memory for the pre-tokenizer");
        pcre2_set_match_limit(context_.get(), most_match_steps);
        pcre2_set_heap_limit(context_.get(), most_heap_kib);
    }

    pcre2_match_data* match() const { return match_.get(); }
    pcre2_match_context* context() const { return context_.get(); }
    /// A match that needs more than the machine stack's 32 KiB gets its own.
    void grow() {
        if (stack_) return;
        stack_.reset(pcre2_jit_stack_create(size_t{32} << 10, largest_jit_stack, nullptr));
        if (stack_) pcre2_jit_stack_assign(context_.get(), nullptr, stack_.get());
    }

  private:
    std::unique_ptr<pcre2_match_data, Freeing<pcre2_match_data_free>> match_;
    std::unique_ptr<pcre2_match_context, Freeing<pcre2_match_context_free>> context_;
    std::unique_ptr<pcre2_jit_stack, Freeing<pcre2_jit_stack_free>> stack_;
};

class PreTokenizer::Pattern {
  public:
    Pattern(std::string_view pattern, uint32_t options) {
        const std::string spelt = spell_out_spaces(pattern);
        int error = 0;
        PCRE2_SIZE at = 0;
        code_.reset(pcre2_compile(reinterpret_cast<PCRE2_SPTR>(spelt.data()), spelt.size(), options, &error, &at, nullptr));
        if (code_) pcre2_jit_compile(code_.get(), PCRE2_JIT_COMPLETE);  // without a JIT the interpreter runs it
    }
    bool is_valid() const { return code_ != nullptr; }

    struct Match {
        size_t begin, end;
    };

    /// The first match at or behind `from`; {size, size} if there is none. Never empty. REQUIRES: text is valid UTF-8
    Match find(std::string_view text, size_t from, Scratch& scratch) const {
        for (;;) {
            int result = run(text, from, 0, scratch);
            if (result == PCRE2_ERROR_JIT_STACKLIMIT) {
                scratch.grow();
                result = run(text, from, 0, scratch);
                if (result == PCRE2_ERROR_JIT_STACKLIMIT) result = run(text, from, PCRE2_NO_JIT, scratch);
            }
            if (result < 0) return {text.size(), text.size()};
            const PCRE2_SIZE* range = pcre2_get_ovector_pointer(scratch.match());
            if (range[1] > range[0]) return {range[0], range[1]};
            if (range[1] >= text.size()) return {text.size(), text.size()};
            from = range[1] + decode_utf8(text, range[1]).n_bytes;
        }
    }

  private:
    int run(std::string_view text, size_t from, uint32_t options, Scratch& scratch) const {
        return pcre2_match(code_.get(), reinterpret_cast<PCRE2_SPTR>(text.data()), text.size(), from, options | PCRE2_NO_UTF_CHECK,
                           scratch.match(), scratch.context());
    }

    std::unique_ptr<pcre2_code, Freeing<pcre2_code_free>> code_;
};

PreTokenizer::PreTokenizer(std::string_view name) : PreTokenizer(family_of(name)) {}

PreTokenizer::PreTokenizer(std::span<const std::string_view> patterns, bool takes_whole_words) : takes_whole_words_(takes_whole_words) {
    for (const std::string_view pattern : patterns) {
        auto compiled = std::make_unique<Pattern>(pattern, PCRE2_UTF | PCRE2_UCP | PCRE2_NEVER_BACKSLASH_C);
        if (!compiled->is_valid())
            throw ModelError(
                concat("the pre-tokenizer's pattern number ", patterns_.size() + 1, " is no regular expression that PCRE2 knows"));
        patterns_.push_back(std::move(compiled));
    }
}

PreTokenizer::PreTokenizer(const PreTokenizerFamily& family) : takes_whole_words_(family.takes_whole_words), adds_bos_(family.adds_bos) {
    for (const std::string_view pattern : family.patterns) patterns_.push_back(std::make_unique<Pattern>(pattern, PCRE2_UTF));
    for (const std::string_view pattern : family.byte_patterns) patterns_.push_back(std::make_unique<Pattern>(pattern, 0));
    for (const auto& pattern : patterns_) QUERN_CHECK(pattern->is_valid());  // the patterns are ours
}

PreTokenizer::~PreTokenizer() = default;

void PreTokenizer::split(std::string_view text, const WordSink& sink) const {
    Scratch scratch;
    while (!text.empty()) {
        const size_t n_valid = valid_utf8_prefix(text);
        if (n_valid) split_from(0, text.substr(0, n_valid), scratch, sink);
        text.remove_prefix(n_valid);
        if (text.empty()) return;
        sink(text.substr(0, 1));
        text.remove_prefix(1);
    }
}

void PreTokenizer::split_from(size_t level, std::string_view text, Scratch& scratch, const WordSink& sink) const {
    if (level == patterns_.size()) return sink(text);
    for (size_t at = 0; at < text.size();) {
        const Pattern::Match match = patterns_[level]->find(text, at, scratch);
        if (match.begin > at) split_from(level + 1, text.substr(at, match.begin - at), scratch, sink);
        if (match.end > match.begin) split_from(level + 1, text.substr(match.begin, match.end - match.begin), scratch, sink);
        at = match.end;
    }
}

}  // namespace quern
