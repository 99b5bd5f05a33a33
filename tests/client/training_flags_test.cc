#include "client/training_flags.h"

#include <gmock/gmock.h>
#include <google/protobuf/descriptor.h>
#include <gtest/gtest.h>

#include <string>
#include <vector>

#include "absl/strings/ascii.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_replace.h"
#include "client/training_spec.h"

namespace svi {
namespace {

using google::protobuf::Descriptor;
using google::protobuf::FieldDescriptor;

absl::StatusOr<v1::TrainingSpec> Parse(const std::vector<std::string>& args) {
  TrainingFlags flags;
  FlagParser parser("test");
  flags.AddTo(parser);
  absl::StatusOr<std::vector<std::string>> rest = parser.Parse(args);
  if (!rest.ok()) return rest.status();
  return flags.ToSpec("boats");
}

// Every field of the message, of which there must be flags, as name and value, and as they should arrive.
std::vector<std::string> FlagsOf(const Descriptor& type) {
  std::vector<std::string> args;
  for (int i = 0; i < type.field_count(); ++i) {
    const FieldDescriptor& field = *type.field(i);
    if (field.name() == "dataset" || field.cpp_type() == FieldDescriptor::CPPTYPE_MESSAGE) continue;
    std::string flag = absl::StrReplaceAll(field.name(), {{"_", "-"}});
    if (flag == "num-frames") flag = "frames";
    if (flag == "flow-shift") flag = "shift";
    std::string value = "1";
    if (field.cpp_type() == FieldDescriptor::CPPTYPE_ENUM) {
      // The last one, without the enumeration's prefix.
      const auto& values = *field.enum_type();
      const size_t prefix = values.value(0)->name().size() - std::string("UNSPECIFIED").size();
      value = absl::StrReplaceAll(
          absl::AsciiStrToLower(values.value(values.value_count() - 1)->name().substr(prefix)), {{"_", "-"}});
    } else if (field.cpp_type() == FieldDescriptor::CPPTYPE_STRING) {
      value = "q";
    }
    args.push_back(absl::StrCat("--", flag, "=", value));
  }
  return args;
}

TEST(TrainingFlagsTest, EveryFieldHasAFlag) {
  for (const Descriptor* type : {v1::TrainingSpec::descriptor(), v1::ErrorRecycling::descriptor()}) {
    const auto args = FlagsOf(*type);
    const auto spec = Parse(args);
    ASSERT_TRUE(spec.ok()) << spec.status();
    const google::protobuf::Message& message = type == v1::TrainingSpec::descriptor()
                                                   ? static_cast<const google::protobuf::Message&>(*spec)
                                                   : spec->error_recycling();
    std::vector<const FieldDescriptor*> set;
    message.GetReflection()->ListFields(message, &set);
    EXPECT_EQ(set.size(), args.size() + (type == v1::TrainingSpec::descriptor() ? 1 : 0)) << "the data set";
  }
}

TEST(TrainingFlagsTest, NothingIsSetThatIsNotGiven) {
  const auto spec = Parse({});
  ASSERT_TRUE(spec.ok()) << spec.status();
  EXPECT_EQ(spec->ShortDebugString(), "dataset: \"boats\"");
}

TEST(TrainingFlagsTest, EveryWordIsUnderstood) {
  for (const char* word : {"random", "fifo", "l2-similarity", "l2-batch"}) {
    const auto spec = Parse({absl::StrCat("--buffer-replacement-strategy=", word)});
    ASSERT_TRUE(spec.ok()) << spec.status();
    EXPECT_NE(spec->error_recycling().buffer_replacement_strategy(), 0) << word;
  }
  EXPECT_EQ(Parse({"--y-error-sample-from=timestep-range"})->error_recycling().y_error_sample_from(),
            v1::HISTORY_ERROR_SOURCE_TIMESTEP_RANGE);
  EXPECT_FALSE(Parse({"--y-error-sample-from=unspecified"}).ok());
}

TEST(TrainingFlagsTest, TargetsAreSeparatedByCommasOrRepeated) {
  const auto spec = Parse({"--lora-targets=q,k", "--lora-targets=ffn.0"});
  ASSERT_TRUE(spec.ok()) << spec.status();
  EXPECT_THAT(spec->lora_targets(), ::testing::ElementsAre("q", "k", "ffn.0"));
}

TEST(TrainingFlagsTest, DefaultsThatHelpStatesAreTheTrueOnes) {
  TrainingFlags flags;
  FlagParser parser("test");
  flags.AddTo(parser);
  const std::string help = parser.Help();
  v1::TrainingSpec spec;
  spec.set_dataset("boats");
  spec.set_max_steps(1000);
  const v1::TrainingSpec full = WithDefaults(spec);
  // "--NAME=…\n … default: VALUE": what stands behind the flag, up to the next one.
  const auto entry = [&help](const std::string& flag) {
    const size_t at = help.find(absl::StrCat("  --", flag, "="));
    EXPECT_NE(at, std::string::npos) << flag;
    const size_t end = help.find("\n  --", at);
    return absl::StrReplaceAll(help.substr(at, end - at), {{"\n       ", ""}});
  };
  const auto states = [&](const std::string& flag, const std::string& value) {
    EXPECT_THAT(entry(flag), ::testing::HasSubstr(absl::StrCat("default: ", value)));
  };
  states("lora-rank", absl::StrCat(full.lora_rank()));
  states("learning-rate", "1e-4");
  EXPECT_EQ(full.learning_rate(), 1e-4);
  states("weight-decay", absl::StrCat(full.weight_decay()));
  states("adam-beta1", absl::StrCat(full.adam_beta1()));
  states("adam-beta2", absl::StrCat(full.adam_beta2()));
  states("max-grad-norm", absl::StrCat(full.max_grad_norm()));
  states("first-clip-prob", absl::StrCat(full.first_clip_prob()));
  states("checkpoint-every", absl::StrCat(full.checkpoint_every()));
  states("keep-checkpoints", absl::StrCat(full.keep_checkpoints()));
  states("y-prob", absl::StrCat(full.error_recycling().y_prob()));
  states("noise-prob", absl::StrCat(full.error_recycling().noise_prob()));
  states("buffer-size", absl::StrCat(full.error_recycling().buffer_size()));
  states("buffer-warmup-iter", absl::StrCat(full.error_recycling().buffer_warmup_iter()));
  states("p-motion-threshold", absl::StrCat(full.error_recycling().p_motion_threshold()));
  states("clean-buffer-update-prob", absl::StrCat(full.error_recycling().clean_buffer_update_prob()));
}

}  // namespace
}  // namespace svi
