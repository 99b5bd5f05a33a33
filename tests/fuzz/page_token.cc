// What callers give back to us: page tokens and names. The first byte chooses the filter.
#include "server/rpc/page_token.h"

#include "server/rpc/names.h"
#include "tests/fuzz/fuzz.h"

using svi::fuzz::Check;

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  using namespace svi::server;
  if (size == 0) return 0;
  const std::string filter = data[0] % 2 == 0 ? "" : StatesFilter({data[0] % 8});
  const std::string text(svi::fuzz::View(data + 1, size - 1));
  if (const auto place = ParsePageToken(text, filter); place.ok()) {
    const auto again = ParsePageToken(MakePageToken(*place, filter), filter);
    Check(again.ok() && *again == *place, "a token's place makes the same token");
    Check(!ParsePageToken(text, filter + "x").ok(), "a token is bound to its filter");
  }
  // A place of any text survives, as long as the token is within its limit.
  const PagePlace place(static_cast<int64_t>(size) * -7919, text.substr(0, 300));
  const auto parsed = ParsePageToken(MakePageToken(place, filter), filter);
  Check(parsed.ok() && *parsed == place, "a token gives its place back");
  (void)ParsePage(data[0], text, filter);
  if (const auto id = ParseVideoName(text); id.ok()) Check(VideoName(*id) == text, "names have one spelling");
  if (const auto id = ParseTrainingRunName(text); id.ok())
    Check(TrainingRunName(*id) == text, "names have one spelling");
  if (const auto clip = ParseClipName(text); clip.ok())
    Check(ClipNameOf(clip->video_id, clip->index) == text, "names have one spelling");
  (void)ParseLoraName(text);
  return 0;
}
