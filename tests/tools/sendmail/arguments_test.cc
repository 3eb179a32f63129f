#include "tools/sendmail/arguments.h"

#include <gtest/gtest.h>

namespace postern::sendmail {
namespace {

using Words = std::vector<std::string>;

Options Take(const Words& words) {
  const Parsed<Options> options = ParseArguments("sendmail", words);
  EXPECT_TRUE(options.has_value()) << options.error().reason;
  return options.value_or(Options{});
}

TEST(Arguments, UnderstandsItsManyLetters) {
  const Options options = Take({"-t", "-oi", "-fme@x", "-F", "Me Myself", "-O", "Foo=bar", "-C",
                                "/x", "a@y", "--", "-odd@x"});
  EXPECT_TRUE(options.take_recipients);
  EXPECT_TRUE(options.dots_are_text);
  EXPECT_EQ(options.sender, "me@x");
  EXPECT_EQ(options.full_name, "Me Myself");
  EXPECT_EQ(options.config, "/x");
  EXPECT_EQ(options.arguments, (Words{"a@y", "-odd@x"}));
}

TEST(Arguments, LettersMayStandTogether) {
  for (const Words& words : {Words{"-ti"}, Words{"-it"}, Words{"-nti"}, Words{"-to", "i"},
                             Words{"-toi"}, Words{"-i", "-t"}}) {
    const Options options = Take(words);
    EXPECT_TRUE(options.take_recipients && options.dots_are_text) << words.front();
  }
  const Options options = Take({"-tif", "me@x", "-vemq"});
  EXPECT_EQ(options.sender, "me@x");
  EXPECT_TRUE(options.verbose);
  EXPECT_EQ(options.mode, Mode::kSubmit);  // -e took "mq"
}

TEST(Arguments, TheSenderMayBeNullOrNotSaid) {
  EXPECT_EQ(Take({"a@x"}).sender, std::nullopt);
  EXPECT_EQ(Take({"-f", ""}).sender, "");
  EXPECT_EQ(Take({"-f<>"}).sender, "");
  EXPECT_EQ(Take({"-r", "<a@x>"}).sender, "a@x");
}

TEST(Arguments, SayTheMode) {
  const struct {
    const char* name;
    Words words;
    Mode mode;
  } rows[] = {
      {"sendmail", {}, Mode::kSubmit},
      {"sendmail", {"-bm"}, Mode::kSubmit},
      {"sendmail", {"-bp"}, Mode::kList},
      {"sendmail", {"-b", "s"}, Mode::kServe},
      {"sendmail", {"-bi"}, Mode::kAliases},
      {"sendmail", {"-I"}, Mode::kAliases},
      {"sendmail", {"-q"}, Mode::kFlush},
      {"sendmail", {"-q30m"}, Mode::kFlush},
      {"mailq", {}, Mode::kList},
      {"newaliases", {}, Mode::kAliases},
      {"mailq", {"-q"}, Mode::kFlush},
      {"sendmail", {"-d8.99"}, Mode::kSubmit},
  };
  for (const auto& row : rows) {
    const Parsed<Options> options = ParseArguments(row.name, row.words);
    ASSERT_TRUE(options.has_value()) << options.error().reason;
    EXPECT_EQ(options->mode, row.mode) << row.name;
  }
  EXPECT_EQ(Take({"-qI0SAX9BSAM3G00"}).queue_id, "0SAX9BSAM3G00");
  EXPECT_EQ(Take({"-qI", "0SAX9BSAM3G00"}).queue_id, "0SAX9BSAM3G00");
}

TEST(Arguments, TakeNoticesAsRfc3461Has) {
  EXPECT_EQ(Take({"-N", "never"}).notify, "NEVER");
  EXPECT_EQ(Take({"-Nsuccess,delay"}).notify, "SUCCESS,DELAY");
  EXPECT_EQ(Take({"-R", "hdrs"}).ret, "HDRS");
  EXPECT_EQ(Take({"-V", std::string(100, 'x')}).envid.size(), 100u);
}

TEST(Arguments, MistakesAreNamed) {
  const struct {
    Words words;
    const char* named;
  } rows[] = {
      {{"-f"}, "-f"},
      {{"-tf"}, "-f"},
      {{"-Z"}, "-Z"},
      {{"-tZ"}, "-Z"},
      {{"-bd"}, "-bd"},
      {{"-bt"}, "-bt"},
      {{"-N", "sometimes"}, "sometimes"},
      {{"-N", "never,success"}, "never,success"},
      {{"-N", "success,"}, "success,"},
      {{"-R", "half"}, "half"},
      {{"-V", std::string(101, 'x')}, "-V"},
      {{"-V", std::string(34, '=')}, "-V"},  // three octets each as xtext
      {{"-qRexample"}, "-qRexample"},
      {{"-qI"}, "-qI"},
  };
  for (const auto& row : rows) {
    const Parsed<Options> options = ParseArguments("sendmail", row.words);
    ASSERT_FALSE(options.has_value()) << row.named;
    EXPECT_NE(options.error().reason.find(row.named), std::string::npos) << options.error().reason;
  }
}

}  // namespace
}  // namespace postern::sendmail
