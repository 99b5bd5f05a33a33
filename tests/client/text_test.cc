// Rules for text: names of LoRAs, UTF-8.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <string>

#include "client/lora_name.h"
#include "client/utf8.h"
#include "client/video_flags.h"

namespace svi {
namespace {

TEST(LoraNameTest, WhatALoraMayBeCalled) {
  for (const std::string& good : {std::string("a"), std::string("Ink_1.0-x"), std::string(128, 'x')}) {
    EXPECT_TRUE(IsLoraName(good)) << good;
  }
  for (const std::string& bad : {std::string(), std::string(129, 'x'), std::string("a/b"), std::string("a b"),
                                 std::string("a\0b", 3), std::string("\xC3\xA9")}) {
    EXPECT_FALSE(IsLoraName(bad)) << bad;
  }
}

TEST(ParseLoraTest, NameAndStrength) {
  const auto plain = ParseLora("ink.v2");
  ASSERT_TRUE(plain.ok()) << plain.status();
  EXPECT_EQ(plain->name(), "ink.v2");
  EXPECT_FALSE(plain->has_strength());
  const auto strong = ParseLora("ink:-0.5");
  ASSERT_TRUE(strong.ok()) << strong.status();
  EXPECT_EQ(strong->name(), "ink");
  EXPECT_EQ(strong->strength(), -0.5f);
  for (const char* bad : {"", ":", ":1", "ink:", "ink:x", "a:b:1", "../ink", "ink.safetensors/"}) {
    EXPECT_EQ(ParseLora(bad).status().code(), absl::StatusCode::kInvalidArgument) << bad;
  }
}

TEST(Utf8Test, KnowsWhatIsNot) {
  for (const char* good : {"", "plain", "\xC3\xA9", "\xE2\x82\xAC", "\xF0\x9F\x98\xBA"})
    EXPECT_TRUE(IsUtf8(good));
  for (const char* bad : {"\x80", "\xC0\x80", "\xC3", "\xE0\x80\x80", "\xED\xA0\x80", "\xF0\x80\x80\x80",
                          "\xF4\x90\x80\x80", "\xFF"}) {
    EXPECT_FALSE(IsUtf8(bad));
  }
}

}  // namespace
}  // namespace svi
