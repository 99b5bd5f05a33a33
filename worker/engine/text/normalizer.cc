#include "worker/engine/text/normalizer.h"

#include <unicode/locid.h>
#include <unicode/unistr.h>

#include <memory>
#include <optional>

#include "worker/engine/text/precompiled_map.h"
#include "worker/engine/text/unicode.h"

namespace svi::engine {
namespace {

constexpr int kDeepestSequence = 8;

std::string ReplaceAll(std::string_view text, std::string_view from, std::string_view to) {
  std::string out;
  for (size_t at = 0; at < text.size();) {
    const size_t found = text.find(from, at);
    if (found == std::string_view::npos) return out.append(text.substr(at));
    out.append(text.substr(at, found - at)).append(to);
    at = found + from.size();
  }
  return out;
}

// Replaces runs of at least `shortest` characters that `belongs` says yes to.
std::string ReplaceRuns(std::string_view text, size_t shortest, bool (*belongs)(char32_t),
                        const std::string& to) {
  const std::u32string wide = DecodeUtf8(text);
  std::string out;
  for (size_t at = 0; at < wide.size();) {
    size_t end = at;
    while (end < wide.size() && belongs(wide[end])) ++end;
    if (end - at >= shortest) {
      out += to;
      at = end;
      continue;
    }
    end = std::max(end, at + 1);
    for (; at < end; ++at) AppendUtf8(wide[at], out);
  }
  return out;
}

bool IsAsciiSpace(char32_t c) { return c == ' '; }

TextStep ReadReplace(const JsonReader& json) {
  const JsonReader pattern = json["pattern"];
  const std::string to = json["content"].String();
  if (pattern.Has("String")) {
    const std::string from = pattern["String"].String();
    if (from.empty()) pattern.Fail("must not be empty");
    return [from, to](std::string_view text) { return ReplaceAll(text, from, to); };
  }
  const std::string regex = pattern["Regex"].String();
  struct Known {
    std::string_view regex;
    size_t shortest;
    bool (*belongs)(char32_t);
  };
  constexpr Known kKnown[] = {{" {2,}", 2, IsAsciiSpace}, {" +", 1, IsAsciiSpace}, {"\\s+", 1, IsWhiteSpace}};
  for (const Known& known : kKnown) {
    if (known.regex != regex) continue;
    return
        [known, to](std::string_view text) { return ReplaceRuns(text, known.shortest, known.belongs, to); };
  }
  pattern.Fail("this regular expression is not supported");
}

TextStep ReadStrip(const JsonReader& json) {
  const bool left = json.Bool("strip_left", true);
  const bool right = json.Bool("strip_right", true);
  return [left, right](std::string_view text) {
    const std::u32string wide = DecodeUtf8(text);
    std::u32string_view rest = wide;
    while (left && !rest.empty() && IsWhiteSpace(rest.front())) rest.remove_prefix(1);
    while (right && !rest.empty() && IsWhiteSpace(rest.back())) rest.remove_suffix(1);
    return EncodeUtf8(rest);
  };
}

TextStep ReadPrecompiled(const JsonReader& json) {
  const JsonReader field = json["precompiled_charsmap"];
  const auto blob = DecodeBase64(field.String());
  if (!blob) field.Fail("is not base64");
  std::shared_ptr<const PrecompiledMap> map;
  try {
    map = std::make_shared<PrecompiledMap>(*blob);
  } catch (const std::invalid_argument& error) {
    field.Fail(error.what());
  }
  return [map](std::string_view text) { return map->NormalizeByGrapheme(text); };
}

std::string Lowercase(std::string_view text) {
  std::string out;
  icu::UnicodeString::fromUTF8(icu::StringPiece(text.data(), static_cast<int32_t>(text.size())))
      .toLower(icu::Locale::getRoot())
      .toUTF8String(out);
  return out;
}

std::optional<NormalizationForm> FormNamed(const std::string& name) {
  if (name == "NFC") return NormalizationForm::kNfc;
  if (name == "NFD") return NormalizationForm::kNfd;
  if (name == "NFKC") return NormalizationForm::kNfkc;
  if (name == "NFKD") return NormalizationForm::kNfkd;
  return std::nullopt;
}

void ReadNormalizerInto(const JsonReader& json, int depth, std::vector<TextStep>& steps) {
  if (json.IsNull()) return;
  const std::string type = json["type"].String();
  if (type == "Sequence") {
    if (depth >= kDeepestSequence) json.Fail("nested too deeply");
    const JsonReader list = json["normalizers"];
    for (size_t i = 0; i < list.size(); ++i) ReadNormalizerInto(list[i], depth + 1, steps);
  } else if (type == "Precompiled") {
    steps.push_back(ReadPrecompiled(json));
  } else if (type == "Replace") {
    steps.push_back(ReadReplace(json));
  } else if (type == "Strip") {
    steps.push_back(ReadStrip(json));
  } else if (type == "Prepend") {
    const std::string prefix = json["prepend"].String();
    steps.push_back(
        [prefix](std::string_view text) { return text.empty() ? "" : prefix + std::string(text); });
  } else if (type == "Lowercase") {
    steps.push_back(Lowercase);
  } else if (const auto form = FormNamed(type)) {
    steps.push_back([form = *form](std::string_view text) { return NormalizeUtf8(text, form); });
  } else {
    json.Fail("normalizer type \"" + type + "\" is not supported");
  }
}

struct Metaspace {
  enum class Prepend { kAlways, kFirst, kNever };
  std::string mark;
  Prepend prepend = Prepend::kAlways;
  bool split = true;

