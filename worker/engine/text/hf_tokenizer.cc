// tokenizer.json: Hugging Face's description of a tokenizer as normalizer, pre-tokenizer, model and
// post-processor.
#include <algorithm>
#include <limits>

#include "worker/engine/text/added_tokens.h"
#include "worker/engine/text/json_reader.h"
#include "worker/engine/text/normalizer.h"
#include "worker/engine/text/tokenizer.h"
#include "worker/engine/text/unicode.h"
#include "worker/engine/text/unigram.h"

namespace svi::engine {
namespace {

constexpr int64_t kHighestId = std::numeric_limits<int32_t>::max();
constexpr size_t kMostPieces = 4'000'000;
// Below every piece that the vocabulary has, so that unknown characters are the last resort.
constexpr double kUnknownPenalty = 10.0;

// What goes before and after the text's own ids.
struct Template {
  std::vector<int64_t> before;
  std::vector<int64_t> after;
};

Template ReadPostProcessor(const JsonReader& json) {
  Template result;
  if (json.IsNull()) return result;
  const std::string type = json["type"].String();
  if (type != "TemplateProcessing") json.Fail("post-processor type \"" + type + "\" is not supported");
  const JsonReader single = json["single"];
  bool after = false;
  for (size_t i = 0; i < single.size(); ++i) {
    const JsonReader part = single[i];
    if (part.Has("Sequence")) {
      if (after) part.Fail("a second text is not supported");
      after = true;
      continue;
    }
    const std::string name = part["SpecialToken"]["id"].String();
    const JsonReader ids = json["special_tokens"][name.c_str()]["ids"];
    for (size_t k = 0; k < ids.size(); ++k)
      (after ? result.after : result.before).push_back(ids[k].Integer(0, kHighestId));
  }
  if (!after) single.Fail("has no place for the text");
  return result;
}

std::vector<UnigramPiece> ReadVocabulary(const JsonReader& vocab) {
  if (vocab.size() == 0 || vocab.size() > kMostPieces) vocab.Fail("must have 1 to 4000000 entries");
  std::vector<UnigramPiece> pieces(vocab.size());
  for (size_t i = 0; i < pieces.size(); ++i) {
    const JsonReader entry = vocab[i];
    if (entry.size() != 2) entry.Fail("must be a piece and its score");
    pieces[i] = {entry[size_t{0}].String(), entry[size_t{1}].Number(), static_cast<int64_t>(i)};
  }
  return pieces;
}

Unigram ReadModel(const JsonReader& model, int64_t& highest_id) {
  if (model.Has("type") && model["type"].String() != "Unigram")
    model["type"].Fail("only Unigram is supported");
  std::vector<UnigramPiece> pieces = ReadVocabulary(model["vocab"]);
  highest_id = static_cast<int64_t>(pieces.size()) - 1;
  UnigramRules rules;
  rules.unk_id = model["unk_id"].Integer(0, highest_id);
  rules.byte_fallback = model.Bool("byte_fallback", false);
  double lowest = std::numeric_limits<double>::infinity();
  for (const UnigramPiece& piece : pieces) lowest = std::min(lowest, piece.score);
  rules.unk_score = lowest - kUnknownPenalty;
  std::erase_if(pieces, [](const UnigramPiece& piece) { return piece.text.empty(); });
  const Unigram lookup(pieces, {}, rules);
  std::array<int64_t, 256> bytes;
  for (int byte = 0; byte < 256; ++byte) {
    const UnigramPiece* piece = lookup.Find(BytePieceText(byte));
    bytes[static_cast<size_t>(byte)] = piece == nullptr ? -1 : piece->id;
  }
  return Unigram(std::move(pieces), bytes, rules);
}

class HfTokenizer : public Tokenizer {
 public:
  explicit HfTokenizer(const JsonReader& json)
      : model_(ReadModel(json["model"], highest_id_)),
        normalizer_(json.Has("normalizer") ? ReadNormalizer(json["normalizer"]) : std::vector<TextStep>()),
        pre_tokenizer_(json.Has("pre_tokenizer") ? ReadPreTokenizer(json["pre_tokenizer"])
                                                 : std::vector<SplitStep>()),
        template_(json.Has("post_processor") ? ReadPostProcessor(json["post_processor"]) : Template()) {
    if (json.Has("added_tokens")) ReadAddedTokens(json["added_tokens"]);
    for (const auto* ids : {&template_.before, &template_.after}) {
      for (const int64_t id : *ids) highest_id_ = std::max(highest_id_, id);
    }
  }

