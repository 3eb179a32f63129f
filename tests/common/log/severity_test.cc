#include "common/log/severity.h"

#include <gtest/gtest.h>

namespace postern::log {
namespace {

TEST(Severity, NamesAreReadBackAndCodesAreThoseOfSyslog) {
  int code = 7;
  for (const Severity severity : {Severity::kDebug, Severity::kInfo, Severity::kNotice,
                                  Severity::kWarning, Severity::kError, Severity::kCritical}) {
    EXPECT_EQ(ParseSeverity(SeverityName(severity)), severity);
    EXPECT_EQ(SyslogSeverity(severity), code--);
  }
  EXPECT_EQ(ParseSeverity("INFO"), std::nullopt);
  EXPECT_EQ(ParseSeverity(""), std::nullopt);
}

}  // namespace
}  // namespace postern::log
