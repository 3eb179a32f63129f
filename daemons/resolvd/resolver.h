// daemons/resolvd/resolver.h — whoever can answer questions about names.
#pragma once

#include "common/dns/answer.h"
#include "common/io/deadline.h"
#include "common/io/task.h"

namespace postern::resolvd {

class Resolver {
 public:
  virtual ~Resolver() = default;

  // Looks `name` up. Whatever goes wrong is an answer too: Status::kTemporaryFailure with its
  // reason, also when time runs out or a stop is requested. Many may be under way at once; `name`
  // must live until the end.
  virtual io::Task<dns::Answer> Lookup(const dns::Name& name, dns::Type type,
                                       io::Deadline until) = 0;
};

}  // namespace postern::resolvd
