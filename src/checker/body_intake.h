// SPDX-License-Identifier: Apache-2.0
// checker/body_intake.h - what becomes of the body of a response: undone, counted, looked through, and stopped where it is enough.
//
// A value with state, for one response; the lane's thread. Both exchanges give their bodies to it, so that they mean the same.
// Bounded  as body_scan.h and body_decoder.h say; the plan's max_body, counted after decompression.
// Fails    take() says that no more is wanted; judge_stop() and judge_end() what that means.
#pragma once

#include <cstdint>
#include <optional>
#include <string_view>

#include "checker/body_decoder.h"
#include "checker/body_scan.h"
#include "checker/cause_map.h"
#include "checker/head_check.h"
#include "checker/plan.h"

namespace watchwheel::checker {

class BodyIntake {
 public:
  // A response with this header begins. `plan` and `means` outlive it.
  void begin(const ProbePlan& plan, BodyMeans& means, const ResponseHead& head);

  // The next piece, without the framing of HTTP. Before begin() nobody wants it, and it is dropped.
  // False: no more is wanted; nothing more may be fed.
  [[nodiscard]] bool take(std::string_view piece);

  // The meaning of having been stopped by take(). Cause::Ok: it is longer than is looked at, which is no failure.
  // Nothing: it was not stopped.
  [[nodiscard]] std::optional<Verdict> judge_stop() const;
  // The framing says that the body has ended here: is that an end of its coding too?
  [[nodiscard]] Verdict judge_end() const;

  // It went on beyond the cap, or beyond size_max.
  [[nodiscard]] bool cut() const { return stop_ == Stop::Cap; }
  // In a coding we do not know, so nothing was looked at.
  [[nodiscard]] bool opaque() const { return opaque_; }
  // What was found, made final. Nothing before begin(). Once.
  [[nodiscard]] std::optional<BodyScan> take_scan();

 private:
  enum class Stop : std::uint8_t { None, Cap, Broken, NoMemory };
  [[nodiscard]] bool fits_cap(std::string_view piece);
  [[nodiscard]] bool decode(std::string_view piece);

  std::uint64_t bytes_max_ = 0;
  Stop stop_ = Stop::None;
  std::optional<BodyScan> scan_;
  std::optional<BodyDecoder> decoder_;  // When the body is coded and we know how.
  bool opaque_ = false;                 // It is coded and we do not.
  std::uint64_t opaque_bytes_ = 0;
};

}  // namespace watchwheel::checker
