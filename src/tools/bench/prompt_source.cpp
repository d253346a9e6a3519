#include "tools/bench/prompt_source.h"

#include <array>
#include <string_view>

namespace quern {
namespace {

constexpr std::array<std::string_view, 128> words = {
    "time",  "year",    "people", "way",    "day",    "man",     "thing",  "world",    "life",  "hand",  "part",    "child",  "eye",
    "place", "work",    "week",   "case",   "point",  "number",  "group",  "fact",     "night", "water", "room",    "mother", "area",
    "money", "story",   "month",  "book",   "state",  "word",    "house",  "side",     "kind",  "head",  "end",     "hour",   "game",
    "line",  "city",    "name",   "team",   "idea",   "body",    "back",   "face",     "level", "door",  "health",  "person", "art",
    "war",   "history", "party",  "result", "change", "morning", "reason", "research", "girl",  "air",   "teacher", "force",  "good",
    "new",   "first",   "last",   "long",   "great",  "little",  "own",    "other",    "old",   "right", "big",     "high",   "small",
    "large", "next",    "early",  "young",  "public", "same",    "able",   "be",       "have",  "do",    "say",     "get",    "make",
    "go",    "know",    "take",   "see",    "come",   "think",   "look",   "want",     "give",  "use",   "find",    "tell",   "ask",
    "seem",  "feel",    "try",    "leave",  "call",   "the",     "and",    "of",       "to",    "in",    "that",    "it",     "with",
    "for",   "on",      "this",   "but",    "from",   "they",    "we",     "her",      "she",   "or",    "will"};

/// SplitMix64: Steele, Lea and Flood, 2014.
class Random {
  public:
    explicit Random(uint64_t seed) : state_(seed) {}
    uint64_t next() {
        uint64_t z = state_ += 0x9e3779b97f4a7c15u;
        z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9u;
        z = (z ^ (z >> 27)) * 0x94d049bb133111ebu;
        return z ^ (z >> 31);
    }

  private:
    uint64_t state_;
};

}  // namespace

PromptSource PromptSource::of_texts(std::vector<std::string> texts) {
    PromptSource source;
    source.texts_ = std::move(texts);
    return source;
}

PromptSource PromptSource::of_words(uint64_t seed) {
    PromptSource source;
    source.seed_ = seed;
    return source;
}

PromptSource PromptSource::of_ids(uint64_t seed, int32_t limit) {
    PromptSource source = of_words(seed);
    source.id_limit_ = limit;
    return source;
}

void PromptSource::set_length(int64_t n, int64_t n_shared) {
    n_units_ = n;
    n_shared_ = n_shared;
}

nlohmann::json PromptSource::prompt(uint64_t index) const {
    if (!is_made()) return texts_[index % texts_.size()];
    Random shared(seed_), own(Random(seed_ ^ (index + 1)).next());
    std::string text;
    nlohmann::json ids = nlohmann::json::array();
    for (int64_t i = 0; i < n_units_; ++i) {
        const uint64_t draw = i < n_shared_ ? shared.next() : own.next();
        if (is_ids()) {
            ids.push_back(draw % static_cast<uint64_t>(id_limit_));
        } else {
            if (i > 0) text += ' ';
            text += words[draw % words.size()];
        }
    }
    return is_ids() ? ids : nlohmann::json(text);
}

}  // namespace quern
