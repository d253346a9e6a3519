// Strings with origins: building and slicing.
#include "text/chat/jinja/text.h"

#include <algorithm>

namespace quern::jinja {

size_t Text::first_run_after(size_t byte) const {
    const auto found = std::upper_bound(runs_.begin(), runs_.end(), byte, [](size_t at, const Run& run) { return at < run.end; });
    return static_cast<size_t>(found - runs_.begin());
}

Origin Text::origin_at(size_t byte) const {
    const size_t run = runs_.empty() ? 0 : first_run_after(byte);
    return run < runs_.size() ? runs_[run].origin : origin_;
}

void TextBuilder::append(std::string_view bytes, Origin origin) {
    if (bytes.empty()) return;
    budget_.allocate(bytes.size());
    if (bytes.size() > Budget::kMaxTextBytes - bytes_.size()) throw InvalidInput("the chat template writes more than 16 MiB");
    if (origin != origin_) {
        if (!bytes_.empty()) {
            budget_.allocate(sizeof(Run));
            runs_.push_back({bytes_.size(), origin_});
        }
        origin_ = origin;
    }
    bytes_.append(bytes);
}

void TextBuilder::append(const Text& text, size_t from, size_t to) {
    text.for_each_run(from, to, [&](std::string_view piece, Origin origin) { append(piece, origin); });
}

TextPtr TextBuilder::finish() {
    budget_.allocate(sizeof(Text));
    auto text = std::make_shared<Text>(std::move(bytes_), origin_);
    if (!runs_.empty()) runs_.push_back({text->size(), origin_});
    text->runs_ = std::move(runs_);
    text->is_markup_ = is_markup_;
    bytes_.clear();
    runs_.clear();
    origin_ = Origin::source;
    is_markup_ = false;
    return text;
}

TextPtr slice(const TextPtr& text, size_t from, size_t to, Budget& budget) {
    if (from == 0 && to == text->size() && !text->is_markup()) return text;
    TextBuilder out(budget);
    if (from < to) out.append(*text, from, to);
    return out.finish();
}

}  // namespace quern::jinja
