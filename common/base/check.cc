#include "common/base/check.h"

#include <unistd.h>

#include <cstdio>
#include <cstdlib>

namespace postern {
namespace {

CheckFailureHook failure_hook = nullptr;

}  // namespace

void SetCheckFailureHook(CheckFailureHook hook) { failure_hook = hook; }

void CheckFailed(const char* file, int line, const char* what) {
  char message[512];
  const int length = std::snprintf(message, sizeof message, "%s:%d: %s failed\n", file, line, what);
  // stderr may be closed or a confined process may not write to it: nothing more can be done then.
  if (length > 0 && ::write(STDERR_FILENO, message, static_cast<size_t>(length)) < 0) {
  }
  if (failure_hook != nullptr) failure_hook(message);
  std::abort();
}

}  // namespace postern
