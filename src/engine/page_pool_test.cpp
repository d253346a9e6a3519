#include "engine/page_pool.h"

#include <doctest/doctest.h>

#include "base/error.h"

using namespace quern;

TEST_CASE("a shared page is free only after its last owner drops it") {
    PagePool pool(1);
    const PageId page = pool.take().value();
    pool.share(page);
    pool.drop(page);
    CHECK(!pool.take());
    pool.drop(page);
    CHECK(pool.take() == page);
}

TEST_CASE("every page is handed out once until it is dropped") {
    PagePool pool(5);
    std::vector<bool> seen(5);
    for (int i = 0; i < 5; ++i) {
        const PageId page = pool.take().value();
        CHECK(!seen[static_cast<size_t>(page.value)]);
        seen[static_cast<size_t>(page.value)] = true;
    }
    CHECK(!pool.take());
    CHECK(pool.n_free() == 0);
}

TEST_CASE("dropping a free page is our own mistake and is caught") {
    PagePool pool(2);
    const PageId page = pool.take().value();
    pool.drop(page);
    CHECK_THROWS_AS(pool.drop(page), InternalError);
    CHECK_THROWS_AS(pool.share(page), InternalError);
}
