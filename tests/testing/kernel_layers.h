// tests/testing/kernel_layers.h — which layers of the confinement this machine gives, tried out in
// children, by other code than the server's. tools/kernel_layers.py asks the same.
#pragma once

#include <string>
#include <vector>

namespace postern::test {

struct MissingLayer {
  std::string name;  // as master.allow_missing has it
  std::string why;
};

// Tried once; the first call says on standard error what is missing.
const std::vector<MissingLayer>& LayersMissingHere();

// Why a layer is missing here; empty: it is not.
std::string WhyMissing(const std::string& name);

// "master.allow_missing = [...]", as a line of TOML in front of all sections.
std::string AllowMissing();

}  // namespace postern::test
