#include "server/queue/named_queries.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "server/queue/sql_files.h"

namespace svi::server {
namespace {

using testing::Pair;
using testing::UnorderedElementsAre;

TEST(NamedQueries, SplitsAtNames) {
  const auto queries =
      ParseNamedQueries("-- a file\n\n-- name: one\nSELECT 1\n-- why\nFROM t;\n\n-- name: two \nSELECT 2;\n");
  ASSERT_TRUE(queries.ok()) << queries.status();
  EXPECT_THAT(*queries, UnorderedElementsAre(Pair("one", "SELECT 1\nFROM t;\n"), Pair("two", "SELECT 2;\n")));
}

TEST(NamedQueries, RefusesWhatIsNotNamedOnceAndFilled) {
  for (const char* text : {"SELECT 1;\n", "-- name: a\n-- name: b\nSELECT 1;\n", "-- name: a\n",
                           "-- name:\nSELECT 1;\n", "-- name: a\nSELECT 1;\n-- name: a\nSELECT 2;\n"}) {
    EXPECT_EQ(ParseNamedQueries(text).status().code(), absl::StatusCode::kInternal) << text;
  }
}

TEST(SqlFiles, AreCompiledIn) {
  EXPECT_TRUE(ParseNamedQueries(SqliteQueries()).ok());
  int expected = 0;
  for (const Migration& migration : SqliteMigrations())
    EXPECT_EQ(migration.number, ++expected) << migration.name;
  EXPECT_GE(expected, 1);
}

}  // namespace
}  // namespace svi::server
