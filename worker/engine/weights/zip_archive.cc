#include "worker/engine/weights/zip_archive.h"

#include <algorithm>
#include <bit>
#include <cstdint>
#include <cstring>
#include <vector>

#include "worker/engine/weights/printable.h"
#include "worker/engine/weights/safetensors_header.h"

namespace svi::engine {
namespace {

static_assert(std::endian::native == std::endian::little, "the format is little-endian and is read in place");

constexpr uint32_t kLocalHeader = 0x04034b50;
constexpr uint32_t kDirectoryHeader = 0x02014b50;
constexpr uint32_t kEnd = 0x06054b50;
constexpr uint32_t kZip64End = 0x06064b50;
constexpr uint32_t kZip64Locator = 0x07064b50;
constexpr size_t kLocalHeaderBytes = 30;
constexpr size_t kDirectoryHeaderBytes = 46;
constexpr size_t kEndBytes = 22;
constexpr size_t kZip64EndBytes = 56;
constexpr size_t kZip64LocatorBytes = 20;
constexpr uint16_t kZip64Extra = 1;
// What a field holds whose value is in its zip64 counterpart.
constexpr uint32_t kElsewhere = 0xffffffff;
constexpr uint16_t kElsewhere16 = 0xffff;
// General purpose bits: encrypted, patched, strongly encrypted, masked directory.
constexpr uint16_t kForbiddenFlags = 0x0001 | 0x0020 | 0x0040 | 0x2000;
// The checkpoints' directories have fewer than 2000 entries of 80 bytes.
constexpr uint64_t kMaxDirectoryBytes = 16 << 20;

// The caller has checked that the field is inside.
template <typename T>
T Field(std::string_view bytes, size_t at) {
  T value;
  std::memcpy(&value, bytes.data() + at, sizeof(value));
  return value;
}

struct DirectoryPlace {
  uint64_t begin = 0;
  uint64_t size = 0;
  uint64_t entries = 0;
};

struct Entry {
  std::string_view name;
  uint16_t flags = 0;
  uint16_t method = 0;
  uint64_t packed_size = 0;
  uint64_t size = 0;
  uint64_t header = 0;
  uint64_t end = 0;
};

class Reader {
 public:
  Reader(std::string_view archive, const std::string& file_name) : archive_(archive), file_name_(file_name) {}

  ZipDirectory Read() {
    const DirectoryPlace place = FindDirectory();
    ZipDirectory directory;
    std::vector<Entry> entries = ReadEntries(place);
    for (Entry& entry : entries) {
      const std::string_view content = Content(entry, place.begin);
      if (!directory.entries.emplace(entry.name, content).second)
        Refuse("has the entry " + Printable(entry.name) + " twice");
    }
    if (entries.empty()) Refuse("is an empty zip archive");
    directory.root = entries.front().name.substr(0, entries.front().name.find('/'));
    CheckOverlaps(entries);
    return directory;
  }

 private:
  [[noreturn]] void Refuse(const std::string& why) const { RefuseFile(file_name_, why); }

  size_t FindEnd() const {
    if (archive_.size() >= kEndBytes) {
      const size_t last = archive_.size() - kEndBytes;
      const size_t first = last > kElsewhere16 ? last - kElsewhere16 : 0;
      for (size_t at = last + 1; at-- > first;) {
        if (Field<uint32_t>(archive_, at) == kEnd && Field<uint16_t>(archive_, at + 20) == last - at)
          return at;
      }
    }
    Refuse("is cut short: the directory at the end of a zip archive is missing");
  }

  DirectoryPlace FindDirectory() const {
    const size_t end = FindEnd();
    const uint16_t disk = Field<uint16_t>(archive_, end + 4);
    const uint16_t directory_disk = Field<uint16_t>(archive_, end + 6);
    const uint16_t disk_entries = Field<uint16_t>(archive_, end + 8);
    const uint16_t entries = Field<uint16_t>(archive_, end + 10);
    const uint32_t size = Field<uint32_t>(archive_, end + 12);
    const uint32_t begin = Field<uint32_t>(archive_, end + 16);
    DirectoryPlace place{begin, size, entries};
    size_t limit = end;
    const bool zip64 = end >= kZip64LocatorBytes + kZip64EndBytes &&
                       Field<uint32_t>(archive_, end - kZip64LocatorBytes) == kZip64Locator;
    if (zip64) {
      place = FindZip64Directory(end, &limit);
      // Either record may be the one that another reader believes.
      const bool agree = (entries == kElsewhere16 || entries == place.entries) &&
                         (size == kElsewhere || size == place.size) &&
                         (begin == kElsewhere || begin == place.begin);
      if (!agree) Refuse("has two different directories");
    } else {
      if (entries == kElsewhere16 || size == kElsewhere || begin == kElsewhere)
        Refuse("is cut short: its zip64 directory is missing");
      if (disk != 0 || directory_disk != 0 || disk_entries != entries)
        Refuse("is a zip archive of several disks");
    }
    if (place.size > kMaxDirectoryBytes)
      Refuse("has a zip directory of more than " + std::to_string(kMaxDirectoryBytes) + " bytes");
    if (place.begin > limit || place.size > limit - place.begin)
      Refuse("has a zip directory outside of the file");
    return place;
  }

