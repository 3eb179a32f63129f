// A payload from a compromised sibling, as every message of every edge: what decodes keeps its
// bounds and is encoded to the same octets, so that there is one way to say a thing; frame headers
// likewise. The first octet picks the message, the rest is its payload.
//
// Covers: common/ipc/codec.h common/ipc/frame.cc
#include <cstdint>
#include <cstdlib>
#include <string>
#include <string_view>

#include "common/base/escape.h"
#include "common/ipc/codec.h"
#include "common/ipc/conversation.h"
#include "common/ipc/protocol/catalogue.h"

namespace {

using namespace postern;

void Require(bool condition) {
  if (!condition) std::abort();
}

// What a decoder may take up in memory for each octet that came: elements of the smallest kind.
constexpr size_t kMaxElementOctets = 512;

// Sums up what a message holds, and that no vector outgrew its input.
class Weigher {
 public:
  explicit Weigher(size_t input_octets) : input_octets_(input_octets) {}
  template <class T>
  void operator()(const char*, const T& value, uint64_t bound = 0, uint64_t element_bound = 0) {
    Weigh(value, bound, element_bound);
  }

 private:
  template <class T>
  void Weigh(const T& value, uint64_t bound, uint64_t element_bound) {
    if constexpr (ipc::HasFields<T>) {
      static_assert(sizeof(T) <= kMaxElementOctets);
      T::Fields(*this, value);
    } else if constexpr (ipc::internal::kIsText<T>) {
      Require(value.size() <= bound && value.size() <= input_octets_);
    } else if constexpr (ipc::internal::kIsVector<T>) {
      Require(value.size() <= bound && value.size() <= input_octets_);
      for (const auto& element : value) Weigh(element, element_bound, 0);
    }
  }
  const size_t input_octets_;
};

template <class M>
void Check(std::string_view payload) {
  const Parsed<M> message = ipc::Decode<M>(payload);
  if (!message.has_value()) {
    Require(message.error().offset <= payload.size() && !message.error().reason.empty());
    return;
  }
  std::string again;
  Require(ipc::Encode(*message, again) && again == payload);
  Weigher weigher(payload.size());
  M::Fields(weigher, *message);
  const std::string text = ipc::ToText(*message);
  Require(IsValidUtf8(text));
  for (const char c : text) Require(static_cast<uint8_t>(c) >= 0x20 && c != '\x7F');
  // It is that and nothing longer or shorter.
  Require(!ipc::Decode<M>(again + '\0').has_value());
  if (!again.empty())
    Require(!ipc::Decode<M>(std::string_view(again).substr(0, again.size() - 1)).has_value());
}

void CheckFrameHeader(std::string_view bytes) {
  const Parsed<ipc::FrameHeader> header = ipc::ParseFrameHeader(bytes, 1u << 20);
  if (!header.has_value()) return;
  Require(header->payload_octets <= 1u << 20);
  std::string again;
  ipc::AppendFrameHeader(again, *header);
  Require(bytes.starts_with(again));
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  if (size == 0) return 0;
  const std::string_view payload(reinterpret_cast<const char*>(data + 1), size - 1);
  CheckFrameHeader(payload);
  size_t at = 0;
  protocol::ForEachEdge([&](const ipc::Edge&, auto messages) {
    messages.ForEach([&]<class M>(std::type_identity<M>) {
      if (at++ == data[0]) Check<M>(payload);
    });
  });
  return 0;
}
