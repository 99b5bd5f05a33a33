#include <cstring>
#include <string>

#include "tests/worker/engine/weights/temp_dir.h"
#include "worker/engine/weights/safetensors.h"

namespace svi::engine {
namespace {

using ::testing::AllOf;
using ::testing::HasSubstr;
using ::testing::Not;

std::string WithLength(uint64_t length, const std::string& rest) {
  std::string bytes(8, '\0');
  std::memcpy(bytes.data(), &length, 8);
  return bytes.append(rest);
}

std::string File(const std::string& header, size_t data_bytes) {
  return WithLength(header.size(), header + std::string(data_bytes, '\0'));
}

std::string Tensor(const std::string& dtype, const std::string& shape, const std::string& offsets) {
  return R"({"dtype":")" + dtype + R"(","shape":)" + shape + R"(,"data_offsets":)" + offsets + "}";
}

std::string One(const std::string& dtype, const std::string& shape, const std::string& offsets,
                size_t data_bytes) {
  return File(R"({"w":)" + Tensor(dtype, shape, offsets) + "}", data_bytes);
}

struct Case {
  const char* name;
  std::string bytes;
  std::string expected;  // in the message
};

class MalformedSafetensors : public ::testing::TestWithParam<Case> {};

TEST_P(MalformedSafetensors, IsRefusedWithAReason) {
  TempDir dir;
  const std::string path = dir.Write("bad.safetensors", GetParam().bytes);
  for (const bool mapped : {true, false}) {
    try {
      mapped ? ReadSafetensors(path) : ParseSafetensors(GetParam().bytes, "bad.safetensors");
      ADD_FAILURE() << "was read";
    } catch (const std::invalid_argument& error) {
      EXPECT_THAT(error.what(), AllOf(HasSubstr("bad.safetensors: "), HasSubstr(GetParam().expected),
                                      Not(HasSubstr(dir.path()))));
    }
  }
}

const std::string kGood = Tensor("F32", "[2]", "[0,8]");

INSTANTIATE_TEST_SUITE_P(
    Table, MalformedSafetensors,
    ::testing::Values(
        Case{"Empty", "", "too short"}, Case{"SevenBytes", "1234567", "too short"},
        Case{"HeaderLongerThanFile", WithLength(50, "{}"), "ends inside its header"},
        Case{"HeaderLengthWraps", WithLength(~uint64_t{0}, "{}"), "are allowed"},
        Case{"HeaderAbove100Mb", WithLength(100'000'001, "{}"), "are allowed"},
        Case{"NoHeader", WithLength(0, ""), "begin with {"}, Case{"AList", File("[]", 0), "begin with {"},
        Case{"LeadingSpace", File(" {}", 0), "begin with {"},
        Case{"NotJson", File("{\"w\":", 0), "not valid JSON"},
        Case{"NotUtf8", File("{\"\xff\":1}", 0), "not valid JSON"},
        Case{"TwoObjects", File("{}{}", 0), "not valid JSON"},
        Case{"DeepNesting", File("{\"w\":" + std::string(100'000, '['), 0), "nests too deeply"},
        Case{"TensorTwice", File("{\"w\":" + kGood + ",\"w\":" + kGood + "}", 8), "\"w\" twice"},
        Case{"FieldTwice", File(R"({"w":{"dtype":"F32","dtype":"F32","shape":[2],"data_offsets":[0,8]}})", 8),
             "\"dtype\" twice"},
        Case{"MetadataTwice", File(R"({"__metadata__":{"a":"1","a":"2"}})", 0), "\"a\" twice"},
        Case{"MetadataNotText", File(R"({"__metadata__":{"a":1}})", 0), "metadata \"a\""},
        Case{"MetadataNotObject", File(R"({"__metadata__":"a"})", 0), "__metadata__"},
        Case{"EntryNotObject", File(R"({"w":1})", 0), "exactly dtype"},
        Case{"EntryWithoutShape", File(R"({"w":{"dtype":"F32","data_offsets":[0,0]}})", 0), "exactly dtype"},
        Case{"EntryWithMore", File(R"({"w":{"dtype":"F32","shape":[0],"data_offsets":[0,0],"x":1}})", 0),
             "exactly dtype"},
        Case{"UnknownDtype", One("F4", "[2]", "[0,8]", 8), "unknown dtype \"F4\""},
        Case{"DtypeNotText", File(R"({"w":{"dtype":4,"shape":[2],"data_offsets":[0,8]}})", 8), "dtype"},
        Case{"ShapeNotList", One("F32", "2", "[0,8]", 8), "shape"},
        Case{"NegativeSize", One("F32", "[-2]", "[0,8]", 8), "shape"},
        Case{"FractionalSize", One("F32", "[2.0]", "[0,8]", 8), "shape"},
        Case{"SizeAbove63Bits", One("F32", "[9223372036854775808]", "[0,8]", 8), "shape"},
        Case{"ProductOverflows", One("F32", "[4294967296,4294967296]", "[0,0]", 0), "do not match"},
        Case{"ProductOverflowsBeforeZero", One("F32", "[4294967296,4294967296,0]", "[0,0]", 0),
             "do not match"},
        Case{"TooManyAxes", One("F32", "[1,1,1,1,1,1,1,1,1,1,1,1,1,1,1,1,2]", "[0,8]", 8), "shape"},
        Case{"SpanTooShort", One("F32", "[3]", "[0,8]", 8), "do not match"},
        Case{"SpanTooLong", One("F32", "[1]", "[0,8]", 8), "do not match"},
        Case{"OffsetsSwapped", One("F32", "[2]", "[8,0]", 8), "outside"},
        Case{"OffsetsNegative", One("F32", "[2]", "[-8,0]", 8), "data_offsets"},
        Case{"OffsetsAreThree", One("F32", "[2]", "[0,8,8]", 8), "data_offsets"},
        Case{"OffsetsFractional", One("F32", "[2]", "[0,8.0]", 8), "data_offsets"},
        Case{"DataTruncated", One("F32", "[2]", "[0,8]", 7), "outside"},
        Case{"DataTrails", One("F32", "[2]", "[0,8]", 9), "belong to no tensor"},
        Case{"DataWithoutTensors", File("{}", 1), "belong to no tensor"},
        Case{"HoleInFront", One("F32", "[2]", "[4,12]", 12), "hole before tensor \"w\""},
        Case{"HoleBetween", File("{\"v\":" + kGood + ",\"w\":" + Tensor("F32", "[2]", "[12,20]") + "}", 20),
             "hole before tensor \"w\""},
        Case{"Overlap", File("{\"v\":" + kGood + ",\"w\":" + Tensor("F32", "[2]", "[4,12]") + "}", 12),
             "tensor \"w\" overlaps"},
        Case{"SameSpan", File("{\"v\":" + kGood + ",\"w\":" + kGood + "}", 8), "overlaps"},
        Case{"LongName", File("{\"" + std::string(5000, 'n') + "\":1}", 0), "nnn...\" is not described"}),
    [](const auto& info) { return std::string(info.param.name); });

// Every file that a cut can make of a good one is refused too.
TEST(TruncatedSafetensors, IsRefusedAtEveryLength) {
  const std::string good =
      SerializeSafetensors({{{"a", at::ones({3})}, {"b", at::ones({2}, at::kChar)}}, {{"k", "v"}}});
  ASSERT_NO_THROW(ParseSafetensors(good, "x"));
  for (size_t length = 0; length < good.size(); ++length) {
    EXPECT_THROW(ParseSafetensors(std::string_view(good).substr(0, length), "x"), std::invalid_argument)
        << length;
  }
}

}  // namespace
}  // namespace svi::engine
