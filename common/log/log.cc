#include "common/log/log.h"

#include <fcntl.h>
#include <signal.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include <algorithm>
#include <cstdio>
#include <cstdlib>
#include <utility>

#include "common/base/check.h"
#include "common/log/encode.h"
#include "common/log/sink.h"
#include "common/log/timestamp.h"

namespace postern::log {
namespace {

// Idle encoders kept for reuse: more than one is at work only where a field's value is computed by
// a function that logs.
constexpr size_t kSpareEncoders = 4;

UniqueFd DuplicateOfStderr() { return UniqueFd(::fcntl(STDERR_FILENO, F_DUPFD_CLOEXEC, 3)); }

// A pipe or terminal is opened anew where that is allowed: O_NONBLOCK belongs to the open file,
// which we may share with a shell that does not expect it.
UniqueFd MadeNonBlocking(UniqueFd fd) {
  struct stat about;
  if (!fd.valid() || ::fstat(fd.get(), &about) != 0 || S_ISREG(about.st_mode)) return fd;
  if (S_ISFIFO(about.st_mode) || S_ISCHR(about.st_mode)) {
    char path[40];
    std::snprintf(path, sizeof path, "/proc/self/fd/%d", fd.get());
    UniqueFd own(::open(path, O_WRONLY | O_APPEND | O_NONBLOCK | O_NOCTTY | O_CLOEXEC));
    if (own.valid()) return own;
  }
  const int flags = ::fcntl(fd.get(), F_GETFL);
  if (flags >= 0) ::fcntl(fd.get(), F_SETFL, flags | O_NONBLOCK);
  return fd;
}

// A reader that left costs the lines, not the process.
void IgnoreBrokenPipes() {
  struct sigaction now;
  if (::sigaction(SIGPIPE, nullptr, &now) != 0 || now.sa_handler != SIG_DFL) return;
  ::signal(SIGPIPE, SIG_IGN);
}

Layout LayoutOf(SinkKind sink, Format format) {
  switch (sink) {
    case SinkKind::kFile:
      return format == Format::kJson ? Layout::kJson : Layout::kPlain;
    case SinkKind::kJournald:
      return Layout::kJournal;
    case SinkKind::kSyslog:
      return format == Format::kJson ? Layout::kSyslogJson : Layout::kSyslogPlain;
  }
  return Layout::kPlain;
}

int64_t RealTimeUs() {
  timespec now;
  ::clock_gettime(CLOCK_REALTIME, &now);
  return int64_t{now.tv_sec} * 1'000'000 + now.tv_nsec / 1000;
}

}  // namespace

class Logger {
 public:
  Logger() : pid_(::getpid()) {}

  void Init(Options options) {
    sink_.Flush();
    sink_ = Sink(options.sink == SinkKind::kFile ? Sink::Kind::kStream : Sink::Kind::kDatagrams,
                 MadeNonBlocking(options.fd.valid() ? std::move(options.fd) : DuplicateOfStderr()));
    layout_ = LayoutOf(options.sink, options.format);
    daemon_ = std::move(options.daemon);
    index_ = options.index;
    minimum_ = options.minimum;
    pid_ = ::getpid();
    initialised_ = true;
    stuck_ = false;
  }

  bool Wants(Severity severity) const {
    return severity >= (capture_ != nullptr ? capture_->minimum_ : minimum_);
  }

  std::unique_ptr<Encoder> Begin(Severity severity, std::string_view event) {
    std::unique_ptr<Encoder> encoder;
    if (spare_.empty()) {
      encoder = std::make_unique<Encoder>();
    } else {
      encoder = std::move(spare_.back());
      spare_.pop_back();
    }
    const int64_t now_us = NowUs();
    newest_us_ = now_us;
    encoder->Begin(CurrentLayout(), Head{.time_us = now_us,
                                         .timestamp = Timestamp(now_us),
                                         .daemon = daemon_,
                                         .index = index_,
                                         .pid = pid_,
                                         .severity = severity,
                                         .event = event});
    return encoder;
  }

  void Commit(std::unique_ptr<Encoder> encoder) {
    const std::string_view record = encoder->End();
    if (capture_ != nullptr) {
      const bool newline = record.ends_with('\n');
      capture_->lines_.emplace_back(record.substr(0, record.size() - (newline ? 1 : 0)));
    } else {
      Take(record);
    }
    if (spare_.size() < kSpareEncoders) spare_.push_back(std::move(encoder));
  }

