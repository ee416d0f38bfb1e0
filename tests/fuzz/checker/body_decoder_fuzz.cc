// SPDX-License-Identifier: Apache-2.0
// A compressed body: how it is cut does not matter, it never yields more than it may.
// Input: a byte (how it is cut), the Content-Encoding, a line end, the body.
#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "checker/body_decoder.h"
#include "fuzz/law.h"

namespace watchwheel::fuzz {
namespace {

using checker::BodyDecoder;
using Step = BodyDecoder::Step;

constexpr std::uint64_t kBytesMax = 64 * 1024;

class Keep final : public checker::ByteSink {
 public:
  void take(std::string_view bytes) noexcept override {
    LAW(text.size() + bytes.size() <= kBytesMax, "no more comes out than may");
    text += bytes;
  }
  std::string text;
};

struct Outcome {
  Step step = Step::More;
  bool finished = false;
  std::string text;
  std::string problem;
};

Outcome decode(const std::vector<checker::ContentCoding>& codings, std::string_view body,
               std::size_t piece_bytes) {
  BodyDecoder decoder(codings, kBytesMax);
  Keep sink;
  Outcome out;
  while (!body.empty() && out.step == Step::More) {
    const std::string piece(body.substr(0, piece_bytes));
    body.remove_prefix(piece.size());
    out.step = decoder.feed(piece, sink);
  }
  out.finished = out.step == Step::More && decoder.finished();
  out.text = std::move(sink.text);
  out.problem = decoder.problem();
  LAW((out.step == Step::Broken) == !out.problem.empty(), "what is broken says why", out.problem);
  LAW(has_no_controls(out.problem), "a problem is one line", out.problem);
  return out;
}

}  // namespace
}  // namespace watchwheel::fuzz

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  using namespace watchwheel;
  fuzz::Input input(data, size);
  const std::size_t piece_bytes = input.byte() % 7U * 11 + 1;
  const auto codings = checker::parse_codings(input.line());
  if (!codings || codings->empty())
    return 0;  // Not known, or nothing to undo: there is no decoder then.
  LAW(codings->size() <= checker::kLayersMax, "layers have a limit");
  const std::string_view body = input.rest();
  const fuzz::Outcome whole = fuzz::decode(*codings, body, SIZE_MAX);
  const fuzz::Outcome pieces = fuzz::decode(*codings, body, piece_bytes);
  LAW(whole.step == pieces.step && whole.text == pieces.text && whole.finished == pieces.finished,
      "how a body is cut does not matter", whole.problem, pieces.problem, whole.text, pieces.text);
  return 0;
}
