#include "client/flags.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <unistd.h>

#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <fstream>
#include <limits>
#include <optional>
#include <string>
#include <vector>

namespace svi {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::IsEmpty;
using ::testing::Not;

struct Values {
  std::string text = "a";
  int64_t number = -1;
  uint64_t count = 7;
  double real = 0.5;
  float single = 1.5f;
  bool on = true;
  absl::Duration time = absl::Seconds(90);
  std::optional<uint32_t> width;
  std::optional<std::string> maybe;
  std::vector<std::string> many;
};

class FlagParserTest : public ::testing::Test {
 protected:
  FlagParserTest() : parser_("tool [flags] FILE") {
    parser_.AddString("text", &v_.text, "Some text");
    parser_.AddInt("number", &v_.number, "A number");
    parser_.AddUint("count", &v_.count, "A count");
    parser_.Group("Others");
    parser_.AddDouble("real", &v_.real, "A double");
    parser_.AddFloat("single", &v_.single, "A float");
    parser_.AddBool("on", &v_.on, "A switch");
    parser_.AddDuration("time", &v_.time, "A duration");
    parser_.AddUint("width", &v_.width, "Optional");
    parser_.AddString("maybe", &v_.maybe, "Optional text");
    parser_.AddRepeated("many", &v_.many, "Several");
  }

  std::string Error(const std::vector<std::string>& args) {
    absl::StatusOr<std::vector<std::string>> rest = parser_.Parse(args);
    EXPECT_EQ(rest.status().code(), absl::StatusCode::kInvalidArgument) << "no error";
    return std::string(rest.status().message());
  }

