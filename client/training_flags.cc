#include "client/training_flags.h"

#include <google/protobuf/descriptor.h>
#include <google/protobuf/io/tokenizer.h>
#include <google/protobuf/message.h>
#include <google/protobuf/text_format.h>

#include <fstream>
#include <iterator>
#include <utility>

#include "absl/strings/ascii.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "absl/strings/str_replace.h"
#include "absl/strings/str_split.h"
#include "client/utf8.h"
#include "client/video_flags.h"

namespace svi {
namespace {

using google::protobuf::EnumDescriptor;
using google::protobuf::FieldDescriptor;
using google::protobuf::Message;
using google::protobuf::Reflection;

// In the order of --help. A line without a field begins a group. Flags are called as the fields, with dashes,
// but where `svi generate` has another name for the same thing.
struct Line {
  const char* field;
  const char* help;
  const char* flag = nullptr;
};
constexpr Line kSpec[] = {
    {nullptr, "What is trained"},
    {"lora_name", "Name under which the LoRA is published, [A-Za-z0-9._-]; default: the run's id"},
    {"objective", "default: lora"},
    {"variant", "How clips are joined; default: pro"},
    {"lora_rank", "1..1024; default: 128"},
    {"lora_alpha", "The adapters' scale is alpha / rank; default: the rank"},
    {"lora_targets", "Layers to adapt, separated by commas; default: q,k,v,o,ffn.0,ffn.2"},
    {nullptr, "Training clips; where not given, the model's own default holds"},
    {"width", "Pixels, a multiple of 32; give both sides or neither"},
    {"height", "Pixels, a multiple of 32"},
    {"num_frames", "4k+1, best what is used at inference", "frames"},
    {"samples_per_video", "Windows cut from each video; default: 1"},
    {"max_stride", "Largest stride between the frames of a window; default: 1"},
    {"flow_shift", "Flow shift of the training schedule; Wan 2.2 5B: 5", "shift"},
    {"first_clip_prob", "Share of samples that are a video's first clip; default: 0.2"},
    {"prompt_dropout", "Share of samples without their prompt; default: 0, with --objective=full 0.1"},
    {"loss_weighting", "Of the timesteps: gaussian (around t = 500) or uniform; default: gaussian"},
    {nullptr, "Optimisation"},
    {"max_steps", "Optimiser steps; required"},
    {"batch_size", "Samples a rank and forward pass; default: 1"},
    {"gradient_accumulation_steps", "Passes a step; default: 1"},
    {"learning_rate", "default: 1e-4"},
    {"learning_rate_min", "Where cosine and linear end; default: 0"},
    {"learning_rate_schedule", "default: constant"},
    {"warmup_steps", "Steps in which the rate grows from 0; default: 0"},
    {"weight_decay", "AdamW; default: 0.01"},
    {"adam_beta1", "default: 0.9"},
    {"adam_beta2", "default: 0.999"},
    {"adam_epsilon", "default: 1e-8"},
    {"max_grad_norm", "L2 norm that gradients are clipped to, 0: not clipped; default: 1"},
    {"ema_decay", "Of the average that is exported instead of the weights, 0: none; default: 0"},
    {"gradient_checkpointing", "A third more time for a fraction of the memory; default: true"},
    {"seed", "Of every random choice; default: 0"},
    {nullptr, "Checkpoints and reports"},
    {"checkpoint_every", "Steps between checkpoints; default: 500"},
    {"keep_checkpoints", "Newest checkpoints to keep; default: 2"},
    {"log_every", "Steps between progress reports; default: 1"},
};
constexpr Line kRecycling[] = {
    {nullptr, "Error recycling; probabilities are 0..1"},
    {"noise_prob", "Of a noise error; default: 0"},
    {"latent_prob", "Of a latent error in the clip itself; default: 0"},
    {"y_prob", "Of a latent error in the history slots; default: 0.9"},
    {"clean_prob", "Of a step without any error, 1: never inject; default: film 0.5, others 0.2"},
    {"clean_buffer_update_prob", "Of banking the errors of an uninjected sample; default: 0.1"},
    {"error_modulate_factor", "An error is scaled by U(1-f, 1+f); default: 0"},
    {"buffer_size", "Entries a grid of a bank holds; default: 500"},
    {"buffer_bytes", "That both banks take on one rank at most; default: 16 GiB"},
    {"buffer_replacement_strategy", "Which entry a full bank gives up; default: random"},
    {"buffer_warmup_iter", "Steps in which every rank stores the errors of all; default: 50"},
    {"y_error_sample_from", "Where the errors for the history are drawn from; default: all-grids"},
    {"y_error_timestep_min", "Of timestep-range; default: 0"},
    {"y_error_timestep_max", "Of timestep-range; default: 1000"},
    {"y_error_num", "Latents of an error that go into the history; default: as many as there are slots"},
    {"use_last_y_error", "Take the error's last latents instead of a random window; default: false"},
    {"p_motion_threshold", "How often several history slots are the real ones; default: 0.9"},
    {"repeat_first_frame", "Otherwise the first frame is repeated in them; default: false"},
    {"exact_target", "(x_t - x) / sigma instead of noise - x as the target; default: false"},
    {"injected_error", "gaussian is a control of the same strength; default: banked"},
    {"reencode_prob", "Film: of banking the error of decoding and encoding; default: film 0.1, others 0"},
};

// TIMESTEP_RANGE ⇄ timestep-range, without what all values of the enumeration begin with.
std::string Prefix(const EnumDescriptor& type) {
  return std::string(absl::StripSuffix(type.value(0)->name(), "UNSPECIFIED"));
}
std::string ToWord(const EnumDescriptor& type, const std::string& name) {
  return absl::StrReplaceAll(absl::AsciiStrToLower(name.substr(Prefix(type).size())), {{"_", "-"}});
}
std::vector<std::string> Words(const EnumDescriptor& type) {
  std::vector<std::string> words;
  for (int i = 1; i < type.value_count(); ++i) words.push_back(ToWord(type, type.value(i)->name()));
  return words;
}
std::string OneOf(std::vector<std::string> words) {
  const std::string last = std::move(words.back());
  words.pop_back();
  return absl::StrCat(absl::StrJoin(words, ", "), " or ", last);
}

// Keeps the parser's complaints, with their places.
class Complaints : public google::protobuf::io::ErrorCollector {
 public:
  void AddError(int line, int column, const std::string& message) override {
    absl::StrAppend(&text_, text_.empty() ? "" : "; ", line + 1, ":", column + 1, ": ", message);
  }
  const std::string& text() const { return text_; }

