// A TrainingSpec as command-line flags, as a file, or both.
#ifndef SVI_CLIENT_TRAINING_FLAGS_H_
#define SVI_CLIENT_TRAINING_FLAGS_H_

#include <cstdint>
#include <deque>
#include <optional>
#include <string>
#include <variant>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "client/flags.h"
#include "svi/v1/training_spec.pb.h"

namespace svi {

// A flag for every field of TrainingSpec but `dataset`. What is not given is not set.
class TrainingFlags {
 public:
  // `parser` must not outlive this.
  void AddTo(FlagParser& parser);

  // The file of --config, if there is one, with what the flags say in its place. A `dataset` that is not
  // empty is that of the spec. INVALID_ARGUMENT, naming the flag: a file that cannot be read, an unknown
  // word, text that is not UTF-8, no data set. Limits are for whoever takes the spec.
  [[nodiscard]] absl::StatusOr<v1::TrainingSpec> ToSpec(const std::string& dataset) const;

 private:
  using Value = std::variant<std::optional<uint32_t>, std::optional<uint64_t>, std::optional<double>,
                             std::optional<bool>, std::optional<std::string>, std::vector<std::string>>;
  struct Field {
    const google::protobuf::FieldDescriptor* field;
    std::string flag;
    Value value;
  };

  void AddField(FlagParser& parser, const google::protobuf::FieldDescriptor* field, std::string flag,
                std::string help);
  // `message` is the spec, or its error_recycling, as the field's own type is.
  static absl::Status Set(const Field& field, google::protobuf::Message& message);

  std::string config_;
  std::deque<Field> fields_;  // the parser points into it
};

// A TrainingSpec in protobuf's text format. INVALID_ARGUMENT names `path`, line and column.
[[nodiscard]] absl::StatusOr<v1::TrainingSpec> ReadTrainingSpec(const std::string& path);

}  // namespace svi

#endif  // SVI_CLIENT_TRAINING_FLAGS_H_