  Values v_;
  FlagParser parser_;
};

TEST_F(FlagParserTest, KeepsDefaultsWhenNothingIsGiven) {
  auto rest = parser_.Parse(std::vector<std::string>{});
  ASSERT_TRUE(rest.ok());
  EXPECT_THAT(*rest, IsEmpty());
  EXPECT_EQ(v_.text, "a");
  EXPECT_EQ(v_.count, 7u);
  EXPECT_FALSE(v_.width.has_value());
  EXPECT_FALSE(parser_.given("text"));
}

TEST_F(FlagParserTest, ReadsBothSpellingsAndPositionals) {
  auto rest =
      parser_.Parse(std::vector<std::string>{"one", "--text=x=y", "--number", "-12", "two", "--real", "2.5e1",
                                             "--single=-3", "--time", "1h30m", "--width=64"});
  ASSERT_TRUE(rest.ok()) << rest.status();
  EXPECT_THAT(*rest, ElementsAre("one", "two"));
  EXPECT_EQ(v_.text, "x=y");
  EXPECT_EQ(v_.number, -12);
  EXPECT_EQ(v_.real, 25.0);
  EXPECT_EQ(v_.single, -3.0f);
  EXPECT_EQ(v_.time, absl::Minutes(90));
  EXPECT_EQ(v_.width, 64u);
  EXPECT_TRUE(parser_.given("width"));
}

TEST_F(FlagParserTest, ReadsEveryFormOfASwitch) {
  ASSERT_TRUE(parser_.Parse(std::vector<std::string>{"--noon"}).ok());
  EXPECT_FALSE(v_.on);
  ASSERT_TRUE(parser_.Parse(std::vector<std::string>{"--on"}).ok());
  EXPECT_TRUE(v_.on);
  ASSERT_TRUE(parser_.Parse(std::vector<std::string>{"--on=false"}).ok());
  EXPECT_FALSE(v_.on);
  auto rest = parser_.Parse(std::vector<std::string>{"--on", "false"});
  ASSERT_TRUE(rest.ok());
  EXPECT_TRUE(v_.on);
  EXPECT_THAT(*rest, ElementsAre("false"));
}

TEST_F(FlagParserTest, TwoDashesEndTheFlags) {
  auto rest = parser_.Parse(std::vector<std::string>{"--text=b", "--", "--text=c", "-x"});
  ASSERT_TRUE(rest.ok());
  EXPECT_THAT(*rest, ElementsAre("--text=c", "-x"));
  EXPECT_EQ(v_.text, "b");
}

TEST_F(FlagParserTest, RepeatedFlagsKeepAllOthersTheLast) {
  ASSERT_TRUE(
      parser_.Parse(std::vector<std::string>{"--many=a", "--many", "b, c", "--count=1", "--count=2"}).ok());
  EXPECT_THAT(v_.many, ElementsAre("a", "b, c"));
  EXPECT_EQ(v_.count, 2u);
}

TEST_F(FlagParserTest, AnEmptyTextIsAValue) {
  ASSERT_TRUE(parser_.Parse(std::vector<std::string>{"--maybe="}).ok());
  EXPECT_EQ(v_.maybe, "");
}

TEST_F(FlagParserTest, ErrorsNameFlagValueAndWhatIsWanted) {
  EXPECT_EQ(Error({"--number=ten"}), "--number=ten: want a whole number");
  EXPECT_EQ(Error({"--count", "-1"}), "--count=-1: want a whole number, 0 or more");
  EXPECT_EQ(Error({"--count=18446744073709551616"}),
            "--count=18446744073709551616: want a whole number, 0 or more");
  EXPECT_EQ(Error({"--width=4294967296"}), "--width=4294967296: want a whole number, 0..4294967295");
  EXPECT_EQ(Error({"--real=nan"}), "--real=nan: want a finite number");
  EXPECT_EQ(Error({"--single=1e99"}), "--single=1e99: want a finite number");
  EXPECT_EQ(Error({"--on=maybe"}), "--on=maybe: want true or false");
  EXPECT_EQ(Error({"--time=5"}), "--time=5: want a duration such as 500ms, 30s or 5m");
  EXPECT_EQ(Error({"--text"}), "--text needs a value: text");
  EXPECT_EQ(v_.number, -1) << "a value that cannot be read changes nothing";
}

TEST_F(FlagParserTest, UnknownFlagsAreNamedWithTheNearest) {
  EXPECT_EQ(Error({"--nmber=3"}), "unknown flag --nmber; did you mean --number?");
  EXPECT_EQ(Error({"--quite-different"}), "unknown flag --quite-different (see --help)");
  EXPECT_THAT(Error({"--notext"}), HasSubstr("unknown flag --notext"));
  EXPECT_THAT(Error({"-v"}), HasSubstr("unknown flag -v"));
}

TEST_F(FlagParserTest, StopsAtASubcommand) {
  auto rest = parser_.ParseUntilPositional({"--text=b", "run", "--unknown", "--text=c"});
  ASSERT_TRUE(rest.ok());
  EXPECT_THAT(*rest, ElementsAre("run", "--unknown", "--text=c"));
  EXPECT_EQ(v_.text, "b");
}

TEST_F(FlagParserTest, HelpListsGroupsKindsAndDefaults) {
  ASSERT_TRUE(parser_.Parse(std::vector<std::string>{"-h", "--nonsense"}).ok());
  EXPECT_TRUE(parser_.help_requested());
  const std::string help = parser_.Help();
  EXPECT_THAT(
      help, HasSubstr("Usage: tool [flags] FILE\n\nFlags:\n  --text=TEXT\n        Some text [default: a]\n"));
  EXPECT_THAT(help, HasSubstr("\nOthers:\n  --real=X\n"));
  EXPECT_THAT(help, HasSubstr("  --[no]on\n        A switch [default: true]\n"));
  EXPECT_THAT(help, HasSubstr("  --time=TIME\n        A duration [default: 1m30s]\n"));
  EXPECT_THAT(help, HasSubstr("Several (may be repeated)\n"));
  EXPECT_THAT(help, Not(HasSubstr("Optional [default")));
}

TEST_F(FlagParserTest, ReadsMainsArguments) {
  const char* argv[] = {"tool", "--count=9", "file"};
  auto rest = parser_.Parse(3, argv);
  ASSERT_TRUE(rest.ok());
  EXPECT_THAT(*rest, ElementsAre("file"));
  EXPECT_EQ(v_.count, 9u);
}

class FlagFileTest : public FlagParserTest {
 protected:
  std::string File(const std::string& text) {
    std::ofstream(path_) << text;
    return path_;
  }
  ~FlagFileTest() override { std::remove(path_.c_str()); }

