#include <nlohmann/json.hpp>
#include <stdexcept>

#include "worker/engine/dit/transformer.h"

namespace svi::engine {
namespace {

using nlohmann::json;
using ::testing::HasSubstr;

json Good() { return json::parse(TransformerConfig().ToJson()); }

std::string Error(const json& config) {
  try {
    TransformerConfig::FromJson(config.dump());
  } catch (const std::invalid_argument& error) {
    return error.what();
  }
  return "";
}

TEST(TransformerConfig, SurvivesJson) {
  TransformerConfig config{3, 10, 7, 5, 11, 14, 13, 2, 1e-5};
  const auto read = TransformerConfig::FromJson(config.ToJson());
  EXPECT_EQ(read.ToJson(), config.ToJson());
  EXPECT_EQ(read.dim(), 30);
  EXPECT_EQ(read.out_channels, 5);
  EXPECT_EQ(read.eps, 1e-5);
}

TEST(TransformerConfig, NamesTheFieldThatIsMissingOrWrong) {
  for (const char* field : {"num_attention_heads", "attention_head_dim", "in_channels", "out_channels",
                            "text_dim", "freq_dim", "ffn_dim", "num_layers"}) {
    json config = Good();
    config.erase(field);
    EXPECT_THAT(Error(config), HasSubstr(std::string(field) + " is missing"));
    for (const json& value :
         {json(0), json(-1), json("8"), json(2.5), json(nullptr), json(uint64_t{1} << 63)}) {
      config[field] = value;
      EXPECT_THAT(Error(config), HasSubstr(field)) << value;
    }
  }
}

TEST(TransformerConfig, RefusesWhatItDoesNotCompute) {
  const std::pair<const char*, json> wrong[] = {{"patch_size", {1, 4, 4}},
                                                {"qk_norm", nullptr},
                                                {"cross_attn_norm", false},
                                                {"image_dim", 1280},
                                                {"added_kv_proj_dim", 5120},
                                                {"pos_embed_seq_len", 514},
                                                {"_class_name", "WanVACETransformer3DModel"},
                                                {"attention_head_dim", 25},
                                                {"attention_head_dim", 4},
                                                {"freq_dim", 255},
                                                {"eps", 0},
                                                {"eps", "small"}};
  for (const auto& [field, value] : wrong) {
    json config = Good();
    config[field] = value;
    EXPECT_THAT(Error(config), HasSubstr(field)) << value;
  }
  json huge = Good();
  huge["num_attention_heads"] = 1 << 20;
  EXPECT_THAT(Error(huge), HasSubstr("num_attention_heads times attention_head_dim"));
}

TEST(TransformerConfig, RefusesTextThatIsNoObject) {
  for (const char* text : {"", "{", "[]", "3"}) {
    EXPECT_THROW(TransformerConfig::FromJson(text), std::invalid_argument) << text;
  }
}

}  // namespace
}  // namespace svi::engine
