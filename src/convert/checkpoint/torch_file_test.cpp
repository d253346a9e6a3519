#include "convert/checkpoint/torch_file.h"

#include <doctest/doctest.h>

#include <cstring>
#include <random>

#include "base/error.h"
#include "convert/checkpoint/unpickler.h"
#include "convert/checkpoint/zip.h"

using namespace quern;

namespace {

template <typename T>
std::string le(T value) {
    return {reinterpret_cast<const char*>(&value), sizeof value};
}

/// A zip file of stored entries. @param zip64  with the sizes in extra fields
std::string zip_of(const std::vector<std::pair<std::string, std::string>>& entries, bool zip64 = false, uint16_t method = 0) {
    std::string file, directory;
    for (const auto& [name, data] : entries) {
        const auto at = static_cast<uint32_t>(file.size());
        const auto n = static_cast<uint32_t>(data.size());
        file += le(0x04034b50u) + std::string(22, '\0') + le(static_cast<uint16_t>(name.size())) + le(uint16_t{0}) + name + data;
        const std::string extra = zip64 ? le(uint16_t{1}) + le(uint16_t{24}) + le(uint64_t{n}) + le(uint64_t{n}) + le(uint64_t{at}) : "";
        const uint32_t shown = zip64 ? 0xFFFFFFFF : n;
        directory += le(0x02014b50u) + std::string(4, '\0') + le(uint16_t{0}) + le(method) + std::string(8, '\0') + le(shown) + le(shown) +
                     le(static_cast<uint16_t>(name.size())) + le(static_cast<uint16_t>(extra.size())) + le(uint16_t{0}) +
                     std::string(8, '\0') + le(zip64 ? 0xFFFFFFFFu : at) + name + extra;
    }
    const uint64_t directory_at = file.size();
    file += directory;
    const auto n_entries = static_cast<uint16_t>(zip64 ? 0xFFFF : entries.size());
    if (zip64) {
        const uint64_t end_at = file.size();
        file += le(0x06064b50u) + std::string(28, '\0') + le(uint64_t{entries.size()}) + le(uint64_t{directory.size()}) + le(directory_at);
        file += le(0x07064b50u) + le(0u) + le(end_at) + le(1u);
    }
    file += le(0x06054b50u) + std::string(6, '\0') + le(n_entries) + le(static_cast<uint32_t>(directory.size())) +
            le(static_cast<uint32_t>(zip64 ? 0xFFFFFFFF : directory_at)) + le(uint16_t{0});
    return file;
}

std::string text(const std::string& t) { return "X" + le(static_cast<uint32_t>(t.size())) + t; }
std::string number(int32_t n) { return "J" + le(n); }
std::string tuple(const std::vector<std::string>& items) {
    std::string out = "(";
    for (const std::string& each : items) out += each;
    return out + "t";
}
std::string global(const std::string& module, const std::string& name) { return "c" + module + "\n" + name + "\n"; }

struct Tensor {
    std::string name = "w", storage = "FloatStorage", key = "0";
    int32_t offset = 0;
    std::vector<int32_t> sizes = {2, 3}, strides = {3, 1};
};

std::string tensor(const Tensor& t) {
    std::vector<std::string> sizes, strides;
    for (const int32_t each : t.sizes) sizes.push_back(number(each));
    for (const int32_t each : t.strides) strides.push_back(number(each));
    const std::string storage = tuple({text("storage"), global("torch", t.storage), text(t.key), text("cpu"), number(6)}) + "Q";
    return global("torch._utils", "_rebuild_tensor_v2") +
           tuple({storage, number(t.offset), tuple(sizes), tuple(strides), "\x89", global("collections", "OrderedDict") + ")R"}) + "R";
}

std::string pickle_of(const std::vector<Tensor>& tensors) {
    std::string out = std::string("\x80\x02", 2) + global("collections", "OrderedDict") + ")R" + std::string("q\0", 2) + "(";
    for (const Tensor& t : tensors) out += text(t.name) + tensor(t);
    return out + "u.";
}

std::string file_of(const std::vector<Tensor>& tensors, size_t n_data = 24) {
    return zip_of({{"m/data.pkl", pickle_of(tensors)}, {"m/data/0", std::string(n_data, 'x')}});
}

std::vector<SourceTensor> read(const std::string& file) { return read_torch_file(std::as_bytes(std::span(file)), "f"); }

std::string complaint_about(const std::string& file) {
    try {
        read(file);
    } catch (const ModelError& error) {
        return error.what();
    }
    return "none";
}

std::string pickle_complaint(const std::string& pickle) { return complaint_about(zip_of({{"m/data.pkl", pickle}})); }

}  // namespace

TEST_CASE("a PyTorch file gives its tensors, with zip64 and without") {
    for (const bool zip64 : {false, true}) {
        const std::string file =
            zip_of({{"m/data.pkl", pickle_of({{}, {.name = "v", .storage = "HalfStorage", .offset = 1, .sizes = {4}, .strides = {1}}})},
                    {"m/data/0", std::string(24, 'x')}},
                   zip64);
        const auto tensors = read(file);
        REQUIRE(tensors.size() == 2);
        CHECK(tensors[0].name == "w");
        CHECK(tensors[0].dtype == DType::f32);
        CHECK(tensors[0].bytes.size() == 24);
        CHECK(tensors[1].dtype == DType::f16);
        CHECK(tensors[1].bytes.size() == 8);
        CHECK(tensors[1].bytes.data() == tensors[0].bytes.data() + 2);
    }
}

