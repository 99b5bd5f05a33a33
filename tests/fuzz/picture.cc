// A JPEG, PNG or WebP file. Large pictures are left to picture_test.cc: they would only slow this down.
extern "C" {
#include <libavutil/crc.h>
}

#include <algorithm>
#include <string>

#include "tests/fuzz/fuzz.h"
#include "worker/media/media.h"
#include "worker/media/picture_header.h"

using svi::fuzz::Check;

#ifdef SVI_FUZZ
namespace {

// PNG's chunks carry checksums, past which no mutation gets by chance.
void RepairPng(uint8_t* data, size_t size) {
  constexpr size_t kSignature = 8, kHead = 8, kChecksum = 4;
  const auto big32 = [&](size_t at) {
    return uint32_t{data[at]} << 24 | uint32_t{data[at + 1]} << 16 | uint32_t{data[at + 2]} << 8 |
           data[at + 3];
  };
  for (size_t at = kSignature; size >= kHead + kChecksum && at <= size - kHead - kChecksum;) {
    const size_t length = std::min<size_t>(big32(at), size - at - kHead - kChecksum);
    const uint32_t crc = ~av_crc(av_crc_get_table(AV_CRC_32_IEEE_LE), 0xFFFFFFFFu, data + at + 4, length + 4);
    for (int i = 0; i < 4; ++i) {
      data[at + i] = static_cast<uint8_t>(length >> (24 - 8 * i));
      data[at + kHead + length + i] = static_cast<uint8_t>(crc >> (24 - 8 * i));
    }
    at += kHead + length + kChecksum;
  }
}

}  // namespace

extern "C" size_t LLVMFuzzerMutate(uint8_t* data, size_t size, size_t max_size);

extern "C" size_t LLVMFuzzerCustomMutator(uint8_t* data, size_t size, size_t max_size, unsigned seed) {
  size = LLVMFuzzerMutate(data, size, max_size);
  // Not always: chunks that are cut short matter too.
  if (seed % 8 != 0 && size > 8 && data[1] == 'P') RepairPng(data, size);
  return size;
}
#endif

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  constexpr int64_t kMaxSide = 512;
  const std::string_view bytes = svi::fuzz::View(data, size);
  const auto header = svi::media::ReadPictureHeader(bytes);
  if (header.ok() && (header->width > kMaxSide || header->height > kMaxSide)) return 0;
  const auto picture = svi::media::DecodePicture(bytes);
  if (!picture.ok()) {
    Check(!picture.status().message().empty(), "errors say why");
    return 0;
  }
  Check(header.ok(), "what is decoded had a header");
  Check(picture->rgb.size() == size_t{3} * picture->width * picture->height,
        "there are as many bytes as pixels");
  return 0;
}
