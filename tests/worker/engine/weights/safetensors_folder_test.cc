#include <nlohmann/json.hpp>
#include <system_error>

#include "tests/worker/engine/weights/temp_dir.h"
#include "worker/engine/weights/safetensors.h"

namespace svi::engine {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::Key;

class SafetensorsFolder : public ::testing::Test {
 protected:
  void Shard(const std::string& name, const std::vector<std::string>& tensors) {
    TensorFile file;
    for (const std::string& tensor : tensors)
      file.tensors[tensor] = at::full({2}, tensors.size(), at::kFloat);
    WriteSafetensors(dir_.File(name), file);
  }
  void Index(const nlohmann::json& weight_map) {
    dir_.Write("model.safetensors.index.json",
               nlohmann::json{{"metadata", {{"total_size", 16}}}, {"weight_map", weight_map}}.dump());
  }
  TensorFile Read() { return ReadSafetensorsFolder(dir_.path(), "model"); }
  std::string Error() {
    try {
      Read();
    } catch (const std::exception& error) {
      return error.what();
    }
    return "";
  }

  TempDir dir_;
};

TEST_F(SafetensorsFolder, ReadsASingleFile) {
  Shard("model.safetensors", {"a", "b"});
  EXPECT_THAT(Read().tensors, ElementsAre(Key("a"), Key("b")));
}

TEST_F(SafetensorsFolder, JoinsShardsAndKeepsWhatTheIndexForgot) {
  Shard("one.safetensors", {"a", "forgotten"});
  Shard("two.safetensors", {"b"});
  Index({{"a", "one.safetensors"}, {"b", "two.safetensors"}});
  EXPECT_THAT(Read().tensors, ElementsAre(Key("a"), Key("b"), Key("forgotten")));
}

TEST_F(SafetensorsFolder, RefusesATensorThatIsNotWhereTheIndexSays) {
  Shard("one.safetensors", {"a"});
  Shard("two.safetensors", {"b"});
  Index({{"a", "two.safetensors"}, {"b", "two.safetensors"}});
  EXPECT_THAT(Error(), HasSubstr("\"a\" in two.safetensors"));
}

TEST_F(SafetensorsFolder, RefusesATensorOfTwoShards) {
  Shard("one.safetensors", {"a", "b"});
  Shard("two.safetensors", {"b"});
  Index({{"a", "one.safetensors"}, {"b", "two.safetensors"}});
  EXPECT_THAT(Error(), HasSubstr("two.safetensors: has tensor \"b\", which one.safetensors has too"));
}

TEST_F(SafetensorsFolder, DoesNotLeaveItsFolder) {
  for (const char* name :
       {"../one.safetensors", "/etc/passwd", "sub/one.safetensors", "..", ".", "", "a\\b"}) {
    Index({{"a", name}});
    EXPECT_THAT(Error(), HasSubstr("plain file name")) << name;
  }
  Index({{"a", 3}});
  EXPECT_THAT(Error(), HasSubstr("plain file name"));
}

TEST_F(SafetensorsFolder, RefusesAnIndexThatIsNone) {
  for (const char* text : {"", "[]", "{}", "{\"weight_map\":[]}", "{\"weight_map\":{}}"}) {
    dir_.Write("model.safetensors.index.json", text);
    EXPECT_THROW(Read(), std::invalid_argument) << text;
  }
  dir_.Write("model.safetensors.index.json", R"({"weight_map":{"a":"x","a":"y"}})");
  EXPECT_THAT(Error(), HasSubstr("\"a\" twice"));
}

TEST_F(SafetensorsFolder, SaysWhichFilesAreNotThere) {
  EXPECT_THAT(Error(), HasSubstr("model.safetensors or model.safetensors.index.json"));
  EXPECT_THROW(Read(), std::system_error);
  Index({{"a", "absent.safetensors"}});
  EXPECT_THAT(Error(), HasSubstr("absent.safetensors"));
  EXPECT_THROW(Read(), std::system_error);
}

}  // namespace
}  // namespace svi::engine
