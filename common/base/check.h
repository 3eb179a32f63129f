// common/base/check.h — assertions about our own code, in every build.
//
// CHECK is for bugs of ours alone (a refcount below zero, a frame resumed twice). What a stranger,
// a file or another of our processes can cause is a status or a reply, never a CHECK: a failed one
// ends the process, and master starts it anew.
#pragma once

namespace postern {

// Called once, with the printed message, before a failed CHECK aborts: the log flushes there.
// Not thread safe: set it at start.
using CheckFailureHook = void (*)(const char* message);
void SetCheckFailureHook(CheckFailureHook hook);

[[noreturn]] void CheckFailed(const char* file, int line, const char* what);

}  // namespace postern

#define CHECK(condition)                                                   \
  do {                                                                     \
    if (!(condition)) [[unlikely]]                                         \
      ::postern::CheckFailed(__FILE__, __LINE__, "CHECK(" #condition ")"); \
  } while (false)
#define CHECK_EQ(a, b) CHECK((a) == (b))
#define CHECK_NE(a, b) CHECK((a) != (b))
#define CHECK_LE(a, b) CHECK((a) <= (b))
#define CHECK_LT(a, b) CHECK((a) < (b))
#define CHECK_GE(a, b) CHECK((a) >= (b))
#define CHECK_GT(a, b) CHECK((a) > (b))
