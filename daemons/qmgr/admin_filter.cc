#include "daemons/qmgr/admin_filter.h"

#include "common/smtp/ascii.h"

namespace postern::qmgr {

bool AddressFits(std::string_view pattern, std::string_view address) {
  if (pattern.empty()) return true;
  if (pattern == "<>") return address.empty();
  if (pattern.front() == '@') {
    const size_t at = address.rfind('@');
    if (at == std::string_view::npos) return false;
    address = address.substr(at);
  }
  return smtp::EqualsIgnoringCase(pattern, address);
}

bool SenderFits(const protocol::admin::List& list, const MessageRecord& record) {
  return AddressFits(list.sender, record.sender);
}

std::vector<uint32_t> FittingRecipients(const protocol::admin::List& list,
                                        const MessageRecord& record, const DoneSet& done,
                                        size_t limit) {
  std::vector<uint32_t> indices;
  for (uint32_t index = 0; index < record.recipients.size() && indices.size() < limit; ++index) {
    if (!done.Has(index) && AddressFits(list.recipient, record.recipients[index].address))
      indices.push_back(index);
  }
  return indices;
}

}  // namespace postern::qmgr
