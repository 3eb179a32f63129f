#include "tools/probe/options.h"

#include <gtest/gtest.h>

#include "tools/probe/roles.h"

namespace postern::probe {
namespace {

using sandbox::Layer;

TEST(ProbeOptions, NothingMeansEverything) {
  const auto options = ParseOptions({});
  ASSERT_TRUE(options.ok());
  EXPECT_EQ(options->roles, RoleNames());
  EXPECT_EQ(options->backends.size(), 2u);
  EXPECT_TRUE(options->without.empty());
  EXPECT_FALSE(options->list_acts);
}

TEST(ProbeOptions, TakeRolesLayersAndABackend) {
  const auto options = ParseOptions(
      {"qmgr", "--without", "ring", "--backend", "uring", "--without", "ids", "--json"});
  ASSERT_TRUE(options.ok());
  EXPECT_EQ(options->roles, std::vector<std::string>{"qmgr"});
  EXPECT_EQ(options->backends, std::vector{sandbox::Backend::kUring});
  EXPECT_TRUE(options->without.Has(Layer::kRing) && options->without.Has(Layer::kIds));
  EXPECT_FALSE(options->without.Has(Layer::kSeccomp));
  EXPECT_TRUE(options->as_json && options->list_acts);
}

TEST(ProbeOptions, MistakesAreNamed) {
  const struct {
    std::vector<std::string> words;
    const char* message;
  } rows[] = {{{"master"}, "there is no role master"},
              {{"--without", "walls"}, "there is no layer walls"},
              {{"--without"}, "--without needs a value"},
              {{"--backend", "kqueue"}, "--backend is uring or epoll, not kqueue"},
              {{"--frob"}, "unknown option --frob"},
              {{"--ablation", "--without", "ids"}, "--ablation leaves out every layer"},
              {{"--ablation", "--json"}, "--ablation prints a table"}};
  for (const auto& row : rows) {
    const auto options = ParseOptions(row.words);
    ASSERT_FALSE(options.ok()) << row.message;
    EXPECT_NE(Message(options.status()).find(row.message), std::string_view::npos)
        << Message(options.status());
  }
}

}  // namespace
}  // namespace postern::probe
