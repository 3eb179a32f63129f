#include "common/config/domain.h"

#include <idn2.h>

#include <algorithm>

#include "common/base/escape.h"
#include "common/base/ip.h"

namespace postern::config {
namespace {

bool IsAscii(std::string_view text) {
  return std::all_of(text.begin(), text.end(),
                     [](char c) { return static_cast<unsigned char>(c) < 0x80; });
}

Parsed<std::string> ToALabels(std::string_view text) {
  if (!IsValidUtf8(text)) return Malformed("the domain is not UTF-8");
  const std::string terminated(text);
  uint8_t* converted = nullptr;
  const int error = idn2_lookup_u8(reinterpret_cast<const uint8_t*>(terminated.c_str()), &converted,
                                   IDN2_NFC_INPUT | IDN2_NONTRANSITIONAL);
  if (error != IDN2_OK)
    return Malformed("no internationalised domain: " + std::string(idn2_strerror(error)));
  std::string labels(reinterpret_cast<const char*>(converted));
  idn2_free(converted);
  return labels;
}

}  // namespace

Parsed<std::string> NormaliseDomain(std::string_view text) {
  if (text.empty()) return Malformed("the domain is empty");
  if (text.size() > 1000) return Malformed("the domain is too long");
  if (text.find('\0') != text.npos) return Malformed("the domain has a NUL");
  if (text.find('@') != text.npos) return Malformed("a domain stands alone, without user and @");
  if (text.ends_with('.')) return Malformed("a domain is written without its final dot");
  std::string ascii(text);
  for (char& c : ascii)
    if (c >= 'A' && c <= 'Z') c = static_cast<char>(c - 'A' + 'a');
  if (!IsAscii(text) || ascii.find("xn--") != ascii.npos) {
    Parsed<std::string> labels = ToALabels(ascii);
    if (!labels) return labels;
    ascii = *std::move(labels);
  }
  const Parsed<HostPort> host = HostPort::Parse(ascii);
  if (!host) return std::unexpected(host.error());
  if (host->port != 0 || ascii.find(':') != ascii.npos) return Malformed("a domain has no port");
  if (IpAddress::Parse(host->host)) return Malformed("an IP address is no domain");
  return host->host;
}

Parsed<std::string> NormaliseHostname(std::string_view text) {
  Parsed<std::string> name = NormaliseDomain(text);
  if (!name) return name;
  if (name->find('.') == name->npos)
    return Malformed("a host name here has its domain too, as in mail.example.org");
  if (name->find('_') != name->npos) return Malformed("a host name has no underscore");
  return name;
}

}  // namespace postern::config