 private:
  std::string text_;
};

}  // namespace

void TrainingFlags::AddField(FlagParser& parser, const FieldDescriptor* field, std::string flag,
                             std::string help) {
  Field& added = fields_.emplace_back(Field{field, flag, {}});
  if (field->is_repeated()) {
    parser.AddRepeated(std::move(flag), &added.value.emplace<std::vector<std::string>>(), std::move(help));
    return;
  }
  switch (field->cpp_type()) {
    case FieldDescriptor::CPPTYPE_UINT32:
      parser.AddUint(std::move(flag), &added.value.emplace<std::optional<uint32_t>>(), std::move(help));
      break;
    case FieldDescriptor::CPPTYPE_UINT64:
      parser.AddUint(std::move(flag), &added.value.emplace<std::optional<uint64_t>>(), std::move(help));
      break;
    case FieldDescriptor::CPPTYPE_DOUBLE:
      parser.AddDouble(std::move(flag), &added.value.emplace<std::optional<double>>(), std::move(help));
      break;
    case FieldDescriptor::CPPTYPE_BOOL:
      parser.AddBool(std::move(flag), &added.value.emplace<std::optional<bool>>(), std::move(help));
      break;
    case FieldDescriptor::CPPTYPE_ENUM:
      help = absl::StrCat(OneOf(Words(*field->enum_type())), ": ", help);
      [[fallthrough]];
    default:
      parser.AddString(std::move(flag), &added.value.emplace<std::optional<std::string>>(), std::move(help));
  }
}

void TrainingFlags::AddTo(FlagParser& parser) {
  parser.Group("The specification");
  parser.AddString("config", &config_,
                   "A TrainingSpec in protobuf's text format; flags go before what it says");
  const auto add = [&](const google::protobuf::Descriptor* type, const auto& lines) {
    for (const Line& line : lines) {
      if (line.field == nullptr) {
        parser.Group(line.help);
        continue;
      }
      const std::string flag =
          line.flag != nullptr ? line.flag : absl::StrReplaceAll(line.field, {{"_", "-"}});
      AddField(parser, type->FindFieldByName(line.field), flag, line.help);
    }
  };
  add(v1::TrainingSpec::descriptor(), kSpec);
  add(v1::ErrorRecycling::descriptor(), kRecycling);
}

absl::Status TrainingFlags::Set(const Field& field, Message& message) {
  const Reflection& reflection = *message.GetReflection();
  const FieldDescriptor* const to = field.field;
  if (const auto* list = std::get_if<std::vector<std::string>>(&field.value)) {
    reflection.ClearField(&message, to);
    for (const std::string& text : *list) {
      for (absl::string_view part : absl::StrSplit(text, ',')) {
        if (absl::Status status = CheckUtf8(field.flag, std::string(part)); !status.ok()) return status;
        reflection.AddString(&message, to, std::string(part));
      }
    }
  } else if (const auto* small = std::get_if<std::optional<uint32_t>>(&field.value)) {
    reflection.SetUInt32(&message, to, **small);
  } else if (const auto* large = std::get_if<std::optional<uint64_t>>(&field.value)) {
    reflection.SetUInt64(&message, to, **large);
  } else if (const auto* number = std::get_if<std::optional<double>>(&field.value)) {
    reflection.SetDouble(&message, to, **number);
  } else if (const auto* flag = std::get_if<std::optional<bool>>(&field.value)) {
    reflection.SetBool(&message, to, **flag);
  } else {
    const std::string& text = **std::get_if<std::optional<std::string>>(&field.value);
    if (to->cpp_type() != FieldDescriptor::CPPTYPE_ENUM) {
      if (absl::Status status = CheckUtf8(field.flag, text); !status.ok()) return status;
      reflection.SetString(&message, to, text);
      return absl::OkStatus();
    }
    const EnumDescriptor& type = *to->enum_type();
    for (int i = 1; i < type.value_count(); ++i) {
      if (ToWord(type, type.value(i)->name()) != text) continue;
      reflection.SetEnum(&message, to, type.value(i));
      return absl::OkStatus();
    }
    return absl::InvalidArgumentError(
        absl::StrCat("--", field.flag, "=", text, ": want ", OneOf(Words(type))));
  }
  return absl::OkStatus();
}

absl::StatusOr<v1::TrainingSpec> TrainingFlags::ToSpec(const std::string& dataset) const {
  v1::TrainingSpec spec;
  if (!config_.empty()) {
    absl::StatusOr<v1::TrainingSpec> read = ReadTrainingSpec(config_);
    if (!read.ok()) return read;
    spec = *std::move(read);
  }
  for (const Field& field : fields_) {
    const bool given = std::visit(
        [](const auto& value) {
          if constexpr (std::is_same_v<std::decay_t<decltype(value)>, std::vector<std::string>>) {
            return !value.empty();
          } else {
            return value.has_value();
          }
        },
        field.value);
    if (!given) continue;
    Message& message = field.field->containing_type() == v1::TrainingSpec::descriptor()
                           ? static_cast<Message&>(spec)
                           : *spec.mutable_error_recycling();
    if (absl::Status status = Set(field, message); !status.ok()) return status;
  }
  if (!dataset.empty()) {
    if (!IsUtf8(dataset)) return absl::InvalidArgumentError("the data set's name is not valid UTF-8");
    spec.set_dataset(dataset);
  }
  if (spec.dataset().empty()) {
    return absl::InvalidArgumentError("want a DATASET, here or in the file of --config");
  }
  return spec;
}

absl::StatusOr<v1::TrainingSpec> ReadTrainingSpec(const std::string& path) {
  std::ifstream in(path, std::ios::binary);
  const std::string text(std::istreambuf_iterator<char>(in), {});
  if (!in.is_open() || in.bad()) {
    return absl::InvalidArgumentError(absl::StrCat("--config: cannot read ", path));
  }
  v1::TrainingSpec spec;
  Complaints complaints;
  google::protobuf::TextFormat::Parser parser;
  parser.RecordErrorsTo(&complaints);
  if (!parser.ParseFromString(text, &spec)) {
    return absl::InvalidArgumentError(absl::StrCat("--config: ", path, ":", complaints.text()));
  }
  return spec;
}

}  // namespace svi
