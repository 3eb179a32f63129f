// common/log/log.h — the log: one event per change of state, with stable keys.
//
//   log::Event(log::Severity::kInfo, log::kMessageQueued)
//       .Id(id).Str("from", sender.ToString()).Int("size", octets).Ms("took", clock.Since(start));
//
// The event is written when the expression ends. Values may be foreign text: they are escaped and
// cut to kMaxValueOctets here. Keys and names are literals, checked while compiling (name.h);
// events.h is the catalogue of names.
//
// A line is formatted into memory that is reused, and leaves with the others of the same turn of
// the loop in one write (Flush). A sink that blocks or fails never blocks the daemon: lines wait up
// to kMaxBufferedOctets, then are dropped and counted, and "log.dropped" says how many as soon as
// lines go through again.
//
// There is one log per process, the only global state of ours: a line can be owed anywhere, down to
// a failing CHECK. One thread only, as everything in a daemon.
#pragma once

#include <concepts>
#include <cstdint>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "absl/status/status.h"
#include "absl/time/time.h"
#include "common/base/queue_id.h"
#include "common/base/unique_fd.h"
#include "common/log/events.h"
#include "common/log/limits.h"
#include "common/log/name.h"
#include "common/log/severity.h"

namespace postern::log {

enum class SinkKind : uint8_t {
  kFile,      // a file opened with O_APPEND, a pipe or stderr: one write(2) for all lines of a turn
  kJournald,  // a datagram socket connected to systemd's journal, native protocol
  kSyslog,    // a datagram socket connected to /dev/log, facility mail (RFC 3164 §4.1)
};

enum class Format : uint8_t { kPlain, kJson };  // journald has fields of its own and ignores it

struct Options {
  SinkKind sink = SinkKind::kFile;
  Format format = Format::kPlain;
  UniqueFd fd;         // inherited from master; not valid: stderr
  std::string daemon;  // "smtpd": a constant of ours, [a-z][a-z0-9_]*
  int index = -1;      // of the worker; negative: there is one only, none is printed
  Severity minimum = Severity::kInfo;
};

// Call once, early in main and before confinement (it makes the descriptor non-blocking, ignores
// SIGPIPE, remembers the pid and arranges for a flush at exit and at a failed CHECK). Until then
// each line goes to stderr at once. Afterwards the log needs no system call but write(2) and
// clock_gettime(2).
void Init(Options options);

// Writes out what is buffered; never blocks. The loop calls it before it waits.
void Flush();
// The same once the oldest line has waited kMaxLineAgeUs: between two events that follow each other
// at once, lines gather. Only SIGKILL loses what has not left yet.
void FlushAged();

// Continues on another descriptor of the same kind (log rotation on reload): what is buffered goes
// to the old one if that takes it, to the new one otherwise, whole lines only. Whoever opened it
// gave it O_APPEND (a file) or O_NONBLOCK (all else): a confined process cannot change that.
void ReplaceDescriptor(UniqueFd fd);
// The same, but the descriptor may lead elsewhere and lines may look otherwise from now on. Of
// another kind: what the old one does not take now is lost, and counted.
void Redirect(SinkKind sink, Format format, UniqueFd fd);

// What is less severe is not written from now on.
void SetMinimum(Severity minimum);

// In a child that goes on without exec: forgets the parent's buffered lines, asks for the pid
// anew, and speaks as this daemon.
void AfterFork(std::string_view daemon);

// The descriptor the log writes to, -1 if there is none: whoever closes all others must keep it.
int Descriptor();

// In a child that is its parent's successor, and knows its number only by being told: a PID
// namespace of its own calls it 1.
void SetPid(int pid);

// Would a line of this severity be written? For work done only for the log's sake.
bool Wants(Severity severity);

struct Statistics {
  uint64_t lines = 0;    // accepted into the buffer
  uint64_t dropped = 0;  // never to be written, reported or not
  uint64_t writes = 0;   // system calls made
};
Statistics Stats();

class Encoder;

class Event {
 public:
  Event(Severity severity, EventName name);
  ~Event();
  Event(const Event&) = delete;
  Event& operator=(const Event&) = delete;

  // The message it is about. Every line about a message has it, and has it first.
  Event& Id(QueueId id);
  Event& Id(std::string_view id);  // foreign text is fine
  Event& Str(Key key, std::string_view value);
  template <std::integral T>
  Event& Int(Key key, T value) {
    if constexpr (std::is_signed_v<T>) {
      return Signed(key, value);
    } else {
      return Unsigned(key, value);
    }
  }
  Event& Bool(Key key, bool value);
  // Milliseconds with three decimals, under the key with "_ms" appended. What passes 200000 years
  // either way is printed as that.
  Event& Ms(Key key, absl::Duration value);
  // Under the key "error": "<CODE>: <message>"; nothing when it is OK.
  Event& Error(const absl::Status& status);

 private:
  Event& Signed(Key key, int64_t value);
  Event& Unsigned(Key key, uint64_t value);

  std::unique_ptr<Encoder> line_;  // null: the severity is not wanted
};

// In tests: lines go here instead of the sink, each without its newline, until this dies. Captures
// nest. The clock is the real one unless FixTimeForTest is in force.
class ScopedCapture {
 public:
  explicit ScopedCapture(Format format = Format::kPlain, Severity minimum = Severity::kDebug);
  ~ScopedCapture();
  ScopedCapture(const ScopedCapture&) = delete;
  ScopedCapture& operator=(const ScopedCapture&) = delete;

  const std::vector<std::string>& lines() const { return lines_; }
  // How many lines contain `text`.
  size_t Count(std::string_view text) const;
  void Clear() { lines_.clear(); }

 private:
  friend class Logger;
  std::vector<std::string> lines_;
  Format format_;
  Severity minimum_;
  ScopedCapture* outer_;
};

// The time that lines carry, in microseconds of Unix time, from now on; negative: the real clock.
void FixTimeForTest(int64_t unix_us);

}  // namespace postern::log
