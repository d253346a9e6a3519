// Builds small GGUF files byte by byte for the tests of this folder, independently of the writer, and notes where each field lies.
#pragma once

#include <cstdint>
#include <cstring>
#include <filesystem>
#include <span>
#include <string>
#include <string_view>
#include <vector>

namespace quern::test {

enum class FieldKind { magic, version, count, length, text, value_type, number, boolean, alignment, n_dims, dim, dtype, offset, data };

struct Field {
    std::string name;
    FieldKind kind;
    size_t at = 0;
    size_t bytes = 0;
    size_t bytes_each = 1;  ///< of a count or length: what one of its things takes at least
};

/// A file under construction.
struct SampleFile {
    std::string bytes;
    std::vector<Field> fields;

    template <typename T>
    void number(const std::string& name, FieldKind kind, T value, size_t bytes_each = 1) {
        fields.push_back({name, kind, bytes.size(), sizeof(T), bytes_each});
        bytes.append(reinterpret_cast<const char*>(&value), sizeof(T));
    }
    void text(const std::string& name, std::string_view value);
    void start(uint32_t version, uint64_t n_tensors, uint64_t n_keys);
    /// A key's name and the type of its value; the caller appends the value.
    void key(const std::string& name, uint32_t type);
    template <typename T>
    void number_key(const std::string& name, uint32_t type, T value, FieldKind kind = FieldKind::number) {
        key(name, type);
        number(name + " value", kind, value);
    }
    void array_start(const std::string& name, uint32_t element_type, uint64_t count, size_t bytes_each);
    /// Dimensions innermost first, as in the file.
    void tensor(const std::string& name, const std::vector<uint64_t>& dims, uint32_t dtype, uint64_t offset);
    void pad(size_t alignment) { bytes.resize((bytes.size() + alignment - 1) / alignment * alignment, '\0'); }
    const Field& field(std::string_view name) const;
    template <typename T>
    void overwrite(std::string_view name, T value) {
        std::memcpy(bytes.data() + field(name).at, &value, sizeof(T));
    }
};

/// Every type of key and four tensors, of 1 to 4 dimensions; data without padding at the end, so that every byte of the file is needed.
SampleFile full_sample();

/// Part `number` (from 0) of a split with one tensor "tensor.<number>" per part.
SampleFile part_sample(uint16_t number, uint16_t count, int32_t n_tensors);

/// A folder that is removed again with all it holds.
class TemporaryFolder {
  public:
    TemporaryFolder();
    ~TemporaryFolder();
    std::string file(const std::string& name) const { return (path_ / name).string(); }
    std::string write(const std::string& name, std::string_view bytes) const;

  private:
    std::filesystem::path path_;
};

/// What opening these bytes does: "" when they are a valid file, otherwise the message of the ModelError. They are copied to memory of
/// their exact size, so that the address sanitizer sees a read beyond the end. Checks the form of the message and the memory taken.
std::string error_of(std::string_view bytes);

/// Bytes allocated through operator new by this thread so far.
size_t allocated_bytes();

}  // namespace quern::test
