#include "worker/media/orientation.h"

#include <cstdint>
#include <cstring>
#include <utility>

namespace svi::media {
namespace {

constexpr uint16_t kOrientationTag = 0x0112;
constexpr uint16_t kShortType = 3;
constexpr size_t kEntryBytes = 12;

// Integers of either byte order; zero past the end.
struct Reader {
  std::string_view bytes;
  bool big_endian = false;

  uint32_t Get(size_t offset, int count) const {
    if (offset > bytes.size() || bytes.size() - offset < static_cast<size_t>(count)) return 0;
    uint32_t value = 0;
    for (int i = 0; i < count; ++i) {
      const int at = big_endian ? i : count - 1 - i;
      value = value << 8 | static_cast<uint8_t>(bytes[offset + at]);
    }
    return value;
  }
};

}  // namespace

int ExifOrientation(std::string_view tiff) {
  // Some writers keep JPEG's "Exif\0\0" prefix in PNG and WebP too.
  constexpr std::string_view kPrefix("Exif\0\0", 6);
  if (tiff.substr(0, kPrefix.size()) == kPrefix) tiff.remove_prefix(kPrefix.size());
  if (tiff.size() < 8) return 1;
  Reader reader{tiff};
  if (tiff.substr(0, 2) == "MM") {
    reader.big_endian = true;
  } else if (tiff.substr(0, 2) != "II") {
    return 1;
  }
  if (reader.Get(2, 2) != 42) return 1;
  const size_t directory = reader.Get(4, 4);
  const size_t entries = reader.Get(directory, 2);
  for (size_t i = 0; i < entries; ++i) {
    const size_t entry = directory + 2 + i * kEntryBytes;
    if (entry + kEntryBytes > tiff.size()) break;
    if (reader.Get(entry, 2) != kOrientationTag) continue;
    const uint32_t value = reader.Get(entry + 8, 2);
    return reader.Get(entry + 2, 2) == kShortType && value >= 1 && value <= 8 ? static_cast<int>(value) : 1;
  }
  return 1;
}

engine::Picture Upright(engine::Picture picture, int orientation) {
  if (orientation < 2 || orientation > 8) return picture;
  const int w = picture.width, h = picture.height;
  const bool transposed = orientation >= 5;
  engine::Picture out{.width = transposed ? h : w, .height = transposed ? w : h, .rgb = {}};
  out.rgb.resize(picture.rgb.size());
  for (int y = 0; y < out.height; ++y) {
    for (int x = 0; x < out.width; ++x) {
      // Where the upright pixel (x, y) is stored. EXIF 2.32, table "Orientation": what row 0 and column 0
      // stand for.
      int sx = transposed ? y : x, sy = transposed ? x : y;
      if (orientation == 2 || orientation == 3 || orientation == 7 || orientation == 8) sx = w - 1 - sx;
      if (orientation == 3 || orientation == 4 || orientation == 6 || orientation == 7) sy = h - 1 - sy;
      std::memcpy(&out.rgb[3 * (size_t{1} * y * out.width + x)], &picture.rgb[3 * (size_t{1} * sy * w + sx)],
                  3);
    }
  }
  return out;
}

}  // namespace svi::media
