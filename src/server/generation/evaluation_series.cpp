#include "server/generation/evaluation_series.h"

#include "engine/engine.h"

namespace quern {

EvaluationSeries::EvaluationSeries(size_t n_texts, size_t most_at_once, Start start)
    : n_texts_(n_texts), most_at_once_(most_at_once), start_(std::move(start)) {
    start_more();
}

void EvaluationSeries::start_more() {
    for (; n_started_ < n_texts_ && under_way_.size() < most_at_once_; ++n_started_) under_way_.push_back(start_(n_started_));
}

bool EvaluationSeries::is_done() {
    if (error_) return true;
    try {
        while (!under_way_.empty() && under_way_.front()->is_done()) {
            under_way_.front()->wait();
            under_way_.pop_front();
        }
        start_more();
    } catch (...) {
        error_ = std::current_exception();
        under_way_.clear();
        return true;
    }
    return under_way_.empty() && n_started_ == n_texts_;
}

void EvaluationSeries::check() const {
    if (error_) std::rethrow_exception(error_);
}

}  // namespace quern
