#include "daemons/qmgr/contents.h"

#include <set>

#include "common/base/queue_id.h"

namespace postern::qmgr {
namespace {

// What is wrong with a content that the log says has `octets`; empty: nothing.
io::Task<std::string> Fault(Disk& disk, uint64_t queue_id, uint64_t octets) {
  const auto file = co_await disk.Open(ContentName(queue_id));
  if (!file.ok()) co_return std::string(Message(file.status()));
  const absl::StatusOr<uint64_t> is = (*file)->Octets();
  if (!is.ok()) co_return std::string(Message(is.status()));
  if (*is == octets) co_return std::string();
  co_return StrCat("it has ", *is, " octets and was committed with ", octets);
}

}  // namespace

std::string ContentName(uint64_t queue_id) { return "content/" + QueueId(queue_id).ToString(); }

io::Task<absl::StatusOr<ContentsReport>> CheckContents(Disk& disk,
                                                       const std::map<uint64_t, uint64_t>& expected,
                                                       Orphans orphans) {
  CO_ASSIGN_OR_RETURN(const std::vector<std::string> files, disk.List("content"));
  ContentsReport report;
  std::set<uint64_t> seen;
  for (const std::string& file : files) {
    const Parsed<QueueId> id = QueueId::Parse(file);
    const std::string name = "content/" + file;
    if (!id.has_value() || id->ToString() != file) {
      report.left_alone.push_back({name, "not a content of ours"});
    } else if (const auto found = expected.find(id->value()); found != expected.end()) {
      seen.insert(id->value());
      std::string fault = co_await Fault(disk, id->value(), found->second);
      if (!fault.empty()) report.broken[id->value()] = std::move(fault);
    } else if (orphans == Orphans::kKeep) {
      report.left_alone.push_back(
          {name, "of no message that was read, but a part of the log was not"});
    } else if (const absl::Status removed = co_await disk.Remove(name); removed.ok()) {
      ++report.removed;
    } else {
      report.left_alone.push_back(
          {name, StrCat("of no message, and not removed: ", Message(removed))});
    }
  }
  for (const auto& [id, octets] : expected) {
    if (!seen.contains(id)) report.broken[id] = "it is missing";
  }
  co_return report;
}

}  // namespace postern::qmgr
