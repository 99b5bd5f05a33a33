// A request as it comes off the wire. The first byte chooses which.
#include <iterator>
#include <string>
#include <type_traits>

#include "server/rpc/parse.h"
#include "server/rpc/validation.h"
#include "tests/fuzz/fuzz.h"

namespace svi::server {
namespace {

template <typename Request>
void Try(std::string_view bytes) {
  Request request;
  if (const absl::Status parsed = ParseRequestBytes(absl::string_view(bytes.data(), bytes.size()), &request);
      !parsed.ok()) {
    fuzz::Check(parsed.code() == absl::StatusCode::kInvalidArgument,
                "what cannot be parsed is the caller's fault");
    return;
  }
  // Pictures are decoded in a child process, of which the fuzzer sees nothing: they have a target of their
  // own.
  if constexpr (std::is_same_v<Request, v1::CreateVideoRequest>) request.mutable_spec()->clear_image();
  const absl::Status valid = Validate(request);
  fuzz::Check(valid.ok() || valid.code() == absl::StatusCode::kInvalidArgument,
              "what is wrong is the caller's fault");
  fuzz::Check(HashOfRequest(request) == HashOfRequest(request), "a request has one hash");
}

}  // namespace
}  // namespace svi::server

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  using namespace svi::server;
  namespace v1 = svi::v1;
  if (size == 0) return 0;
  constexpr void (*kTries[])(std::string_view) = {
      Try<v1::CreateVideoRequest>,       Try<v1::AppendPromptsRequest>,    Try<v1::ListVideosRequest>,
      Try<v1::CreateTrainingRunRequest>, Try<v1::ListTrainingRunsRequest>, Try<v1::ListLorasRequest>,
  };
  kTries[data[0] % std::size(kTries)](svi::fuzz::View(data + 1, size - 1));
  return 0;
}
