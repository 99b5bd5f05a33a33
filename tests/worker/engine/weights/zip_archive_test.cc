#include "worker/engine/weights/zip_archive.h"

#include <stdexcept>

#include "tests/worker/engine/weights/torch_zip.h"

namespace svi::engine {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::Pair;

const std::vector<std::pair<std::string, std::string>> kEntries = {{"one", "first"}, {"two", "second"}};

std::string ErrorOf(const std::string& archive) {
  try {
    ReadZipDirectory(archive, "f");
  } catch (const std::invalid_argument& error) {
    EXPECT_THAT(error.what(), ::testing::StartsWith("f: "));
    return error.what();
  }
  return "";
}

// The archive of kEntries with a field of the first (or `index`th) record of its directory set.
template <typename T>
std::string With(size_t field, T value, size_t index = 0) {
  std::string archive = Zip(kEntries);
  size_t record = archive.find("PK\1\2");
  while (index-- > 0) record = archive.find("PK\1\2", record + 1);
  return archive.replace(record + field, sizeof(T), Little(value));
}

template <typename T>
std::string WithEnd(size_t field, T value) {
  std::string archive = Zip(kEntries);
  return archive.replace(archive.find("PK\5\6") + field, sizeof(T), Little(value));
}

TEST(ZipArchive, FindsEveryEntry) {
  const std::string archive = Zip(kEntries);
  const ZipDirectory directory = ReadZipDirectory(archive, "f");
  EXPECT_EQ(directory.root, "x");
  EXPECT_THAT(directory.entries, ElementsAre(Pair("x/one", "first"), Pair("x/two", "second")));
}

TEST(ZipArchive, ACommentAtTheEndIsNoneOfTheArchive) {
  std::string archive = WithEnd<uint16_t>(20, 7) + "comment";
  EXPECT_EQ(ReadZipDirectory(archive, "f").entries.size(), 2u);
  EXPECT_THAT(ErrorOf(archive + "x"), HasSubstr("is cut short"));
}

TEST(ZipArchive, RefusesOtherKindsOfEntries) {
  EXPECT_THAT(ErrorOf(With<uint16_t>(kRecordFlags, 1)), HasSubstr("\"x/one\" encrypted"));
  EXPECT_THAT(ErrorOf(With<uint16_t>(kRecordFlags, 0x2000)), HasSubstr("encrypted"));
  EXPECT_THAT(ErrorOf(With<uint16_t>(kRecordMethod, 8)), HasSubstr("\"x/one\" compressed"));
  EXPECT_THAT(ErrorOf(With<uint16_t>(kRecordDisk, 3)), HasSubstr("several disks"));
}

TEST(ZipArchive, RefusesSizesAndPlacesThatLie) {
  EXPECT_THAT(ErrorOf(With<uint32_t>(kRecordSize, 6)), HasSubstr("two different sizes"));
  std::string archive = With<uint32_t>(kRecordSize, 1000);
  const size_t record = archive.find("PK\1\2");
  archive.replace(record + kRecordPacked, 4, Little<uint32_t>(1000));
  EXPECT_THAT(ErrorOf(archive), HasSubstr("\"x/one\" outside of the file"));
  // Reaches into its neighbour, but not out of the file.
  archive.replace(record + kRecordSize, 4, Little<uint32_t>(20));
  archive.replace(record + kRecordPacked, 4, Little<uint32_t>(20));
  EXPECT_THAT(ErrorOf(archive), HasSubstr("laid over another"));
  EXPECT_THAT(ErrorOf(With<uint32_t>(kRecordOffset, 100000)), HasSubstr("outside of the file"));
  EXPECT_THAT(ErrorOf(With<uint32_t>(kRecordOffset, 1)), HasSubstr("where none begins"));
  // Two entries of one place: the names beside the contents tell.
  EXPECT_THAT(ErrorOf(With<uint32_t>(kRecordOffset, 0, 1)), HasSubstr("described otherwise"));
  EXPECT_THAT(ErrorOf(Zip({{"one", "a"}, {"one", "b"}})), HasSubstr("\"x/one\" twice"));
}

TEST(ZipArchive, RefusesADirectoryThatLies) {
  EXPECT_THAT(ErrorOf(WithEnd<uint16_t>(4, 1)), HasSubstr("several disks"));
  EXPECT_THAT(ErrorOf(WithEnd<uint16_t>(8, 1)), HasSubstr("several disks"));
  EXPECT_THAT(ErrorOf(WithEnd<uint32_t>(12, 100000)), HasSubstr("outside of the file"));
  EXPECT_THAT(ErrorOf(WithEnd<uint32_t>(12, 0x7fffffff)), HasSubstr("more than 16777216 bytes"));
  EXPECT_THAT(ErrorOf(WithEnd<uint32_t>(16, 100000)), HasSubstr("outside of the file"));
  EXPECT_THAT(ErrorOf(WithEnd<uint32_t>(16, 0)), HasSubstr("broken zip directory"));
  EXPECT_THAT(ErrorOf(WithEnd<uint32_t>(16, 0xffffffff)), HasSubstr("zip64 directory is missing"));
  std::string count = WithEnd<uint16_t>(8, 3);
  EXPECT_THAT(ErrorOf(count.replace(count.find("PK\5\6") + 10, 2, Little<uint16_t>(3))),
              HasSubstr("another number of entries"));
  EXPECT_THAT(ErrorOf(With<uint16_t>(kRecordExtra, 60000)), HasSubstr("broken zip directory"));
  EXPECT_THAT(ErrorOf(Zip({})), HasSubstr("empty zip archive"));
  EXPECT_THAT(ErrorOf(""), HasSubstr("is cut short"));
}

// zip64's records after the directory, with the offset of the first of them changed by `shift`.
std::string WithZip64(uint64_t begin, uint64_t size, uint64_t count, int shift = 0) {
  std::string archive = Zip(kEntries);
  const size_t end = archive.find("PK\5\6");
  const std::string record = "PK\6\6" + Little<uint64_t>(44) + Little<uint32_t>(0) + std::string(8, '\0') +
                             Little(count) + Little(count) + Little(size) + Little(begin);
  const std::string locator =
      "PK\6\7" + Little<uint32_t>(0) + Little<uint64_t>(end + shift) + Little<uint32_t>(1);
  return archive.insert(end, record + locator);
}

TEST(ZipArchive, TheTwoDirectoriesOfZip64Agree) {
  const std::string archive = Zip(kEntries);
  const uint64_t begin = archive.find("PK\1\2");
  const uint64_t size = archive.find("PK\5\6") - begin;
  EXPECT_EQ(ErrorOf(WithZip64(begin, size, 2)), "");
  EXPECT_THAT(ErrorOf(WithZip64(begin, size, 3)), HasSubstr("two different directories"));
  EXPECT_THAT(ErrorOf(WithZip64(begin + 1, size, 2)), HasSubstr("two different directories"));
  EXPECT_THAT(ErrorOf(WithZip64(begin, size, 2, 1)), HasSubstr("no zip64 directory where it says"));
  EXPECT_THAT(ErrorOf(WithZip64(begin, size, 2, -100000)), HasSubstr("no zip64 directory where it says"));
  // The old record leaves it to the new one, which lies beyond all bounds.
  std::string wide = WithZip64(UINT64_MAX - 1, size, 2);
  wide.replace(wide.find("PK\5\6") + 16, 4, Little<uint32_t>(0xffffffff));
  EXPECT_THAT(ErrorOf(wide), HasSubstr("outside of the file"));
}

TEST(ZipArchive, ASizeThatIsElsewhereHasToBeThere) {
  EXPECT_THAT(ErrorOf(With<uint32_t>(kRecordSize, 0xffffffff)), HasSubstr("no zip64 size"));
  EXPECT_THAT(ErrorOf(With<uint32_t>(kRecordOffset, 0xffffffff)), HasSubstr("no zip64 size"));
}

}  // namespace
}  // namespace svi::engine