  const std::string path_ = ::testing::TempDir() + "/flags-" + std::to_string(getpid());
};

TEST_F(FlagFileTest, AFileStandsForItsFlags) {
  const std::string file =
      File("# a comment\n\n--text=from the file\nnumber=5\n  --noon\n--many=a\n--many=b b\n");
  auto rest = parser_.Parse({"--number=4", "--flagfile=" + file, "--text=later", "x"});
  ASSERT_TRUE(rest.ok()) << rest.status();
  EXPECT_THAT(*rest, ElementsAre("x"));
  EXPECT_EQ(v_.text, "later");
  EXPECT_EQ(v_.number, 5);
  EXPECT_FALSE(v_.on);
  EXPECT_THAT(v_.many, ElementsAre("a", "b b"));
  EXPECT_TRUE(parser_.Parse({"--flagfile", file}).ok());
}

TEST_F(FlagFileTest, ErrorsTellTheLine) {
  EXPECT_EQ(Error({"--flagfile=" + File("text=a\n--number=x\n")}),
            path_ + ":2: --number=x: want a whole number");
  EXPECT_THAT(Error({"--flagfile=" + File("txt=a\n")}),
              HasSubstr(":1: unknown flag --txt; did you mean --text?"));
  EXPECT_THAT(Error({"--flagfile=" + File("flagfile=a\n")}), HasSubstr("a file of flags names no other"));
  EXPECT_EQ(Error({"--flagfile=/no/such/file"}), "--flagfile: cannot read /no/such/file");
  EXPECT_EQ(Error({"--flagfile"}), "--flagfile needs a value: a file");
}

class EnvironmentTest : public FlagParserTest {
 protected:
  EnvironmentTest() { parser_.ReadEnvironment("SVI_TEST"); }
  ~EnvironmentTest() override {
    for (const std::string& name : set_) unsetenv(name.c_str());
  }
  void Set(const std::string& name, const std::string& value) {
    setenv(name.c_str(), value.c_str(), 1);
    set_.push_back(name);
  }

  std::vector<std::string> set_;
};

TEST_F(EnvironmentTest, StandsInForFlagsThatAreNotGiven) {
  bool version = false;
  parser_.AddAction("version", &version, "print the version and exit");
  Set("SVI_TEST_TEXT", "from outside");
  Set("SVI_TEST_COUNT", "12");
  Set("SVI_TEST_MANY", "a\nb b\n");
  Set("SVI_TEST_VERSION", "1.2.3");
  Set("SVI_TEST_PORT", "tcp://10.0.0.1:80");  // Kubernetes' own, for a Service of that name
  ASSERT_TRUE(parser_.Parse({"--count=13"}).ok());
  EXPECT_EQ(v_.text, "from outside");
  EXPECT_EQ(v_.count, 13u);
  EXPECT_THAT(v_.many, ElementsAre("a", "b b"));
  EXPECT_TRUE(parser_.given("text"));
  EXPECT_FALSE(version);
}

TEST_F(EnvironmentTest, ErrorsNameTheVariable) {
  Set("SVI_TEST_TIME", "soon");
  EXPECT_EQ(Error({}), "SVI_TEST_TIME=soon: want a duration such as 500ms, 30s or 5m");
}

TEST_F(EnvironmentTest, IsInTheHelpInBothForms) {
  EXPECT_THAT(parser_.Help(), HasSubstr("SVI_TEST_LOG_LEVEL for --log-level"));
  EXPECT_THAT(parser_.HelpMarkdown(), HasSubstr("**Others**\n\n| flag | environment | default | |\n"));
  EXPECT_THAT(parser_.HelpMarkdown(),
              HasSubstr("| `--time=TIME` | `SVI_TEST_TIME` | `1m30s` | A duration |\n"));
}

}  // namespace
}  // namespace svi
