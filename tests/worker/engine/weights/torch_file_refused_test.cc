// Files that must be refused, by one exception with a message, whatever they say.
#include <stdexcept>

#include "tests/worker/engine/weights/temp_dir.h"
#include "tests/worker/engine/weights/torch_zip.h"
#include "worker/engine/weights/torch_file.h"

namespace svi::engine {
namespace {

using ::testing::HasSubstr;
using ::testing::StartsWith;

std::string Golden(const std::string& name) { return SVI_SOURCE_DIR "/tests/golden/weights/" + name; }

std::string ErrorOf(const std::string& path) {
  try {
    ReadTorchFile(path);
  } catch (const std::invalid_argument& error) {
    return error.what();
  }
  return "";
}

TEST(TorchFileRefused, PicklesOfTorchThatAreMoreThanTensors) {
  const std::pair<const char*, const char*> cases[] = {
      {"system", "names \"posix.system\""},
      {"eval", "names \"__builtin__.eval\""},
      {"instance", "names \"__main__.Plain\""},
      {"module", "names \"torch.nn.modules.linear.Linear\""},
      {"float8", "names \"torch.float8_e4m3fn\""},
      {"number", "under \"epoch\" something that is neither a tensor nor a dict"},
      {"tensors_in_list", "under \"a\" something that is neither"},
      {"list", "holds something other than a dict"},
      {"int_key", "a key in its pickle that is not text"},
      {"loop", "nested deeper than 16"},
      {"bush", "more than 100000 tensors"},
      {"legacy", "format of before 1.6; load it and save it again"},
      {"compressed", "compressed; only stored ones"},
      {"big_endian", "is not little-endian"},
      {"no_pickle", "it has no data.pkl"},
      {"twice", "serialization_id\" twice"},
  };
  for (const auto& [name, message] : cases) {
    const std::string error = ErrorOf(Golden("hostile/" + std::string(name) + ".pth"));
    EXPECT_THAT(error, StartsWith(std::string(name) + ".pth: ")) << name;
    EXPECT_THAT(error, HasSubstr(message)) << name;
  }
  EXPECT_FALSE(std::filesystem::exists("/tmp/svi_was_here"));
}

class MadeFile : public ::testing::Test {
 protected:
  std::string Refusal(const std::string& bytes) { return ErrorOf(dir_.Write("made.pth", bytes)); }
  std::string RefusalOfPickle(const std::string& pickle) {
    return Refusal(TorchFileOf(pickle, std::string(48, '\1')));
  }
  std::string RefusalOfTensor(const std::string& tensor) { return RefusalOfPickle(DictOfOne(tensor)); }
  TempDir dir_;
};

// What the cases below spoil is otherwise right.
TEST_F(MadeFile, IsReadWhenNothingIsWrong) {
  dir_.Write("made.pth", TorchFileOf(DictOfOne(Tensor(Storage("FloatStorage", 12), 2, {2, 5}, {5, 1})),
                                     std::string(48, '\0')));
  const TensorFile file = ReadTorchFile(dir_.File("made.pth"));
  EXPECT_EQ(file.tensors.at("a").sizes(), (std::vector<int64_t>{2, 5}));
  EXPECT_EQ(file.tensors.at("a").count_nonzero().item<int64_t>(), 0);
}

TEST_F(MadeFile, TensorsStayInTheirStorage) {
  constexpr int64_t kHuge = INT64_MAX;
  const std::string floats = Storage("FloatStorage", 12);
  const std::string outside = "lies outside of its storage";
  EXPECT_THAT(RefusalOfTensor(Tensor(floats, 0, {13}, {1})), HasSubstr(outside));
  EXPECT_THAT(RefusalOfTensor(Tensor(floats, 12, {}, {})), HasSubstr(outside));
  EXPECT_THAT(RefusalOfTensor(Tensor(floats, 3, {2, 5}, {5, 1})), HasSubstr(outside));
  EXPECT_THAT(RefusalOfTensor(Tensor(floats, 0, {3}, {kHuge})), HasSubstr(outside));
  EXPECT_THAT(RefusalOfTensor(Tensor(floats, kHuge, {2}, {kHuge})), HasSubstr(outside));
  EXPECT_THAT(RefusalOfTensor(Tensor(floats, -1, {2}, {1})), HasSubstr("negative offset"));
  EXPECT_THAT(RefusalOfTensor(Tensor(floats, 0, {-2}, {1})), HasSubstr("negative size"));
  EXPECT_THAT(RefusalOfTensor(Tensor(floats, 2, {2}, {-1})), HasSubstr("negative stride"));
  EXPECT_THAT(RefusalOfTensor(Tensor(floats, 0, {2}, {1, 1})), HasSubstr("number of strides"));
  EXPECT_THAT(RefusalOfTensor(Tensor(floats, 0, {kHuge, 2}, {0, 0})), HasSubstr("too large"));
  EXPECT_THAT(RefusalOfTensor(Tensor(floats, 0, {0, kHuge, 2}, {0, 0, 0})), HasSubstr("too large"));
  EXPECT_THAT(RefusalOfTensor(Tensor(floats, 0, std::vector<int64_t>(17, 1), std::vector<int64_t>(17, 1))),
              HasSubstr("more than 16 axes"));
}

TEST_F(MadeFile, SmallFilesDoNotSpellLargeCopies) {
  EXPECT_THAT(RefusalOfTensor(Tensor(Storage("FloatStorage", 12), 0, {int64_t{1} << 40}, {0})),
              HasSubstr("have to be copied"));
  std::string many = "}(";
  for (int i = 0; i < 100; ++i)
    many += Text(std::to_string(i)) + Tensor(Storage("FloatStorage", 12), 0, {1 << 18}, {0});
  EXPECT_THAT(RefusalOfPickle(Pickle(many + "u")), HasSubstr("have to be copied"));
}

TEST_F(MadeFile, StoragesStayInTheirEntry) {
  const auto one = [](const std::string& storage) { return Tensor(storage, 0, {1}, {1}); };
  const std::string fewer = "fewer bytes than the pickle says";
  EXPECT_THAT(RefusalOfTensor(one(Storage("FloatStorage", 13))), HasSubstr(fewer));
  EXPECT_THAT(RefusalOfTensor(one(Storage("DoubleStorage", INT64_MAX))), HasSubstr(fewer));
  EXPECT_THAT(RefusalOfTensor(one(Storage("FloatStorage", -1))), HasSubstr("negative count"));
  EXPECT_THAT(RefusalOfTensor(one(Storage("FloatStorage", 12, "1"))), HasSubstr("which is not in the file"));
  EXPECT_THAT(RefusalOfTensor(one(Storage("FloatStorage", 12, "../../etc/passwd"))),
              HasSubstr("which is not in the file"));
  EXPECT_THAT(RefusalOfTensor(one(Storage("ComplexFloatStorage", 1))), HasSubstr("ComplexFloatStorage"));
}

TEST_F(MadeFile, OpcodesThatMakeObjectsOrAreNone) {
  const std::pair<std::string, const char*> cases[] = {
      {std::string("(ios\nsystem\n"), "the opcode INST"},
      {std::string("(o"), "the opcode OBJ"},
      {std::string(")\x81"), "the opcode NEWOBJ"},
      {std::string(")}\x92"), "the opcode NEWOBJ_EX"},
      {std::string("\x82\x01"), "the opcode EXT"},
      {std::string("P0\n"), "the opcode PERSID"},
      {std::string("\xff"), "the opcode 255"},
      {std::string("I3\n"), "the opcode 73"},
      {"cos\nsystem\n(" + Text("true") + "tR", "names \"os.system\""},
      {std::string("\x8c\x02os\x8c\x06system\x93"), "names \"os.system\""},
      {std::string("c\x1b[31mred\n\xff\n"), "names \"?[31mred.?\""},
      {"c" + std::string(300, 'x'), "a global's name that does not end"},
      {std::string("}}b"), "attributes in its pickle of something that is not"},
      {std::string("ccollections\nOrderedDict\n)R)b"), "takes something else for attributes"},
      {std::string("ccollections\nOrderedDict\n(]tR"), "the wrong number of arguments"},
      {std::string("ctorch\nFloatStorage\n)R"), "which only names a type"},
      {std::string("K\x01)R"), "takes something else for a function"},
  };
  for (const auto& [opcodes, message] : cases)
    EXPECT_THAT(RefusalOfPickle(DictOfOne(opcodes)), HasSubstr(message)) << message;
}

TEST_F(MadeFile, PicklesThatBreakTheMachine) {
  const std::string nothing = "takes what is not there";
  const std::string early = "ends too early";
  EXPECT_THAT(RefusalOfPickle(Pickle("R")), HasSubstr(nothing));
  EXPECT_THAT(RefusalOfPickle(Pickle("u")), HasSubstr(nothing));
  EXPECT_THAT(RefusalOfPickle(Pickle("}(s")), HasSubstr(nothing));
  EXPECT_THAT(RefusalOfPickle(Pickle("q\1")), HasSubstr(nothing));
  EXPECT_THAT(RefusalOfPickle(Pickle("\x87")), HasSubstr(nothing));
  EXPECT_THAT(RefusalOfPickle(Pickle("h\7")), HasSubstr("recalls what it never kept"));
  EXPECT_THAT(RefusalOfPickle(Pickle("j" + Little<uint32_t>(0xffffffff))), HasSubstr("never kept"));
  EXPECT_THAT(RefusalOfPickle(Pickle("}(" + Text("a") + "u")), HasSubstr("a key and no value"));
  EXPECT_THAT(RefusalOfPickle("\x80\x02}"), HasSubstr(early));
  EXPECT_THAT(RefusalOfPickle(Pickle("X" + Little<uint32_t>(0xffffffff))), HasSubstr(early));
  EXPECT_THAT(RefusalOfPickle(Pickle("\x8d" + Little<uint64_t>(UINT64_MAX))), HasSubstr(early));
  EXPECT_THAT(RefusalOfPickle(Pickle("\x95" + Little<uint64_t>(UINT64_MAX) + "}")), HasSubstr(early));
  EXPECT_THAT(RefusalOfPickle(Pickle("\x8a\xff" + std::string(255, '\1'))), HasSubstr("more than 64 bits"));
  EXPECT_THAT(RefusalOfPickle(Pickle("")), HasSubstr("does not end with its one value"));
  EXPECT_THAT(RefusalOfPickle(Pickle("}}")), HasSubstr("does not end with its one value"));
  EXPECT_THAT(RefusalOfPickle(Pickle("}") + "x"), HasSubstr("does not end with its one value"));
  EXPECT_THAT(RefusalOfPickle("}."), HasSubstr("protocol before 2"));
  EXPECT_THAT(RefusalOfPickle("\x80\x06}."), HasSubstr("protocol 6"));
  EXPECT_THAT(RefusalOfPickle(Pickle(std::string(2'100'000, 'N'))), HasSubstr("more than 2000000 opcodes"));
}

TEST_F(MadeFile, KeysThatAreNoNames) {
  const std::string tensor = Tensor(Storage("FloatStorage", 12), 0, {1}, {1});
  const auto with_key = [&](const std::string& key) {
    return RefusalOfPickle(Pickle("}(" + Text(key) + tensor + "u"));
  };
  EXPECT_THAT(with_key("a\nb"), HasSubstr("no tensor's name: \"a?b\""));
  EXPECT_THAT(with_key("\xff"), HasSubstr("no tensor's name"));
  EXPECT_THAT(with_key(std::string(1025, 'a')), HasSubstr("no tensor's name"));
  const std::string inner = "}(" + Text(std::string(600, 'b')) + tensor + "u";
  EXPECT_THAT(RefusalOfPickle(Pickle("}(" + Text(std::string(600, 'a')) + inner + "u")),
              HasSubstr("more than 1024 bytes"));
  EXPECT_THAT(RefusalOfPickle(Pickle("}(" + Text("a") + tensor + Text("a") + tensor + "u")),
              HasSubstr("tensor \"a\" twice"));
  const std::string b = "}(" + Text("b") + tensor + "u";
  EXPECT_THAT(RefusalOfPickle(Pickle("}(" + Text("a.b") + tensor + Text("a") + b + "u")),
              HasSubstr("tensor \"a.b\" twice"));
}

// Many prefixes, and every byte changed in one of three ways, of real files: read or refused, nothing else.
TEST_F(MadeFile, NoDamageDoesMoreThanARefusal) {
  const std::string path = dir_.File("made.pth");
  size_t refused = 0, read = 0;
  const auto expect_tame = [&](const std::string& bytes, size_t place) {
    dir_.Write("made.pth", bytes);
    try {
      for (const auto& [name, tensor] : ReadTorchFile(path).tensors) {
        if (tensor.scalar_type() != at::kBool) tensor.sum();  // touches every element
      }
      ++read;
    } catch (const std::invalid_argument& error) {
      EXPECT_THAT(error.what(), StartsWith("made.pth: ")) << place;
      ++refused;
    } catch (const std::exception& error) {
      ADD_FAILURE() << "at " << place << ": " << error.what();
    }
  };
  for (const char* name : {"module.pth", "zip64.pth"}) {
    std::filesystem::copy_file(Golden(name), dir_.File(name));
    const std::string good = dir_.Read(name);
    const size_t read_before = read;
    for (size_t size = 0; size < good.size(); size += 11) expect_tame(good.substr(0, size), size);
    EXPECT_EQ(read, read_before) << "a prefix of " << name << " was read";
    for (size_t place = 0; place < good.size(); ++place) {
      constexpr unsigned char kFlips[] = {0x01, 0x80, 0xff};
      std::string damaged = good;
      damaged[place] = static_cast<char>(damaged[place] ^ kFlips[place % 3]);
      expect_tame(damaged, place);
    }
  }
  EXPECT_GT(read, 100u);
  EXPECT_GT(refused, 100u);
}

}  // namespace
}  // namespace svi::engine
