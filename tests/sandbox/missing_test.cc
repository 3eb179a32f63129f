#include "sandbox/missing.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "common/config/setting.h"

namespace postern::sandbox {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::Not;

TEST(MissingLayers, AreAnErrorThatNamesThemAndTheWayOut) {
  MissingLayers missing({"mdwe"});
  missing.Add(KernelLayer::kNamespaces,
              FailedPrecondition("namespaces: clone: Operation not permitted"));
  missing.Add(KernelLayer::kMdwe, FailedPrecondition("mdwe: prctl: Invalid argument"));
  missing.Add(KernelLayer::kLandlockScopes,
              FailedPrecondition("this kernel's Landlock has version 5"));
  const absl::Status refused = missing.Check();
  ASSERT_EQ(refused.code(), absl::StatusCode::kFailedPrecondition);
  const std::string message(Message(refused));
  EXPECT_THAT(message, HasSubstr("are missing: namespaces, landlock-scopes; "));
  EXPECT_THAT(message,
              HasSubstr("master.allow_missing = [\"mdwe\", \"namespaces\", \"landlock-scopes\"]"));
  EXPECT_THAT(message, HasSubstr("clone: Operation not permitted: it needs Linux"));
  EXPECT_THAT(message, HasSubstr("user.max_user_namespaces"));
  EXPECT_THAT(message, HasSubstr("version 5: it needs Linux 6.12"));
  EXPECT_THAT(message, Not(HasSubstr("Linux 6.3"))) << "that one may be missing";
}

TEST(MissingLayers, ThatMayBeMissingAreToldOnly) {
  MissingLayers missing({"mdwe", "landlock", "namespaces"});
  EXPECT_EQ(missing.Describe(), "");
  missing.Add(KernelLayer::kMdwe, FailedPrecondition("why"));
  missing.Add(KernelLayer::kLandlock, FailedPrecondition("why not"));
  EXPECT_TRUE(missing.Check().ok());
  EXPECT_EQ(missing.Describe(), "missing:mdwe,landlock");
  ASSERT_EQ(missing.all().size(), 2u);
  EXPECT_EQ(missing.all()[1].why, "why not");
}

TEST(MissingLayers, NothingMissingIsFine) {
  EXPECT_TRUE(MissingLayers({}).Check().ok());
  EXPECT_TRUE(MissingLayers({"landlock"}).Check().ok());
}

TEST(Layers, HaveTheNamesThatTheSettingTakes) {
  const config::Setting* setting = config::FindSetting("master.allow_missing");
  ASSERT_NE(setting, nullptr);
  EXPECT_THAT(setting->choices,
              ElementsAre(NameOf(KernelLayer::kNamespaces), NameOf(KernelLayer::kMdwe),
                          NameOf(KernelLayer::kLandlock), NameOf(KernelLayer::kLandlockNetwork),
                          NameOf(KernelLayer::kLandlockScopes)));
}

}  // namespace
}  // namespace postern::sandbox
