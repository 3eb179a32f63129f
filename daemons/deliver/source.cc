#include "daemons/deliver/source.h"

#include <algorithm>
#include <utility>

#include "common/io/file.h"

namespace postern::deliver {

Source::Source(const protocol::mailbox::Deliver& order, UniqueFd descriptor)
    : front_(order.inline_content),
      descriptor_(std::move(descriptor)),
      offset_(order.content_offset),
      left_(descriptor_.valid() ? order.content_octets : 0),
      short_(!descriptor_.valid() && order.inline_content.size() < order.content_octets),
      fields_(DeliveryFields(order.sender, order.recipient)) {}

io::Task<absl::StatusOr<std::string>> Source::Next(io::Loop& loop) {
  if (short_) co_return DataLoss("the content is missing");
  if (finished_) co_return std::string();
  std::string raw = std::exchange(front_, {});
  if (left_ > 0) {
    const size_t had = raw.size();
    raw.resize(had + static_cast<size_t>(std::min<uint64_t>(left_, kPieceOctets)));
    CO_ASSIGN_OR_RETURN(const size_t got,
                        co_await io::ReadAt(loop, descriptor_.get(), raw.data() + had,
                                            raw.size() - had, offset_, io::Deadline::Never()));
    if (got != raw.size() - had) co_return DataLoss("the content is shorter than announced");
    offset_ += got;
    left_ -= got;
  }
  std::string piece;
  if (std::exchange(first_, false)) {
    piece = std::move(fields_);
    raw = WithoutReturnPaths(raw);
  }
  piece.reserve(piece.size() + raw.size());
  newlines_.Append(raw, piece);
  if (left_ == 0) {
    newlines_.Finish(piece);
    finished_ = true;
  }
  co_return piece;
}

}  // namespace postern::deliver
