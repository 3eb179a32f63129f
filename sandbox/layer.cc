#include "sandbox/layer.h"

namespace postern::sandbox {

std::string_view LayerName(Layer layer) {
  switch (layer) {
    case Layer::kNamespaces:
      return "namespaces";
    case Layer::kIds:
      return "ids";
    case Layer::kHardening:
      return "hardening";
    case Layer::kLandlock:
      return "landlock";
    case Layer::kRing:
      return "ring";
    case Layer::kRlimits:
      return "rlimits";
    case Layer::kSeccomp:
      return "seccomp";
  }
  return "";
}

std::optional<Layer> LayerNamed(std::string_view name) {
  for (const Layer layer : kAllLayers) {
    if (LayerName(layer) == name) return layer;
  }
  return std::nullopt;
}

}  // namespace postern::sandbox
