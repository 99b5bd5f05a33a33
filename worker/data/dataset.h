// A trainer's data set on disk. Two forms:
//  - a folder of categories, `<category>/<category>.csv` beside the videos it names, with the columns
//    "Filename" and "Video Description" (any order, others are ignored; RFC 4180);
//  - a JSON Lines file, NAME.jsonl: {"path": …, "prompt": …} a line, paths relative to the file's folder.
#ifndef SVI_WORKER_DATA_DATASET_H_
#define SVI_WORKER_DATA_DATASET_H_

#include <memory>
#include <string>

#include "absl/status/statusor.h"
#include "engine/video_source.h"

namespace svi::data {

// Lists the data set; no video is opened yet. Categories go by name, rows by their order. A row that cannot
// be used (fields missing, no prompt, no such file, a path that leaves the folder) is in skipped(), with the
// reason. NOT_FOUND: `path` is not there. INVALID_ARGUMENT: it is of neither form, or has no usable row; the
// message says what was wrong with the first ones. Messages name files relative to the data set.
absl::StatusOr<std::unique_ptr<engine::VideoSource>> OpenDataset(const std::string& path);

}  // namespace svi::data

#endif  // SVI_WORKER_DATA_DATASET_H_
