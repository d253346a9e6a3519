#include "convert/split_files.h"

#include <doctest/doctest.h>

#include <filesystem>
#include <numeric>

#include "base/error.h"
#include "convert/verify.h"
#include "models/tiny_model_test.h"

namespace quern {
namespace {

/// A folder that is gone at the end of its scope.
class Folder {
  public:
    Folder() : path_(std::filesystem::temp_directory_path() / ("quern_split_" + std::to_string(getpid()))) {
        std::filesystem::create_directory(path_);
    }
    ~Folder() { std::filesystem::remove_all(path_); }
    std::string file(const char* name) const { return (path_ / name).string(); }

  private:
    std::filesystem::path path_;
};

}  // namespace

TEST_CASE("a model that is split and merged again is the same") {
    const TemporaryModel model({});
    const Folder folder;
    const auto whole = GgufFile::open(model.path());
    ThreadPool pool(2);
    for (const SplitLimits& limits : {SplitLimits{.max_tensors = 3}, SplitLimits{.max_bytes = 20000},
                                      SplitLimits{.max_tensors = 1, .first_without_tensors = true}, SplitLimits{}}) {
        const std::vector<std::string> parts = split_model(*whole, folder.file("part"), limits);
        const auto split = GgufFile::open(parts.front());
        CHECK(split->n_parts() == parts.size());
        CHECK(compare_tensors(*whole, *split, pool).empty());
        merge_model(*split, folder.file("merged.gguf"));
        const auto merged = GgufFile::open(folder.file("merged.gguf"));
        CHECK(merged->n_parts() == 1);
        CHECK(compare_tensors(*whole, *merged, pool).empty());
        CHECK(compare_keys(*whole, *merged).empty());
    }
}

TEST_CASE("parts hold what their limits allow") {
    const TemporaryModel model({});
    const auto file = GgufFile::open(model.path());
    const auto n_tensors = file->tensors().size();
    for (const size_t most : {size_t{1}, size_t{4}, n_tensors, n_tensors + 1}) {
        const std::vector<size_t> parts = cut_into_parts(file->tensors(), {.max_tensors = most});
        CHECK(parts.size() == (n_tensors + most - 1) / most);
        CHECK(std::accumulate(parts.begin(), parts.end(), size_t{0}) == n_tensors);
    }
    CHECK(cut_into_parts(file->tensors(), {.max_bytes = 1}).size() == n_tensors);  // none fits, each has its own
    CHECK(cut_into_parts(file->tensors(), {}).size() == 1);
    CHECK(cut_into_parts({}, {.max_tensors = 1}) == std::vector<size_t>{0});
}

TEST_CASE("names of parts are made and recognised") {
    CHECK(split_part_path("a/b", 2, 12) == "a/b-00002-of-00012.gguf");
    CHECK(split_prefix("a/b-00002-of-00012.gguf") == "a/b");
    CHECK(!split_prefix("a/b.gguf"));
    CHECK(!split_prefix("a/b-2-of-12.gguf"));
}

}  // namespace quern
