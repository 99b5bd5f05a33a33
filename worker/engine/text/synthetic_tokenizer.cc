#include "worker/engine/text/synthetic_tokenizer.h"

#include <filesystem>
#include <fstream>
#include <nlohmann/json.hpp>
#include <set>
#include <sstream>
#include <stdexcept>

#include "worker/engine/text/sentencepiece_model.h"
#include "worker/engine/text/unicode.h"
#include "worker/engine/text/unigram.h"

namespace svi::engine {
namespace {

using PieceType = SentencePieceModel::PieceType;
using OrderedJson = nlohmann::ordered_json;

constexpr std::string_view kMark = "\u2581";
constexpr int kExtraIds = 100;

// Words that prompts are made of, the most frequent first: a word's score falls with its place.
constexpr const char* kWords =
    "the a of and in to with on at is it as by for from an his her their its are over under through into out "
    "up down "
    "left right forward backward around across behind front center top bottom side away toward near far "
    "camera shot scene light view close wide slow fast slowly quickly gently smoothly still static pan tilt "
    "zoom "
    "dolly track tracking orbit follow follows moves moving move motion rotate rotates turning turns spin "
    "spins "
    "rises falls fall rise drift drifts float floats fly flies flying walk walks walking run runs running "
    "jump jumps "
    "jumping dance dances dancing sit sits stand stands swim swims roll rolls rolling slide slides bounce "
    "bounces "
    "wave waves waving grow grows shrink shrinks swing swings flow flows flowing blow blows burn burns look "
    "looks "
    "smile smiles talk talks "
    "red green blue yellow orange purple pink black white gray grey brown cyan magenta gold golden silver "
    "teal "
    "dark bright soft warm cold pale deep colorful vivid "
    "man woman boy girl child people person crowd face eyes hair hand hands cat dog bird horse fish lion "
    "tiger bear "
    "rabbit car train boat ship plane bicycle robot ball box cube sphere circle square triangle line star "
    "house room street city road bridge tower window door wall table chair lamp "
    "tree trees forest flower flowers grass field mountain mountains hill river lake sea ocean beach sand "
    "island "
    "sky cloud clouds sun moon stars rain snow wind storm fog mist smoke fire water ice "
    "day night morning evening sunset sunrise noon winter summer spring autumn "
    "cinematic film realistic style photo painting animation cartoon detailed high quality resolution depth "
    "focus "
    "background foreground natural beautiful old young big small large little long short tall new "
    "blurry low bad worst ugly distorted noise artifacts watermark text subtitle static deformed extra "
    "fingers";

// Endings and pairs that words outside of the list share.
constexpr const char* kParts =
    "ing ed er est ly s es tion al ness th he in er an re on en at or ar st te ou it is";

// Characters that are pieces themselves: ASCII, and the accented letters of Western Europe.
std::u32string Characters() {
  std::u32string all;
  for (char32_t c = 0x21; c < 0x7F; ++c) all.push_back(c);
  for (char32_t c = 0xC0; c <= 0xFF; ++c) all.push_back(c);
  return all;
}

class PieceList {
 public:
  void Add(const std::string& text, float score, PieceType type) {
    if (known_.insert(text).second) model_.pieces.push_back({text, score, type});
  }

  SentencePieceModel Take() { return std::move(model_); }

