// One row a rule: what is changed in a valid request, and which field is blamed.
#include "server/rpc/validation.h"

#include <gmock/gmock.h>

#include <cmath>
#include <fstream>
#include <functional>
#include <sstream>

#include "server/rpc/status.h"

namespace svi::server {
namespace {

std::string Image() {
  std::ifstream in(std::string(SVI_SOURCE_DIR) + "/tests/golden/media/rgb.png", std::ios::binary);
  std::ostringstream out;
  out << in.rdbuf();
  return out.str();
}

v1::CreateVideoRequest Valid() {
  v1::CreateVideoRequest request;
  request.mutable_spec()->set_image(Image());
  request.mutable_spec()->add_prompts("a cat");
  return request;
}

std::vector<std::string> Fields(const v1::CreateVideoRequest& request) {
  const auto status = Validate(request);
  google::rpc::BadRequest bad;
  std::vector<std::string> fields;
  if (!status.ok()) {
    EXPECT_EQ(status.code(), absl::StatusCode::kInvalidArgument);
    EXPECT_TRUE(GetBadRequest(status, &bad));
  }
  for (const auto& violation : bad.field_violations()) fields.push_back(violation.field());
  return fields;
}

struct Row {
  const char* name;
  std::function<void(v1::VideoSpec*)> change;
  std::vector<std::string> fields;  // empty: it is fine
};

TEST(ValidationTest, EveryRule) {
  const std::vector<Row> rows = {
      {"as it is", [](auto*) {}, {}},
      {"no picture", [](auto* s) { s->clear_image(); }, {"spec.image"}},
      {"not a picture", [](auto* s) { s->set_image("GIF89a? no"); }, {"spec.image"}},
      {"truncated", [](auto* s) { s->mutable_image()->resize(s->image().size() / 2); }, {"spec.image"}},
      {"no prompt", [](auto* s) { s->clear_prompts(); }, {"spec.prompts"}},
      {"empty prompt", [](auto* s) { s->add_prompts(""); }, {"spec.prompts[1]"}},
      {"blank prompt", [](auto* s) { s->add_prompts(" \t\xE3\x80\x80\n"); }, {"spec.prompts[1]"}},
      {"largest prompt", [](auto* s) { s->set_prompts(0, std::string(16384, 'x')); }, {}},
      {"20 kB prompt", [](auto* s) { s->set_prompts(0, std::string(20000, 'x')); }, {"spec.prompts[0]"}},
      {"invalid UTF-8", [](auto* s) { s->set_prompts(0, "\xFF"); }, {"spec.prompts[0]"}},
      {"1025 prompts",
       [](auto* s) {
         for (int i = 0; i < 1024; ++i) s->add_prompts("x");
       },
       {"spec.prompts"}},
      {"negative too long",
       [](auto* s) { s->set_negative_prompt(std::string(16385, 'x')); },
       {"spec.negative_prompt"}},
      {"negative empty", [](auto* s) { s->set_negative_prompt(""); }, {}},
      {"size",
       [](auto* s) {
         s->set_width(832);
         s->set_height(480);
       },
       {}},
      {"one side", [](auto* s) { s->set_width(832); }, {"spec.height"}},
      {"not of 32",
       [](auto* s) {
         s->set_width(830);
         s->set_height(480);
       },
       {"spec.width"}},
      {"absurd size",
       [](auto* s) {
         s->set_width(8192);
         s->set_height(0);
       },
       {"spec.width", "spec.height"}},
      {"frames", [](auto* s) { s->set_num_frames(80); }, {"spec.num_frames"}},
      {"too many frames", [](auto* s) { s->set_num_frames(261); }, {"spec.num_frames"}},
      {"five frames, one clip",
       [](auto* s) {
         s->set_num_frames(5);
         s->set_num_clips(1);
       },
       {}},
      {"five frames, no end",
       [](auto* s) {
         s->set_num_frames(5);
         s->set_open_ended(true);
       },
       {"spec.num_frames"}},
      {"no steps", [](auto* s) { s->set_num_inference_steps(0); }, {"spec.num_inference_steps"}},
      {"negative steps", [](auto* s) { s->set_num_inference_steps(-5); }, {"spec.num_inference_steps"}},
      {"guidance", [](auto* s) { s->set_guidance_scale(0.5); }, {"spec.guidance_scale"}},
      {"guidance NaN", [](auto* s) { s->set_guidance_scale(NAN); }, {"spec.guidance_scale"}},
      {"shift", [](auto* s) { s->set_flow_shift(INFINITY); }, {"spec.flow_shift"}},
      {"least shift", [](auto* s) { s->set_flow_shift(0.1F); }, {}},
      {"seed", [](auto* s) { s->set_seed((uint64_t{1} << 62) + 1); }, {"spec.seed"}},
      {"largest seed", [](auto* s) { s->set_seed(uint64_t{1} << 62); }, {}},
      {"unknown variant", [](auto* s) { s->set_variant(static_cast<v1::Variant>(9)); }, {"spec.variant"}},
      {"unknown sampler", [](auto* s) { s->set_sampler(static_cast<v1::Sampler>(9)); }, {"spec.sampler"}},
      {"fps", [](auto* s) { s->set_fps(121); }, {"spec.fps"}},
      {"priority", [](auto* s) { s->set_priority(-101); }, {"spec.priority"}},
      {"per prompt", [](auto* s) { s->set_clips_per_prompt(0); }, {"spec.clips_per_prompt"}},
      {"more clips than prompts", [](auto* s) { s->set_num_clips(2); }, {"spec.num_clips"}},
      {"with SHOT",
       [](auto* s) {
         s->set_num_clips(9);
         s->set_variant(v1::VARIANT_SHOT);
       },
       {}},
      {"open-ended",
       [](auto* s) {
         s->set_num_clips(9);
         s->set_open_ended(true);
       },
       {}},
      {"absurd clips",
       [](auto* s) {
         s->set_num_clips(100001);
         s->set_open_ended(true);
       },
       {"spec.num_clips"}},
      {"LoRA", [](auto* s) { s->add_lora()->set_name("../x"); }, {"spec.lora[0].name"}},
      {"strength",
       [](auto* s) {
         auto* l = s->add_lora();
         l->set_name("x");
         l->set_strength(5);
       },
       {"spec.lora[0].strength"}},
      {"nine LoRAs",
       [](auto* s) {
         for (int i = 0; i < 9; ++i) s->add_lora()->set_name("x");
       },
       {"spec.lora"}},
  };
  for (const auto& row : rows) {
    auto request = Valid();
    row.change(request.mutable_spec());
    EXPECT_EQ(Fields(request), row.fields) << row.name;
  }
}

// Only the header says so: no pixel of it is made.
TEST(ValidationTest, APictureThatIsTooWideIsRefusedBeforeItIsDecoded) {
  auto request = Valid();
  std::string& image = *request.mutable_spec()->mutable_image();
  image.replace(16, 4, std::string("\x00\x00\x40\x01", 4));  // IHDR's width: 16385
  uint32_t crc = ~0U;                                        // of IHDR, which it ends with
  for (size_t i = 12; i < 29; ++i) {
    crc ^= static_cast<uint8_t>(image[i]);
    for (int bit = 0; bit < 8; ++bit) crc = (crc >> 1) ^ ((crc & 1) != 0 ? 0xEDB88320U : 0U);
  }
  crc = ~crc;
  for (size_t i = 0; i < 4; ++i) image[29 + i] = static_cast<char>(crc >> (24 - 8 * i));
  google::rpc::BadRequest bad;
  ASSERT_TRUE(GetBadRequest(Validate(request), &bad));
  ASSERT_EQ(bad.field_violations_size(), 1);
  EXPECT_EQ(bad.field_violations(0).field(), "spec.image");
  EXPECT_THAT(bad.field_violations(0).description(), ::testing::HasSubstr("at most 16384 a side"));
}

TEST(ValidationTest, RequestIdAndSpec) {
  v1::CreateVideoRequest request;
  request.set_request_id("no spaces");
  EXPECT_THAT(Fields(request), ::testing::ElementsAre("request_id", "spec"));
}

TEST(ValidationTest, ListAndAppend) {
  v1::ListVideosRequest list;
  list.set_page_size(-1);
  list.add_states(v1::VIDEO_STATE_UNSPECIFIED);
  google::rpc::BadRequest bad;
  ASSERT_TRUE(GetBadRequest(Validate(list), &bad));
  EXPECT_EQ(bad.field_violations_size(), 2);
  EXPECT_FALSE(Validate(v1::AppendPromptsRequest()).ok());
}

}  // namespace
}  // namespace svi::server
