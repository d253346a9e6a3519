// The hyper-parameters of a model as keys `<architecture>.<name>` of its file.
#pragma once

#include <optional>
#include <string>
#include <string_view>

#include "base/error.h"
#include "gguf/gguf_file.h"

namespace quern {

/// Reads `<architecture>.<name>` and refuses values that no model has, before anything is computed from them.
class KeyReader {
  public:
    explicit KeyReader(const GgufFile& file)
        : file_(file), prefix_(std::string(file.metadata().require_string("general.architecture")) + ".") {}

    int64_t integer(const char* name, int64_t low, int64_t high) const {
        const auto value = optional_integer(name, low, high);
        if (!value) throw ModelError(concat(file_.path(), ": key ", prefix_, name, " is missing"));
        return *value;
    }

    std::optional<int64_t> optional_integer(const char* name, int64_t low, int64_t high) const {
        const auto value = file_.metadata().integer(prefix_ + name);
        if (value && (*value < low || *value > high))
            throw ModelError(concat(file_.path(), ": key ", prefix_, name, " is ", *value, ", outside ", low, " to ", high));
        return value;
    }

    float real(const char* name, double otherwise, double low, double high) const {
        const double value = file_.metadata().real(prefix_ + name).value_or(otherwise);
        if (!(value >= low && value <= high))
            throw ModelError(concat(file_.path(), ": key ", prefix_, name, " is ", value, ", outside ", low, " to ", high));
        return static_cast<float>(value);
    }

    std::string_view string(const char* name, std::string_view otherwise) const {
        return file_.metadata().string(prefix_ + name).value_or(otherwise);
    }

    bool boolean(const char* name, bool otherwise) const { return file_.metadata().boolean(prefix_ + name).value_or(otherwise); }
    bool has(const char* name) const { return file_.metadata().find(prefix_ + name) != nullptr; }

    [[noreturn]] void fail(const std::string& what) const { throw ModelError(concat(file_.path(), ": ", what)); }

  private:
    const GgufFile& file_;
    std::string prefix_;
};

}  // namespace quern
