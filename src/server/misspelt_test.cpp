#include "server/misspelt.h"

#include <doctest/doctest.h>

#include "server/http/errors.h"

namespace quern {
namespace {

constexpr FieldRule rules[] = {
    {"temperature", FieldKind::number, 0, 2},
    {"top_p", FieldKind::number, 0, 1},
    {"max_tokens", FieldKind::integer, 0, 9},
    {"stop", FieldKind::any},
    {"model", FieldKind::text},
};

std::string complaint(const char* body) {
    try {
        refuse_misspelt_fields(Json::parse(body), {rules});
    } catch (const ApiError& error) {
        CHECK(error.details().status == 400);
        CHECK(error.details().param != "");
        return error.what();
    }
    return "";
}

}  // namespace

TEST_CASE("a field that is one slip away from a known one is refused by both names") {
    for (const char* body :
         {R"({"temprature":1})", R"({"temperatur":1})", R"({"tempreature":1})", R"({"Temperature":1})", R"({"top-p":1})", R"({"topP":1})",
          R"({"maxTokens":1})", R"({"max_token":1})", R"({"max_new_tokens":1})", R"({"stop_sequences":["x"]})"}) {
        CAPTURE(body);
        CHECK(complaint(body).find("here it is called") != std::string::npos);
    }
}

TEST_CASE("known, null and foreign fields pass") {
    for (const char* body :
         {R"({"temperature":1,"top_p":1})", R"({"temprature":null})", R"({"models":[]})", R"({"x":1,"stops":1,"":1,"metadata":{}})"}) {
        CAPTURE(body);
        CHECK(complaint(body) == "");
    }
}

}  // namespace quern
