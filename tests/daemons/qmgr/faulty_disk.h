// tests/daemons/qmgr/faulty_disk.h — a spool in memory that forgets what was not synced, and fails
// when it is told.
#pragma once

#include <map>
#include <memory>
#include <string>

#include "daemons/qmgr/disk.h"

namespace postern::qmgr {

class FaultyDisk final : public Disk {
 public:
  struct Content {
    std::string written;  // what a reader sees
    std::string synced;   // what outlives a power cut
    bool name_synced = false;
  };
  enum class Fault { kNone, kError, kShort };

  // The n-th changing operation from now on (1: the next) fails so; a short write writes half.
  void FailAt(int operation, Fault how, absl::Status status) {
    fail_at_ = operations_ + operation;
    how_ = how;
    status_ = std::move(status);
  }
  int operations() const { return operations_; }
  void SetFree(uint64_t octets) { free_ = octets; }

  // The disk as it would be after a power cut: only what was synced. `torn`: so many octets of what
  // was written and not synced are there as well.
  std::unique_ptr<FaultyDisk> AfterPowerCut(size_t torn) const {
    auto after = std::make_unique<FaultyDisk>();
    for (const auto& [name, content] : files_) {
      if (!content->name_synced) continue;
      auto copy = std::make_shared<Content>(*content);
      std::string kept = content->synced;
      const std::string& written = content->written;
      if (written.size() > kept.size()) kept.resize(written.size(), '\0');
      size_t budget = torn;
      for (size_t i = 0; i < written.size() && budget > 0; ++i) {
        if (kept[i] != written[i]) {
          kept[i] = written[i];
          --budget;
        }
      }
      copy->written = copy->synced = kept;
      after->files_[name] = copy;
    }
    return after;
  }

  class File final : public DiskFile {
   public:
    File(FaultyDisk& disk, std::shared_ptr<Content> content)
        : disk_(disk), content_(std::move(content)) {}
    io::Task<absl::Status> Write(std::string_view bytes, uint64_t offset) override {
      const Fault fault = disk_.Next();
      if (fault == Fault::kError) co_return disk_.status_;
      Put(fault == Fault::kShort ? bytes.substr(0, bytes.size() / 2) : bytes, offset);
      if (fault == Fault::kShort) co_return disk_.status_;
      co_return absl::OkStatus();
    }
    io::Task<absl::Status> WriteAndSync(std::string_view bytes, uint64_t offset) override {
      CO_RETURN_IF_ERROR(co_await Write(bytes, offset));
      co_return co_await Sync();
    }
    io::Task<absl::Status> Sync() override {
      if (disk_.Next() != Fault::kNone) co_return disk_.status_;
      content_->synced = content_->written;
      co_return absl::OkStatus();
    }
    io::Task<absl::StatusOr<size_t>> Read(char* to, size_t octets, uint64_t offset) override {
      if (offset >= content_->written.size()) co_return size_t{0};
      const size_t got = std::min<size_t>(octets, content_->written.size() - offset);
      content_->written.copy(to, got, offset);
      co_return got;
    }
    absl::StatusOr<uint64_t> Octets() const override { return content_->written.size(); }
    absl::StatusOr<int> OpenForReading() const override {
      return absl::UnimplementedError("memory");
    }

   private:
    void Put(std::string_view bytes, uint64_t offset) {
      if (content_->written.size() < offset + bytes.size())
        content_->written.resize(offset + bytes.size(), '\0');
      content_->written.replace(offset, bytes.size(), bytes);
    }
    FaultyDisk& disk_;
    std::shared_ptr<Content> content_;
  };

  io::Task<absl::StatusOr<std::unique_ptr<DiskFile>>> Create(const std::string& name,
                                                             uint64_t octets) override {
    if (Next() != Fault::kNone) co_return status_;
    if (files_.contains(name)) co_return absl::AlreadyExistsError(name);
    auto content = std::make_shared<Content>();
    content->written.resize(octets, '\0');
    files_[name] = content;
    co_return std::make_unique<File>(*this, content);
  }
  io::Task<absl::StatusOr<std::unique_ptr<DiskFile>>> Open(const std::string& name) override {
    const auto found = files_.find(name);
    if (found == files_.end()) co_return absl::NotFoundError(name);
    co_return std::make_unique<File>(*this, found->second);
  }
  io::Task<absl::Status> Remove(const std::string& name) override {
    if (Next() != Fault::kNone) co_return status_;
    files_.erase(name);
    co_return absl::OkStatus();
  }
  io::Task<absl::Status> Rename(const std::string&, const std::string&) override {
    co_return absl::UnimplementedError("not used");
  }
  io::Task<absl::Status> SyncDirectory(const std::string& directory) override {
    if (Next() != Fault::kNone) co_return status_;
    for (auto& [name, content] : files_) {
      if (name.starts_with(directory)) content->name_synced = true;
    }
    co_return absl::OkStatus();
  }
  absl::StatusOr<std::vector<std::string>> List(const std::string& directory) override {
    std::vector<std::string> names;
    for (const auto& [name, content] : files_) {
      if (name.starts_with(directory + "/")) names.push_back(name.substr(directory.size() + 1));
    }
    return names;
  }
  absl::StatusOr<uint64_t> FreeOctets() override { return free_; }

  std::map<std::string, std::shared_ptr<Content>> files_;

 private:
  Fault Next() {
    ++operations_;
    if (operations_ != fail_at_) return Fault::kNone;
    return how_;
  }
  int operations_ = 0;
  int fail_at_ = -1;
  Fault how_ = Fault::kNone;
  absl::Status status_;
  uint64_t free_ = uint64_t{1} << 40;
};

}  // namespace postern::qmgr
