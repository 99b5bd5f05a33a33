#include "worker/media/picture_header.h"

#include <algorithm>

#include "absl/status/status.h"
#include "absl/strings/str_cat.h"
#include "worker/media/orientation.h"

extern "C" {
#include <libavutil/crc.h>
}

namespace svi::media {
namespace {

// Encoders write about ten. A scan of a few bytes passes over all pixels, so many of them in a small file
// would keep the decoder busy for hours.
constexpr int kMaxJpegScans = 100;

constexpr std::string_view kPngSignature("\x89PNG\r\n\x1a\n", 8);

uint32_t Byte(std::string_view bytes, size_t at) { return static_cast<uint8_t>(bytes[at]); }
uint32_t Big16(std::string_view b, size_t at) { return Byte(b, at) << 8 | Byte(b, at + 1); }
uint32_t Big32(std::string_view b, size_t at) { return Big16(b, at) << 16 | Big16(b, at + 2); }
uint32_t Little16(std::string_view b, size_t at) { return Byte(b, at + 1) << 8 | Byte(b, at); }
uint32_t Little24(std::string_view b, size_t at) { return Byte(b, at + 2) << 16 | Little16(b, at); }
uint32_t Little32(std::string_view b, size_t at) { return Little16(b, at + 2) << 16 | Little16(b, at); }

absl::Status Truncated(absl::string_view format) {
  return absl::InvalidArgumentError(absl::StrCat("the picture is a truncated ", format));
}
absl::Status Damaged(absl::string_view format, absl::string_view what) {
  return absl::InvalidArgumentError(absl::StrCat("the picture is a damaged ", format, ": ", what));
}

// JPEG (ITU T.81, annex B): a chain of marker segments; after SOS, entropy-coded bytes up to the next real
// marker.
absl::StatusOr<PictureHeader> ReadJpeg(std::string_view bytes) {
  constexpr uint32_t kSos = 0xDA, kEoi = 0xD9, kApp1 = 0xE1, kTem = 0x01, kJpegLs = 0xF7;
  PictureHeader header{.format = PictureFormat::kJpeg, .data = {}};
  int scans = 0;
  size_t at = 2;
  while (true) {
    if (at + 2 > bytes.size()) return Truncated("JPEG");
    if (Byte(bytes, at) != 0xFF) return Damaged("JPEG", "a marker is missing");
    const uint32_t marker = Byte(bytes, at + 1);
    if (marker == 0xFF) {  // fill byte
      ++at;
      continue;
    }
    at += 2;
    if (marker == kEoi) break;
    if (marker == kTem || (marker >= 0xD0 && marker <= 0xD8)) continue;  // no length
    if (at + 2 > bytes.size()) return Truncated("JPEG");
    const size_t length = Big16(bytes, at);
    if (length < 2) return Damaged("JPEG", "a segment has no room for its length");
    if (at + length > bytes.size()) return Truncated("JPEG");
    const std::string_view body = bytes.substr(at + 2, length - 2);
    at += length;
    const bool start_of_frame =
        marker >= 0xC0 && marker <= 0xCF && marker != 0xC4 && marker != 0xC8 && marker != 0xCC;
    if (marker == kJpegLs || (start_of_frame && marker > 0xC2)) {
      return absl::InvalidArgumentError(
          "the picture is a JPEG of a rare kind; only baseline, extended and progressive ones are taken");
    } else if (start_of_frame) {
      if (body.size() < 6) return Damaged("JPEG", "its frame header is too short");
      if (header.width != 0) return Damaged("JPEG", "it has two frame headers");
      header.height = Big16(body, 1);
      header.width = Big16(body, 3);
      if (header.width == 0 || header.height == 0) return Damaged("JPEG", "its size is zero");
    } else if (marker == kApp1 && body.substr(0, 6) == std::string_view("Exif\0\0", 6)) {
      header.orientation = ExifOrientation(body);
    } else if (marker == kSos) {
      if (header.width == 0) return Damaged("JPEG", "pixels come before their size");
      if (++scans > kMaxJpegScans) {
        return absl::InvalidArgumentError(
            absl::StrCat("the picture is a JPEG of more than ", kMaxJpegScans, " scans"));
      }
      while (true) {
        at = bytes.find('\xFF', at);
        if (at == std::string_view::npos || at + 1 >= bytes.size()) return Truncated("JPEG");
        const uint32_t next = Byte(bytes, at + 1);
        if (next != 0 && !(next >= 0xD0 && next <= 0xD7)) break;  // not a stuffed byte, not a restart
        at += next == 0xFF ? 1 : 2;
      }
    }
  }
  if (scans == 0) return Damaged("JPEG", "it has no pixels");
  header.data = std::string(bytes.substr(0, at));  // cameras append thumbnails and videos after the picture
  return header;
}

// PNG (ISO/IEC 15948): signature, then chunks of length, type, data, CRC.
absl::StatusOr<PictureHeader> ReadPng(std::string_view bytes) {
  PictureHeader header{.format = PictureFormat::kPng, .data = std::string(kPngSignature)};
  const AVCRC* table = av_crc_get_table(AV_CRC_32_IEEE_LE);
  bool pixels = false;
  for (size_t at = kPngSignature.size();;) {
    if (at + 12 > bytes.size()) return Truncated("PNG");
    const size_t length = Big32(bytes, at);
    if (length > bytes.size() - at - 12) return Truncated("PNG");
    const std::string_view type = bytes.substr(at + 4, 4);
    const std::string_view body = bytes.substr(at + 8, length);
    const uint32_t crc =
        av_crc(table, 0xFFFFFFFFu, reinterpret_cast<const uint8_t*>(bytes.data()) + at + 4, length + 4) ^
        0xFFFFFFFFu;
    if (crc != Big32(bytes, at + 8 + length)) return Damaged("PNG", "a checksum does not match");
    const bool first = at == kPngSignature.size();
    if (first != (type == "IHDR")) return Damaged("PNG", "its header chunk is not the first");
    if (type == "IHDR") {
      if (length != 13) return Damaged("PNG", "its header has the wrong length");
      header.width = Big32(body, 0);
      header.height = Big32(body, 4);
      if (header.width == 0 || header.height == 0) return Damaged("PNG", "its size is zero");
    } else if (type == "eXIf") {
      header.orientation = ExifOrientation(body);
    }
    pixels = pixels || type == "IDAT";
    if (type == "IHDR" || type == "PLTE" || type == "tRNS" || type == "IDAT" || type == "IEND") {
      header.data.append(bytes.substr(at, length + 12));
    }
    at += length + 12;
    if (type == "IEND") break;
  }
  if (!pixels) return Damaged("PNG", "it has no pixels");
  return header;
}

// Sizes of a WebP's inner bitstream, and of its canvas, must each be within limits: keeps the larger.
void Grow(PictureHeader* header, int64_t width, int64_t height) {
  header->width = std::max(header->width, width);
  header->height = std::max(header->height, height);
}

// WebP (RFC 9649): RIFF chunks; VP8 is lossy, VP8L lossless, VP8X the extended header.
absl::StatusOr<PictureHeader> ReadWebp(std::string_view bytes) {
  PictureHeader header{.format = PictureFormat::kWebp, .data = {}};
  const size_t end = size_t{Little32(bytes, 4)} + 8;
  if (end > bytes.size()) return Truncated("WebP");
  bytes = bytes.substr(0, end);
  bool pixels = false;
  for (size_t at = 12; at < end;) {
    if (at + 8 > end) return Truncated("WebP");
    const std::string_view type = bytes.substr(at, 4);
    const size_t length = Little32(bytes, at + 4);
    if (length > end - at - 8) return Truncated("WebP");
    const std::string_view body = bytes.substr(at + 8, length);
    at = std::min(end, at + 8 + length + (length & 1));
    if (type == "VP8X") {
      if (length < 10) return Damaged("WebP", "its header is too short");
      Grow(&header, 1 + int64_t{Little24(body, 4)}, 1 + int64_t{Little24(body, 7)});
    } else if (type == "VP8 ") {
      if (length < 10 || body.substr(3, 3) != "\x9d\x01\x2a")
        return Damaged("WebP", "its frame header is wrong");
      Grow(&header, Little16(body, 6) & 0x3FFF, Little16(body, 8) & 0x3FFF);
      // The first partition's size is 19 bits of the frame tag.
      if ((Little24(body, 0) >> 5) > length - 10) return Truncated("WebP");
      pixels = true;
    } else if (type == "VP8L") {
      if (length < 5 || body[0] != '\x2f') return Damaged("WebP", "its frame header is wrong");
      const uint32_t bits = Little32(body, 1);
      Grow(&header, 1 + int64_t{bits & 0x3FFF}, 1 + int64_t{bits >> 14 & 0x3FFF});
      pixels = true;
    } else if (type == "ANMF" || type == "ANIM") {
      return absl::InvalidArgumentError("the picture is an animated WebP; only still pictures are taken");
    } else if (type == "EXIF") {
      header.orientation = ExifOrientation(body);
    }
  }
  if (!pixels || header.width == 0 || header.height == 0) return Damaged("WebP", "it has no pixels");
  header.data = std::string(bytes);
  return header;
}

}  // namespace

absl::StatusOr<PictureHeader> ReadPictureHeader(std::string_view bytes) {
  if (bytes.empty()) return absl::InvalidArgumentError("the picture is empty");
  if (bytes.substr(0, 3) == "\xFF\xD8\xFF") return ReadJpeg(bytes);
  if (bytes.substr(0, kPngSignature.size()) == kPngSignature) return ReadPng(bytes);
  if (bytes.size() >= 12 && bytes.substr(0, 4) == "RIFF" && bytes.substr(8, 4) == "WEBP")
    return ReadWebp(bytes);
  return absl::InvalidArgumentError("not a picture that can be read: it must be JPEG, PNG or WebP");
}

}  // namespace svi::media
