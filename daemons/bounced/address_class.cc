#include "daemons/bounced/address_class.h"

#include <algorithm>
#include <string>
#include <vector>

#include "common/smtp/ascii.h"
#include "common/smtp/domain.h"

namespace postern::bounced {
namespace {

// As the configuration holds domains. Address literals stay as they are.
std::string Canonical(std::string_view domain) {
  if (domain.starts_with('[')) return std::string(domain);
  const Parsed<std::string> ascii = smtp::ToAscii(domain);
  return ascii.has_value() ? *ascii : smtp::AsciiLower(domain);
}

bool Names(const std::vector<std::string>& domains, std::string_view domain) {
  return std::find(domains.begin(), domains.end(), domain) != domains.end();
}

bool IsRelayDomain(std::string_view domain, const std::vector<std::string>& domains) {
  if (Names(domains, domain)) return true;
  for (size_t dot = domain.find('.'); dot != std::string_view::npos;
       dot = domain.find('.', dot + 1)) {
    if (Names(domains, domain.substr(dot))) return true;
  }
  return false;
}

}  // namespace

protocol::RecipientClass ClassOf(std::string_view address, const config::Settings& settings) {
  const size_t at = address.rfind('@');
  if (at == std::string_view::npos) return protocol::RecipientClass::kLocal;
  const std::string domain = Canonical(address.substr(at + 1));
  if (Names(settings.domains, domain)) return protocol::RecipientClass::kLocal;
  return IsRelayDomain(domain, settings.relay.domains) ? protocol::RecipientClass::kRelay
                                                       : protocol::RecipientClass::kRemote;
}

}  // namespace postern::bounced
