// SPDX-License-Identifier: Apache-2.0
#include "checker/body_intake.h"

#include <algorithm>
#include <string>
#include <utility>

#include "checker/safe_text.h"

namespace watchwheel::checker {
namespace {

using core::Cause;
using core::Phase;

class ScanSink final : public ByteSink {
 public:
  explicit ScanSink(BodyScan& scan) : scan_(scan) {}
  void take(std::string_view bytes) noexcept override { enough_ = !scan_.feed(bytes); }
  [[nodiscard]] bool enough() const { return enough_; }

 private:
  BodyScan& scan_;
  bool enough_ = false;
};

}  // namespace

void BodyIntake::begin(const ProbePlan& plan, BodyMeans& means, const ResponseHead& head) {
  bytes_max_ = plan.options.max_body_bytes;
  scan_.emplace(plan.body_rules, &means, head.content_type);
  if (head.content_encoding.empty()) return;
  const auto codings = parse_codings(head.content_encoding);
  opaque_ = !codings;
  if (codings && !codings->empty()) decoder_.emplace(*codings, bytes_max_);
}

bool BodyIntake::take(std::string_view piece) {
  if (!scan_) return true;
  return decoder_ ? decode(piece) : fits_cap(piece);
}

bool BodyIntake::fits_cap(std::string_view piece) {
  const std::uint64_t room = bytes_max_ - (opaque_ ? opaque_bytes_ : scan_->bytes());
  const std::string_view part =
      piece.substr(0, static_cast<std::size_t>(std::min<std::uint64_t>(room, piece.size())));
  bool wanted = true;
  if (opaque_) {
    opaque_bytes_ += part.size();  // Read for its framing; nothing can be found in it.
  } else {
    wanted = scan_->feed(part);
  }
  if (piece.size() <= room && wanted) return true;
  stop_ = Stop::Cap;
  return false;
}

bool BodyIntake::decode(std::string_view piece) {
  ScanSink sink(*scan_);
  switch (decoder_->feed(piece, sink)) {
    case BodyDecoder::Step::More:
      if (!sink.enough()) return true;
      stop_ = Stop::Cap;
      break;
    case BodyDecoder::Step::Full:
      stop_ = Stop::Cap;
      break;
    case BodyDecoder::Step::Broken:
      stop_ = Stop::Broken;
      break;
    case BodyDecoder::Step::NoMemory:
      stop_ = Stop::NoMemory;
      break;
  }
  return false;
}

std::optional<Verdict> BodyIntake::judge_stop() const {
  switch (stop_) {
    case Stop::None:
      return std::nullopt;
    case Stop::Cap:
      return Verdict{};
    case Stop::Broken:
      return Verdict{
          Cause::BodyMalformed, Phase::Body,
          "the compressed body cannot be decoded: " + printable(decoder_->problem(), 100)};
    case Stop::NoMemory:
      return Verdict{Cause::LocalResources, Phase::Body, "no memory to decode the body"};
  }
  return std::nullopt;
}

Verdict BodyIntake::judge_end() const {
  if (!decoder_ || decoder_->finished()) return {};
  return {Cause::BodyTruncated, Phase::Body,
          "the compressed body ends in the middle, after " + std::to_string(scan_->bytes()) +
              " bytes decoded"};
}

std::optional<BodyScan> BodyIntake::take_scan() {
  if (scan_) scan_->finish();
  return std::exchange(scan_, std::nullopt);
}

}  // namespace watchwheel::checker
