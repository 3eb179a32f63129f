// common/log/sink.h — finished records on their way to a descriptor that may not take them now.
#pragma once

#include <cstdint>
#include <deque>
#include <string>
#include <string_view>

#include "common/base/unique_fd.h"

namespace postern::log {

class Sink {
 public:
  enum class Kind : uint8_t {
    kStream,     // all records in one write; one that was begun is finished later
    kDatagrams,  // one write a record
  };

  Sink() = default;
  Sink(Kind kind, UniqueFd fd) : kind_(kind), fd_(std::move(fd)) {}

  // Is there room for a record of that size within kMaxBufferedOctets?
  bool HasRoom(size_t octets) const;
  // There must be room.
  void Append(std::string_view record);
  // Writes what the descriptor takes without blocking (it is non-blocking or a regular file). Any
  // failure keeps the rest for the next time, whatever the errno: disks get room again and peers
  // come back; only a datagram that is too long for its socket is given up.
  void Flush();
  // The next record goes to `fd`, and so does what the old one did not take, from the beginning of
  // the record it stopped in.
  void Replace(UniqueFd fd);
  void Discard();

  Kind kind() const { return kind_; }
  int fd() const { return fd_.get(); }
  size_t buffered_octets() const { return buffer_.size() - sent_; }
  bool drained() const { return buffered_octets() == 0; }
  uint64_t writes() const { return writes_; }
  // Records given up since the last call.
  uint64_t TakeLost() { return std::exchange(lost_, 0); }

 private:
  void FlushStream();
  void FlushDatagrams();
  // As write(2), but repeated when a signal interrupts it.
  ssize_t Write(std::string_view bytes);
  void ForgetSent();

  Kind kind_ = Kind::kStream;
  UniqueFd fd_;
  std::string buffer_;
  size_t sent_ = 0;             // octets of buffer_ already written
  std::deque<size_t> records_;  // kDatagrams: their sizes, from sent_ on
  uint64_t writes_ = 0;
  uint64_t lost_ = 0;
};

}  // namespace postern::log
