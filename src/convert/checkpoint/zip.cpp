#include "convert/checkpoint/zip.h"

#include <algorithm>
#include <cstdint>
#include <vector>

#include "base/error.h"
#include "base/printable.h"
#include "gguf/cursor.h"

namespace quern {
namespace {

constexpr uint32_t end_signature = 0x06054b50, zip64_end_signature = 0x06064b50, zip64_locator_signature = 0x07064b50;
constexpr uint32_t entry_signature = 0x02014b50, local_signature = 0x04034b50;
constexpr uint64_t end_bytes = 22, longest_comment = 65535, locator_bytes = 20;
constexpr uint64_t most_entries = 1'000'000;

struct Directory {
    uint64_t n_entries = 0, bytes = 0, offset = 0;
};

struct Entry {
    std::string name;
    uint64_t bytes = 0, header_at = 0;
};

class ZipReader {
  public:
    ZipReader(std::span<const std::byte> file, std::string_view path) : file_(file), path_(path) {}

    ZipEntries read() {
        const Directory directory = find_directory();
        if (directory.n_entries > most_entries) fail(concat("has ", directory.n_entries, " entries"));
        Cursor cursor = at(directory.offset, "the directory");
        ZipEntries entries;
        for (uint64_t i = 0; i < directory.n_entries; ++i) {
            const Entry entry = read_entry(cursor);
            const auto bytes = data_of(entry);
            if (!entries.emplace(entry.name, bytes).second) fail(concat("holds ", quoted(entry.name), " twice"));
        }
        check_overlaps(entries);
        return entries;
    }

  private:
    [[noreturn]] void fail(std::string_view what) const { throw ModelError(concat(printable(path_), ": ", what)); }

    Cursor at(uint64_t offset, std::string_view what) const {
        if (offset > file_.size()) fail(concat(what, " would begin at byte ", offset, ", but the file has ", file_.size()));
        return Cursor(file_.subspan(offset), path_);
    }

    // The end record is the last one; a comment may follow it.
    Directory find_directory() const {
        if (file_.size() < end_bytes) fail("is no whole zip file: it is too short");
        const uint64_t last = file_.size() - end_bytes, first = last > longest_comment ? last - longest_comment : 0;
        for (uint64_t where = last;; --where) {
            Cursor cursor = at(where, "the end record");
            if (cursor.read<uint32_t>("a signature") == end_signature) return read_end(cursor, where);
            if (where == first) break;
        }
        fail("is no whole zip file: its end is missing, so it may be cut off");
    }

    Directory read_end(Cursor& cursor, uint64_t where) const {
        cursor.skip(6, "the end record");
        Directory directory;
        directory.n_entries = cursor.read<uint16_t>("the number of entries");
        directory.bytes = cursor.read<uint32_t>("the directory's length");
        directory.offset = cursor.read<uint32_t>("the directory's offset");
        const bool is_zip64 = directory.n_entries == 0xFFFF || directory.bytes == 0xFFFFFFFF || directory.offset == 0xFFFFFFFF;
        return is_zip64 && where >= locator_bytes ? read_zip64_end(where - locator_bytes, directory) : directory;
    }

    Directory read_zip64_end(uint64_t locator_at, const Directory& otherwise) const {
        Cursor locator = at(locator_at, "the zip64 locator");
        if (locator.read<uint32_t>("a signature") != zip64_locator_signature) return otherwise;
        locator.skip(4, "the zip64 locator");
        Cursor end = at(locator.read<uint64_t>("the zip64 end's offset"), "the zip64 end record");
        if (end.read<uint32_t>("a signature") != zip64_end_signature) fail("its zip64 end record is not where it should be");
        end.skip(28, "the zip64 end record");
        Directory directory;
        directory.n_entries = end.read<uint64_t>("the number of entries");
        directory.bytes = end.read<uint64_t>("the directory's length");
        directory.offset = end.read<uint64_t>("the directory's offset");
        return directory;
    }

    Entry read_entry(Cursor& cursor) const {
        if (cursor.read<uint32_t>("a directory entry") != entry_signature) fail("has a broken directory");
        cursor.skip(4, "a directory entry");
        const auto flags = cursor.read<uint16_t>("flags");
        const auto method = cursor.read<uint16_t>("the method");
        cursor.skip(8, "a directory entry");
        uint64_t stored = cursor.read<uint32_t>("the stored length");
        Entry entry;
        entry.bytes = cursor.read<uint32_t>("the length");
        const auto n_name = cursor.read<uint16_t>("the name's length");
        const auto n_extra = cursor.read<uint16_t>("the extra field's length");
        const auto n_comment = cursor.read<uint16_t>("the comment's length");
        cursor.skip(8, "a directory entry");
        entry.header_at = cursor.read<uint32_t>("the entry's offset");
        entry.name.assign(reinterpret_cast<const char*>(cursor.skip(n_name, "the name")), n_name);
        Cursor extra(std::span(cursor.skip(n_extra, "the extra field"), n_extra), path_);
        read_zip64_extra(extra, stored, entry);
        cursor.skip(n_comment, "the comment");
        if (flags & 1) fail(concat("entry ", quoted(entry.name), " is encrypted"));
        if (method != 0 || stored != entry.bytes) fail(concat("entry ", quoted(entry.name), " is compressed, which PyTorch never does"));
        return entry;
    }

    // The field with the id 1 holds, in this order, those numbers that did not fit where they belong.
    static void read_zip64_extra(Cursor extra, uint64_t& stored, Entry& entry) {
        while (extra.bytes_left() >= 4) {
            const auto id = extra.read<uint16_t>("an extra field");
            const auto n = extra.read<uint16_t>("an extra field");
            const uint64_t end = extra.bytes_left() - std::min<uint64_t>(n, extra.bytes_left());
            if (id == 1)
                for (uint64_t* each : {&entry.bytes, &stored, &entry.header_at})
                    if (*each == 0xFFFFFFFF && extra.bytes_left() >= end + 8) *each = extra.read<uint64_t>("a zip64 number");
            extra.skip(extra.bytes_left() - end, "an extra field");
        }
    }

    std::span<const std::byte> data_of(const Entry& entry) const {
        Cursor cursor = at(entry.header_at, "an entry");
        if (cursor.read<uint32_t>("an entry's header") != local_signature)
            fail(concat("entry ", quoted(entry.name), " is not where it should be"));
        cursor.skip(22, "an entry's header");
        const auto n_name = cursor.read<uint16_t>("the name's length");
        const auto n_extra = cursor.read<uint16_t>("the extra field's length");
        cursor.skip(uint64_t{n_name} + n_extra, "an entry's header");
        if (entry.bytes > cursor.bytes_left())
            fail(concat("entry ", quoted(entry.name), " claims ", entry.bytes, " bytes, but ", cursor.bytes_left(), " are left"));
        return {cursor.skip(entry.bytes, "an entry"), static_cast<size_t>(entry.bytes)};
    }

    void check_overlaps(const ZipEntries& entries) const {
        std::vector<std::pair<const std::byte*, size_t>> places;
        for (const auto& [name, bytes] : entries)
            if (!bytes.empty()) places.emplace_back(bytes.data(), bytes.size());
        std::sort(places.begin(), places.end());
        for (size_t i = 1; i < places.size(); ++i)
            if (places[i - 1].first + places[i - 1].second > places[i].first) fail("has entries that overlap");
    }

    std::span<const std::byte> file_;
    std::string_view path_;
};

}  // namespace

ZipEntries read_zip(std::span<const std::byte> file, std::string_view path) { return ZipReader(file, path).read(); }

}  // namespace quern
