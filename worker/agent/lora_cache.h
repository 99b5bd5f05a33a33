// Published LoRAs that this worker has fetched, as files in one folder.
#ifndef SVI_WORKER_AGENT_LORA_CACHE_H_
#define SVI_WORKER_AGENT_LORA_CACHE_H_

#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <string>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "client/file_download.h"
#include "google/protobuf/repeated_field.h"
#include "svi/v1/resources.pb.h"
#include "svi/v1/training_service.pb.h"

namespace svi::worker {

// Thread-compatible; dir() from any thread.
class LoraCache {
 public:
  // `max_bytes`: before a file is fetched, those that were used longest ago go until it fits; those that the
  // clip needs stay, even if they take more. An empty `dir`: a folder in the system's temporary one, removed
  // with the cache; else it is made and stays, with what is in it. FAILED_PRECONDITION: it cannot be written,
  // or another process uses it.
  static absl::StatusOr<std::unique_ptr<LoraCache>> Open(const std::string& dir, uint64_t max_bytes);
  ~LoraCache();
  LoraCache(const LoraCache&) = delete;
  LoraCache& operator=(const LoraCache&) = delete;

  [[nodiscard]] const std::string& dir() const { return dir_; }

  // Fetches what is missing of `name`, `loras/{id}`, and commits it.
  using Fetch = std::function<absl::Status(const std::string& name, client::FileDownload& file)>;
  // Makes the folder hold, of the LoRAs in `wanted`, those that are in `published`, with their hashes, and
  // none that is not. NOT_FOUND: it is not published any more. DATA_LOSS: what arrived is not what was
  // published. UNAVAILABLE: it could not be fetched; the message is for the log. CANCELLED: as `fetch`.
  [[nodiscard]] absl::Status Provide(const google::protobuf::RepeatedPtrField<v1::LoraRef>& wanted,
                                     const google::protobuf::RepeatedPtrField<v1::Lora>& published,
                                     const Fetch& fetch);

  // Removes the folder if it is a temporary one: for a process that ends without destructors. Any thread.
  void RemoveTemporary() const;

 private:
  // A file that has been hashed.
  struct Known {
    std::string sha256;
    std::string version;  // changes when the file does
  };

  LoraCache(std::string dir, uint64_t max_bytes, bool temporary, int lock);
  absl::Status ProvideOne(const std::string& name, const v1::Lora& lora, const Fetch& fetch);
  bool Has(const std::string& name, const v1::Lora& lora);
  // Removes files until one of `bytes` fits.
  void MakeRoom(uint64_t bytes);
  std::string PathOf(const std::string& name) const { return dir_ + "/" + name + ".safetensors"; }

  const std::string dir_;
  const uint64_t max_bytes_;
  const bool temporary_;
  const int lock_;  // descriptor of the file that is locked, or -1
  std::map<std::string, Known> known_;
  uint64_t uses_ = 0;                         // clips so far
  std::map<std::string, uint64_t> last_use_;  // by name; not in it: before this process
};

}  // namespace svi::worker

#endif  // SVI_WORKER_AGENT_LORA_CACHE_H_
