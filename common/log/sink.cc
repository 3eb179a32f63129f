#include "common/log/sink.h"

#include <unistd.h>

#include <cerrno>

#include "common/log/limits.h"

namespace postern::log {

bool Sink::HasRoom(size_t octets) const { return buffered_octets() + octets <= kMaxBufferedOctets; }

void Sink::Append(std::string_view record) {
  if (sent_ == buffer_.size()) ForgetSent();
  buffer_ += record;
  if (kind_ == Kind::kDatagrams) records_.push_back(record.size());
}

void Sink::Flush() {
  if (!fd_.valid() || drained()) return;
  if (kind_ == Kind::kStream) {
    FlushStream();
  } else {
    FlushDatagrams();
  }
  ForgetSent();
}

void Sink::FlushStream() {
  while (!drained()) {
    const ssize_t written = Write(std::string_view(buffer_).substr(sent_));
    if (written <= 0) return;
    sent_ += static_cast<size_t>(written);
  }
}

void Sink::FlushDatagrams() {
  while (!records_.empty()) {
    const size_t size = records_.front();
    if (Write(std::string_view(buffer_).substr(sent_, size)) < 0) {
      if (errno != EMSGSIZE) return;
      ++lost_;
    }
    sent_ += size;
    records_.pop_front();
  }
}

ssize_t Sink::Write(std::string_view bytes) {
  ssize_t written;
  do {
    ++writes_;
    written = ::write(fd_.get(), bytes.data(), bytes.size());
  } while (written < 0 && errno == EINTR);
  return written;
}

// Bytes are moved only when half of them are gone, so that a slow sink costs no quadratic copying.
// Of a stream the record in progress is kept from its beginning, for Replace.
void Sink::ForgetSent() {
  if (drained()) {
    buffer_.clear();
    sent_ = 0;
    return;
  }
  if (sent_ < buffer_.size() / 2) return;
  size_t whole = sent_;
  if (kind_ == Kind::kStream) {
    const size_t newline = sent_ == 0 ? buffer_.npos : buffer_.rfind('\n', sent_ - 1);
    whole = newline == buffer_.npos ? 0 : newline + 1;
  }
  buffer_.erase(0, whole);
  sent_ -= whole;
}

void Sink::Replace(UniqueFd fd) {
  Flush();
  if (kind_ == Kind::kStream && sent_ > 0) {
    const size_t newline = buffer_.rfind('\n', sent_ - 1);
    sent_ = newline == buffer_.npos ? 0 : newline + 1;
  }
  fd_ = std::move(fd);
}

void Sink::Discard() {
  buffer_.clear();
  records_.clear();
  sent_ = 0;
}

}  // namespace postern::log
