#include "daemons/resolvd/lookups.h"

#include <utility>

#include "common/io/event.h"

namespace postern::resolvd {

std::string QuestionKey(const dns::Name& name, dns::Type type) {
  std::string key(name.Lower().wire());
  key += static_cast<char>(static_cast<unsigned>(type) >> 8);
  key += static_cast<char>(static_cast<unsigned>(type) & 0xFF);
  return key;
}

io::Task<dns::Answer> Lookups::Lookup(const dns::Name& name, dns::Type type, io::Deadline until) {
  std::string key = QuestionKey(name, type);
  std::shared_ptr<One> one;
  if (const auto found = under_way_.find(key); found != under_way_.end()) {
    ++shared_;
    one = found->second;
  } else if (under_way_.size() >= max_outstanding_) {
    ++refused_;
    co_return dns::Failure(name, "too many questions are under way");
  } else {
    one = std::make_shared<One>();
    one->name = name;
    one->type = type;
    under_way_[key] = one;
    scope_.Spawn(Run(std::move(key), one));
  }
  const absl::Status waited = co_await one->done.Wait(until);
  if (one->done.is_set()) co_return one->answer;
  co_return dns::Failure(
      name, absl::IsDeadlineExceeded(waited) ? "no answer in time" : "the resolver is stopping");
}

io::Task<absl::Status> Lookups::Run(std::string key, std::shared_ptr<One> one) {
  const io::Deadline until = loop_.After(timeout_);
  one->answer = co_await resolver_.Lookup(one->name, one->type, until);
  under_way_.erase(key);
  one->done.Set();
  co_return absl::OkStatus();
}

io::Task<void> Lookups::Stop() {
  scope_.RequestStop();
  co_await scope_.Join();
}

}  // namespace postern::resolvd
