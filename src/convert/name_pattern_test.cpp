#include "convert/name_pattern.h"

#include <doctest/doctest.h>

#include "base/error.h"

namespace quern {
namespace {

TEST_CASE("a pattern is found anywhere in a name") {
    const NamePattern pattern("blk\\.[0-3]\\.ffn_(up|down)");
    CHECK(pattern.is_in("blk.2.ffn_down.weight"));
    CHECK(!pattern.is_in("blk.4.ffn_down.weight"));
    CHECK(!pattern.is_in(""));
}

TEST_CASE("what is no pattern, too long, or tries for ever is refused") {
    CHECK_THROWS_AS(NamePattern("ffn_(up"), InvalidInput);
    CHECK_THROWS_AS(NamePattern(std::string(20'000, 'a')), InvalidInput);
    const NamePattern slow("^(a+)+$");
    CHECK_THROWS_AS(slow.is_in(std::string(60, 'a') + "b"), InvalidInput);
}

}  // namespace
}  // namespace quern