  std::vector<int64_t> Encode(std::string_view cleaned_utf8, int max_length) const override {
    if (max_length < 1) throw std::invalid_argument("max_length must be at least 1");
    const std::string valid = EncodeUtf8(DecodeUtf8(cleaned_utf8));
    std::vector<int64_t> ids;
    for (const AddedTokenPart& part : added_.Cut(valid)) {
      if (part.id >= 0) {
        ids.push_back(part.id);
      } else {
        EncodePart(valid.substr(part.begin, part.end - part.begin), part.begin == 0, ids);
      }
    }
    const size_t added = template_.before.size() + template_.after.size();
    const auto room = static_cast<size_t>(max_length) > added ? static_cast<size_t>(max_length) - added : 0;
    ids.resize(std::min(ids.size(), room));
    ids.insert(ids.begin(), template_.before.begin(), template_.before.end());
    ids.insert(ids.end(), template_.after.begin(), template_.after.end());
    ids.resize(std::min(ids.size(), static_cast<size_t>(max_length)));
    return ids;
  }

  int64_t vocab_size() const override { return highest_id_ + 1; }

 private:
  std::string Normalize(std::string text) const {
    for (const TextStep& step : normalizer_) text = step(text);
    return text;
  }

  // Tokens that are to be found in normalized text are normalized themselves.
  void ReadAddedTokens(const JsonReader& list) {
    std::vector<AddedToken> plain;
    std::vector<AddedToken> normalized;
    for (size_t i = 0; i < list.size(); ++i) {
      const JsonReader entry = list[i];
      AddedToken token;
      token.content = entry["content"].String();
      token.id = entry["id"].Integer(0, kHighestId);
      // The model's own id counts, as in the tokenizers library.
      if (const UnigramPiece* piece = model_.Find(token.content)) token.id = piece->id;
      highest_id_ = std::max(highest_id_, token.id);
      token.single_word = entry.Bool("single_word", false);
      token.lstrip = entry.Bool("lstrip", false);
      token.rstrip = entry.Bool("rstrip", false);
      if (entry.Bool("normalized", !entry.Bool("special", false))) {
        token.content = Normalize(token.content);
        normalized.push_back(std::move(token));
      } else {
        plain.push_back(std::move(token));
      }
    }
    added_ = AddedTokens(std::move(plain));
    added_to_normalized_ = AddedTokens(std::move(normalized));
  }

  // The text between two added tokens.
  void EncodePart(std::string text, bool first, std::vector<int64_t>& ids) const {
    text = Normalize(std::move(text));
    for (const AddedTokenPart& part : added_to_normalized_.Cut(text)) {
      if (part.id >= 0) {
        ids.push_back(part.id);
        continue;
      }
      std::vector<TextSegment> words = {
          {text.substr(part.begin, part.end - part.begin), first && part.begin == 0}};
      for (const SplitStep& step : pre_tokenizer_) {
        std::vector<TextSegment> next;
        for (const TextSegment& word : words) {
          for (TextSegment& piece : step(word)) next.push_back(std::move(piece));
        }
        words = std::move(next);
      }
      for (const TextSegment& word : words) model_.Encode(word.text, ids);
    }
  }

  int64_t highest_id_ = 0;
  Unigram model_;
  std::vector<TextStep> normalizer_;
  std::vector<SplitStep> pre_tokenizer_;
  Template template_;
  AddedTokens added_ = AddedTokens({});
  AddedTokens added_to_normalized_ = AddedTokens({});
};

}  // namespace

std::unique_ptr<Tokenizer> Tokenizer::FromJson(std::string_view text) {
  const nlohmann::json json = ParseJson(text, "tokenizer.json");
  return std::make_unique<HfTokenizer>(JsonReader(json, "tokenizer.json"));
}

}  // namespace svi::engine