  std::vector<TextSegment> operator()(const TextSegment& segment) const {
    std::string text = ReplaceAll(segment.text, " ", mark);
    const bool wanted = prepend == Prepend::kAlways || (prepend == Prepend::kFirst && segment.first);
    if (wanted && !text.empty() && !text.starts_with(mark)) text.insert(0, mark);
    if (!split) return {{text, segment.first}};
    std::vector<TextSegment> words;
    // Cuts before each mark.
    for (size_t at = 0; at < text.size();) {
      const size_t end = std::min(
          text.find(mark, text.compare(at, mark.size(), mark) == 0 ? at + mark.size() : at), text.size());
      words.push_back({text.substr(at, end - at), segment.first && at == 0});
      at = end;
    }
    return words;
  }
};

SplitStep ReadMetaspace(const JsonReader& json) {
  Metaspace step;
  step.mark = json.Has("replacement") ? json["replacement"].String() : "\u2581";
  if (DecodeUtf8(step.mark).size() != 1) json.Fail("\"replacement\" must be one character");
  step.split = json.Bool("split", true);
  if (json.Has("prepend_scheme")) {
    const std::string scheme = json["prepend_scheme"].String();
    if (scheme != "always" && scheme != "first" && scheme != "never") {
      json.Fail("\"prepend_scheme\" must be always, first or never");
    }
    step.prepend = scheme == "always"  ? Metaspace::Prepend::kAlways
                   : scheme == "first" ? Metaspace::Prepend::kFirst
                                       : Metaspace::Prepend::kNever;
  } else if (!json.Bool("add_prefix_space", true)) {
    step.prepend = Metaspace::Prepend::kNever;
  }
  return step;
}

std::vector<TextSegment> SplitAtWhiteSpace(const TextSegment& segment) {
  std::vector<TextSegment> words;
  std::string word;
  bool first = segment.first;
  for (const char32_t c : DecodeUtf8(segment.text)) {
    if (!IsWhiteSpace(c)) {
      AppendUtf8(c, word);
      continue;
    }
    if (!word.empty()) words.push_back({std::move(word), first});
    word.clear();
    first = false;
  }
  if (!word.empty()) words.push_back({std::move(word), first});
  return words;
}

void ReadPreTokenizerInto(const JsonReader& json, int depth, std::vector<SplitStep>& steps) {
  if (json.IsNull()) return;
  const std::string type = json["type"].String();
  if (type == "Sequence") {
    if (depth >= kDeepestSequence) json.Fail("nested too deeply");
    const JsonReader list = json["pretokenizers"];
    for (size_t i = 0; i < list.size(); ++i) ReadPreTokenizerInto(list[i], depth + 1, steps);
  } else if (type == "Metaspace") {
    steps.push_back(ReadMetaspace(json));
  } else if (type == "WhitespaceSplit") {
    steps.push_back(SplitAtWhiteSpace);
  } else {
    json.Fail("pre-tokenizer type \"" + type + "\" is not supported");
  }
}

}  // namespace

std::vector<TextStep> ReadNormalizer(const JsonReader& json) {
  std::vector<TextStep> steps;
  ReadNormalizerInto(json, 0, steps);
  return steps;
}

std::vector<SplitStep> ReadPreTokenizer(const JsonReader& json) {
  std::vector<SplitStep> steps;
  ReadPreTokenizerInto(json, 0, steps);
  return steps;
}

}  // namespace svi::engine
