#include "worker/data/dataset.h"

#include <algorithm>
#include <filesystem>
#include <optional>
#include <system_error>
#include <utility>

#include "absl/strings/str_cat.h"
#include "worker/data/listing.h"
#include "worker/media/video_file.h"

namespace svi::data {
namespace {

namespace fs = std::filesystem;
using engine::VideoSource;

class Dataset : public VideoSource {
 public:
  explicit Dataset(Listing listing) : listing_(std::move(listing)) {}

  const std::vector<Item>& items() const override { return listing_.items; }
  const std::vector<Skipped>& skipped() const override { return listing_.skipped; }

  absl::StatusOr<Info> Probe(size_t item) override {
    const auto video = media::VideoFile::Open(listing_.paths.at(item));
    if (!video.ok()) return video.status();
    Info info;
    while (true) {
      const absl::StatusOr<bool> more = (*video)->Skip();
      if (!more.ok()) return more.status();
      if (!*more) break;
      ++info.frames;
      info.width = (*video)->width();
      info.height = (*video)->height();
    }
    if (info.frames == 0) return absl::InvalidArgumentError("the video holds no frames");
    info.fps = (*video)->fps();
    return info;
  }

  absl::Status ReadFrames(size_t item, const std::vector<int64_t>& numbers,
                          const std::function<absl::Status(const engine::Picture&)>& frame) override {
    if (!std::is_sorted(numbers.begin(), numbers.end()) || (!numbers.empty() && numbers[0] < 0)) {
      return absl::InvalidArgumentError("frame numbers must ascend from 0");
    }
    const auto video = media::VideoFile::Open(listing_.paths.at(item));
    if (!video.ok()) return video.status();
    int64_t next = 0;  // number of the frame that the file gives next
    std::optional<engine::Picture> picture;
    for (const int64_t number : numbers) {
      if (absl::Status status = GoTo(**video, number, &next, &picture); !status.ok()) return status;
      if (absl::Status status = frame(*picture); !status.ok()) return status;
    }
    return absl::OkStatus();
  }

 private:
  // Makes `picture` the frame of that number, which it may be already.
  static absl::Status GoTo(media::VideoFile& video, int64_t number, int64_t* next,
                           std::optional<engine::Picture>* picture) {
    const auto ended = [&] {
      return absl::InvalidArgumentError(absl::StrCat("the video ends before its frame ", number));
    };
    for (; *next < number; ++*next) {
      const absl::StatusOr<bool> more = video.Skip();
      if (!more.ok()) return more.status();
      if (!*more) return ended();
    }
    if (*next > number) return absl::OkStatus();
    auto read = video.Next();
    if (!read.ok()) return read.status();
    if (!read->has_value()) return ended();
    *picture = *std::move(read);
    ++*next;
    return absl::OkStatus();
  }

  const Listing listing_;
};

// "…: cats/cats.csv, line 2 (a.mp4): there is no such file; and 3 more".
std::string Describe(const std::vector<VideoSource::Skipped>& skipped) {
  constexpr size_t kShown = 3;
  std::string text;
  for (size_t i = 0; i < std::min(skipped.size(), kShown); ++i) {
    absl::StrAppend(&text, i == 0 ? ": " : "; ", skipped[i].name, ": ", skipped[i].why);
  }
  if (skipped.size() > kShown) absl::StrAppend(&text, "; and ", skipped.size() - kShown, " more");
  return text;
}

}  // namespace

absl::StatusOr<std::unique_ptr<VideoSource>> OpenDataset(const std::string& path) {
  std::error_code ignored;
  const fs::file_status status = fs::status(path, ignored);
  if (!fs::exists(status)) return absl::NotFoundError("the data set is not there");
  absl::StatusOr<Listing> listing =
      absl::InvalidArgumentError("the data set must be a folder or a .jsonl file");
  if (fs::is_directory(status)) {
    listing = ListFolder(path);
  } else if (fs::is_regular_file(status) && fs::path(path).extension() == ".jsonl") {
    listing = ListJsonLines(path);
  }
  if (!listing.ok()) return listing.status();
  if (listing->items.empty()) {
    return absl::InvalidArgumentError(
        absl::StrCat("the data set names no video that can be used", Describe(listing->skipped)));
  }
  return std::make_unique<Dataset>(*std::move(listing));
}

}  // namespace svi::data