 private:
  SentencePieceModel model_;
  std::set<std::string> known_;
};

SentencePieceModel MakeModel() {
  PieceList pieces;
  for (const char* control : {"<pad>", "</s>", "<s>"}) pieces.Add(control, 0, PieceType::kControl);
  pieces.Add("<unk>", 0, PieceType::kUnknown);
  for (int byte = 0; byte < 256; ++byte) pieces.Add(BytePieceText(byte), 0, PieceType::kByte);
  // A whole word is to beat its parts, and parts are to beat characters: each further piece costs more than a
  // place in the list can.
  float score = -3.0F;
  pieces.Add(std::string(kMark), score, PieceType::kNormal);
  std::istringstream words(kWords);
  for (std::string word; words >> word; score -= 0.01F) {
    pieces.Add(std::string(kMark) + word, score, PieceType::kNormal);
  }
  score = -8.0F;
  std::istringstream parts(kParts);
  for (std::string part; parts >> part; score -= 0.01F) pieces.Add(part, score, PieceType::kNormal);
  score = -9.0F;
  for (const char32_t c : Characters()) {
    pieces.Add(EncodeUtf8(std::u32string(1, c)), score, PieceType::kNormal);
    score -= 0.01F;
  }
  for (int i = kExtraIds; i-- > 0;)
    pieces.Add("<extra_id_" + std::to_string(i) + ">", 0, PieceType::kUserDefined);
  SentencePieceModel model = pieces.Take();
  model.byte_fallback = true;
  return model;
}

OrderedJson AddedTokenJson(const SentencePieceModel::Piece& piece, size_t id) {
  return {{"id", id},        {"content", piece.text}, {"single_word", false}, {"lstrip", false},
          {"rstrip", false}, {"normalized", false},   {"special", true}};
}

OrderedJson TokenizerJson(const SentencePieceModel& model) {
  OrderedJson vocab = OrderedJson::array();
  OrderedJson added = OrderedJson::array();
  for (size_t id = 0; id < model.pieces.size(); ++id) {
    const auto& piece = model.pieces[id];
    vocab.push_back(OrderedJson::array({piece.text, piece.score}));
    const bool special = piece.type != PieceType::kNormal && piece.type != PieceType::kByte;
    if (special) added.push_back(AddedTokenJson(piece, id));
  }
  const OrderedJson metaspace = {
      {"type", "Metaspace"}, {"replacement", kMark}, {"prepend_scheme", "always"}, {"split", true}};
  const OrderedJson text = {{"Sequence", {{"id", "A"}, {"type_id", 0}}}};
  const OrderedJson second = {{"Sequence", {{"id", "B"}, {"type_id", 1}}}};
  const OrderedJson eos = {{"SpecialToken", {{"id", "</s>"}, {"type_id", 0}}}};
  const OrderedJson spaces = {{"type", "Replace"}, {"pattern", {{"Regex", " {2,}"}}}, {"content", kMark}};
  const OrderedJson strip = {{"type", "Strip"}, {"strip_left", false}, {"strip_right", true}};
  return {
      {"version", "1.0"},
      {"truncation", nullptr},
      {"padding", nullptr},
      {"added_tokens", added},
      {"normalizer",
       {{"type", "Sequence"}, {"normalizers", OrderedJson::array({{{"type", "NFKC"}}, strip, spaces})}}},
      {"pre_tokenizer", metaspace},
      {"post_processor",
       {{"type", "TemplateProcessing"},
        {"single", OrderedJson::array({text, eos})},
        {"pair", OrderedJson::array({text, eos, second, eos})},
        {"special_tokens",
         {{"</s>",
           {{"id", "</s>"}, {"ids", OrderedJson::array({1})}, {"tokens", OrderedJson::array({"</s>"})}}}}}}},
      {"decoder", metaspace},
      {"model", {{"type", "Unigram"}, {"unk_id", 3}, {"vocab", vocab}, {"byte_fallback", true}}}};
}

void WriteFile(const std::filesystem::path& path, const std::string& bytes) {
  std::ofstream file(path, std::ios::binary | std::ios::trunc);
  file << bytes;
  file.close();
  if (!file) throw std::runtime_error("cannot write " + path.filename().string());
}

}  // namespace

int64_t SyntheticVocabSize() { return static_cast<int64_t>(MakeModel().pieces.size()); }

int64_t WriteSyntheticTokenizer(const std::string& dir) {
  const SentencePieceModel model = MakeModel();
  const std::filesystem::path folder(dir);
  const OrderedJson special = {{"eos_token", "</s>"}, {"pad_token", "<pad>"}, {"unk_token", "<unk>"}};
  OrderedJson config = special;
  config["bos_token"] = "<s>";
  config["extra_ids"] = kExtraIds;
  config["model_max_length"] = 512;
  config["tokenizer_class"] = "T5Tokenizer";
  WriteFile(folder / "tokenizer.json", TokenizerJson(model).dump(1) + "\n");
  WriteFile(folder / "tokenizer_config.json", config.dump(2) + "\n");
  WriteFile(folder / "special_tokens_map.json", special.dump(2) + "\n");
  WriteFile(folder / "spiece.model", SerializeSentencePieceModel(model));
  return static_cast<int64_t>(model.pieces.size());
}

}  // namespace svi::engine
