#include "worker/engine/weights/torch_file.h"

#include <cstring>
#include <system_error>

#include "tests/worker/engine/weights/temp_dir.h"

namespace svi::engine {
namespace {

using ::testing::HasSubstr;

std::string Golden(const std::string& name) { return SVI_SOURCE_DIR "/tests/golden/weights/" + name; }

// `file` has the twin's tensors, bit for bit, and its kind of memory.
void ExpectTwin(const TensorFile& file, const std::string& twin) {
  const TensorFile expected = ReadSafetensors(Golden(twin));
  ASSERT_EQ(file.tensors.size(), expected.tensors.size());
  EXPECT_TRUE(file.metadata.empty());
  for (const auto& [name, tensor] : expected.tensors) {
    SCOPED_TRACE(name);
    ASSERT_TRUE(file.tensors.contains(name));
    const at::Tensor& read = file.tensors.at(name);
    ASSERT_EQ(read.scalar_type(), tensor.scalar_type());
    ASSERT_EQ(read.sizes(), tensor.sizes());
    ASSERT_TRUE(read.is_contiguous());
    EXPECT_FALSE(read.requires_grad());
    if (tensor.numel() == 0) continue;
    EXPECT_EQ(reinterpret_cast<uintptr_t>(read.const_data_ptr()) % read.element_size(), 0u);
    EXPECT_EQ(std::memcmp(read.const_data_ptr(), tensor.const_data_ptr(), tensor.nbytes()), 0);
  }
}

TEST(TorchFile, ReadsADictOfEveryDtypeAndShape) {
  ExpectTwin(ReadTorchFile(Golden("plain.pth")), "plain.safetensors");
}

TEST(TorchFile, ReadsEveryProtocolOfPickles) {
  for (const char* name : {"plain_protocol3.pth", "plain_protocol4.pth", "plain_protocol5.pth"}) {
    SCOPED_TRACE(name);
    ExpectTwin(ReadTorchFile(Golden(name)), "plain.safetensors");
  }
}

TEST(TorchFile, ReadsAnOrderedDictOfParametersWithDictsInside) {
  const TensorFile file = ReadTorchFile(Golden("ordered.pth"));
  ExpectTwin(file, "ordered.safetensors");
  EXPECT_TRUE(file.tensors.contains("nested.deeper.still"));
}

TEST(TorchFile, DropsTheMetadataOfAModule) {
  ExpectTwin(ReadTorchFile(Golden("module.pth")), "module.safetensors");
}

TEST(TorchFile, CopiesWhatAnotherZipWriterLeftAtOddPlaces) {
  ExpectTwin(ReadTorchFile(Golden("rezipped.pth")), "plain.safetensors");
}

TEST(TorchFile, ReadsZip64) { ExpectTwin(ReadTorchFile(Golden("zip64.pth")), "plain.safetensors"); }

TEST(TorchFile, TensorsAreViewsOfTheFileThatOutliveEverything) {
  TempDir dir;
  std::filesystem::copy_file(Golden("plain.pth"), dir.File("x.pth"));
  at::Tensor whole, rows;
  {
    const TensorFile file = ReadTorchFile(dir.File("x.pth"));
    whole = file.tensors.at("shared.whole");
    rows = file.tensors.at("shared.rows");
  }
  std::filesystem::remove(dir.File("x.pth"));
  // One storage in the file is one memory here: no copies of it were made.
  EXPECT_EQ(rows.const_data_ptr<float>(), whole.const_data_ptr<float>() + 6);
  whole.index({1}).fill_(5);
  EXPECT_TRUE(rows.index({0}).eq(5).all().item<bool>());
}

TEST(TorchFile, WritingToATensorDoesNotReachTheFile) {
  TempDir dir;
  std::filesystem::copy_file(Golden("plain.pth"), dir.File("x.pth"));
  ReadTorchFile(dir.File("x.pth")).tensors.at("t.float32").fill_(9);
  ExpectTwin(ReadTorchFile(dir.File("x.pth")), "plain.safetensors");
}

TEST(TorchFile, AFileThatIsNotThereIsASystemErrorWithoutItsPath) {
  try {
    ReadTorchFile("/nowhere/at/all/x.pth");
    FAIL();
  } catch (const std::system_error& error) {
    EXPECT_EQ(error.code(), std::errc::no_such_file_or_directory);
    EXPECT_THAT(error.what(), ::testing::Not(HasSubstr("nowhere")));
  }
}

}  // namespace
}  // namespace svi::engine
