#include "worker/engine/text/sentencepiece_model.h"

#include <bit>
#include <cmath>
#include <cstdint>
#include <stdexcept>

#include "worker/engine/text/unicode.h"

namespace svi::engine {
namespace {

// Field numbers of the messages.
enum : uint32_t { kPieces = 1, kTrainerSpec = 2, kNormalizerSpec = 3 };
enum : uint32_t { kPieceText = 1, kPieceScore = 2, kPieceKind = 3 };
enum : uint32_t { kModelType = 3, kSpaceAsSuffix = 24, kByteFallback = 35 };
enum : uint32_t { kCharsMap = 2, kDummyPrefix = 3, kRemoveSpaces = 4, kEscapeSpaces = 5 };
constexpr uint64_t kUnigramType = 1;

enum WireType : uint32_t { kVarint = 0, kFixed64 = 1, kBytes = 2, kFixed32 = 5 };

[[noreturn]] void Fail(const std::string& what) { throw std::invalid_argument("spiece.model: " + what); }

// One field of a message.
struct Field {
  uint32_t number;
  uint32_t wire;
  uint64_t value;          // varint, fixed
  std::string_view bytes;  // length-delimited

  void Expect(uint32_t type) const {
    if (wire != type) Fail("field " + std::to_string(number) + " has the wrong type");
  }
  uint64_t Varint() const { return Expect(kVarint), value; }
  std::string_view Bytes() const { return Expect(kBytes), bytes; }
  float Float() const { return Expect(kFixed32), std::bit_cast<float>(static_cast<uint32_t>(value)); }
};

// Reads a message field by field.
class WireReader {
 public:
  explicit WireReader(std::string_view bytes) : rest_(bytes) {}

  bool Next(Field& field) {
    if (rest_.empty()) return false;
    const uint64_t tag = ReadVarint();
    if (tag >> 3 == 0 || tag >> 3 > 0x1FFFFFFF) Fail("malformed field number");
    field = {static_cast<uint32_t>(tag >> 3), static_cast<uint32_t>(tag & 7), 0, {}};
    switch (field.wire) {
      case kVarint:
        field.value = ReadVarint();
        return true;
      case kFixed64:
        field.value = ReadFixed(8);
        return true;
      case kFixed32:
        field.value = ReadFixed(4);
        return true;
      case kBytes:
        field.bytes = ReadBytes(ReadVarint());
        return true;
      default:
        Fail("unknown wire type");
    }
  }

 private:
  std::string_view ReadBytes(uint64_t size) {
    if (size > rest_.size()) Fail("truncated");
    const std::string_view bytes = rest_.substr(0, size);
    rest_.remove_prefix(size);
    return bytes;
  }

  uint64_t ReadFixed(size_t size) {
    const std::string_view bytes = ReadBytes(size);
    uint64_t value = 0;
    for (size_t i = size; i-- > 0;) value = value << 8 | static_cast<unsigned char>(bytes[i]);
    return value;
  }

  uint64_t ReadVarint() {
    uint64_t value = 0;
    for (unsigned shift = 0; shift < 64; shift += 7) {
      const auto byte = static_cast<unsigned char>(ReadBytes(1)[0]);
      value |= static_cast<uint64_t>(byte & 0x7F) << shift;
      if (byte < 0x80) return value;
    }
    Fail("malformed number");
  }

