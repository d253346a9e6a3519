#include "engine/scheduler.h"

#include <algorithm>

#include "base/error.h"
#include "kernels/attention/attention.h"

namespace quern {
namespace {

int64_t pages_for(int64_t n_tokens) { return (n_tokens + kv_page_tokens - 1) / kv_page_tokens; }

}  // namespace

void Scheduler::free_pages(Sequence& sequence) {
    for (const int32_t page : sequence.page_table) pool_.drop({page});
    sequence.page_table.clear();
    sequence.n_cached = 0;
}

template <typename Condition>
std::vector<std::unique_ptr<Sequence>> Scheduler::take_if(Condition condition) {
    std::vector<std::unique_ptr<Sequence>> taken;
    const auto sweep = [&](auto& sequences) {
        for (auto& sequence : sequences)
            if (condition(*sequence)) {
                free_pages(*sequence);
                taken.push_back(std::move(sequence));
            }
        std::erase(sequences, nullptr);
    };
    sweep(running_);
    sweep(waiting_);
    return taken;
}

std::vector<std::unique_ptr<Sequence>> Scheduler::take_cancelled() {
    return take_if([](const Sequence& sequence) { return sequence.channel->cancelled(); });
}

std::vector<std::unique_ptr<Sequence>> Scheduler::take_all() {
    return take_if([](const Sequence&) { return true; });
}

std::unique_ptr<Sequence> Scheduler::remove(Sequence* sequence) {
    const auto found = std::find_if(running_.begin(), running_.end(), [&](const auto& each) { return each.get() == sequence; });
    QUERN_CHECK(found != running_.end());
    std::unique_ptr<Sequence> taken = std::move(*found);
    running_.erase(found);
    free_pages(*taken);
    return taken;
}

bool Scheduler::preempt_youngest() {
    if (running_.empty()) return false;
    free_pages(*running_.back());
    waiting_.push_front(std::move(running_.back()));
    running_.pop_back();
    return true;
}

// A sequence starts when its whole prompt fits beside the others and each of those can still grow by a page; otherwise one that was
// preempted would come back at once and be preempted again. The first in line may always start when nothing runs.
void Scheduler::admit() {
    while (!waiting_.empty() && n_running() < limits_.n_sequences) {
        const int64_t needed = pages_for(static_cast<int64_t>(waiting_.front()->tokens.size()) + 1);
        if (needed + n_running() > pool_.n_free() && !running_.empty()) return;
        running_.push_back(std::move(waiting_.front()));
        waiting_.pop_front();
    }
}

// Takes the pages that n_tokens more need. False leaves what was taken: it will be used or freed with the rest.
bool Scheduler::cover(Sequence& sequence, int64_t n_tokens) {
    while (static_cast<int64_t>(sequence.page_table.size()) < pages_for(sequence.n_cached + n_tokens)) {
        const std::optional<PageId> page = pool_.take();
        if (!page) return false;
        sequence.page_table.push_back(page->value);
    }
    return true;
}

std::vector<Work> Scheduler::next_step() {
    admit();
    std::vector<Work> step;
    int64_t budget = limits_.n_batch;
    for (const bool decoding : {true, false}) {
        for (size_t i = 0; i < running_.size() && budget > 0; ++i) {
            Sequence& sequence = *running_[i];
            if ((sequence.n_pending() == 1) != decoding) continue;
            const int64_t n_tokens = std::min(budget, sequence.n_pending());
            bool covered = cover(sequence, n_tokens);
            while (!covered && running_.size() > i + 1) {  // the younger ones make room, the youngest first
                const Sequence* victim = running_.back().get();
                if (std::erase_if(step, [&](const Work& work) { return work.sequence == victim; })) ++budget;
                preempt_youngest();
                covered = cover(sequence, n_tokens);
            }
            if (!covered) {
                QUERN_CHECK(i > 0 || !step.empty());  // the pool holds one sequence of full length
                preempt_youngest();
                break;
            }
            step.push_back({&sequence, n_tokens});
            budget -= n_tokens;
        }
    }
    return step;
}

}  // namespace quern
