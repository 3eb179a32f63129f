// sandbox/layer.h — the layers of the confinement by name, so that confine-probe can leave some out
// and show what each stops.
#pragma once

#include <cstdint>
#include <initializer_list>
#include <optional>
#include <string_view>

namespace postern::sandbox {

// In the order in which they are entered.
enum class Layer : uint8_t { kNamespaces, kIds, kHardening, kLandlock, kRing, kRlimits, kSeccomp };

inline constexpr std::initializer_list<Layer> kAllLayers = {
    Layer::kNamespaces, Layer::kIds,     Layer::kHardening, Layer::kLandlock,
    Layer::kRing,       Layer::kRlimits, Layer::kSeccomp};

// "namespaces", "ids", "hardening", ...
std::string_view LayerName(Layer layer);
std::optional<Layer> LayerNamed(std::string_view name);

class LayerSet {
 public:
  constexpr LayerSet() = default;
  static constexpr LayerSet All() {
    LayerSet all;
    for (const Layer layer : kAllLayers) all.Add(layer);
    return all;
  }
  constexpr bool Has(Layer layer) const { return (bits_ & Bit(layer)) != 0; }
  constexpr void Add(Layer layer) { bits_ |= Bit(layer); }
  constexpr void Remove(Layer layer) { bits_ &= ~Bit(layer); }
  constexpr bool empty() const { return bits_ == 0; }
  bool operator==(const LayerSet&) const = default;

 private:
  static constexpr uint32_t Bit(Layer layer) { return 1u << static_cast<unsigned>(layer); }
  uint32_t bits_ = 0;
};

}  // namespace postern::sandbox
