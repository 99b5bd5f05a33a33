#include "worker/engine/lora/lora_library.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sys/stat.h>

#include <filesystem>
#include <limits>
#include <thread>

#include "tests/worker/engine/lora/lora_test_util.h"
#include "tests/worker/engine/weights/temp_dir.h"

namespace svi::engine {
namespace {

using testing::AllOf;
using testing::ElementsAre;
using testing::HasSubstr;
using testing::IsEmpty;
using testing::Not;
using testing::StartsWith;

using Lora = LoraFolder::Lora;

class LoraLibraryTest : public testing::Test {
 protected:
  std::string Why(const std::string& name) {
    try {
      library_.Open(name);
    } catch (const std::invalid_argument& e) {
      return e.what();
    }
    return "";
  }
  // The way to put a file in place that nobody sees half of.
  void Replace(const std::string& file, const std::string& bytes) {
    dir_.Write(".new", bytes);
    std::filesystem::rename(dir_.File(".new"), dir_.File(file));
  }

  const TempDir dir_;
  LoraLibrary library_{dir_.path(), "", TargetsA()};
};

TEST_F(LoraLibraryTest, ListsByName) {
  dir_.Write("zebra.safetensors", LoraBytes(Pair()));
  dir_.Write("A-1_b.v2.safetensors", LoraBytes(Pair()));
  std::filesystem::copy_file(GoldenLora("style_svi"), dir_.File("fox.safetensors"));
  const LoraFolder folder = library_.Scan();
  EXPECT_THAT(folder.loras, ElementsAre(Lora{"A-1_b.v2", 2, 1}, Lora{"fox", 2, 20}, Lora{"zebra", 2, 1}));
  EXPECT_THAT(folder.refused, IsEmpty());
}

TEST_F(LoraLibraryTest, PassesOverWhatIsNoLora) {
  dir_.Write(".hidden.safetensors", "x");
  dir_.Write("notes.txt", "x");
  dir_.Write("x.safetensors.tmp", "x");
  std::filesystem::create_directory(dir_.File("folder.safetensors"));
  std::filesystem::create_symlink(dir_.File("nowhere"), dir_.File("dangling.safetensors"));
  EXPECT_EQ(library_.Scan(), LoraFolder());
}

TEST_F(LoraLibraryTest, SaysWhyItRefuses) {
  dir_.Write("a name.safetensors", LoraBytes(Pair()));
  dir_.Write(std::string(129, 'x') + ".safetensors", LoraBytes(Pair()));
  dir_.Write("broken.safetensors", "not a LoRA");
  ::mkfifo(dir_.File("pipe.safetensors").c_str(), 0600);
  const LoraFolder folder = library_.Scan();
  EXPECT_THAT(folder.loras, IsEmpty());
  ASSERT_EQ(folder.refused.size(), 4u);
  EXPECT_EQ(folder.refused[0].file, "a name.safetensors");
  EXPECT_THAT(folder.refused[0].why, HasSubstr("[A-Za-z0-9._-]"));
  EXPECT_EQ(folder.refused[1].file, "broken.safetensors");
  EXPECT_THAT(folder.refused[1].why,
              AllOf(Not(HasSubstr("broken")), Not(HasSubstr("/")), HasSubstr("header")));
  EXPECT_THAT(folder.refused[2].why, HasSubstr("not a regular file"));
}

TEST_F(LoraLibraryTest, AFileThatIsBeingWrittenIsPickedUpWhenItIsWhole) {
  const std::string bytes = LoraBytes(Pair());
  dir_.Write("x.safetensors", bytes.substr(0, bytes.size() / 2));
  EXPECT_THAT(library_.Scan().loras, IsEmpty());
  EXPECT_EQ(library_.Scan().refused.size(), 1u);
  dir_.Write("x.safetensors", bytes);
  const LoraFolder folder = library_.Scan();
  EXPECT_THAT(folder.loras, ElementsAre(Lora{"x", 2, 1}));
  EXPECT_THAT(folder.refused, IsEmpty());
}

TEST_F(LoraLibraryTest, SeesFilesComeChangeAndGo) {
  EXPECT_EQ(library_.Scan(), LoraFolder());
  Replace("x.safetensors", LoraBytes(Pair()));
  EXPECT_THAT(library_.Scan().loras, ElementsAre(Lora{"x", 2, 1}));
  const std::string first = library_.Open("x").version;
  EXPECT_EQ(library_.Version("x"), first);

  Tensors more = Pair();
  more.merge(Pair("blocks.1.cross_attn.k"));
  Replace("x.safetensors", LoraBytes(more));
  EXPECT_NE(library_.Version("x"), first);
  const auto entry = library_.Open("x");
  EXPECT_NE(entry.version, first);
  EXPECT_EQ(entry.weights.modules.size(), 2u) << "as it is now, whether or not a scan has seen it";
  EXPECT_THAT(library_.Scan().loras, ElementsAre(Lora{"x", 2, 2}));

  std::filesystem::remove(dir_.File("x.safetensors"));
  EXPECT_EQ(library_.Scan(), LoraFolder());
  EXPECT_THROW(library_.Open("x"), UnknownLora);
}

TEST_F(LoraLibraryTest, UnchangedFilesAreNotReadAgain) {
  const std::string path = dir_.Write("x.safetensors", LoraBytes(Pair()));
  const auto time = std::filesystem::last_write_time(path);
  EXPECT_EQ(library_.Scan().loras.size(), 1u);
  // Other bytes that look like the same file: only reading could tell.
  dir_.Write("x.safetensors", std::string(std::filesystem::file_size(path), 'x'));
  std::filesystem::last_write_time(path, time);
  EXPECT_EQ(library_.Scan().loras.size(), 1u);
}

TEST_F(LoraLibraryTest, WhatOnlyTheDataShowsIsKnownAfterOpening) {
  Tensors tensors = Pair();
  tensors.begin()->second[0][0] = std::numeric_limits<float>::quiet_NaN();
  dir_.Write("x.safetensors", LoraBytes(tensors));
  EXPECT_EQ(library_.Scan().loras.size(), 1u);
  EXPECT_THAT(Why("x"), AllOf(StartsWith("LoRA 'x': "), HasSubstr("not finite"), Not(HasSubstr("/"))));
  const LoraFolder folder = library_.Scan();
  EXPECT_THAT(folder.loras, IsEmpty());
  ASSERT_EQ(folder.refused.size(), 1u);
  EXPECT_THAT(folder.refused[0].why, HasSubstr("not finite"));
  Replace("x.safetensors", LoraBytes(Pair()));
  EXPECT_EQ(library_.Scan().loras.size(), 1u);
}

TEST_F(LoraLibraryTest, UnknownNames) {
  dir_.Write(".x.safetensors", LoraBytes(Pair()));
  std::filesystem::create_directory(dir_.File("sub"));
  dir_.Write("sub/x.safetensors", LoraBytes(Pair()));
  for (const char* name : {"absent", "", ".x", "sub/x", "../x", "x y", "/etc/passwd"}) {
    EXPECT_THROW(library_.Open(name), UnknownLora) << name;
    EXPECT_THROW(library_.Version(name), UnknownLora) << name;
  }
  LoraLibrary none("", "", TargetsA());
  EXPECT_THROW(none.Open("x"), UnknownLora);
  EXPECT_EQ(none.Scan(), LoraFolder());
}

TEST_F(LoraLibraryTest, BadFilesSayWhichLora) {
  dir_.Write("x.safetensors", "not a LoRA");
  EXPECT_THAT(Why("x"), AllOf(StartsWith("LoRA 'x': "), Not(HasSubstr("/"))));
}

TEST_F(LoraLibraryTest, AFolderThatIsNotThereIsOneRefusal) {
  LoraLibrary library(dir_.File("absent"), "", TargetsA());
  const LoraFolder folder = library.Scan();
  EXPECT_THAT(folder.loras, IsEmpty());
  ASSERT_EQ(folder.refused.size(), 1u);
  EXPECT_EQ(folder.refused[0].file, "absent");
  EXPECT_THAT(folder.refused[0].why, AllOf(HasSubstr("No such file"), Not(HasSubstr("/"))));
  EXPECT_THROW(library.Open("x"), UnknownLora);
}

TEST_F(LoraLibraryTest, WhatIsInTheCacheWinsAndIsNotListed) {
  const TempDir cache;
  LoraLibrary library(dir_.path(), cache.path(), TargetsA());
  dir_.Write("x.safetensors", LoraBytes(Pair()));
  dir_.Write("own.safetensors", LoraBytes(Pair()));
  const std::string own_version = library.Version("x");
  Tensors more = Pair();
  more.merge(Pair("blocks.1.cross_attn.k"));
  cache.Write("x.safetensors", LoraBytes(more));
  cache.Write("published.safetensors", LoraBytes(Pair()));
  cache.Write("broken.safetensors", "not a LoRA");
  EXPECT_NE(library.Version("x"), own_version);
  EXPECT_EQ(library.Open("x").weights.modules.size(), 2u);
  EXPECT_EQ(library.Open("published").weights.modules.size(), 1u);
  EXPECT_EQ(library.Open("own").weights.modules.size(), 1u);
  const LoraFolder folder = library.Scan();
  EXPECT_THAT(folder.loras, ElementsAre(Lora{"own", 2, 1}, Lora{"x", 2, 1}));
  ASSERT_EQ(folder.refused.size(), 1u);
  EXPECT_EQ(folder.refused[0].file, "broken.safetensors");

  std::filesystem::remove(cache.File("x.safetensors"));
  EXPECT_EQ(library.Version("x"), own_version);
  EXPECT_EQ(library.Open("x").weights.modules.size(), 1u);
}

TEST_F(LoraLibraryTest, ACacheNeedsNoFolder) {
  LoraLibrary library("", dir_.path(), TargetsA());
  EXPECT_THROW(library.Open("x"), UnknownLora);
  dir_.Write("x.safetensors", LoraBytes(Pair()));
  EXPECT_EQ(library.Open("x").weights.modules.size(), 1u);
  EXPECT_EQ(library.Scan(), LoraFolder());
}

TEST_F(LoraLibraryTest, ScansWhileFilesAreOpened) {
  for (const char* name : {"a", "b", "c"}) dir_.Write(std::string(name) + ".safetensors", LoraBytes(Pair()));
  std::thread scanner([&] {
    for (int i = 0; i < 50; ++i) EXPECT_EQ(library_.Scan().loras.size(), 3u);
  });
  for (int i = 0; i < 50; ++i) EXPECT_EQ(library_.Open("b").weights.modules.size(), 1u);
  scanner.join();
}

}  // namespace
}  // namespace svi::engine
