// The parts of sentencepiece's ModelProto (sentencepiece_model.proto) that encoding needs.
#ifndef SVI_ENGINE_TEXT_SENTENCEPIECE_MODEL_H_
#define SVI_ENGINE_TEXT_SENTENCEPIECE_MODEL_H_

#include <string>
#include <string_view>
#include <vector>

namespace svi::engine {

struct SentencePieceModel {
  enum class PieceType { kNormal = 1, kUnknown = 2, kControl = 3, kUserDefined = 4, kUnused = 5, kByte = 6 };
  struct Piece {
    std::string text;
    float score = 0;
    PieceType type = PieceType::kNormal;
  };
  struct Normalizer {
    std::string precompiled_charsmap;
    bool add_dummy_prefix = true;
    bool remove_extra_whitespaces = true;
    bool escape_whitespaces = true;
  };
  std::vector<Piece> pieces;
  Normalizer normalizer;
  bool byte_fallback = false;
};

// Throws std::invalid_argument if the bytes are no such message, or not of a unigram model.
SentencePieceModel ParseSentencePieceModel(std::string_view bytes);

// The bytes of a model; ParseSentencePieceModel gives the same model back.
std::string SerializeSentencePieceModel(const SentencePieceModel& model);

}  // namespace svi::engine

#endif  // SVI_ENGINE_TEXT_SENTENCEPIECE_MODEL_H_
