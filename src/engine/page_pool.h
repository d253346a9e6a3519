// Which pages of the KV cache are in use, and by how many owners.
#pragma once

#include <cstdint>
#include <optional>
#include <vector>

namespace quern {

struct PageId {
    int32_t value = -1;
    bool operator==(const PageId&) const = default;
};

/// Hands out pages and counts their owners. Not thread-safe: belongs to the engine thread.
class PagePool {
  public:
    explicit PagePool(int64_t n_pages);

    /// A free page with one owner, or nothing when all are taken. The page that was freed last comes first: its memory is warm.
    std::optional<PageId> take();
    /// One more owner. REQUIRES: the page is taken.
    void share(PageId page);
    /// One owner less; the last one frees the page. REQUIRES: the page is taken.
    void drop(PageId page);

    int32_t n_owners(PageId page) const { return owners_[static_cast<size_t>(page.value)]; }
    int64_t n_pages() const noexcept { return static_cast<int64_t>(owners_.size()); }
    int64_t n_free() const noexcept { return static_cast<int64_t>(free_.size()); }

  private:
    std::vector<int32_t> owners_;  // by page
    std::vector<PageId> free_;
};

}  // namespace quern
