#include "server/artifacts/s3_artifacts.h"

#include <algorithm>
#include <filesystem>
#include <system_error>
#include <utility>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/strip.h"
#include "server/artifacts/file_io.h"
#include "server/artifacts/file_writer.h"

namespace svi::server {
namespace {

// Of one PUT, by the API.
constexpr uint64_t kMaxObject = uint64_t{5} << 30;
constexpr int kListed = 1000;

class S3Writer final : public FileWriter {
 public:
  S3Writer(S3Client* client, std::string prefix, std::string key, Fd spool)
      : FileWriter(std::move(key), std::move(spool)), client_(client), prefix_(std::move(prefix)) {}

  absl::StatusOr<ArtifactRef> Commit() override {
    absl::StatusOr<ArtifactRef> ref = Close();
    if (!ref.ok()) return ref;
    const absl::Status put = client_->Put(prefix_ + key(), fd(), ref->size, ref->sha256);
    fd() = Fd();
    if (!put.ok()) return put;
    return ref;
  }

 private:
  absl::Status CheckSize(uint64_t size) const override {
    if (size <= kMaxObject) return absl::OkStatus();
    return absl::UnavailableError("the artifact storage takes no more than 5 GiB");
  }

  S3Client* const client_;
  const std::string prefix_;
};

class S3Artifacts final : public ArtifactStore {
 public:
  S3Artifacts(std::unique_ptr<S3Client> client, std::string prefix, std::string spool_dir)
      : client_(std::move(client)), prefix_(std::move(prefix)), spool_dir_(std::move(spool_dir)) {}

  absl::StatusOr<std::unique_ptr<ArtifactWriter>> OpenWriter(absl::string_view key) override {
    if (absl::Status status = CheckArtifactKey(key); !status.ok()) return status;
    absl::StatusOr<Fd> spool = OpenUnnamed(spool_dir_);
    if (!spool.ok()) return spool.status();
    return std::make_unique<S3Writer>(client_.get(), prefix_, std::string(key), *std::move(spool));
  }

  absl::StatusOr<std::string> ReadAt(const ArtifactRef& ref, uint64_t offset, uint64_t length) override {
    if (absl::Status status = CheckArtifactKey(ref.key); !status.ok()) return status;
    if (offset > ref.size) return BeyondArtifact(offset, ref);
    const uint64_t wanted = std::min(length, ref.size - offset);
    // There are no ranges of no bytes.
    if (wanted == 0) {
      const absl::StatusOr<uint64_t> size = client_->Size(prefix_ + ref.key);
      if (!size.ok()) return size.status();
      if (*size != ref.size) return Noting(ref, WrongArtifactSize());
      return std::string();
    }
    uint64_t total = 0;
    absl::StatusOr<std::string> bytes = client_->Get(prefix_ + ref.key, offset, wanted, &total);
    if (absl::IsOutOfRange(bytes.status())) return Noting(ref, WrongArtifactSize());
    if (!bytes.ok()) return bytes;
    if (total != ref.size || bytes->size() != wanted) return Noting(ref, WrongArtifactSize());
    return bytes;
  }

  absl::Status Delete(const ArtifactRef& ref) override {
    if (absl::Status status = CheckArtifactKey(ref.key); !status.ok()) return status;
    return client_->Delete(prefix_ + ref.key);
  }

  absl::Status Visit(absl::FunctionRef<bool(const ArtifactInfo&)> visit) override {
    std::string from;
    do {
      const absl::StatusOr<S3Page> page = client_->List(prefix_, from, kListed);
      if (!page.ok()) return page.status();
      for (const S3Object& object : page->objects) {
        if (!absl::StartsWith(object.key, prefix_)) continue;
        const std::string key = object.key.substr(prefix_.size());
        if (CheckArtifactKey(key).ok() && !visit({key, object.size, object.modified}))
          return absl::OkStatus();
      }
      from = page->next;
    } while (!from.empty());
    return absl::OkStatus();
  }

  absl::Status Look() { return client_->List(prefix_, "", 1).status(); }

 private:
  const std::unique_ptr<S3Client> client_;
  const std::string prefix_;  // empty, or with a slash at its end
  const std::string spool_dir_;
};

}  // namespace

absl::Status ParseS3Url(absl::string_view url, std::string* bucket, std::string* prefix) {
  if (!absl::ConsumePrefix(&url, "s3://")) {
    return absl::InvalidArgumentError("--artifacts: must be s3://BUCKET[/PREFIX], or empty");
  }
  const size_t slash = std::min(url.find('/'), url.size());
  *bucket = std::string(url.substr(0, slash));
  absl::string_view rest = url.substr(slash);
  while (absl::ConsumePrefix(&rest, "/")) {
  }
  while (absl::ConsumeSuffix(&rest, "/")) {
  }
  *prefix = std::string(rest);
  if (bucket->empty() || (!rest.empty() && !CheckArtifactKey(rest).ok())) {
    return absl::InvalidArgumentError(
        "--artifacts: must be s3://BUCKET[/PREFIX], with a prefix of [a-z0-9._/-] and no part that starts "
        "with "
        "a dot");
  }
  return absl::OkStatus();
}

absl::StatusOr<std::unique_ptr<ArtifactStore>> OpenS3Artifacts(S3Options options, const std::string& prefix,
                                                               const std::string& spool_dir) {
  std::error_code error;
  std::filesystem::create_directories(spool_dir, error);
  if (error) return absl::UnavailableError("the folder for uploads cannot be made or written");
  auto client = S3Client::Make(std::move(options));
  if (!client.ok()) return client.status();
  auto store =
      std::make_unique<S3Artifacts>(*std::move(client), prefix.empty() ? "" : prefix + "/", spool_dir);
  if (absl::Status looked = store->Look(); !looked.ok()) {
    return absl::UnavailableError(absl::StrCat("--artifacts: the bucket cannot be used: ", looked.message()));
  }
  return store;
}

}  // namespace svi::server
