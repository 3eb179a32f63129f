// daemons/resolvd/lookups.h — one look-up for many askers, and no more at once than we can bear.
#pragma once

#include <memory>
#include <string>

#include "absl/time/time.h"
#include "common/base/hash.h"
#include "common/io/scope.h"
#include "daemons/resolvd/limits.h"
#include "daemons/resolvd/resolver.h"

namespace postern::resolvd {

class Lookups final : public Resolver {
 public:
  // `resolver` must outlive this. `timeout` is what one look-up may take: it goes on to its end
  // when those who asked have given up, so that the next one finds its answer.
  Lookups(io::Loop& loop, Resolver& resolver, absl::Duration timeout,
          size_t max_outstanding = kMaxOutstandingQuestions)
      : loop_(loop), resolver_(resolver), timeout_(timeout), max_outstanding_(max_outstanding) {}

  // A question beyond the limit is a temporary failure at once; one that is under way already costs
  // nothing and is always taken.
  io::Task<dns::Answer> Lookup(const dns::Name& name, dns::Type type, io::Deadline until) override;

  void set_timeout(absl::Duration timeout) { timeout_ = timeout; }
  size_t outstanding() const { return under_way_.size(); }
  uint64_t shared() const { return shared_; }    // askers that found their question under way
  uint64_t refused() const { return refused_; }  // beyond the limit

  // Waits until nothing is under way: OK, kDeadlineExceeded or kCancelled.
  io::Task<absl::Status> Idle(io::Deadline until) { return scope_.WaitBelow(1, until); }
  // Stops what is under way and waits for its end.
  io::Task<void> Stop();

 private:
  struct One {
    dns::Name name;
    dns::Type type;
    dns::Answer answer;
    io::Event done;
  };
  io::Task<absl::Status> Run(std::string key, std::shared_ptr<One> one);

  io::Loop& loop_;
  Resolver& resolver_;
  absl::Duration timeout_;
  const size_t max_outstanding_;
  StringMap<std::shared_ptr<One>> under_way_;
  io::TaskScope scope_;
  uint64_t shared_ = 0;
  uint64_t refused_ = 0;
};

// What names (`name`, `type`) in a map: case does not count.
std::string QuestionKey(const dns::Name& name, dns::Type type);

}  // namespace postern::resolvd