  std::string_view rest_;
};

SentencePieceModel::Piece ParsePiece(std::string_view bytes) {
  SentencePieceModel::Piece piece;
  WireReader reader(bytes);
  for (Field field; reader.Next(field);) {
    if (field.number == kPieceText) piece.text = field.Bytes();
    if (field.number == kPieceScore) piece.score = field.Float();
    if (field.number == kPieceKind) {
      if (field.Varint() < 1 || field.Varint() > 6) Fail("unknown kind of piece");
      piece.type = static_cast<SentencePieceModel::PieceType>(field.Varint());
    }
  }
  if (!IsValidUtf8(piece.text)) Fail("a piece is not UTF-8");
  if (!std::isfinite(piece.score)) Fail("a score is not finite");
  return piece;
}

void ParseTrainerSpec(std::string_view bytes, SentencePieceModel& model) {
  WireReader reader(bytes);
  for (Field field; reader.Next(field);) {
    if (field.number == kModelType && field.Varint() != kUnigramType)
      Fail("only unigram models are supported");
    if (field.number == kSpaceAsSuffix && field.Varint() != 0) Fail("whitespace as suffix is not supported");
    if (field.number == kByteFallback) model.byte_fallback = field.Varint() != 0;
  }
}

void ParseNormalizerSpec(std::string_view bytes, SentencePieceModel::Normalizer& spec) {
  WireReader reader(bytes);
  for (Field field; reader.Next(field);) {
    if (field.number == kCharsMap) spec.precompiled_charsmap = field.Bytes();
    if (field.number == kDummyPrefix) spec.add_dummy_prefix = field.Varint() != 0;
    if (field.number == kRemoveSpaces) spec.remove_extra_whitespaces = field.Varint() != 0;
    if (field.number == kEscapeSpaces) spec.escape_whitespaces = field.Varint() != 0;
  }
}

void PutVarint(std::string& out, uint64_t value) {
  for (; value >= 0x80; value >>= 7) out.push_back(static_cast<char>(0x80 | (value & 0x7F)));
  out.push_back(static_cast<char>(value));
}

void PutNumber(std::string& out, uint32_t field, uint64_t value) {
  PutVarint(out, field << 3 | kVarint);
  PutVarint(out, value);
}

void PutFloat(std::string& out, uint32_t field, float value) {
  PutVarint(out, field << 3 | kFixed32);
  const auto bits = std::bit_cast<uint32_t>(value);
  for (int shift = 0; shift < 32; shift += 8) out.push_back(static_cast<char>(bits >> shift & 0xFF));
}

void PutBytes(std::string& out, uint32_t field, std::string_view bytes) {
  PutVarint(out, field << 3 | kBytes);
  PutVarint(out, bytes.size());
  out += bytes;
}

}  // namespace

SentencePieceModel ParseSentencePieceModel(std::string_view bytes) {
  SentencePieceModel model;
  WireReader reader(bytes);
  for (Field field; reader.Next(field);) {
    if (field.number == kPieces) model.pieces.push_back(ParsePiece(field.Bytes()));
    if (field.number == kTrainerSpec) ParseTrainerSpec(field.Bytes(), model);
    if (field.number == kNormalizerSpec) ParseNormalizerSpec(field.Bytes(), model.normalizer);
  }
  if (model.pieces.empty()) Fail("has no pieces");
  return model;
}

std::string SerializeSentencePieceModel(const SentencePieceModel& model) {
  std::string out;
  for (const auto& piece : model.pieces) {
    std::string message;
    PutBytes(message, kPieceText, piece.text);
    PutFloat(message, kPieceScore, piece.score);
    PutNumber(message, kPieceKind, static_cast<uint64_t>(piece.type));
    PutBytes(out, kPieces, message);
  }
  std::string trainer;
  PutNumber(trainer, kModelType, kUnigramType);
  PutNumber(trainer, kByteFallback, model.byte_fallback ? 1 : 0);
  PutBytes(out, kTrainerSpec, trainer);
  std::string normalizer;
  PutBytes(normalizer, kCharsMap, model.normalizer.precompiled_charsmap);
  PutNumber(normalizer, kDummyPrefix, model.normalizer.add_dummy_prefix ? 1 : 0);
  PutNumber(normalizer, kRemoveSpaces, model.normalizer.remove_extra_whitespaces ? 1 : 0);
  PutNumber(normalizer, kEscapeSpaces, model.normalizer.escape_whitespaces ? 1 : 0);
  PutBytes(out, kNormalizerSpec, normalizer);
  return out;
}

}  // namespace svi::engine