  void Flush() {
    sink_.Flush();
    CountLost();
    stuck_ = !sink_.drained();
    if (stuck_ || unreported_ == 0) return;
    ReportDropped();
    sink_.Flush();
    stuck_ = !sink_.drained();
  }

  void FlushAged() {
    if (sink_.drained()) return;
    const int64_t age_us = NowUs() - oldest_us_;
    // Negative: the clock was set back, which must not hold lines for as long.
    if (age_us >= kMaxLineAgeUs || age_us < 0) Flush();
  }

  void Replace(UniqueFd fd) {
    sink_.Replace(std::move(fd));
    Flush();
  }

  void Redirect(SinkKind sink, Format format, UniqueFd fd) {
    const Sink::Kind kind = sink == SinkKind::kFile ? Sink::Kind::kStream : Sink::Kind::kDatagrams;
    Flush();
    layout_ = LayoutOf(sink, format);
    if (kind == sink_.kind()) return Replace(std::move(fd));
    sink_.Discard();
    CountLost();
    sink_ = Sink(kind, std::move(fd));
    Flush();
  }

  void SetPid(int pid) { pid_ = pid; }
  void SetMinimum(Severity minimum) { minimum_ = minimum; }

  void AfterFork(std::string_view daemon) {
    sink_.Discard();
    daemon_ = daemon;
    index_ = -1;
    pid_ = ::getpid();
    unreported_ = 0;
  }

  Statistics Stats() const { return {lines_, dropped_, sink_.writes()}; }
  int Descriptor() const { return sink_.fd(); }
  void FixTime(int64_t unix_us) { fixed_time_us_ = unix_us; }
  ScopedCapture* Capture(ScopedCapture* capture) { return std::exchange(capture_, capture); }

 private:
  int64_t NowUs() const { return fixed_time_us_ >= 0 ? fixed_time_us_ : RealTimeUs(); }
  Layout CurrentLayout() const {
    if (capture_ == nullptr) return layout_;
    return capture_->format_ == Format::kJson ? Layout::kJson : Layout::kPlain;
  }

  // Most lines of a turn fall into one second: only the microseconds are rendered anew.
  std::string_view Timestamp(int64_t now_us) {
    const int64_t second = now_us / 1'000'000;
    if (second != stamped_second_ || now_us < 0) {
      WriteTimestamp(now_us, timestamp_);
      stamped_second_ = second;
    } else {
      int64_t rest = now_us % 1'000'000;
      for (size_t i = kTimestampOctets - 1; i-- > kTimestampOctets - 7; rest /= 10) {
        timestamp_[i] = static_cast<char>('0' + rest % 10);
      }
    }
    return {timestamp_, kTimestampOctets};
  }

  void Take(std::string_view record) {
    if (unreported_ > 0 && sink_.HasRoom(record.size() + kMaxLineOctets)) ReportDropped();
    if (unreported_ > 0 || !sink_.HasRoom(record.size())) {
      ++unreported_;
      ++dropped_;
      return;
    }
    if (sink_.drained()) oldest_us_ = newest_us_;
    sink_.Append(record);
    ++lines_;
    if (!initialised_ || (!stuck_ && sink_.buffered_octets() >= kFlushOctets)) Flush();
  }

  void ReportDropped() {
    std::unique_ptr<Encoder> encoder = Begin(Severity::kWarning, kLogDropped.text());
    encoder->Unsigned("count", std::exchange(unreported_, 0));
    sink_.Append(encoder->End());
    ++lines_;
  }

  void CountLost() {
    const uint64_t lost = sink_.TakeLost();
    dropped_ += lost;
    unreported_ += lost;
  }

