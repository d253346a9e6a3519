#include "engine/text_vector.h"

#include "base/error.h"

namespace quern {

TextVector::TextVector(int64_t n_embd, Pooling pooling) : n_embd_(static_cast<size_t>(n_embd)), pooling_(pooling) {
    QUERN_CHECK(n_embd > 0 && pooling != Pooling::rank);
    if (pooling == Pooling::mean) sums_.resize(n_embd_);
}

void TextVector::add(std::span<const float> rows) {
    QUERN_CHECK(!rows.empty() && rows.size() % n_embd_ == 0);
    const auto keep = [&](std::span<const float> values) { kept_.assign(values.begin(), values.end()); };
    switch (pooling_) {
        case Pooling::none:
            kept_.insert(kept_.end(), rows.begin(), rows.end());
            break;
        case Pooling::cls:
            if (n_tokens_ == 0) keep(rows.first(n_embd_));
            break;
        case Pooling::last:
            keep(rows.last(n_embd_));
            break;
        default:
            for (size_t i = 0; i < rows.size(); ++i) sums_[i % n_embd_] += static_cast<double>(rows[i]);
    }
    n_tokens_ += static_cast<int64_t>(rows.size() / n_embd_);
}

std::vector<float> TextVector::result() const {
    QUERN_CHECK(n_tokens_ > 0);
    if (pooling_ != Pooling::mean) return kept_;
    std::vector<float> mean;
    for (const double sum : sums_) mean.push_back(static_cast<float>(sum / static_cast<double>(n_tokens_)));
    return mean;
}

}  // namespace quern
