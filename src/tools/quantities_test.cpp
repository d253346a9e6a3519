#include "tools/quantities.h"

#include <doctest/doctest.h>

#include "base/error.h"

namespace quern {

TEST_CASE("sizes are read with and without units") {
    CHECK(parse_bytes("0") == 0);
    CHECK(parse_bytes("512") == 512);
    CHECK(parse_bytes("17B") == 17);
    CHECK(parse_bytes("300M") == 300'000'000);
    CHECK(parse_bytes("2g") == 2'000'000'000);
    CHECK(parse_bytes("1.5GiB") == 1'610'612'736);
    CHECK(parse_bytes("4KB") == 4000);
    for (const char* bad : {"", "M", "-1", "1X", "1Mi", "1 M", "nan", "1e30", "0x10", "5GiBs"}) {
        CAPTURE(bad);
        CHECK_THROWS_AS(parse_bytes(bad), InvalidInput);
    }
}

TEST_CASE("quantities are written for people") {
    CHECK(human_bytes(1536) == "1.50 KiB");
    CHECK(human_count(1'100'000'000) == "1.10 G");
    CHECK(human_duration(65.4) == "1:05");
    CHECK(human_duration(7200) == "2:00:00");
    CHECK(human_duration(-1) == "0:00");
}

}  // namespace quern
