#include "worker/data/csv.h"

#include <string>
#include <vector>

#include "gmock/gmock.h"
#include "gtest/gtest.h"

namespace svi::data {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::IsEmpty;
using ::testing::SizeIs;

TEST(CsvTest, PlainAndQuotedFields) {
  const auto rows = ParseCsv("a,b,c\n\"x, y\",\"he said \"\"no\"\"\",\n,,\n");
  ASSERT_THAT(rows, SizeIs(3));
  EXPECT_THAT(rows[0].fields, ElementsAre("a", "b", "c"));
  EXPECT_THAT(rows[1].fields, ElementsAre("x, y", "he said \"no\"", ""));
  EXPECT_THAT(rows[2].fields, ElementsAre("", "", ""));
  for (const CsvRow& row : rows) EXPECT_EQ(row.fault, "");
}

TEST(CsvTest, LineEndsAndByteOrderMark) {
  for (const std::string end : {"\n", "\r\n", "\r"}) {
    const auto rows = ParseCsv(
        "\xEF\xBB\xBF"
        "a,b" +
        end + "1,2" + end + end + "\"3" + end + "x\",4");
    ASSERT_THAT(rows, SizeIs(3)) << testing::PrintToString(end);
    EXPECT_THAT(rows[0].fields, ElementsAre("a", "b"));
    EXPECT_THAT(rows[1].fields, ElementsAre("1", "2"));
    EXPECT_THAT(rows[2].fields, ElementsAre("3" + end + "x", "4"));
    EXPECT_EQ(rows[1].line, 2);
    EXPECT_EQ(rows[2].line, 4);
  }
  EXPECT_THAT(ParseCsv(""), IsEmpty());
  EXPECT_THAT(ParseCsv("\n\r\n"), IsEmpty());
}

TEST(CsvTest, AFieldThatSpansLinesMovesTheCount) {
  const auto rows = ParseCsv("a\n\"1\n2\n3\"\nb\n");
  ASSERT_THAT(rows, SizeIs(3));
  EXPECT_EQ(rows[1].line, 2);
  EXPECT_EQ(rows[2].line, 5);
}

TEST(CsvTest, QuotesInsideOfPlainFieldsAreThemselves) {
  const auto rows = ParseCsv("5\" disk,it\"s\n");
  ASSERT_THAT(rows, SizeIs(1));
  EXPECT_THAT(rows[0].fields, ElementsAre("5\" disk", "it\"s"));
}

TEST(CsvTest, FaultsEndTheirRowOnly) {
  const auto rows = ParseCsv("a,b\n\"x\" y,2\n3,4\n");
  ASSERT_THAT(rows, SizeIs(3));
  EXPECT_EQ(rows[1].fault, "there is text after a closing quote");
  EXPECT_EQ(rows[1].line, 2);
  EXPECT_THAT(rows[2].fields, ElementsAre("3", "4"));
}

TEST(CsvTest, AQuoteThatNeverCloses) {
  const auto rows = ParseCsv("a,b\n1,2\nx,\"y\n3,4\n5,6\n");
  ASSERT_THAT(rows, SizeIs(3));
  EXPECT_EQ(rows[1].fault, "");
  EXPECT_THAT(rows[2].fault, HasSubstr("line 3"));
}

}  // namespace
}  // namespace svi::data
