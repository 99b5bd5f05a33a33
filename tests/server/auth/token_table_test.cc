#include "server/auth/token_table.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <string>

#include "absl/strings/str_cat.h"
#include "client/sha256.h"

namespace svi::server {
namespace {

using testing::HasSubstr;

std::string FileWith(const std::string& fields) { return absl::StrCat("{\"tokens\": [{", fields, "}]}"); }
std::string Hashed(const std::string& token) {
  return absl::StrCat("\"sha256\": \"", TokenHash(token), "\"");
}

TEST(TokenTable, KnowsATokenByItsHash) {
  const auto table = TokenTable::Parse(
      FileWith(absl::StrCat(R"("name": "ci", "role": "client", "tenant": "acme", )", Hashed("secret"))));
  ASSERT_TRUE(table.ok()) << table.status();
  const auto caller = table->Find(Sha256::Of("secret"), absl::UnixEpoch());
  ASSERT_TRUE(caller.has_value());
  EXPECT_EQ(caller->name, "ci");
  EXPECT_EQ(caller->tenant, "acme");
  EXPECT_EQ(caller->role, Role::kClient);
  EXPECT_FALSE(table->Find(Sha256::Of("Secret"), absl::UnixEpoch()));
  EXPECT_FALSE(table->Find(Sha256::Of(""), absl::UnixEpoch()));
  EXPECT_FALSE(table->Find(Sha256::Of(TokenHash("secret")), absl::UnixEpoch()));
}

TEST(TokenTable, ATokenEndsAtItsExpiry) {
  const auto table = TokenTable::Parse(FileWith(absl::StrCat(
      R"("name": "x", "role": "operator", "expire_time": "2027-01-31T00:00:00Z", )", Hashed("t"))));
  ASSERT_TRUE(table.ok()) << table.status();
  const absl::Time end = absl::FromCivil(absl::CivilDay(2027, 1, 31), absl::UTCTimeZone());
  EXPECT_TRUE(table->Find(Sha256::Of("t"), end - absl::Seconds(1)));
  EXPECT_FALSE(table->Find(Sha256::Of("t"), end));
}

TEST(TokenTable, FaultsAreNamedAndNoHashIsShown) {
  const std::string hash = Hashed("t");
  const struct {
    std::string text, says;
  } cases[] = {
      {"", "is not JSON"},
      {"[]", "tokens"},
      {R"({"tokens": 3})", "tokens"},
      {R"({"tokens": [], "more": 1})", "tokens"},
      {R"({"tokens": [7]})", "tokens[0]: must be an object"},
      {FileWith(absl::StrCat(R"("role": "client", )", hash)), "tokens[0]: name"},
      {FileWith(absl::StrCat(R"("name": "", "role": "client", )", hash)), "name: must be 1..128"},
      {FileWith(absl::StrCat(R"("name": 5, "role": "client", )", hash)), "name: must be text"},
      {FileWith(absl::StrCat(R"("name": "x", )", hash)), "role: must be"},
      {FileWith(absl::StrCat(R"("name": "x", "role": "root", )", hash)), "role: must be"},
      {FileWith(absl::StrCat(R"("name": "x", "role": "client", "tenant": "A b", )", hash)), "tenant"},
      {FileWith(absl::StrCat(R"("name": "x", "role": "worker", "tenant": "acme", )", hash)), "leave it out"},
      {FileWith(absl::StrCat(R"("name": "x", "role": "client", "expire_time": "soon", )", hash)),
       "expire_time"},
      {FileWith(R"("name": "x", "role": "client")"), "sha256"},
      {FileWith(R"("name": "x", "role": "client", "sha256": "12")"), "sha256: must be 64 hex digits"},
      {FileWith(absl::StrCat(R"("name": "x", "role": "client", "token": "t", )", hash)),
       "token: is not a field"},
      {absl::StrCat(R"({"tokens": [{"name": "x", "role": "client", )", hash, "}, ",
                    R"({"name": "y", "role": "client", )", hash, "}]}"),
       "tokens[1]: sha256: is that of another"},
  };
  for (const auto& [text, says] : cases) {
    const auto table = TokenTable::Parse(text);
    ASSERT_FALSE(table.ok()) << text;
    EXPECT_THAT(std::string(table.status().message()), HasSubstr(says)) << text;
    EXPECT_EQ(table.status().message().find(TokenHash("t")), std::string::npos) << text;
  }
}

TEST(NewToken, IsLongAndNeverTheSame) {
  const auto one = NewToken(), two = NewToken();
  ASSERT_TRUE(one.ok() && two.ok());
  EXPECT_NE(*one, *two);
  EXPECT_GE(one->size(), 47u);  // "svi_" and 32 bytes in base64
  EXPECT_EQ(TokenHash(*one).size(), 64u);
}

}  // namespace
}  // namespace svi::server
