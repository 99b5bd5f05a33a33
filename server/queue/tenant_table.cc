#include "server/queue/tenant_table.h"

#include <google/protobuf/io/tokenizer.h>
#include <google/protobuf/text_format.h>

#include <fstream>
#include <iterator>
#include <utility>

#include "absl/strings/str_cat.h"
#include "server/queue/status_macros.h"
#include "svi/v1/tenant_limits.pb.h"

namespace svi::server {
namespace {

constexpr double kLowestWeight = 0.01;
constexpr double kHighestWeight = 100;
constexpr int kMostTenants = 10'000;
constexpr size_t kMostBytes = size_t{4} << 20;

class FirstError final : public google::protobuf::io::ErrorCollector {
 public:
  void AddError(int line, google::protobuf::io::ColumnNumber column, const std::string& message) override {
    if (text.empty()) text = absl::StrCat("line ", line + 1, ", column ", column + 1, ": ", message);
  }
  std::string text;
};

absl::StatusOr<TenantLimits> ToLimits(const std::string& field, const v1::TenantLimits& message) {
  TenantLimits limits;
  if (message.has_weight()) limits.weight = message.weight();
  if (!(limits.weight >= kLowestWeight && limits.weight <= kHighestWeight)) {
    return absl::InvalidArgumentError(absl::StrCat(field, ".weight: must be ", kLowestWeight, "..",
                                                   kHighestWeight, ", is ", limits.weight));
  }
  limits.max_videos = message.max_videos();
  limits.max_running_clips = message.max_running_clips();
  return limits;
}

absl::StatusOr<std::string> ReadFile(const std::string& path) {
  std::ifstream file(path, std::ios::binary);
  std::string text(std::istreambuf_iterator<char>(file), {});
  if (!file.is_open() || file.bad()) {
    return absl::UnavailableError(absl::StrCat("--tenant-limits: cannot read ", path));
  }
  if (text.size() > kMostBytes) {
    return absl::InvalidArgumentError(
        absl::StrCat("--tenant-limits: ", path, " is larger than ", kMostBytes, " bytes"));
  }
  return text;
}

absl::StatusOr<TenantTableContents> ParseFile(const std::string& path, const std::string& text) {
  auto contents = ParseTenantLimits(text);
  if (contents.ok()) return contents;
  return absl::InvalidArgumentError(
      absl::StrCat("--tenant-limits: ", path, ": ", contents.status().message()));
}

}  // namespace

absl::StatusOr<TenantTableContents> ParseTenantLimits(const std::string& text) {
  v1::TenantLimitsFile file;
  FirstError error;
  google::protobuf::TextFormat::Parser parser;
  parser.RecordErrorsTo(&error);
  if (!parser.ParseFromString(text, &file)) return absl::InvalidArgumentError(error.text);
  TenantTableContents contents;
  contents.max_videos = file.max_videos();
  if (!file.others().name().empty()) return absl::InvalidArgumentError("others.name: must be left out");
  SVI_ASSIGN_OR_RETURN(contents.others, ToLimits("others", file.others()));
  if (file.tenant_size() > kMostTenants) {
    return absl::InvalidArgumentError(
        absl::StrCat("tenant: at most ", kMostTenants, ", are ", file.tenant_size()));
  }
  for (int i = 0; i < file.tenant_size(); ++i) {
    const std::string field = absl::StrCat("tenant[", i, "]");
    const std::string& name = file.tenant(i).name();
    if (!IsTenantName(name)) {
      return absl::InvalidArgumentError(absl::StrCat(field, ".name: must be 1..", kMaxTenantBytes,
                                                     " characters of [a-z0-9-], is \"", name, "\""));
    }
    SVI_ASSIGN_OR_RETURN(const TenantLimits limits, ToLimits(field, file.tenant(i)));
    if (!contents.named.emplace(name, limits).second) {
      return absl::InvalidArgumentError(absl::StrCat(field, ".name: \"", name, "\" is there twice"));
    }
  }
  return contents;
}

absl::StatusOr<std::unique_ptr<TenantTable>> TenantTable::Open(const std::string& path) {
  auto table = std::make_unique<TenantTable>();
  SVI_ASSIGN_OR_RETURN(std::string text, ReadFile(path));
  SVI_ASSIGN_OR_RETURN(TenantTableContents contents, ParseFile(path, text));
  table->path_ = path;
  absl::MutexLock lock(&table->mu_);
  table->contents_ = std::move(contents);
  table->read_ = std::move(text);
  return table;
}

TenantLimits TenantTable::Of(const std::string& tenant) const {
  absl::MutexLock lock(&mu_);
  const auto found = contents_.named.find(tenant);
  return found == contents_.named.end() ? contents_.others : found->second;
}

uint32_t TenantTable::max_videos() const {
  absl::MutexLock lock(&mu_);
  return contents_.max_videos;
}

bool TenantTable::IsNamed(const std::string& tenant) const {
  absl::MutexLock lock(&mu_);
  return tenant == kDefaultTenant || contents_.named.contains(tenant);
}

absl::StatusOr<bool> TenantTable::Reload() {
  if (path_.empty()) return false;
  SVI_ASSIGN_OR_RETURN(std::string text, ReadFile(path_));
  absl::MutexLock lock(&mu_);
  if (text == read_) return false;
  read_ = text;
  SVI_ASSIGN_OR_RETURN(contents_, ParseFile(path_, text));
  return true;
}

}  // namespace svi::server
