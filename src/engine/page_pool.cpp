#include "engine/page_pool.h"

#include "base/error.h"

namespace quern {

PagePool::PagePool(int64_t n_pages) : owners_(static_cast<size_t>(n_pages)) {
    free_.reserve(owners_.size());
    for (int64_t page = n_pages - 1; page >= 0; --page) free_.push_back({static_cast<int32_t>(page)});
}

std::optional<PageId> PagePool::take() {
    if (free_.empty()) return std::nullopt;
    const PageId page = free_.back();
    free_.pop_back();
    owners_[static_cast<size_t>(page.value)] = 1;
    return page;
}

void PagePool::share(PageId page) {
    QUERN_CHECK(owners_[static_cast<size_t>(page.value)] > 0);
    ++owners_[static_cast<size_t>(page.value)];
}

void PagePool::drop(PageId page) {
    int32_t& owners = owners_[static_cast<size_t>(page.value)];
    QUERN_CHECK(owners > 0);
    if (--owners == 0) free_.push_back(page);
}

}  // namespace quern
