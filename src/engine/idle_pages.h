// Pages that nobody uses but that still hold something, the least recently used first.
#pragma once

#include <cstdint>
#include <vector>

#include "base/error.h"

namespace quern {

/// A list through the pages of one pool. Every operation costs the same.
class IdlePages {
  public:
    explicit IdlePages(int64_t n_pages) : links_(static_cast<size_t>(n_pages)) {}

    bool contains(int32_t page) const { return at(page).listed; }
    int64_t size() const noexcept { return size_; }
    /// REQUIRES: size() > 0
    int32_t oldest() const noexcept { return oldest_; }

    /// REQUIRES: !contains(page)
    void add(int32_t page) {
        QUERN_CHECK(!contains(page));
        at(page) = {.older = newest_, .newer = none, .listed = true};
        (newest_ == none ? oldest_ : at(newest_).newer) = page;
        newest_ = page;
        ++size_;
    }
    /// REQUIRES: contains(page)
    void remove(int32_t page) {
        QUERN_CHECK(contains(page));
        Link& removed = at(page);
        (removed.older == none ? oldest_ : at(removed.older).newer) = removed.newer;
        (removed.newer == none ? newest_ : at(removed.newer).older) = removed.older;
        removed.listed = false;
        --size_;
    }

  private:
    static constexpr int32_t none = -1;
    struct Link {
        int32_t older = none, newer = none;
        bool listed = false;
    };
    Link& at(int32_t page) { return links_[static_cast<size_t>(page)]; }
    const Link& at(int32_t page) const { return links_[static_cast<size_t>(page)]; }

    std::vector<Link> links_;
    int32_t oldest_ = none, newest_ = none;
    int64_t size_ = 0;
};

}  // namespace quern
