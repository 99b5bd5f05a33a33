// What a data set names, before any video is opened. Private to worker/data.
#ifndef SVI_WORKER_DATA_LISTING_H_
#define SVI_WORKER_DATA_LISTING_H_

#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "engine/video_source.h"

namespace svi::data {

struct Listing {
  std::vector<engine::VideoSource::Item> items;
  std::vector<std::string> paths;  // of the items
  std::vector<engine::VideoSource::Skipped> skipped;
};

// The two forms of dataset.h. Errors: what cannot be listed or read at all.
absl::StatusOr<Listing> ListFolder(const std::string& folder);
absl::StatusOr<Listing> ListJsonLines(const std::string& file);

}  // namespace svi::data

#endif  // SVI_WORKER_DATA_LISTING_H_