  DirectoryPlace FindZip64Directory(size_t end, size_t* limit) const {
    const size_t locator = end - kZip64LocatorBytes;
    const uint64_t at = Field<uint64_t>(archive_, locator + 8);
    if (Field<uint32_t>(archive_, locator + 4) != 0 || Field<uint32_t>(archive_, locator + 16) > 1)
      Refuse("is a zip archive of several disks");
    if (at > locator - kZip64EndBytes || Field<uint32_t>(archive_, at) != kZip64End)
      Refuse("has no zip64 directory where it says");
    if (Field<uint32_t>(archive_, at + 16) != 0 || Field<uint32_t>(archive_, at + 20) != 0 ||
        Field<uint64_t>(archive_, at + 24) != Field<uint64_t>(archive_, at + 32)) {
      Refuse("is a zip archive of several disks");
    }
    *limit = at;
    return {Field<uint64_t>(archive_, at + 48), Field<uint64_t>(archive_, at + 40),
            Field<uint64_t>(archive_, at + 32)};
  }

  std::vector<Entry> ReadEntries(const DirectoryPlace& place) const {
    const std::string_view directory = archive_.substr(place.begin, place.size);
    std::vector<Entry> entries;
    size_t at = 0;
    while (at < directory.size()) {
      if (directory.size() - at < kDirectoryHeaderBytes ||
          Field<uint32_t>(directory, at) != kDirectoryHeader) {
        Refuse("has a broken zip directory");
      }
      const std::string_view header = directory.substr(at, kDirectoryHeaderBytes);
      const size_t name = Field<uint16_t>(header, 28);
      const size_t extra = Field<uint16_t>(header, 30);
      const size_t comment = Field<uint16_t>(header, 32);
      at += kDirectoryHeaderBytes;
      if (directory.size() - at < name + extra + comment) Refuse("has a broken zip directory");
      entries.push_back(ReadEntry(header, directory.substr(at, name), directory.substr(at + name, extra)));
      at += name + extra + comment;
    }
    if (entries.size() != place.entries)
      Refuse("has a zip directory with another number of entries than it says");
    return entries;
  }

  Entry ReadEntry(std::string_view header, std::string_view name, std::string_view extra) const {
    Entry entry;
    entry.name = name;
    entry.flags = Field<uint16_t>(header, 8);
    entry.method = Field<uint16_t>(header, 10);
    entry.packed_size = Field<uint32_t>(header, 20);
    entry.size = Field<uint32_t>(header, 24);
    entry.header = Field<uint32_t>(header, 42);
    const uint16_t disk = Field<uint16_t>(header, 34);
    if (disk != 0 && disk != kElsewhere16) Refuse("is a zip archive of several disks");
    // In this order, and only those that did not fit (4.5.3).
    std::string_view wide = FindZip64Extra(extra, name);
    for (uint64_t* field : {&entry.size, &entry.packed_size, &entry.header}) {
      if (*field != kElsewhere) continue;
      if (wide.size() < sizeof(uint64_t)) Refuse("has no zip64 size for the entry " + Printable(name));
      *field = Field<uint64_t>(wide, 0);
      wide.remove_prefix(sizeof(uint64_t));
    }
    return entry;
  }

  std::string_view FindZip64Extra(std::string_view extra, std::string_view name) const {
    // Some writers pad with fewer bytes than a record's head has.
    while (extra.size() >= 4) {
      const uint16_t id = Field<uint16_t>(extra, 0);
      const size_t size = Field<uint16_t>(extra, 2);
      if (size > extra.size() - 4) Refuse("has broken extra fields for the entry " + Printable(name));
      if (id == kZip64Extra) return extra.substr(4, size);
      extra.remove_prefix(4 + size);
    }
    return {};
  }

  // Everything of an entry has to lie before `limit`. Sets where the entry ends.
  std::string_view Content(Entry& entry, uint64_t limit) const {
    const auto refuse = [&](const char* why) {
      Refuse("has the entry " + Printable(entry.name) + " " + why);
    };
    if ((entry.flags & kForbiddenFlags) != 0) refuse("encrypted; only plain ones are read");
    if (entry.method != 0) refuse("compressed; only stored ones are read");
    if (entry.packed_size != entry.size) refuse("with two different sizes");
    if (entry.header > limit || limit - entry.header < kLocalHeaderBytes) refuse("outside of the file");
    const std::string_view header = archive_.substr(entry.header, kLocalHeaderBytes);
    if (Field<uint32_t>(header, 0) != kLocalHeader) refuse("where none begins");
    if (Field<uint16_t>(header, 6) & kForbiddenFlags || Field<uint16_t>(header, 8) != 0)
      refuse("described otherwise than in the directory");
    // The sizes beside the content may be 0, for a writer that did not know them yet: the directory's count.
    const size_t name = Field<uint16_t>(header, 26);
    const uint64_t begin = entry.header + kLocalHeaderBytes + name + Field<uint16_t>(header, 28);
    if (begin > limit || entry.size > limit - begin) refuse("outside of the file");
    if (archive_.substr(entry.header + kLocalHeaderBytes, name) != entry.name)
      refuse("described otherwise than in the directory");
    entry.end = begin + entry.size;
    return archive_.substr(begin, entry.size);
  }

  void CheckOverlaps(std::vector<Entry>& entries) const {
    std::sort(entries.begin(), entries.end(),
              [](const Entry& a, const Entry& b) { return a.header < b.header; });
    for (size_t i = 1; i < entries.size(); ++i) {
      if (entries[i].header < entries[i - 1].end)
        Refuse("has the entry " + Printable(entries[i].name) + " laid over another");
    }
  }

  const std::string_view archive_;
  const std::string& file_name_;
};

}  // namespace

ZipDirectory ReadZipDirectory(std::string_view archive, const std::string& file_name) {
  return Reader(archive, file_name).Read();
}

}  // namespace svi::engine
