#include "convert/imatrix.h"

#include <doctest/doctest.h>

#include <unistd.h>

#include <filesystem>
#include <fstream>

#include "base/error.h"
#include "convert/imatrix_file.h"

using namespace quern;

namespace {

/// A path that is removed at the end of its scope.
struct TemporaryPath {
    std::string path;
    explicit TemporaryPath(const char* name)
        : path((std::filesystem::temp_directory_path() / (std::string("quern_") + std::to_string(getpid()) + name)).string()) {}
    ~TemporaryPath() { std::filesystem::remove(path); }
};

/// A dense tensor, and a stack of three experts of which the second has seen nothing.
Imatrix sample() {
    return {.entries = {{"blk.0.attn_q.weight", {.sums = {2, 4, 6, 8}, .counts = {2}}},
                        {"blk.0.ffn_up_exps.weight", {.sums = {4, 8, 0, 0, 6, 12}, .counts = {4, 0, 2}}}},
            .datasets = {"text.txt"},
            .chunk_size = 2};
}

}  // namespace

TEST_CASE("an expert that has seen nothing gets the mean of the others, and a tensor that has seen nothing is left out") {
    Imatrix imatrix = sample();
    imatrix.entries["unseen"] = {.sums = {0, 0}, .counts = {0}};
    const Importance importance = importance_of(imatrix);
    CHECK(importance.size() == 2);
    CHECK(importance.at("blk.0.attn_q.weight") == std::vector<float>{1, 2, 3, 4});
    CHECK(importance.at("blk.0.ffn_up_exps.weight") == std::vector<float>{1, 2, 2, 4, 3, 6});
}

TEST_CASE("matrices add up, also where an older file has one count for all experts") {
    Imatrix imatrix = sample();
    imatrix.add(sample());
    imatrix.add({.entries = {{"blk.0.ffn_up_exps.weight", {.sums = {1, 1, 1, 1, 1, 1}, .counts = {2}}}}, .datasets = {"old"}});
    CHECK(imatrix.entries["blk.0.attn_q.weight"].sums == std::vector<double>{4, 8, 12, 16});
    CHECK(imatrix.entries["blk.0.ffn_up_exps.weight"].counts == std::vector<double>{10, 2, 6});
    CHECK(imatrix.entries["blk.0.ffn_up_exps.weight"].sums == std::vector<double>{9, 17, 1, 1, 13, 25});
    CHECK(imatrix.datasets == std::vector<std::string>{"text.txt", "old"});
    CHECK(imatrix.n_chunks() == 5);
    CHECK_THROWS_AS(imatrix.add({.entries = {{"blk.0.attn_q.weight", {.sums = {1}, .counts = {1}}}}}), InvalidInput);
}

TEST_CASE("a matrix comes back from its file as it was, with the mark of an unfinished run") {
    const TemporaryPath file("imatrix.gguf");
    write_imatrix({.imatrix = sample(), .progress = ImatrixProgress{.run = "this one", .n_chunks_done = 7}}, file.path,
                  ImatrixFormat::gguf);
    const ImatrixFile back = read_imatrix(file.path);
    CHECK(back.imatrix.entries.at("blk.0.ffn_up_exps.weight").sums == std::vector<double>{4, 8, 0, 0, 6, 12});
    CHECK(back.imatrix.entries.at("blk.0.ffn_up_exps.weight").counts == std::vector<double>{4, 0, 2});
    CHECK(back.imatrix.datasets == std::vector<std::string>{"text.txt"});
    CHECK(back.imatrix.chunk_size == 2);
    REQUIRE(back.progress);
    CHECK(back.progress->run == "this one");
    CHECK(back.progress->n_chunks_done == 7);
    write_imatrix({.imatrix = sample()}, file.path, ImatrixFormat::gguf);
    CHECK(!read_imatrix(file.path).progress);
}

TEST_CASE("the older format keeps the means of every expert") {
    const TemporaryPath file("imatrix.dat");
    write_imatrix({.imatrix = sample()}, file.path, ImatrixFormat::dat);
    const Importance importance = importance_of(read_imatrix(file.path, 2).imatrix);
    CHECK(importance.at("blk.0.attn_q.weight") == std::vector<float>{1, 2, 3, 4});
    CHECK(importance.at("blk.0.ffn_up_exps.weight") == std::vector<float>{1, 2, 2, 4, 3, 6});
}

TEST_CASE("any cut of a file in the older format is refused or is the same matrix") {
    const TemporaryPath file("cut.dat");
    write_imatrix({.imatrix = sample()}, file.path, ImatrixFormat::dat);
    const auto bytes = std::filesystem::file_size(file.path);
    for (auto n = bytes; n-- > 0;) {
        std::filesystem::resize_file(file.path, n);
        try {
            const size_t n_entries = read_imatrix(file.path, 2).imatrix.entries.size();
            CHECK(n_entries == 2);
        } catch (const ModelError&) {
        }
    }
}

TEST_CASE("entries are chosen by parts of their names") {
    Imatrix imatrix = sample();
    choose_entries(imatrix, {}, {"_exps"});
    CHECK(imatrix.entries.count("blk.0.attn_q.weight") == 1);
    CHECK(imatrix.entries.size() == 1);
    imatrix = sample();
    choose_entries(imatrix, {"blk.0"}, {"attn"});
    CHECK(imatrix.entries.count("blk.0.ffn_up_exps.weight") == 1);
    CHECK(imatrix.entries.size() == 1);
}
