// A video's finished clips as one file.
#ifndef SVI_WORKER_MEDIA_JOIN_H_
#define SVI_WORKER_MEDIA_JOIN_H_

#include <string>
#include <vector>

#include "absl/status/status.h"

namespace svi::media {

// Joins finished clip MP4s, in order, into one plain (not fragmented) MP4 at `output_path` with its index in
// front, by stream copy: nothing is decoded, timestamps run on without a gap. The same clips give the same
// bytes. Clips from different encoders may be mixed; size and frame rate must be equal. An existing file is
// replaced; on an error none is left. INVALID_ARGUMENT: no clips, or clips that do not fit together, with the
// clip's number. NOT_FOUND or INTERNAL: files that cannot be read or written. Messages hold no paths.
[[nodiscard]] absl::Status JoinClips(const std::vector<std::string>& clip_paths,
                                     const std::string& output_path);

}  // namespace svi::media

#endif  // SVI_WORKER_MEDIA_JOIN_H_
