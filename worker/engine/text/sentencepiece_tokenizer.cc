// spiece.model: a unigram model as sentencepiece reads it, for folders without a tokenizer.json.
#include <algorithm>
#include <limits>
#include <optional>
#include <stdexcept>

#include "worker/engine/text/precompiled_map.h"
#include "worker/engine/text/sentencepiece_model.h"
#include "worker/engine/text/tokenizer.h"
#include "worker/engine/text/unicode.h"
#include "worker/engine/text/unigram.h"

namespace svi::engine {
namespace {

constexpr std::string_view kMark = "\u2581";
constexpr float kUnknownPenalty = 10.0F;
constexpr std::string_view kEos = "</s>";

[[noreturn]] void Fail(const std::string& what) { throw std::invalid_argument("spiece.model: " + what); }

using PieceType = SentencePieceModel::PieceType;

// Pieces that the writer of the model named are always taken whole: nearly nothing beats their score.
double ScoreOf(const SentencePieceModel::Piece& piece, float highest) {
  if (piece.type != PieceType::kUserDefined) return piece.score;
  return static_cast<double>(piece.text.size()) * highest - 0.1;
}

class SentencePieceTokenizer : public Tokenizer {
 public:
  explicit SentencePieceTokenizer(SentencePieceModel model)
      : spec_(std::move(model.normalizer)), map_(MakeMap(spec_.precompiled_charsmap)), eos_(FindEos(model)) {
    vocab_size_ = static_cast<int64_t>(model.pieces.size());
    MakeUnigrams(model);
  }

  std::vector<int64_t> Encode(std::string_view cleaned_utf8, int max_length) const override {
    if (max_length < 1) throw std::invalid_argument("max_length must be at least 1");
    std::vector<int64_t> ids;
    words_->Encode(Normalize(EncodeUtf8(DecodeUtf8(cleaned_utf8))), ids);
    ids.resize(std::min(ids.size(), static_cast<size_t>(max_length - 1)));
    ids.push_back(eos_);
    return ids;
  }

  int64_t vocab_size() const override { return vocab_size_; }

 private:
  static PrecompiledMap MakeMap(std::string_view blob) {
    try {
      return PrecompiledMap(blob);
    } catch (const std::invalid_argument& error) {
      Fail(error.what());
    }
  }

  static int64_t FindEos(const SentencePieceModel& model) {
    for (size_t i = 0; i < model.pieces.size(); ++i) {
      if (model.pieces[i].text == kEos && model.pieces[i].type == PieceType::kControl)
        return static_cast<int64_t>(i);
    }
    Fail("has no control piece </s>");
  }

  void MakeUnigrams(const SentencePieceModel& model) {
    float lowest = std::numeric_limits<float>::max();
    float highest = std::numeric_limits<float>::lowest();
    for (const auto& piece : model.pieces) {
      if (piece.type != PieceType::kNormal) continue;
      lowest = std::min(lowest, piece.score);
      highest = std::max(highest, piece.score);
    }
    if (lowest > highest) Fail("has no ordinary pieces");
    UnigramRules rules;
    rules.unk_id = -1;
    rules.byte_fallback = model.byte_fallback;
    rules.single_precision = true;
    rules.look_up_joined = false;
    rules.unk_score = lowest - kUnknownPenalty;
    std::vector<UnigramPiece> pieces;
    std::array<int64_t, 256> bytes;
    bytes.fill(-1);
    for (size_t i = 0; i < model.pieces.size(); ++i) {
      const auto& piece = model.pieces[i];
      const auto id = static_cast<int64_t>(i);
      if (piece.text.empty()) Fail("piece " + std::to_string(i) + " is empty");
      if (piece.type == PieceType::kUnknown) rules.unk_id = id;
      if (piece.type == PieceType::kNormal || piece.type == PieceType::kUserDefined) {
        pieces.push_back({piece.text, ScoreOf(piece, highest), id});
      }
      if (piece.type == PieceType::kUserDefined) symbols_.push_back({piece.text, 0, id});
      if (piece.type == PieceType::kByte) bytes[ByteOf(piece.text)] = id;
    }
    if (rules.unk_id < 0) Fail("has no unknown piece");
    std::sort(symbols_.begin(), symbols_.end(),
              [](const auto& a, const auto& b) { return a.text.size() > b.text.size(); });
    words_.emplace(std::move(pieces), bytes, rules);
  }

  static size_t ByteOf(const std::string& text) {
    for (int byte = 0; byte < 256; ++byte) {
      if (text == BytePieceText(byte)) return static_cast<size_t>(byte);
    }
    Fail("byte piece \"" + EncodeUtf8(DecodeUtf8(text)) + "\" is malformed");
  }

  // What the beginning of `text` becomes, and how long that beginning is.
  PrecompiledMap::Match NormalizePrefix(std::string_view text) const {
    for (const UnigramPiece& symbol : symbols_) {
      if (text.starts_with(symbol.text)) return {text.substr(0, symbol.text.size()), symbol.text.size()};
    }
    if (const auto match = map_.Longest(text)) return *match;
    const size_t length = Utf8Length(static_cast<unsigned char>(text[0]));
    return {text.substr(0, length), length};
  }

  std::string Normalize(std::string_view text) const {
    const bool squeeze = spec_.remove_extra_whitespaces;
    const std::string_view space = spec_.escape_whitespaces ? kMark : std::string_view(" ");
    while (squeeze && !text.empty()) {
      const auto prefix = NormalizePrefix(text);
      if (prefix.replacement != " ") break;
      text.remove_prefix(prefix.length);
    }
    std::string out;
    if (text.empty()) return out;
    if (spec_.add_dummy_prefix) out += space;
    bool after_space = squeeze;
    while (!text.empty()) {
      const auto prefix = NormalizePrefix(text);
      std::string_view piece = prefix.replacement;
      while (after_space && piece.starts_with(' ')) piece.remove_prefix(1);
      for (const char c : piece) {
        if (c == ' ') {
          out += space;
        } else {
          out.push_back(c);
        }
      }
      if (!piece.empty()) after_space = piece.ends_with(' ');
      after_space = after_space && squeeze;
      text.remove_prefix(prefix.length);
    }
    while (squeeze && out.ends_with(space)) out.resize(out.size() - space.size());
    return out;
  }

  SentencePieceModel::Normalizer spec_;
  PrecompiledMap map_;
  int64_t eos_;
  int64_t vocab_size_ = 0;
  std::vector<UnigramPiece> symbols_;  // longest first
  std::optional<Unigram> words_;
};

}  // namespace

std::unique_ptr<Tokenizer> Tokenizer::FromSentencePiece(std::string_view model) {
  return std::make_unique<SentencePieceTokenizer>(ParseSentencePieceModel(model));
}

}  // namespace svi::engine
