find_package(ICU REQUIRED COMPONENTS uc data)
target_link_libraries(svi_formats PRIVATE ICU::uc ICU::data)
target_sources(svi_formats PRIVATE
  ${CMAKE_CURRENT_LIST_DIR}/added_tokens.cc
  ${CMAKE_CURRENT_LIST_DIR}/badness.cc
  ${CMAKE_CURRENT_LIST_DIR}/characters.cc
  ${CMAKE_CURRENT_LIST_DIR}/clean.cc
  ${CMAKE_CURRENT_LIST_DIR}/hf_tokenizer.cc
  ${CMAKE_CURRENT_LIST_DIR}/html_unescape.cc
  ${CMAKE_CURRENT_LIST_DIR}/json_reader.cc
  ${CMAKE_CURRENT_LIST_DIR}/legacy_bytes.cc
  ${CMAKE_CURRENT_LIST_DIR}/mojibake.cc
  ${CMAKE_CURRENT_LIST_DIR}/normalizer.cc
  ${CMAKE_CURRENT_LIST_DIR}/precompiled_map.cc
  ${CMAKE_CURRENT_LIST_DIR}/sentencepiece_model.cc
  ${CMAKE_CURRENT_LIST_DIR}/sentencepiece_tokenizer.cc
  ${CMAKE_CURRENT_LIST_DIR}/synthetic_tokenizer.cc
  ${CMAKE_CURRENT_LIST_DIR}/tables/codepages.cc
  ${CMAKE_CURRENT_LIST_DIR}/tables/html_entities.cc
  ${CMAKE_CURRENT_LIST_DIR}/tables/mojibake_chars.cc
  ${CMAKE_CURRENT_LIST_DIR}/tokenizer.cc
  ${CMAKE_CURRENT_LIST_DIR}/unicode.cc
  ${CMAKE_CURRENT_LIST_DIR}/unigram.cc
  ${CMAKE_CURRENT_LIST_DIR}/whitespace.cc)
