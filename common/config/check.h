// common/config/check.h — what no setting can tell alone: how they fit together.
#pragma once

#include "common/config/report.h"
#include "common/config/settings.h"

namespace postern::config {

// Complains about settings that contradict each other. `settings` has its defaults filled in and
// its paths made absolute; only a contradiction with something in the text is a problem.
void CheckTogether(const Settings& settings, Report& report);

}  // namespace postern::config
