#include "worker/agent/lora_watch.h"

#include <string>
#include <vector>

#include "gmock/gmock.h"
#include "gtest/gtest.h"

namespace svi::worker {
namespace {

using engine::LoraFolder;
using ::testing::ElementsAre;
using ::testing::IsEmpty;

TEST(LoraWatchTest, CompareTellsWhatIsNew) {
  const LoraFolder before{.loras = {{"a", 4, 10}, {"b", 4, 10}, {"c", 4, 10}},
                          .refused = {{"old.safetensors", "broken"}, {"other.safetensors", "broken"}}};
  // b went, d came, c is another file of the same name; one refusal is as before, one has another reason.
  const LoraFolder after{
      .loras = {{"a", 4, 10}, {"c", 8, 10}, {"d", 4, 10}},
      .refused = {
          {"new.safetensors", "empty"}, {"old.safetensors", "broken"}, {"other.safetensors", "cut off"}}};
  const LoraChange change = Compare(before, after);
  EXPECT_THAT(change.added, ElementsAre("d"));
  EXPECT_THAT(change.removed, ElementsAre("b"));
  EXPECT_THAT(change.refused, ElementsAre(LoraFolder::Refused{"new.safetensors", "empty"},
                                          LoraFolder::Refused{"other.safetensors", "cut off"}));
  EXPECT_EQ(Compare(after, after), LoraChange());
}

TEST(LoraWatchTest, NamesFollowTheFolder) {
  LoraWatch watch;
  EXPECT_THAT(watch.names(), IsEmpty());
  watch.Update({.loras = {{"b", 4, 10}, {"a", 4, 10}}, .refused = {}});
  EXPECT_THAT(watch.names(), ElementsAre("a", "b"));
  watch.Update({.loras = {{"b", 4, 10}}, .refused = {{"a.safetensors", "broken"}}});
  EXPECT_THAT(watch.names(), ElementsAre("b"));
  EXPECT_EQ(watch.folder().refused.size(), 1u);
  watch.Update({});
  EXPECT_THAT(watch.names(), IsEmpty());
}

TEST(LoraWatchTest, NoMoreNamesThanAServerListensTo) {
  LoraFolder folder;
  for (int i = 0; i < 5000; ++i) folder.loras.push_back({"lora" + std::to_string(10000 + i), 1, 1});
  LoraWatch watch;
  watch.Update(folder);
  EXPECT_EQ(watch.names().size(), 4096u);
  EXPECT_EQ(watch.folder().loras.size(), 5000u);
}

}  // namespace
}  // namespace svi::worker