TEST_CASE("a tensor that is not dense or reaches too far is refused by name") {
    CHECK(complaint_about(file_of({{.strides = {1, 2}}})).find("\"w\" of shape [2, 3] is not stored row by row") != std::string::npos);
    CHECK(complaint_about(file_of({{.offset = 1}})).find("reaches beyond") != std::string::npos);
    CHECK(complaint_about(file_of({{.offset = -1}})).find("reaches beyond") != std::string::npos);
    CHECK(complaint_about(file_of({{.offset = 7}})).find("reaches beyond") != std::string::npos);
    CHECK(complaint_about(file_of({{}}, 23)).find("reaches beyond") != std::string::npos);
    CHECK(complaint_about(file_of({{.sizes = {-2, 3}}})).find("impossible shape") != std::string::npos);
    CHECK(complaint_about(file_of({{.sizes = {2147483647, 2147483647}, .strides = {2147483647, 1}}})).find("impossible shape") !=
          std::string::npos);
    CHECK(complaint_about(file_of({{.key = "1"}})).find("is missing") != std::string::npos);
    CHECK(complaint_about(file_of({{.sizes = {2}}})).find("impossible shape") != std::string::npos);
}

TEST_CASE("a pickle that wants to run code is refused by the name of what it wants") {
    const std::string wanted = pickle_complaint(global("os", "system") + tuple({text("echo")}) + "R.");
    CHECK(wanted.find("\"os.system\"") != std::string::npos);
    CHECK(wanted.find("was not run") != std::string::npos);
    CHECK(pickle_complaint(text("builtins") + text("eval") + "\x93.").find("builtins.eval") != std::string::npos);
    CHECK(pickle_complaint(global("torch", "load") + ".").find("torch.load") != std::string::npos);
    CHECK(pickle_complaint(global("torch FloatStorage", "x") + ".").find("asks for") != std::string::npos);
    CHECK(pickle_complaint(global("torch.FloatStorage", "") + ".").find("asks for") != std::string::npos);
}

TEST_CASE("broken pickles are refused") {
    const std::string dict = "}";
    for (const std::string& pickle : {std::string(""),
                                      std::string("."),
                                      std::string("t."),
                                      std::string("u."),
                                      std::string("}s."),
                                      std::string("}(Nu."),
                                      std::string("h\0.", 3),
                                      std::string("j\1\2\3\4."),
                                      std::string("R."),
                                      std::string("))R."),
                                      std::string("Q."),
                                      std::string("NQ."),
                                      std::string("\x93."),
                                      std::string("NN\x93."),
                                      std::string("b."),
                                      std::string("Nb."),
                                      std::string("X\xFF\xFF\xFF\xFF"),
                                      std::string("\x8a\xFF"),
                                      std::string("(((((."),
                                      std::string("\x85."),
                                      std::string("i."),
                                      std::string("cos"),
                                      std::string("N."),
                                      std::string("(K\1."),
                                      std::string("a."),
                                      std::string("q\0", 2),
                                      std::string("G\0\0", 3)})
        CHECK(pickle_complaint(pickle) != "none");
    CHECK(pickle_complaint(std::string(5'000'000, 'N') + ".").find("more than") != std::string::npos);
    // A deep nest is one value within another, and must not take the stack with it.
    std::string deep = ")";
    for (int i = 0; i < 1'000'000; ++i) deep += "\x85";
    CHECK(pickle_complaint(deep + ".").find("a tuple") != std::string::npos);
}

TEST_CASE("broken zip files are refused") {
    CHECK(complaint_about("").find("too short") != std::string::npos);
    CHECK(complaint_about(std::string(100, 'x')).find("its end is missing") != std::string::npos);
    CHECK(complaint_about(std::string("\x80\x02", 2) + std::string(100, 'x')).find("before version 1.6") != std::string::npos);
    CHECK(complaint_about(zip_of({{"m/data.pkl", "N."}}, false, 8)).find("compressed") != std::string::npos);
    CHECK(complaint_about(zip_of({{"other", "N."}})).find("without data.pkl") != std::string::npos);
    CHECK(complaint_about(zip_of({{"m/data.pkl", "N."}, {"m/data.pkl", "N."}})).find("twice") != std::string::npos);
    CHECK(complaint_about(zip_of({{"m/data.pkl", pickle_of({})}, {"m/byteorder", "big"}})).find("big-endian") != std::string::npos);
}

TEST_CASE("every beginning and many a change of a PyTorch file is refused or read, never a crash") {
    const std::string file = file_of({{}});
    for (size_t n = 0; n < file.size(); ++n) CHECK_THROWS_AS(read(file.substr(0, n)), ModelError);
    std::mt19937 random(1);
    for (int i = 0; i < 20000; ++i) {
        std::string changed = file;
        for (int n = 0; n < 1 + i % 3; ++n) changed[random() % changed.size()] = static_cast<char>(random());
        try {
            read(changed);
        } catch (const ModelError&) {
        }
    }
}
