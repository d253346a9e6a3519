// Byte-pair merging in O(n log n): symbols in a linked list, candidate pairs in a heap, best first and leftmost among equals.
#pragma once

#include <algorithm>
#include <cstdint>
#include <vector>

namespace quern {

/// Merges neighbours of `symbols` until no pair can merge.
/// @param rank  rank(left, right, priority, merged) -> bool: whether the pair merges, with which priority (lower first) and into what
/// Symbol: any small copyable type.
template <typename Symbol, typename Priority, typename Rank>
class MergeList {
  public:
    explicit MergeList(Rank rank) : rank_(rank) {}

    void merge(std::vector<Symbol>& symbols) {
        const auto n = static_cast<int32_t>(symbols.size());
        links_.resize(symbols.size());
        for (int32_t i = 0; i < n; ++i) links_[at(i)] = {i - 1, i + 1 < n ? i + 1 : -1, 0, true};
        heap_.clear();
        for (int32_t i = 0; i + 1 < n; ++i) propose(symbols, i);
        while (!heap_.empty()) {
            std::pop_heap(heap_.begin(), heap_.end(), later);
            const Pair pair = heap_.back();
            heap_.pop_back();
            Link& left = links_[at(pair.left)];
            if (!left.alive || left.next != pair.right || left.version + links_[at(pair.right)].version != pair.version) continue;
            symbols[at(pair.left)] = pair.merged;
            Link& right = links_[at(pair.right)];
            left.next = right.next;
            left.version += right.version + 1;
            right.alive = false;
            if (left.next >= 0) links_[at(left.next)].previous = pair.left;
            if (left.previous >= 0) propose(symbols, left.previous);
            if (left.next >= 0) propose(symbols, pair.left);
        }
        size_t kept = 0;
        for (int32_t i = n ? 0 : -1; i >= 0; i = links_[at(i)].next) symbols[kept++] = symbols[at(i)];
        symbols.resize(kept);
    }

  private:
    struct Link {
        int32_t previous, next;
        uint32_t version;  // grows with each merge: the number of merges inside
        bool alive;
    };
    struct Pair {
        Priority priority;
        int32_t left, right;
        uint32_t version;  // of both ends when proposed; a pair whose ends have changed is stale
        Symbol merged;
    };

    static size_t at(int32_t index) { return static_cast<size_t>(index); }
    static bool later(const Pair& a, const Pair& b) { return a.priority != b.priority ? b.priority < a.priority : a.left > b.left; }

    void propose(const std::vector<Symbol>& symbols, int32_t left) {
        const int32_t right = links_[at(left)].next;
        Pair pair{
            .priority = {}, .left = left, .right = right, .version = links_[at(left)].version + links_[at(right)].version, .merged = {}};
        if (!rank_(symbols[at(left)], symbols[at(right)], pair.priority, pair.merged)) return;
        heap_.push_back(pair);
        std::push_heap(heap_.begin(), heap_.end(), later);
    }

    Rank rank_;
    std::vector<Link> links_;
    std::vector<Pair> heap_;
};

}  // namespace quern