  Sink sink_{Sink::Kind::kStream, DuplicateOfStderr()};
  Layout layout_ = Layout::kPlain;
  std::string daemon_ = "postern";
  int index_ = -1;
  int64_t pid_;
  Severity minimum_ = Severity::kInfo;
  bool initialised_ = false;
  bool stuck_ = false;  // the sink did not take all; only Flush tries again
  uint64_t lines_ = 0;
  uint64_t dropped_ = 0;
  uint64_t unreported_ = 0;
  int64_t newest_us_ = 0;
  int64_t oldest_us_ = 0;  // of the lines in the sink
  int64_t fixed_time_us_ = -1;
  int64_t stamped_second_ = -1;
  char timestamp_[kTimestampOctets];
  std::vector<std::unique_ptr<Encoder>> spare_;
  ScopedCapture* capture_ = nullptr;
};

namespace {

// Never destroyed: destructors of other statics may still log.
Logger& TheLogger() {
  static Logger& logger = *new Logger;
  return logger;
}

void FlushAtExit() { TheLogger().Flush(); }

void LogFailedCheck(const char* message) {
  static bool failing = false;
  if (std::exchange(failing, true)) return;  // the log itself is what failed
  std::string_view what = message;
  if (what.ends_with('\n')) what.remove_suffix(1);
  Event(Severity::kCritical, kDaemonCheckFailed).Str("what", what);
  Flush();
}

}  // namespace

void Init(Options options) {
  static const bool once = [] {
    IgnoreBrokenPipes();
    SetCheckFailureHook(LogFailedCheck);
    return std::atexit(FlushAtExit) == 0;
  }();
  (void)once;
  TheLogger().Init(std::move(options));
}

void Flush() { TheLogger().Flush(); }
void FlushAged() { TheLogger().FlushAged(); }
void ReplaceDescriptor(UniqueFd fd) { TheLogger().Replace(std::move(fd)); }
void Redirect(SinkKind sink, Format format, UniqueFd fd) {
  TheLogger().Redirect(sink, format, std::move(fd));
}
void SetPid(int pid) { TheLogger().SetPid(pid); }
void SetMinimum(Severity minimum) { TheLogger().SetMinimum(minimum); }
void AfterFork(std::string_view daemon) { TheLogger().AfterFork(daemon); }
int Descriptor() { return TheLogger().Descriptor(); }
bool Wants(Severity severity) { return TheLogger().Wants(severity); }
Statistics Stats() { return TheLogger().Stats(); }
void FixTimeForTest(int64_t unix_us) { TheLogger().FixTime(unix_us); }

Event::Event(Severity severity, EventName name) {
  if (TheLogger().Wants(severity)) line_ = TheLogger().Begin(severity, name.text());
}

Event::~Event() {
  if (line_) TheLogger().Commit(std::move(line_));
}

Event& Event::Id(QueueId id) {
  char text[QueueId::kTextOctets];
  id.WriteTo(text);
  return Id(std::string_view(text, sizeof text));
}

Event& Event::Id(std::string_view id) {
  if (line_) line_->Id(id);
  return *this;
}

Event& Event::Str(Key key, std::string_view value) {
  if (line_) line_->Text(key.text(), value);
  return *this;
}

Event& Event::Signed(Key key, int64_t value) {
  if (line_) line_->Integer(key.text(), value);
  return *this;
}

Event& Event::Unsigned(Key key, uint64_t value) {
  if (line_) line_->Unsigned(key.text(), value);
  return *this;
}

Event& Event::Bool(Key key, bool value) {
  if (line_) line_->Boolean(key.text(), value);
  return *this;
}

Event& Event::Ms(Key key, absl::Duration value) {
  if (!line_) return *this;
  const int64_t us = absl::ToInt64Microseconds(value);  // saturates
  const uint64_t size =
      us < 0 ? uint64_t{0} - static_cast<uint64_t>(us) : static_cast<uint64_t>(us);
  char digits[32];
  const int length = std::snprintf(digits, sizeof digits, "%s%llu.%03llu", us < 0 ? "-" : "",
                                   static_cast<unsigned long long>(size / 1000),
                                   static_cast<unsigned long long>(size % 1000));
  line_->Number(key.text(), "_ms", {digits, static_cast<size_t>(length)});
  return *this;
}

Event& Event::Error(const absl::Status& status) {
  if (!line_ || status.ok()) return *this;
  std::string text = absl::StatusCodeToString(status.code());
  text += ": ";
  text += std::string_view(status.message().data(), status.message().size());
  return Str("error", text);
}

ScopedCapture::ScopedCapture(Format format, Severity minimum)
    : format_(format), minimum_(minimum), outer_(TheLogger().Capture(this)) {}

ScopedCapture::~ScopedCapture() { TheLogger().Capture(outer_); }

size_t ScopedCapture::Count(std::string_view text) const {
  return static_cast<size_t>(std::ranges::count_if(
      lines_, [text](const std::string& line) { return line.find(text) != line.npos; }));
}

}  // namespace postern::log
