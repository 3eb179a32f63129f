#include "daemons/qmgr/routing.h"

#include <utility>

#include "common/base/hash.h"
#include "common/base/status.h"
#include "common/smtp/ascii.h"
#include "common/smtp/domain.h"

namespace postern::qmgr {
namespace {

// The route of a domain itself, or of the nearest domain above it that has one for its subdomains.
const config::NextHop* RouteOf(std::string_view domain, const config::Settings& settings) {
  const auto& routes = settings.outbound.routes;
  if (const auto exact = routes.find(std::string(domain)); exact != routes.end())
    return &exact->second;
  for (size_t dot = domain.find('.'); dot != std::string_view::npos;
       dot = domain.find('.', dot + 1)) {
    if (const auto above = routes.find(std::string(domain.substr(dot))); above != routes.end())
      return &above->second;
  }
  return settings.outbound.smarthost.has_value() ? &*settings.outbound.smarthost : nullptr;
}

}  // namespace

std::string DomainOf(std::string_view address) {
  const size_t at = address.rfind('@');
  if (at == std::string_view::npos) return {};
  const std::string_view domain = address.substr(at + 1);
  if (domain.starts_with('[')) return smtp::AsciiLower(domain);
  const Parsed<std::string> ascii = smtp::ToAscii(domain);
  return ascii.has_value() ? *ascii : smtp::AsciiLower(domain);
}

Hop HopFor(std::string_view address, protocol::RecipientClass kind,
           const config::Settings& settings) {
  if (kind == protocol::RecipientClass::kLocal) {
    // A window for each user: one full mailbox does not hold up the others.
    return {.route = Route::kLocal,
            .destination = smtp::AsciiLower(address.substr(0, address.rfind('@')))};
  }
  const std::string domain = DomainOf(address);
  const config::NextHop* hop = RouteOf(domain, settings);
  return {.route = Route::kRemote, .destination = hop != nullptr ? hop->ToString() : domain};
}

namespace {

// Finds the unit of a hop. A few are looked through, as in nearly all mail; of many there is a
// table.
class UnitTable {
 public:
  UnitSpec& For(Hop&& hop) {
    if (units_.size() >= kFew && table_.empty()) {
      for (size_t i = 0; i < units_.size(); ++i)
        table_.emplace(KeyOf(units_[i].route, units_[i].destination), i);
    }
    if (table_.empty()) {
      for (UnitSpec& unit : units_) {
        if (unit.route == hop.route && unit.destination == hop.destination) return unit;
      }
    } else {
      const auto [found, is_new] = table_.try_emplace(KeyOf(hop.route, hop.destination));
      if (!is_new) return units_[found->second];
      found->second = units_.size();
    }
    return units_.emplace_back(
        UnitSpec{.route = hop.route, .destination = std::move(hop.destination), .recipients = {}});
  }
  std::vector<UnitSpec> Take() && { return std::move(units_); }

 private:
  static constexpr size_t kFew = 8;
  static std::string KeyOf(Route route, std::string_view destination) {
    return StrCat(static_cast<int>(route), destination);
  }
  std::vector<UnitSpec> units_;
  StringMap<size_t> table_;
};

}  // namespace

std::vector<UnitSpec> GroupByHop(const std::vector<RecipientRecord>& recipients,
                                 const DoneSet& done, const config::Settings& settings) {
  UnitTable units;
  for (uint32_t index = 0; index < recipients.size(); ++index) {
    if (done.Has(index)) continue;
    const RecipientRecord& recipient = recipients[index];
    units.For(HopFor(recipient.address, recipient.kind, settings)).recipients.push_back(index);
  }
  return std::move(units).Take();
}

void FillNextHop(std::string_view domain, const config::Settings& settings,
                 protocol::delivery::Job& job) {
  job.domain = domain;
  const config::NextHop* hop = RouteOf(domain, settings);
  if (hop == nullptr) return;
  job.transport = hop->protocol == config::HopProtocol::kLmtp
                      ? protocol::delivery::Transport::kLmtp
                      : protocol::delivery::Transport::kSmtp;
  job.host = hop->host.host;
  job.port = hop->host.port;
  job.socket_path = hop->socket_path;
}

}  // namespace postern::qmgr
