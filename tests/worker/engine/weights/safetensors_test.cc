#include "worker/engine/weights/safetensors.h"

#include <sys/wait.h>
#include <unistd.h>

#include <cstring>
#include <filesystem>
#include <string>
#include <system_error>
#include <vector>

#include "tests/worker/engine/weights/temp_dir.h"

namespace svi::engine {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::IsEmpty;
using ::testing::Not;
using ::testing::Pair;
using ::testing::UnorderedElementsAre;

void ExpectSame(const at::Tensor& a, const at::Tensor& b) {
  ASSERT_EQ(a.scalar_type(), b.scalar_type());
  ASSERT_EQ(a.sizes(), b.sizes());
  const at::Tensor x = a.contiguous(), y = b.contiguous();
  if (x.nbytes() == 0) return;
  EXPECT_EQ(std::memcmp(x.const_data_ptr(), y.const_data_ptr(), x.nbytes()), 0);
}

TensorFile EveryDtype() {
  TensorFile file;
  const at::Tensor numbers = at::arange(-3, 9, at::kLong).view({3, 4});
  for (const at::ScalarType dtype : {at::kDouble, at::kFloat, at::kHalf, at::kBFloat16, at::kLong, at::kInt,
                                     at::kShort, at::kChar, at::kByte, at::kBool}) {
    file.tensors[std::string("t.") + c10::toString(dtype)] = numbers.to(dtype);
  }
  file.tensors["scalar"] = at::full({}, 7.5, at::kFloat);
  file.tensors["empty"] = at::empty({0, 3}, at::kFloat);
  file.tensors["odd"] = at::ones({3}, at::kChar);
  file.metadata = {{"format", "pt"}, {"note", "a \"quoted\" ü"}};
  return file;
}

std::vector<std::string> NamesIn(const TempDir& dir) {
  std::vector<std::string> names;
  for (const auto& entry : std::filesystem::directory_iterator(dir.path()))
    names.push_back(entry.path().filename());
  return names;
}

TEST(Safetensors, EveryDtypeSurvivesMemoryAndFile) {
  const TensorFile file = EveryDtype();
  TempDir dir;
  WriteSafetensors(dir.File("x.safetensors"), file);
  EXPECT_THAT(NamesIn(dir), ElementsAre("x.safetensors"));
  EXPECT_EQ(dir.Read("x.safetensors"), SerializeSafetensors(file));

  for (const TensorFile& read :
       {ReadSafetensors(dir.File("x.safetensors")), ParseSafetensors(SerializeSafetensors(file), "x")}) {
    EXPECT_EQ(read.metadata, file.metadata);
    ASSERT_EQ(read.tensors.size(), file.tensors.size());
    for (const auto& [name, tensor] : file.tensors) {
      SCOPED_TRACE(name);
      ExpectSame(read.tensors.at(name), tensor);
    }
  }
}

TEST(Safetensors, NothingAtAllIsAFileToo) {
  const TensorFile read = ParseSafetensors(SerializeSafetensors({}), "x");
  EXPECT_THAT(read.tensors, IsEmpty());
  EXPECT_THAT(read.metadata, IsEmpty());
}

TEST(Safetensors, WritesWhatAViewShows) {
  const at::Tensor turned = at::arange(6, at::kFloat).view({2, 3}).t();
  const TensorFile read = ParseSafetensors(SerializeSafetensors({{{"turned", turned}}, {}}), "x");
  ExpectSame(read.tensors.at("turned"), turned);
}

TEST(Safetensors, TensorsOutliveTheFileAndTheirNeighbours) {
  TempDir dir;
  WriteSafetensors(dir.File("x"), {{{"a", at::arange(1000, at::kFloat)}, {"b", at::zeros({5})}}, {}});
  at::Tensor kept = ReadSafetensors(dir.File("x")).tensors.at("a");
  std::filesystem::remove(dir.File("x"));
  EXPECT_TRUE(at::equal(kept, at::arange(1000, at::kFloat)));
}

TEST(Safetensors, WritingToAMappedTensorLeavesTheFileAlone) {
  TempDir dir;
  WriteSafetensors(dir.File("x"), {{{"a", at::ones({4})}}, {}});
  const std::string before = dir.Read("x");
  at::Tensor a = ReadSafetensors(dir.File("x")).tensors.at("a");
  a.add_(1);
  EXPECT_EQ(a.sum().item<float>(), 8.0f);
  EXPECT_EQ(dir.Read("x"), before);
}

// Only the reference writer pads the header: others leave data at odd addresses.
TEST(Safetensors, ReadsDataAtAnOddAddress) {
  const std::string header = R"({"a":{"dtype":"F32","shape":[2],"data_offsets":[1,9]},)"
                             R"("b":{"dtype":"I8","shape":[1],"data_offsets":[0,1]}})";
  const uint64_t length = header.size();
  const float values[] = {1.5f, -2.0f};
  std::string bytes(8, '\0');
  std::memcpy(bytes.data(), &length, 8);
  bytes.append(header).append("\x05");
  bytes.append(reinterpret_cast<const char*>(values), sizeof(values));
  TempDir dir;
  const TensorFile read = ReadSafetensors(dir.Write("x", bytes));
  const at::Tensor a = read.tensors.at("a");
  EXPECT_EQ(reinterpret_cast<uintptr_t>(a.const_data_ptr()) % alignof(float), 0u);
  EXPECT_TRUE(at::equal(a, at::tensor({1.5f, -2.0f})));
  EXPECT_EQ(read.tensors.at("b").item<int8_t>(), 5);
}

TEST(Safetensors, ReadsWhatTheReferenceWriterWrote) {
  const TensorFile read = ReadSafetensors(SVI_SOURCE_DIR "/tests/golden/sampler/sampler.safetensors");
  const at::Tensor timesteps = read.tensors.at("unipc.steps2_shift5.timesteps");
  EXPECT_EQ(timesteps.scalar_type(), at::kLong);
  EXPECT_EQ(timesteps[0].item<int64_t>(), 999);
}

// Two trainers that filled one cache of latents took each other's half-written file away.
TEST(Safetensors, ProcessesThatWriteTheSamePathDoNotDisturbEachOther) {
  const TempDir dir;
  const TensorFile file{{{"a", at::ones({1000})}}, {}};
  std::vector<pid_t> writers;
  for (int i = 0; i < 3; ++i) {
    const pid_t writer = fork();
    if (writer == 0) {
      int failures = 0;
      for (int round = 0; round < 40; ++round) {
        try {
          WriteSafetensors(dir.File("x"), file);
        } catch (const std::exception&) {
          ++failures;
        }
      }
      _exit(failures);
    }
    writers.push_back(writer);
  }
  for (const pid_t writer : writers) {
    int status = -1;
    ASSERT_EQ(waitpid(writer, &status, 0), writer);
    EXPECT_EQ(status, 0);
  }
  EXPECT_THAT(NamesIn(dir), ElementsAre("x"));
  EXPECT_TRUE(at::equal(ReadSafetensors(dir.File("x")).tensors.at("a"), at::ones({1000})));
}

TEST(Safetensors, OverwritesAndKeepsTheOldFileWhenItCannot) {
  TempDir dir;
  WriteSafetensors(dir.File("x"), {{{"a", at::ones({4})}}, {}});
  WriteSafetensors(dir.File("x"), {{{"b", at::ones({2})}}, {}});
  EXPECT_THAT(ReadSafetensors(dir.File("x")).tensors, ElementsAre(Pair("b", ::testing::_)));

  std::filesystem::create_directory(dir.File("y"));
  dir.Write("y/occupied", "");
  EXPECT_THROW(WriteSafetensors(dir.File("y"), {}), std::runtime_error);
  EXPECT_THAT(NamesIn(dir), UnorderedElementsAre("x", "y"));
  EXPECT_THROW(WriteSafetensors(dir.File("none/x"), {}), std::runtime_error);
}

TEST(Safetensors, RefusesToWriteWhatItCouldNotRead) {
  EXPECT_THROW(SerializeSafetensors({{{"__metadata__", at::ones({1})}}, {}}), std::invalid_argument);
  EXPECT_THROW(SerializeSafetensors({{{"a", at::ones({1}, at::kComplexFloat)}}, {}}), std::invalid_argument);
  EXPECT_THROW(SerializeSafetensors({{{"\xff", at::ones({1})}}, {}}), std::invalid_argument);
}

TEST(Safetensors, AMissingFileIsNamedWithoutItsPath) {
  TempDir dir;
  try {
    ReadSafetensors(dir.File("gone.safetensors"));
    FAIL();
  } catch (const std::system_error& error) {
    EXPECT_EQ(error.code(), std::errc::no_such_file_or_directory);
    EXPECT_THAT(error.what(), HasSubstr("gone.safetensors"));
    EXPECT_THAT(error.what(), Not(HasSubstr(dir.path())));
  }
  EXPECT_THROW(ReadSafetensors(dir.path()), std::invalid_argument) << "a folder is no file";
}

}  // namespace
}  // namespace svi::engine
